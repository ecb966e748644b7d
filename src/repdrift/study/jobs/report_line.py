"""The line by which a worker process tells how a job ended."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, get_args

from repdrift.study.jobs.launcher import Ending, JobReport

_MARK = "repdrift-job-report "


def line_of(report: JobReport) -> str:
    """Returns the line, without its end."""
    return _MARK + json.dumps(asdict(report))


def report_of_line(line: str) -> JobReport | None:
    """Returns the report in a line; None for any other line."""
    if not line.startswith(_MARK):
        return None
    try:
        found: dict[str, Any] = json.loads(line.removeprefix(_MARK))
        report = JobReport(**found)
    except (ValueError, TypeError):
        return None
    return report if report.ending in get_args(Ending) else None
