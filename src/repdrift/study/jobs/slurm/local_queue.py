"""The elements of arrays as processes of this machine, by submitit's local executor: what `cluster=local` watches in place of Slurm."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from repdrift.study.jobs.slurm.queue import GONE, ElementState

_ENDED_WITHIN_S = 40.0


class LocalQueue:
    """Processes that this driver has started. They end with it."""

    def __init__(self) -> None:
        self._jobs: dict[str, Any] = {}

    def watch(self, jobs: Sequence[Any]) -> None:
        """Add submitit's jobs."""
        self._jobs |= {job.job_id: job for job in jobs}

    def look(self, elements: Collection[str]) -> Mapping[str, ElementState]:
        """Returns the state of every element: running, or ended."""
        return {element: self._state(element) for element in elements}

    def cancel(self, elements: Collection[str]) -> None:
        """Interrupt the processes of elements."""
        for element in elements:
            if element in self._jobs and not self._jobs[element].done():
                self._jobs[element].cancel()

    def finish(self) -> None:
        """Wait for the end of processes whose jobs have ended or were cancelled."""
        end = time.monotonic() + _ENDED_WITHIN_S
        while time.monotonic() < end and not all(job.done() for job in self._jobs.values()):
            time.sleep(0.1)

    def _state(self, element: str) -> ElementState:
        if element not in self._jobs:
            return GONE
        return ElementState("ended", "ended") if self._jobs[element].done() else ElementState("running", "RUNNING")
