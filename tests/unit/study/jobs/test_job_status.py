"""How the jobs of a study stand: done, running, failed, lost, stale, waiting, and the time that is left."""

import json
import os
import time

import pytest

from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.study.config import load_study
from repdrift.study.jobs.claims import job_claim
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.job_state import JobState, append_to_log, log_file, state_file
from repdrift.study.jobs.job_status import study_standing
from repdrift.study.jobs.job_status_words import answer, job_lines, standing_json
from repdrift.study.jobs.plan_file import jobs_folder, make_plan, plan_digest, write_plan
from repdrift.study.jobs.slurm.array_files import (
    ArrayElementRecord,
    ElementEnding,
    SubmittedArray,
    ending_file,
    forget_array,
    write_array,
)
from repdrift.study.status import study_status
from tests.command_line import run_here


@pytest.fixture
def study(tmp_path):
    """A study of one arm and three seeds, of which the first is trained, in 40 seconds."""
    file = tmp_path / "study.yaml"
    file.write_text(
        f"name: s\nmodel: some-model\ntasks: [sst2]\nmethods: [lora]\nseeds: [1, 2, 3]\nresults_dir: {tmp_path}/results\nbase_dir: {tmp_path}/base\n"
    )
    config = load_study(file)
    folder = tmp_path / "results/lora_1"
    folder.mkdir(parents=True)
    RunRecord(
        key="k", task="sst2", task_kind="classification", method="lora", seed=1, base_model="some-model", base_digest="b", weights_digest="w",
        hyperparameters=config.hyperparameters("sst2", "lora"), data_source="d", data_fingerprint="f", n_train=8, n_validation=8, metrics={},
        versions={}, device="cpu", started="2026-01-02T03:04:05+00:00", wall_time_s=40.0, peak_memory_bytes=None,
    ).write(folder / RUN_FILE)  # fmt: skip
    return config


def state(study, job, outcome, **more):
    found = JobState(
        job=job, plan=plan_digest(study, study.task_names), host=os.uname().nodename, pid=os.getpid(), outcome=outcome,
        started="2026-01-02T03:04:05+00:00", **{"launcher": "local", **more},
    )  # fmt: skip
    found.write(state_file(jobs_folder(study), job))
    return found


def standing(study):
    return study_standing(study, None, study_status(study))


def view(found, name):
    return next(each for each in found.views if each.job.name == name)


def test_a_study_that_was_never_started_is_read_off_its_outputs(study):
    found = standing(study)
    assert view(found, "train/sst2/lora/seed1").standing == "done"
    assert view(found, "train/sst2/lora/seed2").standing == "ready"
    assert view(found, "extract/sst2/lora/seed1").standing == "waiting"
    assert view(found, "extract/sst2/lora/seed1").why == "for base/sst2"
    assert view(found, "extract/sst2/lora/seed2").why == "for train/sst2/lora/seed2, base/sst2"
    assert found.left_s == 80.0, "two trainings are left, of the 40 s that the first took"
    assert "train" not in found.untimed
    assert answer(found).startswith("1 of 13 jobs done, 12 to do, about 80 s left, without base, extract, ")


def test_times_are_taken_from_like_jobs_of_other_seeds(study):
    state(study, "extract/sst2/lora/seed9", "done", seconds=10.0)
    state(study, "analyze", "done", seconds=7.0)
    found = standing(study)
    assert found.left_s == 80.0 + 3 * 10.0 + 7.0
    assert "extract" not in found.untimed
    assert "evaluate" in found.untimed


def test_a_job_that_was_submitted_to_slurm_waits_for_it_until_it_runs_or_ends(study):
    folder, jobs = jobs_folder(study), [f"train/sst2/lora/seed{seed}" for seed in (1, 2, 3)]
    elements = [ArrayElementRecord(element=f"7_{i}", job=job, token=f"t{i}") for i, job in enumerate(jobs)]
    array = SubmittedArray(
        array="7", cluster="slurm", plan=plan_digest(study, study.task_names), submitted="2026-01-02", memory_gb=None, time_limit_min=60,
        elements=elements,
    )  # fmt: skip
    write_array(folder, array)
    state(study, jobs[2], "stopped")  # by a preemption: it is queued again
    found = standing(study)
    assert [view(found, job).standing for job in jobs] == ["done", "waiting", "waiting"]
    assert [view(found, job).why for job in jobs[1:]] == [
        "for Slurm, which has it as 7_1",
        "for Slurm, which has it as 7_2",
    ]
    state(study, jobs[2], "running", attempt=2)
    state(study, jobs[1], "running")
    with (
        job_claim(folder, StudyJob("train", "sst2", "lora", 2)),
        job_claim(folder, StudyJob("train", "sst2", "lora", 3)),
    ):
        assert view(standing(study), jobs[2]).where == f"process {os.getpid()} on {os.uname().nodename}", (
            "the launcher is another one"
        )
        state(study, jobs[1], "running", launcher="slurm")
        assert view(standing(study), jobs[1]).where == f"process {os.getpid()} on {os.uname().nodename}, Slurm's 7_1"
    for job in jobs[1:]:
        state_file(folder, job).unlink()
    ElementEnding(job=jobs[1], exit_code=1, host="a", seconds=1.0, restarts=0, printed="").write(
        ending_file(folder, "t1")
    )
    write_array(folder, array.model_copy(update={"array": "8", "plan": "another", "elements": elements[2:]}))
    forget_array(folder, array.model_copy(update={"elements": []}))
    assert view(standing(study), jobs[1]).standing == "ready"


def test_running_failed_and_lost_jobs_are_told_apart(study):
    folder = jobs_folder(study)
    state(study, "train/sst2/lora/seed2", "running", progress="training: 3 of 9", attempt=2)
    state(study, "train/sst2/lora/seed3", "running")
    state(study, "base/sst2", "failed", words="the model has no blocks", seconds=3.0)
    append_to_log(log_file(folder, "base/sst2"), "loading\nit went wrong here\n")
    with job_claim(folder, StudyJob("train", "sst2", "lora", 2)):
        found = standing(study)
    running = view(found, "train/sst2/lora/seed2")
    assert (running.standing, running.progress, running.attempt) == ("running", "training: 3 of 9", 2)
    lost = view(found, "train/sst2/lora/seed3")
    assert lost.standing == "lost"
    assert f"its process {os.getpid()} on {os.uname().nodename} is gone" in lost.why
    failed = view(found, "base/sst2")
    assert (failed.standing, failed.why, failed.log) == (
        "failed",
        "the model has no blocks",
        ("loading", "it went wrong here"),
    )
    assert answer(found).startswith("1 of 13 jobs done, 1 running, 2 failed, 9 to do")
    lines = "\n".join(job_lines(found))
    assert "running: train/sst2/lora/seed2 (process" in lines
    assert "attempt 2): training: 3 of 9" in lines
    assert "    it went wrong here" in lines
    assert json.dumps(standing_json(found))


def test_a_job_of_another_machine_lives_while_its_signs_are_no_older_than_others(study):
    folder = jobs_folder(study)
    found = state(study, "train/sst2/lora/seed2", "running").model_copy(update={"host": "elsewhere"})
    path = state_file(folder, found.job)
    found.write(path)
    state(study, "base/sst2", "failed", words="x")
    assert view(standing(study), found.job).standing == "running"
    # The file server says that a file of another job is much newer; what this machine's clock says does not matter.
    for shift in (-10_000_000, 10_000_000):
        at = time.time() + shift
        os.utime(path, (at, at))
        os.utime(state_file(folder, "base/sst2"), (at + 60, at + 60))
        assert view(standing(study), found.job).standing == "running"
        os.utime(state_file(folder, "base/sst2"), (at + 600, at + 600))
        assert view(standing(study), found.job).standing == "lost"


def test_a_failure_of_an_earlier_configuration_is_none_of_this_one(study):
    state(study, "base/sst2", "failed", words="x")
    changed = study.model_copy(update={"seeds": (1, 2)})
    assert view(standing(changed), "base/sst2").standing == "ready"


def test_what_was_made_with_other_settings_is_stale_and_says_which(study, tmp_path):
    changed = load_study(tmp_path / "study.yaml", ["training.all.epochs=7"])
    found = standing(changed)
    trained = view(found, "train/sst2/lora/seed1")
    assert trained.standing == "stale"
    assert "trained with other settings: epochs" in trained.why
    assert "-> 7" in trained.why


def test_status_says_that_the_study_was_started_with_another_configuration(study, tmp_path):
    started = load_study(tmp_path / "study.yaml", ["seeds=[1,2]"])
    write_plan(make_plan(started, str(tmp_path / "study.yaml"), None), jobs_folder(started), exact=True)
    said = run_here(f"python -m repdrift status --config {tmp_path}/study.yaml", tmp_path).stdout.splitlines()
    assert said[0].startswith("1 of 13 jobs done")
    assert "last started with another configuration" in said[1]
    assert "seeds" in said[1]
    same = run_here(f"python -m repdrift status --json --config {tmp_path}/study.yaml --set seeds=[1,2]", tmp_path)
    found = json.loads(same.stdout)
    assert found["notes"] == []
    assert found["answer"].startswith("1 of 10 jobs done")
    assert {each["job"] for each in found["jobs"]} >= {"base/sst2", "analyze"}
    assert len(found["runs"]) == 2


def test_a_damaged_state_is_passed_over(study):
    path = state_file(jobs_folder(study), "base/sst2")
    path.parent.mkdir(parents=True)
    path.write_text("{broken")
    assert view(standing(study), "base/sst2").standing == "ready"
