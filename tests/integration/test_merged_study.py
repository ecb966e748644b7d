"""Two halves of a study, merged, give the numbers of the whole; what must not be merged is refused with reasons."""

import json
import re
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from repdrift.core.errors import ConfigError, SampleSetMismatchError
from repdrift.core.fingerprint import files_sha256
from repdrift.core.records.merged import MergedStudy
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, DriftResults
from repdrift.sharing.merge_checks import require_mergeable
from repdrift.sharing.merge_sources import read_sources
from repdrift.sharing.merged_tables import analyse_tables
from repdrift.sharing.merging import merge_studies
from repdrift.study.config import load_study
from tests.command_line import run_here

PLACES = {"commands", "configuration", "merged", "created", "content_sha256", "folder", "versions", "name"}
"""Entries of results that tell where and when an analysis was made, not what was found."""


def _part(root, finished, name, seeds):
    """A study with some of the seeds of the finished one, in the folder `name` below `root`."""
    source = finished.root
    shutil.copytree(source / "base_representations", root / name / "base_representations")
    for part in ("phase3_representations", "outcomes", "weights"):
        for folder in (source / "results" / part).iterdir():
            if re.search(rf"seed({'|'.join(map(str, seeds))})$", folder.name):
                shutil.copytree(folder, root / name / "results" / part / folder.name)
    for record in (source / "results").glob("*/run.json"):
        if json.loads(record.read_text())["seed"] in seeds:
            shutil.copytree(record.parent, root / name / "results" / record.parent.name)
    text = (source / "study.yaml").read_text().replace("seeds: [1, 2]", f"seeds: {list(seeds)}")
    text = text.replace("results_dir: results", f"results_dir: {name}/results")
    (root / f"{name}.yaml").write_text(text.replace("base_dir: base", f"base_dir: {name}/base"))
    run_here(f"python -m repdrift analyze --config {name}.yaml", root)


@pytest.fixture(scope="module")
def parts(tmp_path_factory, finished):
    root = tmp_path_factory.mktemp("parts")
    for name in ("model", "data"):
        shutil.copytree(finished.root / name, root / name)
    _part(root, finished, "one", [1])
    _part(root, finished, "two", [2])
    _part(root, finished, "whole", [1, 2])
    for name in ("one", "two"):
        run_here(f"python -m repdrift export {name}.yaml {name}.zip --no-figures", root)
    return root


def _differences(left, right, at=""):
    """Where two structures of JSON differ, but for `PLACES`."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = (left.keys() | right.keys()) - PLACES
        return [d for key in sorted(keys) for d in _differences(left.get(key), right.get(key), f"{at}.{key}")]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [d for i, (a, b) in enumerate(zip(left, right, strict=True)) for d in _differences(a, b, f"{at}[{i}]")]
    return [] if left == right else [f"{at}: {left} and {right}"]


def _read(folder):
    return json.loads((folder / RESULTS_FILE).read_text())


def _sha256(folder):
    return files_sha256(
        folder, [path for path in folder.rglob("*") if path.is_file() and "drift_analysis" not in path.parts]
    )


@pytest.fixture(scope="module")
def merged(parts):
    before = [_sha256(parts / name) for name in ("one", "two")]
    run_here("python -m repdrift merge one.yaml two.yaml --output both", parts)
    assert [_sha256(parts / name) for name in ("one", "two")] == before, "the parts are as they were"
    return parts / "both"


def test_every_number_is_that_of_one_study_with_all_runs(parts, merged):
    whole, both = parts / "whole/results/drift_analysis", merged / "results/drift_analysis"
    tables = sorted(path.name for path in whole.glob("*.parquet"))
    assert len(tables) > 5
    for name in tables:
        pd.testing.assert_frame_equal(pd.read_parquet(whole / name), pd.read_parquet(both / name), check_exact=True)
    found = _read(both)
    assert _differences(_read(whole), found) == []
    assert len(found["tests"]) > 3
    assert [len(source["models"]) for source in found["study"]["merged"]["sources"]] == [2, 2]


def test_the_merged_folder_is_a_study_like_any_other(parts, merged):
    config = load_study(merged / "study.yaml")
    assert config.seeds == (1, 2)
    payload = next((merged / "results/phase3_representations").rglob("layer_0.pt"))
    assert payload.is_symlink()
    before = _read(merged / "results/drift_analysis")
    run_here("python -m repdrift analyze --config both/study.yaml", parts)
    after = _read(merged / "results/drift_analysis")
    assert _differences(before, after) == []
    assert after["study"]["merged"] == before["study"]["merged"], "analysed again it still says what it is"
    summary = (merged / "results/drift_analysis" / SUMMARY_FILE).read_text()
    assert (
        "This analysis is of 2 studies put together (A, tiny (2 final models) and B, tiny (2 final models))" in summary
    )
    run_here("python -m repdrift verify both", parts)
    run_here("python -m repdrift export both/study.yaml both.zip --no-figures", parts)


def test_tables_alone_give_the_claims_over_seeds_and_name_what_is_missing(parts):
    run_here("python -m repdrift merge one.zip two.zip --output tables", parts)
    whole, found = _read(parts / "whole/results/drift_analysis"), _read(parts / "tables/drift_analysis")
    expected = [test for test in whole["tests"] if test["hypothesis"] != "drift_above_seed_ceiling"]
    with_samples = {"interval", "sentence", "lower_bound"}
    for test, other in zip(expected, found["tests"], strict=True):
        left, right = ({k: v for k, v in each.items() if k not in with_samples} for each in (test, other))
        assert left == right
    for left, right in zip(whole["reductions"], found["reductions"], strict=True):
        assert left["reduction"] == right["reduction"]
        over_models = [i for i in left["intervals"] if i["over"] == "models"]
        assert right["intervals"] == over_models
    for name in ("associations", "profiles", "drift_predictors", "equal_skill", "mixed_model"):
        assert whole[name] == found[name], name
    for name in ("arms", "differences", "flips"):
        assert whole["outcomes"][name] == found["outcomes"][name], name
    key = ["task", "site", "layer", "measure", "method", "seed", "step"]
    tables = [
        pd.read_parquet(folder / "drift.parquet").sort_values(key, ignore_index=True)
        for folder in (parts / "whole/results/drift_analysis", parts / "tables/drift_analysis")
    ]
    assert tables[1]["seed_ceiling_drift"].isna().all()
    left, right = (table.drop(columns="seed_ceiling_drift") for table in tables)
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    summary = " ".join((parts / "tables/drift_analysis" / SUMMARY_FILE).read_text().split())
    for said in (
        "drawn from the tables of their results alone",
        "No interval over samples is given",
        "Drift between seeds is not known",
    ):
        assert said in summary
    assert found["moved"]["left_out"]["grid"].startswith("it is measured from representations or weights")
    assert found["rankings"] == []


def test_tables_are_compared_at_equal_skill_as_the_studies_say(parts, tmp_path):
    with ExitStack() as held:
        sources = read_sources([str(parts / "one.zip"), str(parts / "two.zip")], {}, held)
        said = MergedStudy(from_tables=True, sources=[], command="")
        usual, _ = analyse_tables(sources, said, "s", tmp_path / "usual" / "drift_analysis")
        without = [_config(source, "analysis", equal_skill=False) for source in sources]
        none, _ = analyse_tables(without, said, "s", tmp_path / "none" / "drift_analysis")
        unknown, _ = analyse_tables(
            [replace(s, config=None) for s in sources], said, "s", tmp_path / "u" / "drift_analysis"
        )
    assert usual.equal_skill
    assert none.equal_skill == []
    assert unknown.equal_skill == usual.equal_skill
    assert any("At which scores" in caution for caution in unknown.study.merged.cautions)
    assert not any("At which scores" in caution for caution in usual.study.merged.cautions)


def test_outcomes_whose_items_are_not_at_hand_are_left_out_by_name(parts, tmp_path):
    with ExitStack() as held:
        sources = read_sources([str(parts / "one.zip"), str(parts / "two.zip")], {}, held)
        said = MergedStudy(from_tables=True, sources=[], command="")
        both, _ = analyse_tables(sources, said, "s", tmp_path / "both" / "drift_analysis")
        bare = tmp_path / "bare"
        shutil.copytree(sources[1].tables, bare)
        (bare / "outcome_items.parquet").unlink()
        of_one, _ = analyse_tables(
            [sources[0], replace(sources[1], tables=bare)], said, "s", tmp_path / "one" / "drift_analysis"
        )
    of_first = {seed for _, _, seed in sources[0].finals}
    assert {seed for arm in both.outcomes.arms for seed in arm.seeds} > of_first
    assert {seed for arm in of_one.outcomes.arms for seed in arm.seeds} == of_first
    assert of_one.reductions == both.reductions
    (caution,) = (c for c in of_one.study.merged.cautions if c.startswith("Outcomes of "))
    assert caution.startswith(f"Outcomes of {sources[1].named} are left out")
    assert not any(c.startswith("Outcomes of ") for c in both.study.merged.cautions)


def test_studies_that_do_not_tell_their_base_model_are_refused(parts):
    with ExitStack() as held:
        sources = read_sources([str(parts / "one.zip"), str(parts / "two.zip")], {}, held)
        silent = [_silent(source) for source in sources]
        with pytest.raises(SampleSetMismatchError, match="neither A .* nor B .* tells which they are"):
            require_mergeable(silent)
        told = [_silent(source, source.results.trained) for source in sources]
        require_mergeable(told)  # the trained models know
        other = [run.model_copy(update={"base_digest": "another"}) for run in sources[1].results.trained]
        with pytest.raises(SampleSetMismatchError, match="Only studies of one base model can be one"):
            require_mergeable([told[0], _silent(sources[1], other)])


def _silent(source, trained=()):
    """A source whose study does not say which base model it has, without the records of its sets."""
    study = source.results.study.model_copy(update={"base_digest": None, "compute_dtype": "float32"})
    return replace(
        source, results=source.results.model_copy(update={"study": study, "trained": list(trained)}), bases={}, sets={}
    )


def test_a_model_that_is_in_both_counts_once(parts):
    run_here("python -m repdrift merge whole/results one.zip --output again", parts)
    found = _read(parts / "again/drift_analysis")
    assert [len(source["models"]) for source in found["study"]["merged"]["sources"]] == [4, 0]
    assert len(found["runs"]) == len(_read(parts / "whole/results/drift_analysis")["runs"])


def test_an_arm_with_another_name_is_another_arm(parts):
    run_here(
        "python -m repdrift merge one.yaml two.yaml --output third --rename B:lora=second --name renamed",
        parts,
        fails=True,
    )
    # Both arms were trained alike, so that they would be compared with each other: that is refused.
    with ExitStack() as held:
        one, two = read_sources([str(parts / "one.zip"), str(parts / "two.zip")], {"B": {"lora": "second"}}, held)
        with pytest.raises(
            SampleSetMismatchError, match=r"'lora' of A .* and arm 'second' of B .* were trained alike on sst2"
        ):
            require_mergeable([one, two])


def test_renamed_arms_carry_their_name_through_every_file(parts, monkeypatch):
    monkeypatch.chdir(parts)
    path = parts / "other.yaml"
    _retrained(parts, path)
    done = merge_studies(["one.yaml", str(path)], Path("named"), renames={"B": {"lora": "lora_r2"}})
    assert done.results.study.methods == ["full_finetune", "lora", "lora_r2"]
    assert {(r.method, r.seed) for r in done.results.runs if r.status == "ok"} == {
        ("full_finetune", 1), ("full_finetune", 2), ("lora", 1), ("lora_r2", 2),
    }  # fmt: skip
    assert set(pd.read_parquet(done.analysis / "outcome_items.parquet")["method"]) == {
        "full_finetune",
        "lora",
        "lora_r2",
    }
    assert {run.method for run in done.results.trained} == {"full_finetune", "lora", "lora_r2"}
    assert MergedStudy.read(parts / "named/results/merge.json").sources[1].renamed == {"lora": "lora_r2"}
    run_here(f"python -m repdrift merge one.yaml {path} --output refused", parts, fails=True)
    assert not (parts / "refused").exists()


def _retrained(root, path):
    """A copy of the second half whose LoRA runs say that they had another rank."""
    from repdrift.core.records.run import RunRecord

    shutil.copytree(root / "two", root / "other")
    text = (root / "two.yaml").read_text().replace(": two/", ": other/")
    path.write_text(text.replace("training:\n  all: {", "training:\n  methods: {lora: {lora: {rank: 2}}}\n  all: {"))
    for file in (root / "other/results").glob("lora_*/run.json"):
        record = RunRecord.read(file)
        settings = load_study(path).hyperparameters("sst2", "lora")
        measured = {name: record.hyperparameters[name] for name in ("max_length_used", "steps")}
        record.model_copy(update={"hyperparameters": {**settings, **measured}}).write(file)
    run_here(f"python -m repdrift analyze --config {path}", root)


def _study(source, **changes):
    return replace(
        source, results=source.results.model_copy(update={"study": source.results.study.model_copy(update=changes)})
    )


def _runs(source, **changes):
    runs = [run.model_copy(update=changes) for run in source.results.runs]
    return replace(source, results=source.results.model_copy(update={"runs": runs}))


def _trained(source, **changes):
    trained = [run.model_copy(update=changes) for run in source.results.trained]
    return replace(source, results=source.results.model_copy(update={"trained": trained}))


def _sets(source, **changes):
    sets = {model: of.model_copy(update=changes) for model, of in source.sets.items()}
    return replace(source, sets=sets)


def _config(source, part, **changes):
    assert source.config is not None
    section = getattr(source.config, part).model_copy(update=changes)
    return replace(source, config=source.config.model_copy(update={part: section}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: _study(s, base_digest="other"), "weights of the base model: expected as in A"),
        (lambda s: _study(s, pooling="last"), "pooling: expected as in A .*, mean; got in B .* last"),
        (lambda s: _study(s, measures=["cka"]), "measures: expected"),
        (lambda s: _study(s, alpha=0.01), "level alpha: expected as in A .*, 0.05; got in B .* 0.01"),
        (lambda s: _study(s, replicates=10), "bootstrap replicates"),
        (lambda s: _study(s, reference_method="lora"), "reference arm"),
        (lambda s: _study(s, compute_dtype="bfloat16"), "floating-point type in which models ran"),
        (lambda s: _runs(s, sample_set_fingerprint="other"), r"sample set of task sst2 \(rows, tokenizer"),
        (lambda s: _trained(s, data_fingerprint="f" * 64), "training rows of task sst2"),
        (lambda s: _trained(s, hyperparameters={"epochs": 9}), "arm 'lora' on task sst2 means other settings in A .*epochs 1.0 in A, 9 in B.* --rename B:lora=lora_b"),
        (lambda s: _trained(s, seed=1) and _runs(_trained(s, seed=1), seed=1), "seed 1 was trained twice, with other weights in A"),
        (lambda s: _sets(s, settings={"base/config.json": "x"}), "config.json of the base model"),
        (lambda s: _sets(s, dtype="float16"), "number format of the sets"),
        (lambda s: _config(s, "analysis", jackknife_groups=7), "analysis.jackknife_groups: expected"),
        (lambda s: _config(s, "extraction", blocks="x"), "extraction.blocks"),
        (lambda s: replace(s, config=s.config.model_copy(update={"outcomes": ["probes"]})), r"outcomes\.\w+: expected as in A"),
        (lambda s: replace(s, config=s.config.model_copy(update={"general_text": None})), r"general_text\.\w+: expected"),
    ],
)  # fmt: skip
def test_what_must_not_be_merged_is_refused_with_the_reason(parts, change, said):
    with ExitStack() as held:
        one, two = read_sources([str(parts / "one.zip"), str(parts / "two.zip")], {}, held)
        assert require_mergeable([one, two]) == []
        with pytest.raises(SampleSetMismatchError, match=said):
            require_mergeable([one, change(two)])


def test_other_versions_and_devices_are_allowed_and_said(parts):
    with ExitStack() as held:
        one, two = read_sources([str(parts / "one.zip"), str(parts / "two.zip")], {}, held)
        newer = replace(
            two, results=two.results.model_copy(update={"versions": {**two.results.versions, "torch": "9"}})
        )
        (said,) = require_mergeable([one, newer])
        assert "other versions of torch" in said
        (said,) = require_mergeable([one, _trained(two, device="cuda:0")])
        assert "trained on cpu, those of B on cuda" in said


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (["one.zip"], {}, "expected two studies or more"),
        (["one.zip", "two.zip"], {"renames": {"C": {"lora": "x"}}}, "the studies are called A, B"),
        (["one.zip", "two.zip"], {"renames": {"B": {"nothing": "x"}}}, "has no arm 'nothing'"),
        (["one.zip", "two.zip"], {"renames": {"B": {"lora": "full_finetune"}}}, "has an arm 'full_finetune' already"),
        (["one.zip", "nowhere.yaml"], {}, "nowhere.yaml"),
    ],
)
def test_a_command_that_cannot_be_meant_leaves_nothing(parts, monkeypatch, names, options, said):
    monkeypatch.chdir(parts)
    with pytest.raises(ConfigError, match=said):
        merge_studies(names, Path("new"), **options)
    assert not (parts / "new").exists()


def test_a_folder_that_holds_something_is_left_alone(parts, monkeypatch):
    monkeypatch.chdir(parts)
    (parts / "full").mkdir()
    (parts / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="full is not empty"):
        merge_studies(["one.zip", "two.zip"], Path("full"))
    assert (parts / "full" / "mine.txt").read_text() == "mine"


def test_base_representations_that_differ_in_the_last_bit_are_said(parts, monkeypatch):
    """The second machine extracted the base model itself: the same model and samples, other bits."""
    from repdrift.core.records.representation_set import SetMetadata

    monkeypatch.chdir(parts)
    shutil.copytree(parts / "two", parts / "far")
    (parts / "far.yaml").write_text((parts / "two.yaml").read_text().replace(": two/", ": far/"))
    (file,) = (parts / "far").glob("base_representations/*/step_000000/metadata.json")
    said = SetMetadata.read(file)
    said.model_copy(update={"files": {**said.files, "layer_0.pt": "0" * 64}}).write(file)
    done = merge_studies(["one.yaml", "far.yaml"], Path("apart"))
    (caution,) = done.results.study.merged.cautions
    assert "extracted in A and again in B, and are not the same to the last bit" in caution
    assert caution in (done.analysis / SUMMARY_FILE).read_text()
    assert DriftResults.read(done.analysis / RESULTS_FILE).study.merged == done.results.study.merged
