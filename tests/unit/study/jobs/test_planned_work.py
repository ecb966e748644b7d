"""One job as launchers run it: its claim, its state, its log, and an ending for everything that goes wrong."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from repdrift.core.atomic import write_text
from repdrift.core.errors import ModelError, StorageError
from repdrift.core.progress import say, track
from repdrift.study.config import parse_study
from repdrift.study.jobs import job_state
from repdrift.study.jobs.claims import job_claim, lock_file, starting_guard
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.job_state import last_lines, read_state, state_file
from repdrift.study.jobs.living_jobs import living_jobs
from repdrift.study.jobs.plan_file import make_plan, write_plan
from repdrift.study.jobs.planned_work import run_claimed
from repdrift.study.jobs.work import WorkDone

JOB = StudyJob("train", "sst2", "lora", 1)


class Work:
    """Does what a test says when a job is run."""

    def __init__(self, act):
        self.act = act

    def run(self, job, *, wait):
        assert not wait
        return self.act()


def run(act, folder, plan="p"):
    return run_claimed(Work(act), JOB, folder, plan, "test", keeps_log=True)


def raises(error):
    def act():
        say("before the fault")
        raise error

    return act


def test_an_interrupt_just_behind_the_first_state_leaves_one_that_says_so(tmp_path, monkeypatch):
    write = job_state.JobState.write

    def interrupted(self, path):
        write(self, path)
        if self.outcome == "running":
            raise KeyboardInterrupt

    monkeypatch.setattr(job_state.JobState, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(lambda: WorkDone("made", is_new=True), tmp_path)
    assert read_state(tmp_path, JOB).outcome == "stopped"
    assert not lock_file(tmp_path, JOB).exists()


def test_a_job_that_is_done_leaves_its_state_and_its_log(tmp_path):
    def act():
        say("a line")
        assert read_state(tmp_path, JOB).outcome == "running"
        return WorkDone("made", is_new=True)

    report = run(act, tmp_path)
    state = read_state(tmp_path, JOB)
    assert (report.ending, report.words) == ("done", "made")
    assert (state.outcome, state.words, state.pid, state.attempt, state.plan) == ("done", "made", os.getpid(), 1, "p")
    assert last_lines(tmp_path, JOB)[-1] == "a line"
    assert not lock_file(tmp_path, JOB).exists()


def test_a_job_that_finds_everything_there_keeps_the_time_that_it_once_took(tmp_path):
    run(lambda: WorkDone("made", is_new=True), tmp_path)
    first = read_state(tmp_path, JOB)
    run(lambda: WorkDone("already there", is_new=False), tmp_path)
    assert read_state(tmp_path, JOB) == first
    run(lambda: WorkDone("already there", is_new=False), tmp_path, plan="another")
    assert read_state(tmp_path, JOB).plan == "another"


@pytest.mark.parametrize(
    ("error", "ending", "words"),
    [
        (ModelError("no blocks"), "failed", "no blocks"),
        (StorageError("cannot write x"), "failed", "cannot write x"),
        (OSError(errno.EIO, "Input/output error", "x"), "failed", "cannot use x"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "disk_full", "The disk is full"),
    ],
)
def test_what_goes_wrong_is_an_ending_with_its_reason(tmp_path, error, ending, words):
    report = run(raises(error), tmp_path)
    state = read_state(tmp_path, JOB)
    assert (report.ending, state.outcome) == (ending, ending)
    assert words in report.words
    assert words in state.words
    assert "before the fault" in last_lines(tmp_path, JOB)
    again = run(lambda: WorkDone("made", is_new=True), tmp_path)
    assert again.ending == "done"
    assert read_state(tmp_path, JOB).attempt == 2


def test_a_full_disk_at_the_atomic_writer_is_told_from_other_refusals(tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    def act():
        monkeypatch.setattr("repdrift.core.atomic.flush", full)
        try:
            write_text(tmp_path / "results.json", "{}")
        finally:
            monkeypatch.undo()

    report = run(act, tmp_path)
    assert report.ending == "disk_full"
    assert "no space left while writing" in report.words
    assert not (tmp_path / "results.json").exists()


def test_a_disk_that_takes_no_state_ends_the_job_with_the_reason(tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("repdrift.core.atomic.flush", full)
    report = run(lambda: pytest.fail("it must not be run"), tmp_path)
    assert report.ending == "disk_full"


def test_a_defect_leaves_as_it_is_after_the_state_says_so(tmp_path):
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0, tmp_path)
    assert read_state(tmp_path, JOB).outcome == "failed"
    assert "defect" in read_state(tmp_path, JOB).words


def test_a_job_that_is_stopped_says_so(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(raises(KeyboardInterrupt()), tmp_path)
    assert read_state(tmp_path, JOB).outcome == "stopped"


def test_a_job_of_another_process_is_busy_and_its_holder_is_named(tmp_path):
    def act():
        report = run(lambda: pytest.fail("two processes at one job"), tmp_path)
        assert report.ending == "busy"
        assert f"process {os.getpid()}" in report.words
        return WorkDone("made", is_new=True)

    assert run(act, tmp_path).ending == "done"
    assert run(lambda: None, tmp_path).ending == "busy", "a training that another command claimed"


def plan_of(**changes):
    content = {"name": "s", "model": "m", "tasks": ["sst2"], "methods": ["lora"], "seeds": [1], **changes}
    return make_plan(parse_study(content, where="test"), None, None)


def test_a_job_whose_plan_is_not_the_current_one_any_more_when_it_begins_does_nothing(tmp_path):
    write_plan(plan_of(seeds=[2]), tmp_path, exact=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    report = run(lambda: pytest.fail("it must not be run"), tmp_path, plan=plan_of().digest)
    assert report.ending == "failed"
    assert "the study was started with another configuration" in report.words
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
    assert not lock_file(tmp_path, JOB).exists()


def test_no_job_begins_while_a_driver_looks_at_what_runs_and_makes_its_plan_the_current_one(tmp_path):
    earlier, began = plan_of(), []
    write_plan(earlier, tmp_path, exact=True)

    def act():
        began.append("job")
        return WorkDone("made", is_new=True)

    with ThreadPoolExecutor(1) as pool:
        with starting_guard(tmp_path):
            job = pool.submit(run, act, tmp_path, earlier.digest)
            time.sleep(0.3)
            assert not job.done()
            assert living_jobs(tmp_path) == []
            write_plan(plan_of(seeds=[2]), tmp_path, exact=True)
        assert job.result(60).ending == "failed"
    assert began == []


def test_the_heart_beats_while_a_job_runs_and_tells_its_progress(tmp_path):
    state = job_state.new_state(JOB, "p", "test", None)
    state.write(state_file(tmp_path, JOB))
    with job_state.heartbeats(tmp_path, state, every_s=0.01):
        for _ in track(range(3), what="batches", total=3):
            pass
        until = time.monotonic() + 20
        while (now := read_state(tmp_path, JOB)).heartbeat < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert now.heartbeat > 1
    assert now.progress == "batches: 3 of 3"


def test_a_claim_is_held_by_one(tmp_path):
    with job_claim(tmp_path, JOB) as mine, job_claim(tmp_path, JOB) as theirs:
        assert mine
        assert not theirs
    with job_claim(tmp_path, JOB) as mine:
        assert mine
