"""The end of a job's process: nobody is left behind, and no state goes on saying that it runs."""

import os
import signal
import subprocess
import sys
import time

import pytest

from repdrift.study.jobs import signals
from repdrift.study.jobs.ended_process import end_process, settle
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.job_state import new_state, read_state, state_file
from repdrift.study.jobs.signals import stopped_by_sigterm

JOB = StudyJob("train", "sst2", "lora", 1)
OBEYS = "import time; print('ready', flush=True); time.sleep(60)"
IGNORES = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {OBEYS}"
TAKES_A_SECOND = f"""
import signal, sys, time
def end(*_):
    time.sleep(1)
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
{OBEYS}
"""


@pytest.fixture
def started():
    """Starts a program, and waits until it says that it is ready."""
    processes = []

    def start(program):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def running(folder, process):
    state = new_state(JOB, "plan", "test", None).model_copy(update={"pid": process.pid})
    state.write(state_file(folder, JOB))
    return state


@pytest.mark.parametrize(
    ("program", "was_killed", "outcome", "words"),
    [(OBEYS, False, "lost", "ended by signal 15"), (IGNORES, True, "stopped", "did not stop when it was asked to, and was killed")],
)  # fmt: skip
def test_a_process_that_leaves_its_state_as_it_was_has_it_settled(
    program, was_killed, outcome, words, started, tmp_path
):
    process = started(program)
    running(tmp_path, process)
    assert end_process(process, within_s=2) == was_killed
    settle(tmp_path, JOB.name, process, was_killed=was_killed)
    state = read_state(tmp_path, JOB)
    assert (state.outcome, state.ended is not None) == (outcome, True)
    assert words in state.words


@pytest.mark.parametrize("change", [{"pid": 1}, {"host": "elsewhere"}, {"outcome": "failed"}])
def test_the_state_of_another_process_and_one_that_tells_its_end_stay(change, started, tmp_path):
    process = started(OBEYS)
    state = running(tmp_path, process).model_copy(update=change)
    state.write(state_file(tmp_path, JOB))
    end_process(process)
    settle(tmp_path, JOB.name, process, was_killed=False)
    assert read_state(tmp_path, JOB) == state


def test_an_interrupt_while_a_process_ends_leaves_it_its_time_and_comes_afterwards(started):
    process = started(TAKES_A_SECOND)

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            end_process(process)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert process.returncode == 3


def test_a_second_sigterm_does_not_interrupt_what_the_first_one_asked_for(monkeypatch):
    """A launcher and the watch on its process may both send one."""
    reached = []
    with stopped_by_sigterm():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
            reached.append("the state is written")
        monkeypatch.setattr(signals, "_ON_ITS_WAY_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
    assert reached
