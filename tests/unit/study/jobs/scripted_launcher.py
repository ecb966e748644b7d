"""A launcher whose jobs end as a test says, and a setting of it without files."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from repdrift.study.config import parse_study
from repdrift.study.jobs.driver import StudyRun
from repdrift.study.jobs.graph import study_graph
from repdrift.study.jobs.launcher import JobReport, LaunchSetting
from repdrift.study.jobs.plan_file import make_plan
from repdrift.study.runs import planned_runs


class ScriptedLauncher:
    """Ends jobs in the order in which they were submitted, one for each call of `reports`.

    endings: by the name of a job, how its attempts end, one after another; a job that is not named is done.
    """

    def __init__(self, slots, endings=None, interrupt_at=None):
        self.slots = slots
        self.endings = {name: deque(each) for name, each in (endings or {}).items()}
        self.interrupt_at = interrupt_at
        self.submitted, self.cancelled, self.at_once, self.is_shut, self.has_begun = [], [], 0, False, False
        self._queue = deque()

    def begin(self):
        self.has_begun = True

    def submit(self, jobs):
        self.submitted += [job.name for job in jobs]
        self._queue.extend(job.name for job in jobs)
        self.at_once = max(self.at_once, len(self._queue))

    def reports(self, timeout_s):
        if not self._queue:
            return []
        name = self._queue.popleft()
        if name == self.interrupt_at:
            raise KeyboardInterrupt
        ending = self.endings.get(name)
        ending = ending.popleft() if ending else "done"
        return [JobReport(name, ending, f"words of {name}")]

    def cancel(self, jobs):
        self.cancelled += jobs
        self._queue = deque(name for name in self._queue if name not in jobs)

    def shut_down(self):
        self.is_shut = True


def run_with(launcher, folder, finished=(), **changes):
    """Returns a study of four runs on its way with this launcher."""
    study = parse_study(
        {
            "name": "s",
            "model": "m",
            "tasks": ["sst2"],
            "methods": ["full_finetune", "lora"],
            "seeds": [1, 2],
            "results_dir": str(folder),
            **changes,
        },
        where="test",
    )
    graph = study_graph(study, planned_runs(study))
    setting = LaunchSetting(
        plan=make_plan(study, None, None),
        plan_file=Path("unused"),
        graph=graph,
        folder=Path(folder) / "jobs",
        work=None,
    )
    return StudyRun(setting, launcher, set(finished))
