"""Models of a published study, made again from its results: the same numbers, or a refusal before anything is trained."""

import gzip
import json
import re
import shutil

import pandas as pd
import pytest

from repdrift.core.errors import ConfigError, DataError, SampleSetMismatchError, UnknownNameError
from repdrift.core.records.reproduction import REPRODUCTION_FILE, REPRODUCTION_MARKDOWN, Reproduction
from repdrift.core.records.results import RESULTS_FILE, DriftResults
from repdrift.sharing.reproduction.published import read_published
from repdrift.sharing.reproduction.reproducing import reproduce
from tests.command_line import run_here
from tests.resealed import edit_record

ANALYSIS = "results/drift_analysis"


@pytest.fixture(scope="module")
def published(tmp_path_factory, finished):
    """The results of a study, with its base model and data, and without its trained models and representations."""
    root = tmp_path_factory.mktemp("published")
    for name in ("model", "data", ANALYSIS):
        shutil.copytree(finished.root / name, root / name)
    return root


@pytest.fixture(scope="module")
def again(published):
    return run_here(f"python -m repdrift reproduce {ANALYSIS} --models 2 --random-seed 4 --output again", published)


def test_what_is_made_again_and_how_it_was_chosen_is_said_before_anything_is_trained(again):
    first, second = again.stderr.splitlines()[:2]
    assert re.match(r"tiny: making sst2/\w+/\d and sst2/\w+/\d again; their published training took", first)
    assert second == "drawn from 4 models; to draw them again, or to go on after a stop: --random-seed 4"


def test_on_one_machine_a_model_that_is_made_again_has_the_published_numbers(published, again):
    assert again.returncode == 0
    record = Reproduction.read(published / "again" / REPRODUCTION_FILE)
    assert [model.verdict for model in record.models] == ["same weights"] * 2
    results = DriftResults.read(published / ANALYSIS / RESULTS_FILE)
    assert record.models_to_draw_from == len(results.trained)
    for model in record.models:
        then = next(t for t in results.trained if (t.method, t.seed) == (model.method, model.seed))
        assert model.learning_rate == then.hyperparameters["learning_rate"]
        assert model.drift_again == model.drift_published
        assert model.score_again == model.score_published
        assert any(drift > 0 for drift in model.drift_again)
    said = again.stdout.replace("\n", " ")
    assert "2 have the same weights, byte for byte, and the same numbers." in said
    assert (published / "again" / REPRODUCTION_MARKDOWN).read_text().startswith("# tiny, made again")


def test_a_seed_draws_the_same_models_and_what_is_there_is_not_trained_again(published, again):
    before = sorted(path.name for path in (published / "again/results").glob("*/run.json"))
    done = run_here(
        f"python -m repdrift reproduce {ANALYSIS} --models 2 --random-seed 4 --output again --json", published
    )
    assert sorted(path.name for path in (published / "again/results").glob("*/run.json")) == before
    first = Reproduction.read(published / "again" / REPRODUCTION_FILE)
    assert [m["seed"] for m in json.loads(done.stdout)["models"]] == [m.seed for m in first.models]
    assert "training sst2" not in done.stderr


def test_compressed_results_are_read_as_they_are(published, tmp_path):
    for file in (published / ANALYSIS).iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / f"{RESULTS_FILE}.gz").write_bytes(gzip.compress((tmp_path / RESULTS_FILE).read_bytes()))
    (tmp_path / RESULTS_FILE).unlink()
    whole = read_published(str(published / ANALYSIS))
    for where in (tmp_path, tmp_path / f"{RESULTS_FILE}.gz"):
        assert read_published(str(where)).results == whole.results
    (tmp_path / f"{RESULTS_FILE}.gz").write_bytes(b"\x1f\x8b no gzip")
    with pytest.raises(DataError, match="Restore it from a copy"):
        read_published(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"picks": ["sst2/lora/3"]}, UnknownNameError, "sst2/lora/1"),
        ({"picks": ["sst2/lora/1", "sst2/lora/1"]}, ConfigError, "given twice"),
        ({"count": 5}, ConfigError, "Take 1 to 4"),
        ({"tasks": ["mrpc"]}, UnknownNameError, "Known: sst2"),
    ],
)
def test_a_model_that_is_not_there_is_named_beside_those_that_are(published, options, error, says, monkeypatch):
    monkeypatch.chdir(published)
    with pytest.raises(error, match=says):
        reproduce(ANALYSIS, published / "none", **options)
    assert not (published / "none").exists()


def _other_rows(root):
    path = root / "data/sst2/train.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[1:]) + "\n")


def _other_validation(root):
    path = root / "data/sst2/validation.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")


def _other_base(root):
    path = root / "model/config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "layer_norm_eps": 1e-3}))


def _other_settings(root):
    def change(content):
        for trained in content["trained"]:
            trained["hyperparameters"]["batch_size"] = 4

    edit_record(root / ANALYSIS / RESULTS_FILE, change)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_other_rows, "the training rows are others"),
        (_other_validation, "samples|validation rows"),
        (_other_base, "config.json differs"),
        (_other_settings, "batch_size 8 in place of 4"),
    ],
)
def test_what_is_not_the_published_study_is_refused_before_anything_is_trained(
    published, tmp_path, monkeypatch, change, says
):
    for name in ("model", "data", ANALYSIS):
        shutil.copytree(published / name, tmp_path / name)
    change(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SampleSetMismatchError, match=says):
        reproduce(ANALYSIS, tmp_path / "again", picks=["sst2/lora/1"])
    assert not list(tmp_path.glob("again/results/*/run.json"))


def test_numbers_that_were_changed_in_the_results_are_noticed(published, tmp_path):
    shutil.copytree(published / ANALYSIS, tmp_path / ANALYSIS)
    for name in ("model", "data"):
        (tmp_path / name).symlink_to(published / name)
    table = pd.read_parquet(tmp_path / ANALYSIS / "drift.parquet")
    table["drift"] = 0.9  # of every seed, so that another one would have it too
    table.to_parquet(tmp_path / ANALYSIS / "drift.parquet")
    edit_record(tmp_path / ANALYSIS / RESULTS_FILE, lambda content: content.update(table_sha256={}))
    done = run_here(f"python -m repdrift reproduce {ANALYSIS} --pick sst2/lora/1 --output again", tmp_path, fails=True)
    assert done.returncode == 3
    assert "1 lies farther off than another seed of its arm would" in done.stdout.replace("\n", " ")
