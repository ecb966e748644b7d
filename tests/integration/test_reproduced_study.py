"""Models of a published study, made again from its results: the same numbers, or a refusal before anything is trained."""

import gzip
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from repdrift.core.errors import ConfigError, DataError, NonFiniteError, SampleSetMismatchError, UnknownNameError
from repdrift.core.records.merged import MergedSource, MergedStudy
from repdrift.core.records.reproduction import REPRODUCTION_FILE, REPRODUCTION_MARKDOWN, Reproduction
from repdrift.core.records.results import RESULTS_FILE, DriftResults
from repdrift.sharing.reproduction import made_again
from repdrift.sharing.reproduction.model_study import model_study
from repdrift.sharing.reproduction.published import read_published
from repdrift.sharing.reproduction.reproducing import reproduce
from repdrift.sharing.reproduction.same_study import _keys
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import RunId
from repdrift.training import TrainingOptions
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
    assert "2 have the same weights, byte for byte, and the same numbers but for rounding." in said
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


def test_tables_of_other_folders_are_not_read(published, tmp_path):
    for file in (published / ANALYSIS).iterdir():
        shutil.copy(file, tmp_path)
    hostile = {"": "0", "/": "0", ".": "0", "../secret.parquet": "0", "/etc/hostname": "0"}
    edit_record(tmp_path / RESULTS_FILE, lambda content: content["table_sha256"].update(hostile))
    (tmp_path / f"{RESULTS_FILE}.gz").write_bytes(gzip.compress((tmp_path / RESULTS_FILE).read_bytes()))
    (tmp_path / RESULTS_FILE).unlink()
    assert len(read_published(str(tmp_path)).models) == 4
    (tmp_path / "drift.parquet").unlink()
    (tmp_path / "drift.csv").unlink()
    with pytest.raises(DataError, match=re.escape(f"beside {tmp_path / RESULTS_FILE}.gz")):
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


def edited(published, root, change):
    """A copy of the results in a folder of their own, with `change` made to their content and to the configuration in it."""
    shutil.copytree(published / ANALYSIS, root / ANALYSIS)
    for name in ("model", "data"):
        (root / name).symlink_to(published / name)

    def both(content):
        configuration = yaml.safe_load(content["study"]["configuration"])
        change(content, configuration)
        content["study"]["configuration"] = yaml.safe_dump(configuration)

    edit_record(root / ANALYSIS / RESULTS_FILE, both)
    return root


def one_model(root, name="sst2/lora/1", **places):
    """The study of one model, as it would be trained below `root/out`."""
    study = read_published(str(root / ANALYSIS))
    model = next(model for model in study.models if model.name == name)
    return model_study(study, model, root / "out", **places)


def test_nothing_is_sent_and_nothing_lies_outside_whatever_the_configuration_says(published, tmp_path):
    def hostile(_, configuration):
        configuration["training"]["all"] |= {"report_to": ["wandb"], "save_state_every": "1 min"}
        configuration["stores"] = {"results": "s3://elsewhere/x"}
        configuration["results_dir"], configuration["base_dir"] = "/elsewhere/a", "/elsewhere/b"
        configuration["outcomes"] = ["probes"]

    config = one_model(edited(published, tmp_path, hostile))
    options = config.training_options("sst2", "lora")
    assert (list(options.report_to), config.stores) == ([], None)
    assert options.save_state_every == TrainingOptions(learning_rate=1e-3).save_state_every
    assert [folder.is_relative_to(tmp_path / "out") for folder in (config.results_dir, config.base_dir)] == [True, True]


def test_drift_is_measured_as_it_was_published_whatever_the_defaults_are_by_now(published, tmp_path):
    def other(content, configuration):
        configuration["extraction"] = {"pooling": "last"}
        configuration["training"]["methods"] = {"lora": {"max_length": 8}}
        configuration["training"]["all"]["precision"] = "auto"
        for trained in content["trained"]:
            trained["hyperparameters"]["precision"] = "bfloat16"
        del configuration["tasks"]

    config = one_model(edited(published, tmp_path, other))
    assert config.extraction.pooling == "mean", "that of the published sets"
    assert config.extraction.max_length == 32, "samples are cut as for the first arm"
    assert config.training_options("sst2", "lora").max_length == 8
    assert config.training_options("sst2", "lora").precision == "bfloat16", (
        "that which auto was on the published machine"
    )
    assert config.task_names == ["sst2"], "one of the default tasks"


def test_paths_are_those_of_the_results_and_other_places_can_be_named(published, tmp_path):
    def absolute(_, configuration):
        configuration["model"] = str(published / "model")
        configuration["data_dir"] = str(tmp_path / "gone")

    root = edited(published, tmp_path / "x", absolute)
    config = one_model(root)
    assert (config.model, config.data_dir) == (str(published / "model"), None)
    named = one_model(root, base_model="else", data_dir=Path("there"))
    assert (named.model, named.data_dir) == ("else", "there")


def test_files_of_a_task_of_ones_own_are_looked_for_in_the_named_folder(published, tmp_path):
    entry = {
        "name": "sst2",
        "train": "/gone/train.jsonl",
        "validation": "/gone/validation.jsonl",
        "text_columns": ["sentence"],
        "label_column": "label",
    }
    root = edited(published, tmp_path, lambda _, configuration: configuration.update(tasks=[entry]))
    config = one_model(root, data_dir=published / "data")
    assert config.tasks[0].train == published / "data/sst2/train.jsonl"
    with pytest.raises(ConfigError, match="expected it at"):
        one_model(root, data_dir=tmp_path)


def test_models_that_cannot_be_made_again_are_neither_drawn_nor_a_yardstick(published, tmp_path):
    def other(content, _):
        content["trained"][1]["as_planned"] = False

    root = edited(published, tmp_path / "planned", other)
    study = read_published(str(root / ANALYSIS))
    left_out = study.results.trained[1]
    assert len(study.models) == 3
    assert left_out.seed not in {each.seed for each in study.alike(RunId("sst2", left_out.method, 1))}

    root = edited(published, tmp_path / "missing", lambda content, _: content.update(table_sha256={}))
    table = pd.read_parquet(root / ANALYSIS / "drift.parquet")
    table.loc[(table["method"] == "lora") & (table["seed"] == 1) & (table["layer"] == 0), "drift"] = float("nan")
    table.to_parquet(root / ANALYSIS / "drift.parquet")
    assert {model.name for model in read_published(str(root / ANALYSIS)).models} == {
        "sst2/full_finetune/1",
        "sst2/full_finetune/2",
        "sst2/lora/2",
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content, _: content["trained"].append(content["trained"][0]), "stands twice"),
        (lambda content, _: content["trained"][0]["hyperparameters"].pop("learning_rate"), "has no learning rate"),
        (lambda content, _: content["study"].update(configuration=None), "do not tell the study's configuration"),
        (lambda content, _: content.update(trained=[]), "how it was trained"),
    ],
)
def test_results_that_do_not_tell_how_models_were_trained_are_refused(published, tmp_path, change, says):
    root = edited(published, tmp_path, lambda *_: None)
    edit_record(root / ANALYSIS / RESULTS_FILE, lambda content: change(content, None))
    with pytest.raises((DataError, ConfigError), match=says):
        read_published(str(root / ANALYSIS))


def test_an_arm_that_a_merge_has_renamed_is_known_by_its_old_name(published, monkeypatch):
    monkeypatch.chdir(published)
    study = read_published(ANALYSIS)
    model = next(model for model in study.models if model.name == "sst2/lora/1")
    job = StudyInputs(one_model(published)).training_job(model.run)
    source = MergedSource(
        label="A", study="s", where="w", analysed="", repdrift=None, models=[], renamed={"before": "lora", "x": "y"}
    )
    merged = MergedStudy(from_tables=False, sources=[source], command="", cautions=[])
    results = study.results.model_copy(update={"study": study.results.study.model_copy(update={"merged": merged})})
    keys = list(_keys(replace(study, data=replace(study.data, results=results)), model, job))
    assert keys == [job.key(), replace(job, arm=replace(job.arm, name="before")).key()]
    assert keys[0] == model.trained.key


def test_a_training_that_diverges_is_a_finding_and_the_other_models_are_made_again(published, tmp_path, monkeypatch):
    train = made_again.train_run

    def diverges(inputs, run, *, wait):
        if run.method == "full_finetune":
            raise NonFiniteError("the loss is NaN")
        return train(inputs, run, wait=wait)

    monkeypatch.setattr(made_again, "train_run", diverges)
    command = f"python -m repdrift reproduce {ANALYSIS} --pick sst2/full_finetune/1 --pick sst2/lora/1 --output {tmp_path / 'out'}"
    done = run_here(command, published, fails=True)
    assert done.returncode == 3
    record = Reproduction.read(tmp_path / "out" / REPRODUCTION_FILE)
    assert [model.verdict for model in record.models] == ["differs", "same weights"]
    assert "Training diverged here: the loss is NaN" in done.stdout.replace("\n", " ")


def test_a_stop_says_how_the_same_models_are_drawn_again(published, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(made_again, "train_run", stopped)
    command = f"python -m repdrift reproduce {ANALYSIS} --random-seed 9 --output {tmp_path / 'out'}"
    done = run_here(command, published, fails=True)
    assert done.returncode == 130
    assert "with --random-seed 9" in done.stderr
    assert "stopped. Finished parts are kept" in done.stderr


def test_names_and_a_draw_are_not_asked_for_at_once(published):
    for option in ("--models 2", "--task sst2", "--random-seed 1"):
        done = run_here(f"python -m repdrift reproduce {ANALYSIS} --pick sst2/lora/1 {option}", published, fails=True)
        assert "leave one of the two out" in done.stderr


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
    said = done.stdout.replace("\n", " ")
    assert "1 differs by more than another seed of its arm would" in said
    assert "The model is the published one, byte for byte, and the numbers are not" in said
