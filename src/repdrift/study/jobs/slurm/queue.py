"""Questions to Slurm by its own commands: squeue for what is queued, runs or ended lately, sacct for what squeue no longer shows, scancel.

submitit's watcher asks sacct alone, which lags, and which some clusters do not have; and it keeps neither exit codes nor reasons.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from repdrift.core.errors import ConfigError, StorageError
from repdrift.core.progress import say

_ANSWERS_WITHIN_S = 60
_AT_ONCE = 200
"""Arrays in one question: a command line has its limits."""

Standing = Literal["queued", "running", "lost", "failed", "ended", "gone"]
"""queued, running: not ended. lost: its machine or its time was taken away. failed: stopped for good. ended: its process ended, the ending says how.
gone: Slurm does not know it any more."""

_STANDINGS: dict[str, Standing] = {
    **dict.fromkeys(
        ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT", "CONFIGURING", "POWER_UP_NODE"),
        "queued",
    ),
    **dict.fromkeys(("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT", "UPDATE_DB"), "running"),
    **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "TIMEOUT", "REVOKED", "LAUNCH_FAILED", "RECONFIG_FAIL"), "lost"),
    **dict.fromkeys(("OUT_OF_MEMORY", "CANCELLED", "DEADLINE"), "failed"),
    **dict.fromkeys(("COMPLETED", "FAILED"), "ended"),
}  # fmt: skip
"""Every state of a job in Slurm's manual (sbatch, sacct and squeue of version 25.05)."""


@dataclass(frozen=True)
class ElementState:
    """One element as Slurm has it. state: Slurm's word. exit_code: where it is known; a signal counts as a negative one."""

    standing: Standing
    state: str
    node: str | None = None
    exit_code: int | None = None
    reason: str | None = None


GONE = ElementState("gone", "")


class ElementQueue(Protocol):
    """The elements of arrays, wherever they run."""

    def look(self, elements: Collection[str]) -> Mapping[str, ElementState]:
        """Return the state of every element. Raises QueueSilenceError if the queue does not answer."""
        ...

    def cancel(self, elements: Collection[str]) -> None:
        """Take elements out of the queue, or stop them; those that have ended are passed over."""
        ...


class QueueSilenceError(StorageError):
    """Slurm does not answer for now; nothing is known of its jobs."""


class SlurmQueue:
    """The queue of the cluster that this machine belongs to. Raises ConfigError if Slurm's commands are not here."""

    def __init__(self) -> None:
        absent = [name for name in ("sbatch", "srun", "squeue", "scancel") if shutil.which(name) is None]
        if absent:
            raise ConfigError(
                f"--launcher slurm submits jobs with Slurm's commands, and this machine has no {', '.join(absent)} on its PATH. Start it on a login node of "
                "the cluster (some need `module load slurm` first), or run the jobs on this machine with --launcher local"
            )
        self._unknown: set[str] = set()
        self._has_accounts = shutil.which("sacct") is not None

    def look(self, elements: Collection[str]) -> Mapping[str, ElementState]:
        """Returns the state of every element, by squeue, and by sacct for those that it does not show as queued or running."""
        arrays = sorted({_array_of(element) for element in elements})
        found: dict[str, ElementState] = {}
        for some in _parts(arrays):
            found |= self._squeue(some)
        ended = [element for element in elements if _is_over(found.get(element, GONE))]
        if ended and self._has_accounts:
            accounts: dict[str, ElementState] = {}
            for some in _parts(sorted({_array_of(element) for element in ended})):
                accounts |= self._sacct(some)
            for element in ended:
                told = accounts.get(element)
                if told is not None and _is_over(told):  # what squeue shows is newer than an account that lags
                    found[element] = told
        return {element: found.get(element, GONE) for element in elements}

    def cancel(self, elements: Collection[str]) -> None:
        """Cancel elements by scancel; says so if Slurm does not take it."""
        for some in _parts(sorted(elements)):
            done = _asked(["scancel", "-Q", *some])
            if done.returncode and "Invalid job id" not in done.stderr:
                say(
                    f"scancel: {_first_line(done.stderr)}; by hand: scancel {' '.join(some[:5])}{' ...' if len(some) > 5 else ''}"
                )

    def _squeue(self, arrays: list[str]) -> dict[str, ElementState]:
        done = _asked(["squeue", "-h", "-r", "-t", "all", "-o", "%i|%T|%N|%r", "-j", ",".join(arrays)])
        if done.returncode:
            if "Invalid job id" in done.stderr and len(arrays) == 1:  # it has ended some minutes ago
                return {}
            if "Invalid job id" in done.stderr:
                return {name: state for each in arrays for name, state in self._squeue([each]).items()}
            raise QueueSilenceError(f"squeue: {_first_line(done.stderr)}")
        found: dict[str, ElementState] = {}
        for line in done.stdout.splitlines():
            parts = [part.strip() for part in line.split("|")]
            if len(parts) >= 4:
                found[parts[0]] = self._state(parts[1], parts[2], None, parts[3])
        return found

    def _sacct(self, arrays: list[str]) -> dict[str, ElementState]:
        done = _asked(["sacct", "-n", "-X", "-P", "-o", "JobID,State,ExitCode,NodeList", "-j", ",".join(arrays)])
        if done.returncode:  # squeue alone then says what it can
            return {}
        found: dict[str, ElementState] = {}
        for line in done.stdout.splitlines():
            parts = [part.strip() for part in line.split("|")]
            if len(parts) >= 4 and "[" not in parts[0]:
                found[parts[0]] = self._state(parts[1], parts[3], parts[2], None)
        return found

    def _state(self, words: str, node: str, exit_code: str | None, reason: str | None) -> ElementState:
        state = words.split(maxsplit=1)[0].rstrip("+") if words else ""  # "CANCELLED by 1000"
        standing = _STANDINGS.get(state)
        if standing is None:
            if state not in self._unknown:
                self._unknown.add(state)
                say(f"Slurm says {state!r} of a job, which this version of repdrift does not know: it is waited for")
            standing = "running"
        there = node not in ("", "None assigned", "(null)")
        told = None if reason in (None, "", "None") else reason
        return ElementState(standing, state, node if there else None, _code(exit_code), told)


def _is_over(state: ElementState) -> bool:
    return state.standing not in ("queued", "running")


def _array_of(element: str) -> str:
    return element.split("_", maxsplit=1)[0]


def _code(text: str | None) -> int | None:
    """Reads sacct's `code:signal`; a signal counts as a negative code."""
    code, _, number = (text or "").partition(":")
    if not code.isdecimal() or not (number or "0").isdecimal():
        return None
    return -int(number) if int(number or 0) else int(code)


def _parts(names: Iterable[str]) -> list[list[str]]:
    every = list(names)
    return [every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE)]


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else "no reason given"


def _asked(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs one of Slurm's commands. Raises QueueSilenceError if it does not end in time, or cannot be started."""
    try:
        return subprocess.run(  # noqa: S603  Slurm's own commands, with numbers from its own answers
            command, capture_output=True, text=True, errors="backslashreplace", timeout=_ANSWERS_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise QueueSilenceError(f"{command[0]} does not answer within {_ANSWERS_WITHIN_S} s") from error
    except OSError as error:
        raise QueueSilenceError(f"{command[0]} cannot be started ({error.strerror})") from error
