"""The command that runs one job of a plan in a process of its own, as launchers start it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def job_command(plan_file: Path, job: str) -> list[str]:
    """The command that runs one job of a plan, by this interpreter; docs/reference/exit_codes.md has what its exit codes say."""
    return [sys.executable, "-m", "repdrift", "job", str(plan_file.absolute()), job]


def with_parent(command: Sequence[str]) -> list[str]:
    """The command of a job that stops when this process is gone, so that it does not hold its claim and its GPU without anybody who waits for it."""
    return [*command, "--parent", str(os.getpid())]
