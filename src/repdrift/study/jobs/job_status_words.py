"""The progress of a study's jobs in lines for people, the answer first, and as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from repdrift.core.words import counted, listed
from repdrift.study.dry_run import time_in_words
from repdrift.study.jobs.job_status import JobView, StudyStanding

_MOST_NAMED = 6


def answer(found: StudyStanding) -> str:
    """One line: how many jobs are done, at work, failed and left, and for about how long."""
    count = Counter(view.standing for view in found.views)
    parts = [f"{count['done']} of {counted(len(found.views), 'job')} done"]
    if count["running"]:
        parts.append(f"{count['running']} running")
    if bad := count["failed"] + count["lost"]:
        parts.append(f"{bad} failed")
    if count["stale"]:
        parts.append(f"{count['stale']} stale")
    if left := count["waiting"] + count["ready"]:
        parts.append(f"{left} to do")
    return ", ".join(parts) + (f", {_left(found)}" if count["done"] < len(found.views) else "")


def job_lines(found: StudyStanding) -> list[str]:
    """Lines on the jobs that run, failed, are stale or wait; none for those that are done."""
    lines = [f"at work: {driver.words}, launcher {driver.launcher}" for driver in found.drivers]
    lines += [_running(view) for view in found.of("running")]
    for view in found.of("failed", "lost"):
        attempt = f", attempt {view.attempt}" if (view.attempt or 1) > 1 else ""
        lines.append(f"{view.standing}: {view.job} ({view.where}{attempt}): {view.why}")
        lines += [f"    {line}" for line in view.log if line not in (view.why or "")]
    by_why: dict[str, list[JobView]] = defaultdict(list)
    for view in found.of("stale"):
        by_why[view.why or ""].append(view)
    lines += [f"stale: {_names(views)}: {why}" for why, views in by_why.items()]
    waiting = found.of("waiting")
    if waiting:
        lines += [f"waiting: {view.job} {view.why}" for view in waiting[:_MOST_NAMED]]
        if len(waiting) > _MOST_NAMED:
            lines.append(f"waiting: {len(waiting) - _MOST_NAMED} more")
    ready = found.of("ready")
    if ready:
        lines.append(f"ready to run: {_names(ready)}")
    return lines


def standing_json(found: StudyStanding) -> dict[str, Any]:
    """The progress as JSON: the answer, the jobs, who is at work, and the seconds that are left."""
    return {
        "answer": answer(found),
        "seconds_left": None if found.left_s is None else round(found.left_s),
        "not_timed": list(found.untimed),
        "notes": list(found.notes),
        "drivers": [driver.model_dump(mode="json", exclude={"format_version"}) for driver in found.drivers],
        "jobs": [
            {
                "job": view.job.name,
                "standing": view.standing,
                "why": view.why,
                "where": view.where,
                "since": view.since,
                "progress": view.progress,
                "attempt": view.attempt,
                "seconds": view.seconds,
                "log": list(view.log),
            }
            for view in found.views
        ],
    }


def _left(found: StudyStanding) -> str:
    if found.left_s is None:
        return "time left not known: no job like them was timed"
    without = f", without {listed(found.untimed)}, of which none was timed" if found.untimed else ""
    return f"about {time_in_words(found.left_s)} left{without}"


def _running(view: JobView) -> str:
    attempt = f", attempt {view.attempt}" if (view.attempt or 1) > 1 else ""
    progress = f": {view.progress}" if view.progress else ""
    return f"running: {view.job} ({view.where}, since {view.since}{attempt}){progress}"


def _names(views: list[JobView]) -> str:
    names = [view.job.name for view in views[:_MOST_NAMED]]
    return ", ".join(names) + (f" and {len(views) - _MOST_NAMED} more" if len(views) > _MOST_NAMED else "")
