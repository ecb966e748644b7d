"""Studies that chose their learning rates, merged: the choices go with their arms, under other names too."""

import shutil
from contextlib import ExitStack, chdir
from dataclasses import replace
from pathlib import Path

import pytest

from repdrift.core.errors import ConfigError, SampleSetMismatchError
from repdrift.core.records.results import SUMMARY_FILE
from repdrift.core.records.run import RunRecord
from repdrift.core.records.tuning import TuningRecord, TuningTrial
from repdrift.sharing.merge_checks import require_mergeable
from repdrift.sharing.merge_sources import config_with_names, read_sources
from repdrift.sharing.merged_config import merged_config
from repdrift.sharing.merging import merge_studies
from repdrift.study.config import StudyConfig, load_study
from repdrift.study.inputs import StudyInputs
from repdrift.study.tune_section import TuneSection
from repdrift.study.tuned_rates import latest_choice, tuning_folder
from tests.command_line import run_here

CHOSEN = 0.01
"""The rate at which the models of the finished study were trained."""


def tuned(root, finished, name, seed, rates, rank=None):
    """A study of one seed of the finished one that says that its rates were chosen among `rates`. rank: another one for its LoRA arm."""
    source, folder = finished.root, root / name
    shutil.copytree(source / "base_representations", folder / "base_representations")
    shutil.copytree(
        source / "results",
        folder / "results",
        ignore=shutil.ignore_patterns("drift_analysis", "drift_visualizations", f"*seed{3 - seed}"),
    )
    text = (
        (source / "study.yaml")
        .read_text()
        .replace("seeds: [1, 2]", f"seeds: [{seed}]")
        .replace(", learning_rate: 0.01", "")
    )
    text = text.replace(": results", f": {name}/results").replace(": base", f": {name}/base")
    if rank is not None:
        text = text.replace("training:\n", f"training:\n  methods: {{lora: {{lora: {{rank: {rank}}}}}}}\n")
    file = root / f"{name}.yaml"
    file.write_text(f"{text}tune: {{trials: 2, learning_rates: {{lora: {rates}}}}}\n")
    config = load_study(file)
    for record in (folder / "results").glob("*/run.json"):
        run = RunRecord.read(record)
        if run.seed != seed:
            shutil.rmtree(record.parent)
            continue
        settings = config.hyperparameters("sst2", run.method, CHOSEN)
        measured = {name: run.hyperparameters[name] for name in ("max_length_used", "steps")}
        run.model_copy(update={"hyperparameters": {**settings, **measured}}).write(record)
    for method in config.method_names:
        choice(StudyInputs(config), method).write(tuning_folder(config, "sst2", method) / "choice.json")
    run_here(f"python -m repdrift analyze --config {name}.yaml", root)
    run_here(f"python -m repdrift export {name}.yaml {name}.zip --no-figures", root)


def choice(inputs, method):
    config = inputs.config
    rates = config.tune.rates(method, config.arm("sst2", method).tuning.usual_rates)
    trials = [
        TuningTrial(
            key=str(rate), learning_rate=rate, outcome="finished", metric="accuracy", score=0.6 - abs(rate - CHOSEN), n_train=16, n_held_out=8, steps=2,
            started="2026-01-02T03:04:05+00:00", wall_time_s=1.0, device="cpu", versions={},
        )
        for rate in (*rates, CHOSEN)
    ]  # fmt: skip
    return TuningRecord(
        key=method, task="sst2", method=method, words=method, sampler="grid", rates=rates, n_trials=2, pruning=False, seed=90_001, held_out=0.2,
        held_out_rows="8", hyperparameters={k: v for k, v in config.hyperparameters("sst2", method).items() if k != "learning_rate"},
        base_model=config.model, base_digest=inputs.base.weights_digest(), base_settings=inputs.base_settings, data_source="d", data_fingerprint="f",
        trials=trials, learning_rate=CHOSEN, at_edge=None, created="2026-01-02T03:04:05+00:00",
    )  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory, finished):
    root = tmp_path_factory.mktemp("tuned")
    for name in ("model", "data"):
        shutil.copytree(finished.root / name, root / name)
    with chdir(root):
        tuned(root, finished, "one", 1, [0.005, 0.02])
        tuned(root, finished, "wide", 2, [0.005, 0.03], rank=2)
    return root


@pytest.fixture(autouse=True)
def _in_root(root, monkeypatch):
    monkeypatch.chdir(root)


def test_a_renamed_arm_keeps_the_choice_of_its_rate(root):
    done = merge_studies(["one.yaml", "wide.yaml"], Path("both"), renames={"B": {"lora": "lora_r2"}})
    said = done.results.tuning
    assert said.tuned
    assert said.cautions == []
    assert {(of.method, tuple(of.rates)) for of in said.choices if of.method != "full_finetune"} == {
        ("lora", (0.005, 0.02)),
        ("lora_r2", (0.005, 0.03)),
    }
    merged = load_study("both/study.yaml")
    assert merged.tune.n_trials == 2
    assert latest_choice(merged, "sst2", "lora_r2", None).learning_rate == CHOSEN
    assert not tuning_folder(merged, "sst2", "lora").with_name("lora_b").exists()
    summary = (done.analysis / SUMMARY_FILE).read_text()
    assert "trained at another learning rate" not in summary
    assert "were not tuned" not in summary
    told = run_here("python -m repdrift status both/study.yaml", root).stdout
    assert "No learning rate was chosen yet" not in told


def test_archives_of_tuned_studies_are_merged_under_other_names(root):
    done = merge_studies(["one.zip", "wide.zip"], Path("tables"), renames={"B": {"lora": "lora_r2"}})
    assert done.results.study.methods == ["full_finetune", "lora", "lora_r2"]


def test_an_arm_of_one_name_that_tried_other_rates_is_refused_with_both(root):
    with pytest.raises(SampleSetMismatchError) as caught:
        merge_studies(["one.yaml", "wide.yaml"], Path("refused"))
    said = str(caught.value)
    assert (
        "learning rates that arm 'lora' tried on sst2: expected as in A (one.yaml), [0.005, 0.02]; got in B (wide.yaml) [0.005, 0.03]"
        in said
    )
    assert "--rename B:lora=lora_b" in said
    assert not Path("refused").exists()


@pytest.mark.parametrize(
    ("tune", "said"),
    [
        ({"trials": 3}, r"tune\.trials on sst2: expected as in A .*, 2; got in B .* 3"),
        ({"trials": 2, "held_out": 0.3}, r"tune\.held_out: expected as in A .*, 0\.2; got in B .* 0\.3"),
        ({"trials": 2, "seed": 7}, r"tune\.seed: expected as in A .*, 90001; got in B .* 7"),
        (None, r"tune\.held_out: expected as in A .*, 0\.2; got in B .* not given"),
    ],
)
def test_rates_that_were_chosen_in_another_way_are_refused(tune, said):
    with ExitStack() as held:
        one, wide = read_sources(["one.zip", "wide.zip"], {"B": {"lora": "lora_r2"}}, held)
        assert require_mergeable([one, wide]) == []
        section = None if tune is None else TuneSection.model_validate(tune)
        other = replace(wide, config=wide.config.model_copy(update={"tune": section}))
        with pytest.raises(SampleSetMismatchError, match=said):
            require_mergeable([one, other])


def _on_mrpc(source, tune):
    """A source as if it were of MRPC, with options of its own for that task, in a file that names SST-2 too."""
    results = source.results
    runs = [run.model_copy(update={"task": "mrpc"}) for run in results.runs]
    trained = [run.model_copy(update={"task": "mrpc"}) for run in results.trained]
    study = results.study.model_copy(update={"tasks": ["mrpc"]})
    content = source.config.model_dump(mode="json", exclude_unset=True)
    content |= {"tasks": ["sst2", "mrpc"], "tune": tune}
    content["training"] = {**content["training"], "tasks": {"mrpc": {"epochs": 7}, "sst2": {"epochs": 9}}}
    return replace(
        source,
        results=results.model_copy(update={"runs": runs, "trained": trained, "study": study}),
        sets={("mrpc", method, seed, step): of for (_, method, seed, step), of in source.sets.items()},
        config=StudyConfig.model_validate(content),
    )


def test_tasks_that_only_one_study_has_keep_their_own_rates_trials_and_options(tmp_path):
    with ExitStack() as held:
        one, other = read_sources(["one.zip", "wide.zip"], {"B": {"lora": "lora_r2"}}, held)
        other = _on_mrpc(other, {"trials": 3, "learning_rates": {"lora_r2": [1e-3, 2e-3, 3e-3]}})
        assert require_mergeable([one, other]) == []
        assert require_mergeable([other, one]) == []
        for order in ([one, other], [other, one]):
            merged = merged_config(order, "m", tmp_path / "results", tmp_path / "base")
            of_sst2, of_mrpc = merged.tuning_on("sst2"), merged.tuning_on("mrpc")
            assert (of_sst2.n_trials, of_sst2.learning_rates) == (2, {"lora": (0.005, 0.02)})
            assert (of_mrpc.n_trials, of_mrpc.learning_rates) == (3, {"lora_r2": (1e-3, 2e-3, 3e-3)})
            assert merged.training_options("mrpc", "lora_r2").epochs == 7
            assert merged.training_options("sst2", "lora").epochs == one.config.training_options("sst2", "lora").epochs


def test_arms_are_renamed_where_a_task_has_trials_of_its_own_and_no_rates():
    content = {"name": "x", "model": "m", "tasks": ["sst2", "mrpc"], "seeds": [1], "methods": ["full_finetune", "lora"]}
    rates = {"lora": [1e-3, 2e-3]}
    content["tune"] = {"trials": 4, "tasks": {"sst2": {"trials": 2}, "mrpc": {"learning_rates": rates}}}
    renamed = config_with_names(StudyConfig.model_validate(content), {"lora": "lora_b"}, "x")
    assert renamed.tuning_on("sst2").n_trials == 2
    assert renamed.tuning_on("mrpc").learning_rates == {"lora_b": (1e-3, 2e-3)}


def test_the_seed_of_the_trials_stays_though_a_merged_study_has_it_among_its_own(tmp_path):
    with ExitStack() as held:
        sources = read_sources(["one.zip", "wide.zip"], {"B": {"lora": "lora_r2"}}, held)
        seeds = [
            replace(s, config=s.config.model_copy(update={"seeds": (seed,)}))
            for s, seed in zip(sources, (1, 90_000), strict=True)
        ]
        assert merged_config(seeds, "m", tmp_path, tmp_path).tune.seed is None
        seeds[1] = replace(seeds[1], config=seeds[1].config.model_copy(update={"seeds": (90_001,)}))
        with pytest.raises(ConfigError, match="90001 is a seed of the study"):
            merged_config(seeds, "m", tmp_path, tmp_path)
