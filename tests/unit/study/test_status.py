"""What `repdrift status` says of the runs of a study."""

import json

import pytest

from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.study.config import load_study
from repdrift.study.status import judged, study_status
from tests.command_line import run_here
from tests.unit.drift.study_on_disk import judged as learnt


def _run(study, seed, verdict, started="2026-01-02T03:04:05+00:00"):
    return RunRecord(
        key=f"{seed}", task="sst2", task_kind="classification", method="lora", seed=seed, base_model=study.model, base_digest="b", weights_digest="w",
        hyperparameters=study.hyperparameters("sst2", "lora"), data_source="d", data_fingerprint="f", n_train=8, n_validation=8, metrics={},
        learnt=verdict, versions={}, device="cpu", started=started, wall_time_s=1.0, peak_memory_bytes=None,
    )  # fmt: skip


@pytest.fixture
def study_file(tmp_path):
    """A study of four runs, three of them trained: one has learnt, one has not, and one is of an older version."""
    file = tmp_path / "study.yaml"
    file.write_text(
        f"name: s\nmodel: some-model\ntasks: [sst2]\nmethods: [lora]\nseeds: [1, 2, 3, 4]\nresults_dir: {tmp_path}/results\nbase_dir: {tmp_path}/base\n",
        encoding="utf-8",
    )
    study = load_study(str(file))
    for seed, verdict in ((1, learnt(True)), (2, learnt(False, 0.5)), (3, None)):
        folder = tmp_path / "results" / f"run_{seed}"
        folder.mkdir(parents=True)
        _run(study, seed, verdict).write(folder / RUN_FILE)
    return file


def test_status_names_first_what_has_not_learnt_and_what_is_not_known(study_file, tmp_path):
    lines = run_here(f"python -m repdrift status --config {study_file}", tmp_path).stdout.splitlines()
    assert lines[0].startswith("3 of ")
    assert lines[1].startswith("note: 1 of 3 trained models has not learnt its task")
    assert "SST-2, LoRA, seed 2 (accuracy 0.500 against 0.500)" in lines[1]
    assert lines[2].startswith(
        "note: It is not known whether 1 of 3 trained models learnt the task, since the files do not say"
    )
    states = {line.split("seed ")[1][0]: line for line in lines if line.startswith("sst2")}
    assert "trained, has learnt " in states["1"]
    assert "trained, has not learnt " in states["2"]
    assert "trained, learnt: not known " in states["3"]
    assert "not trained " in states["4"]


def test_status_as_json_tells_learnt_not_learnt_and_not_known(study_file, tmp_path):
    rows = json.loads(run_here(f"python -m repdrift status --json --config {study_file}", tmp_path).stdout)["runs"]
    assert [row["learnt"] for row in rows] == [True, False, None, None]
    assert [row["trained"] for row in rows] == [True, True, True, False]


def test_latest_of_two_runs_is_the_one_that_is_judged(study_file, tmp_path):
    folder = tmp_path / "results" / "again"
    folder.mkdir()
    study = load_study(str(study_file))
    _run(study, 2, learnt(True), started="2026-01-03T00:00:00+00:00").write(folder / RUN_FILE)
    assert [model.verdict for model in judged(study_status(study))] == [True, True, None]
