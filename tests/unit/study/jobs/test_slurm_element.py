"""One element of an array by submitit's local executor, with small commands in place of a job: how it ends, is warned, and starts again."""

import os
import signal
import sys
import time

import pytest

from repdrift.study.jobs.slurm.array_files import read_ending

submitit = pytest.importorskip("submitit", reason="submitit is not installed (the extra `slurm`)")

RESUMED = """
import os, pathlib, signal, sys, time
mark = pathlib.Path("saved")
if mark.exists():
    print("train/a: done: went on from", mark.read_text()); sys.exit(0)
def stop(*_):
    mark.write_text("step 5"); sys.exit(130)
signal.signal(signal.SIGTERM, stop)
pathlib.Path("ready").write_text(str(os.getppid()) + ".")
time.sleep(60)
"""


@pytest.fixture
def submitted(tmp_path, monkeypatch):
    """Submits an element that runs this Python code; returns submitit's job."""
    from repdrift.study.jobs.slurm.element import ArrayElement

    monkeypatch.chdir(tmp_path)
    executor = submitit.AutoExecutor(folder=tmp_path / "submitit", cluster="local", local_max_num_timeout=3)
    executor.update_parameters(timeout_min=10, stderr_to_stdout=True)

    def submit(code, requeues=3, **more):
        element = ArrayElement(
            [sys.executable, "-c", code], "train/a", str(tmp_path), "t0", {"FROM_PLAN": "4"}, requeues, **more
        )
        return executor.submit(element)

    return submit


def _ended(job):
    end = time.monotonic() + 60
    while not job.done():
        assert time.monotonic() < end, job.stdout()
        time.sleep(0.05)


def test_an_element_that_is_done_says_so_and_ends_with_0(tmp_path, submitted):
    job = submitted("import os; print('train/a: done: threads', os.environ['FROM_PLAN'])")
    _ended(job)
    ending = read_ending(tmp_path, "t0")
    assert (ending.job, ending.exit_code, ending.restarts) == ("train/a", 0, 0)
    assert ending.printed == "train/a: done: threads 4\n"
    assert job.exception() is None, "so that Slurm calls it completed"


def test_a_job_is_told_its_element_so_that_it_does_not_outlive_it(tmp_path, submitted):
    job = submitted("import os, sys; print('train/a: done:', sys.argv[1:] == ['--parent', str(os.getppid())])")
    _ended(job)
    assert read_ending(tmp_path, "t0").printed == "train/a: done: True\n"


def test_a_job_that_fails_leaves_its_exit_code_for_slurm_too(tmp_path, submitted):
    job = submitted("import sys; print('train/a: failed: no data'); sys.exit(1)")
    _ended(job)
    assert read_ending(tmp_path, "t0").exit_code == 1
    assert job._process.returncode != 0 or job.exception() is not None


@pytest.mark.parametrize("code", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(130)", "sys.exit(77)"])
def test_a_job_that_was_stopped_or_killed_leaves_no_ending_since_slurm_may_start_it_again(tmp_path, submitted, code):
    job = submitted(f"import os, signal, sys; {code}")
    _ended(job)
    assert read_ending(tmp_path, "t0") is None
    assert "did not end by itself" in job.stdout()


def test_a_job_that_slurm_stopped_waits_for_what_slurm_does_next(submitted, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    job = submitted("import sys; sys.exit(130)", stopped_wait_s=0.1)
    _ended(job)
    assert "waits for Slurm to end it or to queue it again" in job.stdout()


def test_the_warning_before_the_time_limit_stops_the_job_and_it_goes_on_after_the_requeue(tmp_path, submitted):
    job = submitted(RESUMED)
    end = time.monotonic() + 60
    ready = tmp_path / "ready"
    while not (ready.exists() and ready.read_text().endswith(".")):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(int(ready.read_text()[:-1]), signal.SIGUSR2)
    _ended(job)
    assert "train/a: done: went on from step 5" in read_ending(tmp_path, "t0").printed


def test_an_element_that_slurm_starts_again_and_again_fails(tmp_path, submitted, monkeypatch):
    monkeypatch.setenv("SLURM_RESTART_COUNT", "4")
    job = submitted("raise AssertionError('it is not to run')", requeues=3)
    _ended(job)
    ending = read_ending(tmp_path, "t0")
    assert (ending.exit_code, ending.restarts) == (1, 4)
    assert (
        "has started it 4 times again, and 3 is the limit; --launcher-option requeues=8 allows more" in ending.printed
    )


def test_the_job_does_not_see_the_warning_that_the_whole_step_gets(tmp_path, submitted):
    job = submitted("import os, signal; os.kill(os.getpid(), signal.SIGUSR2); print('train/a: done: alive')")
    _ended(job)
    assert read_ending(tmp_path, "t0").exit_code == 0
