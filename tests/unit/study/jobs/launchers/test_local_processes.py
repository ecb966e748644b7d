"""Local processes: how cores and GPUs are dealt out, and what becomes of a process that goes away."""

import sys
import time

import pytest

from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.job_state import read_state
from repdrift.study.jobs.launcher import LauncherOptions, StartedJob, launchers, usable_cores, worker_environment
from repdrift.study.jobs.launchers import local_processes
from repdrift.study.jobs.launchers.local_processes import LocalProcesses
from tests.unit.study.jobs.scripted_launcher import ScriptedLauncher, run_with

PROGRAM = """
import json, os, sys
for line in sys.stdin:
    name = line.strip()
    if name == "dies":
        from repdrift.study.jobs.graph import StudyJob
        from repdrift.study.jobs.job_state import new_state, state_file
        from pathlib import Path
        state = new_state(StudyJob("train", "sst2", "lora", 1), "plan", "local", None)
        state.model_copy(update={"job": name}).write(state_file(Path(sys.argv[1]), name))
        os.kill(os.getpid(), 9)
    if name == "waits":
        import time
        time.sleep(600)
    words = json.dumps([os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpid()])
    print("repdrift-job-report " + json.dumps({"job": name, "ending": "done", "words": words}), flush=True)
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts the launcher with a program in place of ours that says with which environment it runs."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    started = []

    def launch(jobs, threads=None, gpus=""):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
        setting = run_with(ScriptedLauncher(1), tmp_path).setting
        made = LocalProcesses(type(setting)(**{**vars(setting), "jobs": jobs, "threads": threads}), LauncherOptions())
        monkeypatch.setattr(
            local_processes, "worker_command", lambda _plan: [sys.executable, str(program), str(setting.folder)]
        )
        started.append(made)
        return made

    yield launch
    for each in started:
        each.shut_down()


def ended(launcher, count):
    found, until = [], time.monotonic() + 60
    while len(found) < count and time.monotonic() < until:
        found += [news for news in launcher.reports(1.0) if not isinstance(news, StartedJob)]
    return found


def test_cores_and_gpus_are_shared_out(start):
    launcher = start(2, gpus="3,5")
    launcher.submit([StudyJob("base", "a"), StudyJob("base", "b")])
    reports = ended(launcher, 2)
    share = str(max(1, usable_cores() // 2))
    assert sorted(eval(report.words)[:2] for report in reports) == [[share, "3"], [share, "5"]]  # noqa: S307  our own program's


def test_more_processes_than_gpus_share_them_and_threads_can_be_set(start):
    launcher = start(2, threads=3, gpus="7")
    launcher.submit([StudyJob("base", "a"), StudyJob("base", "b"), StudyJob("base", "c")])
    found = [eval(report.words) for report in ended(launcher, 3)]  # noqa: S307
    assert {tuple(each[:2]) for each in found} == {("3", "7")}
    assert len({each[2] for each in found}) == 2, "a process goes on to the next job"


def test_a_process_that_is_killed_loses_its_job_and_the_next_job_gets_another(start):
    launcher = start(1)
    dies = type("Job", (), {"name": "dies"})()
    launcher.submit([dies])
    (report,) = ended(launcher, 1)
    assert (report.job, report.ending) == ("dies", "lost")
    assert "ended by signal 9, as the system does when memory runs out" in report.words
    state = read_state(launcher._setting.folder, "dies")
    assert state.outcome == "lost", "its own process could not write that it ended"
    assert "signal 9" in state.words
    launcher.submit([StudyJob("base", "a")])
    assert ended(launcher, 1)[0].ending == "done"


def test_a_job_is_cancelled_and_shutting_down_ends_what_runs(start):
    launcher = start(2)
    waits = type("Job", (), {"name": "waits"})()
    launcher.submit([waits, StudyJob("base", "a")])
    assert ended(launcher, 1)[0].job == "base/a"
    began = time.monotonic()
    launcher.cancel(["waits"])
    launcher.submit([waits])
    launcher.reports(0.1)
    launcher.shut_down()
    assert time.monotonic() - began < 15
    assert launcher.reports(0.1) == [] or all(isinstance(news, StartedJob) for news in launcher.reports(0.1))


def test_every_library_gets_its_threads():
    made = worker_environment(3, None, {"OMP_NUM_THREADS": "8", "PATH": "p"})
    assert made["OMP_NUM_THREADS"] == made["MKL_NUM_THREADS"] == made["OPENBLAS_NUM_THREADS"] == "3"
    assert made["PATH"] == "p"
    assert "CUDA_VISIBLE_DEVICES" not in made


def test_both_launchers_of_ours_are_found():
    assert {"in-process", "local"} <= set(launchers.names())
    for kind in launchers:
        assert kind.words
        for name, field in kind.options.model_fields.items():
            assert field.description, f"{kind.name}: option {name} needs a description"
