"""Times the looks at the finished runs of a study, and prints them as JSON. `run.py` starts it, once for each version and size.

Run: python benchmarks/jobs/looks.py FOLDER ARMS, with the version on the path
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.jobs.finished_runs import study_of
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.finished import FinishedJobs
from repdrift.study.jobs.job_status import study_standing
from repdrift.study.jobs.plan_file import make_plan
from repdrift.study.runs import planned_runs
from repdrift.study.status import study_status
from repdrift.study.training_stage import find_run

_DECISIONS = 12


def looks(folder: Path, arms: int) -> dict[str, float]:
    """CPU seconds of `repdrift status` without its imports, of one question for a finished run, and of the question which jobs are done."""
    config = study_of(folder, folder / "bert", arms)
    runs, inputs = planned_runs(config), StudyInputs(config)
    plan = make_plan(config, None, None)
    graph = plan.graph(config)
    find_run(
        inputs, runs[0]
    )  # the base model's digest is known after it, and every module that a question needs is imported
    FinishedJobs(StudyInputs(config), plan).is_done(graph.job(f"base/{runs[0].task}"))
    asked = runs[:: len(runs) // _DECISIONS][:_DECISIONS]
    return {
        "runs": len(runs),
        "status": _seconds(lambda: study_standing(config, None, study_status(config))),
        "decision": _seconds(lambda: [find_run(inputs, run) for run in asked]) / len(asked),
        "all_jobs": _seconds(lambda: FinishedJobs(inputs, plan).all_of(graph)),
    }


def _seconds(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


if __name__ == "__main__":
    print(json.dumps(looks(Path(sys.argv[1]), int(sys.argv[2]))))
