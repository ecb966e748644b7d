"""Jobs in the driver's own process: one at a time, with the threads that were asked for."""

import torch

from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.launcher import LauncherOptions
from repdrift.study.jobs.launchers.in_process import InProcess
from repdrift.study.jobs.work import WorkDone
from tests.unit.study.jobs.scripted_launcher import ScriptedLauncher, run_with


class Work:
    """Says how many threads there are."""

    def run(self, job, *, wait):
        return WorkDone(f"{job.name}: {torch.get_num_threads()}", is_new=True)


def launcher(folder, threads):
    setting = run_with(ScriptedLauncher(1), folder).setting
    return InProcess(type(setting)(**{**vars(setting), "threads": threads, "work": Work()}), LauncherOptions())


def test_jobs_are_run_when_they_are_asked_for_with_the_threads_that_were_given(tmp_path):
    before = torch.get_num_threads()
    started = launcher(tmp_path, before + 1)
    started.submit([StudyJob("base", "a"), StudyJob("base", "b"), StudyJob("base", "c")])
    started.cancel(["base/b"])
    found = [report for _ in range(3) for report in started.reports(0.0)]
    assert [report.words for report in found] == [f"base/a: {before + 1}", f"base/c: {before + 1}"]
    started.shut_down()
    assert torch.get_num_threads() == before


def test_without_a_number_the_threads_stay_as_they_are(tmp_path):
    before = torch.get_num_threads()
    started = launcher(tmp_path, None)
    started.submit([StudyJob("base", "a")])
    assert started.reports(0.0)[0].words == f"base/a: {before}"
    started.shut_down()
