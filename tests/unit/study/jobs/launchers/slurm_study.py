"""A small study of two runs for the launcher of job arrays, whose jobs nobody runs."""

from repdrift.study.jobs.graph import JobGraph, StudyJob
from repdrift.study.jobs.launcher import JobDemand, LaunchSetting
from repdrift.study.jobs.plan_file import StudyPlan
from repdrift.study.jobs.slurm.array_files import ElementEnding, ending_file, submitted_arrays

TRAINS = [StudyJob("train", "sst2", method, 1) for method in ("full_finetune", "lora")]
EXTRACTS = [StudyJob("extract", "sst2", method, 1) for method in ("full_finetune", "lora")]
BASE, ANALYZE = StudyJob("base", "sst2"), StudyJob("analyze")
GRAPH = JobGraph(
    (*TRAINS, BASE, *EXTRACTS, ANALYZE),
    {
        **{job.name: () for job in (*TRAINS, BASE)},
        **{e.name: (t.name, BASE.name) for t, e in zip(TRAINS, EXTRACTS, strict=True)},
        ANALYZE.name: (BASE.name, *(job.name for job in EXTRACTS)),
    },
)


def setting(folder, digest="d1", **changed):
    """What the launcher of a study in `folder` is given."""
    plan = StudyPlan(
        study="tiny study", config_path=None, digest=digest, config={}, tasks=["sst2"], working_folder=str(folder),
        versions={}, created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    jobs = folder / "results/jobs"
    demand = {job.name: JobDemand(memory_bytes=3 << 30, seconds=60.0) for job in TRAINS}
    return LaunchSetting(
        plan=plan, plan_file=jobs / "plans/p.json", graph=GRAPH, folder=jobs, work=None, demand=demand, **changed
    )  # type: ignore[arg-type]


def end(launch, job, exit_code, printed=""):
    """The element of a job writes how it ended, as it does on its node."""
    (token,) = [each.token for array in submitted_arrays(launch.folder) for each in array.elements if each.job == job]
    ElementEnding(job=job, exit_code=exit_code, host="node7", seconds=2.0, restarts=0, printed=printed).write(
        ending_file(launch.folder, token)
    )


def news(launcher, looks=3):
    """What the launcher tells when it has asked Slurm so often."""
    told = []
    for _ in range(looks):
        launcher._ask_at = 0.0
        told += launcher.reports(0.0)
    return told
