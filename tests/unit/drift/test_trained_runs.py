"""The training behind a run: known by its weights, told from its folder, with its loss thinned."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.core.records.trained_run import MOST_POINTS
from repdrift.drift.analysis_plan import PlannedSet
from repdrift.drift.trained_runs import trained_runs


def run_record(**changes):
    return RunRecord(
        **{
            "key": "k", "task": "mrpc", "task_kind": "classification", "method": "lora", "seed": 1, "base_model": "b", "base_digest": "d",
            "weights_digest": "w", "hyperparameters": {"learning_rate": 1e-3, "epochs": 2.0}, "data_source": "here", "data_fingerprint": "f",
            "n_train": 10, "n_validation": 5, "metrics": {"accuracy": 0.5}, "versions": {"torch": "2"}, "device": "cpu",
            "started": "2026-01-01T00:00:00+00:00", "wall_time_s": 3.5, "peak_memory_bytes": None,
        }
        | changes
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    run = tmp_path / "results" / "lora_1"
    run.mkdir(parents=True)
    run_record().write(run / RUN_FILE)
    return run


def found(folder, *, digest="w", weights=None, other=None, step=0):
    plan = PlannedSet(
        "mrpc", "lora", 1, step, Path("set"), "make", {"w": folder} if weights is None else weights, other or {}
    )
    opened = SimpleNamespace(plan=plan, stored=SimpleNamespace(metadata=SimpleNamespace(weights_digest=digest)))
    return trained_runs([SimpleNamespace(runs=[opened])], folder.parent / "drift_analysis")


def write_history(folder, lines):
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_run_is_told_from_its_folder(folder):
    write_history(
        folder,
        [{"step": 1, "loss": 0.5, "learning_rate": 0.1}, {"step": 2, "scored": "checkpoints/x", "accuracy": 0.75}],
    )
    (run,) = found(folder)
    assert (run.folder, run.as_planned, run.wall_time_s) == ("../lora_1", True, 3.5)
    assert [(c.name, c.steps, c.values) for c in run.curves] == [("loss", [1], [0.5]), ("accuracy", [2], [0.75])]
    assert run.hyperparameters["learning_rate"] == 1e-3


def test_a_long_history_is_thinned_evenly_with_both_ends(folder):
    write_history(folder, [{"step": step, "loss": 1 / step} for step in range(1, 1001)])
    (run,) = found(folder)
    (curve,) = run.curves
    assert (len(curve.steps), curve.points, curve.steps[0], curve.steps[-1]) == (MOST_POINTS, 1000, 1, 1000)
    assert {b - a for a, b in zip(curve.steps, curve.steps[1:], strict=False)} == {10, 11}
    assert curve.values == [1 / step for step in curve.steps]


def test_what_was_not_finite_and_what_is_no_number_is_no_value(folder):
    write_history(folder, [{"step": 1, "loss": None}, {"step": 2, "loss": "x"}, {"step": 3, "loss": 1, "flag": True}])
    (curve,) = found(folder)[0].curves
    assert (curve.steps, curve.values) == ([1, 3], [None, 1.0])


def test_a_run_without_history_says_so(folder):
    (run,) = found(folder)
    assert run.curves == []
    assert "history.jsonl" in run.no_curves


@pytest.mark.parametrize(
    "changed",
    [{"digest": "other"}, {"weights": {}}, {"step": 5}],
    ids=["other weights", "no folder", "a checkpoint"],
)
def test_only_final_models_whose_weights_are_these_are_told_of(folder, changed):
    assert found(folder, **changed) == []


def test_a_folder_that_was_trained_anew_since_is_not_this_run(folder):
    run_record(weights_digest="newer").write(folder / RUN_FILE)
    assert found(folder) == []


def test_a_damaged_run_json_is_left_out(folder):
    (folder / RUN_FILE).write_text("{")
    assert found(folder) == []


def test_a_run_of_other_settings_is_marked(folder):
    assert found(folder, weights={}, other={"w": folder})[0].as_planned is False


def test_a_folder_far_away_does_not_name_the_way_to_it(tmp_path, folder, monkeypatch):
    monkeypatch.chdir("/")
    far = tmp_path / "a/b/c/d"
    far.mkdir(parents=True)
    opened = SimpleNamespace(
        plan=PlannedSet("mrpc", "lora", 1, 0, Path("set"), "make", {"w": folder}), stored=SimpleNamespace(metadata=SimpleNamespace(weights_digest="w"))
    )  # fmt: skip
    (run,) = trained_runs([SimpleNamespace(runs=[opened])], far)
    assert str(tmp_path.parent) not in run.folder
    assert run.folder.endswith("results/lora_1")
