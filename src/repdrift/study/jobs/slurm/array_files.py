"""The files of what was submitted to Slurm: which array holds which jobs, and how each element ended.

They lie at `results/jobs/slurm/`, so that the same command, started later, takes up what is queued or running, and submits nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from repdrift.core.errors import DataError, StorageError
from repdrift.core.progress import say
from repdrift.core.reading import listed_folder, stands_there
from repdrift.core.records.base import Record

SLURM = "slurm"
"""Name of the launcher."""
SLURM_FOLDER = "slurm"
_ARRAYS = "arrays"
_ENDINGS = "endings"


class ArrayElementRecord(Record):
    """One element of an array. element: as Slurm calls it, such as `123_4`. token: names its ending, and no other element has it."""

    element: str
    job: str
    token: str


class SubmittedArray(Record):
    """One array of jobs that was submitted. array: its number in Slurm. plan: digest of the study's plan."""

    format_version: int = 1
    array: str
    cluster: str
    plan: str
    submitted: str
    """By the clock of the machine that submitted it, in UTC."""
    memory_gb: float | None
    time_limit_min: int
    elements: list[ArrayElementRecord]


class ElementEnding(Record):
    """Tells how the process of a job ended that ended by itself. printed: the end of what it printed outside of its log."""

    format_version: int = 1
    job: str
    exit_code: int
    host: str
    seconds: float
    restarts: int
    printed: str


def slurm_folder(jobs_folder: Path) -> Path:
    """The folder of the launcher's files, below a study's jobs folder."""
    return jobs_folder / SLURM_FOLDER


def submitit_folder(jobs_folder: Path) -> Path:
    """The folder of submitit's batch scripts, logs and pickled calls."""
    return slurm_folder(jobs_folder) / "submitit"


def write_array(jobs_folder: Path, array: SubmittedArray) -> None:
    """Write the record of an array. Raises StorageError."""
    array.write(_array_file(jobs_folder, array.array))


def forget_array(jobs_folder: Path, array: SubmittedArray) -> None:
    """Remove the record of an array of which every element has ended, and what its elements left."""
    folder = submitit_folder(jobs_folder)
    for each in array.elements:
        pickled = (folder / f"{each.element}_submitted.pkl", folder / f"{each.element}_0_result.pkl")
        for path in (ending_file(jobs_folder, each.token), *pickled):
            with suppress(OSError):
                path.unlink()
    with suppress(OSError):
        _array_file(jobs_folder, array.array).unlink()


def submitted_arrays(jobs_folder: Path) -> Iterator[SubmittedArray]:
    """Every array on record. A record that cannot be read is said, and passed over: the claims on jobs hold two runs of one job apart."""
    folder = slurm_folder(jobs_folder) / _ARRAYS
    if not folder.is_dir():
        return
    for path in listed_folder(folder):
        if path.suffix != ".json":
            continue
        try:
            yield SubmittedArray.read(path)
        except (DataError, StorageError) as error:
            say(f"{error} Its jobs are submitted again; one that still runs is not disturbed.")


def queued_elements(jobs_folder: Path, plan_digest: str) -> dict[str, str]:
    """Returns the jobs of a plan that were submitted and have not ended, with the element of each. Slurm is not asked."""
    return {
        each.job: each.element
        for array in submitted_arrays(jobs_folder)
        if array.plan == plan_digest and array.cluster == "slurm"
        for each in array.elements
        if read_ending(jobs_folder, each.token) is None
    }


def arrays_of_other_plans(jobs_folder: Path, plan_digest: str) -> dict[str, int]:
    """Returns the arrays of other plans that were submitted to Slurm, by their numbers, with how many of their jobs have not ended. Slurm is not asked."""
    found: dict[str, int] = {}
    for array in submitted_arrays(jobs_folder):
        left = sum(read_ending(jobs_folder, each.token) is None for each in array.elements)
        if array.plan != plan_digest and array.cluster == "slurm" and left:
            found[array.array] = left
    return found


def ending_file(jobs_folder: Path, token: str) -> Path:
    """The file of how an element ended."""
    return slurm_folder(jobs_folder) / _ENDINGS / f"{token}.json"


def read_ending(jobs_folder: Path, token: str) -> ElementEnding | None:
    """Returns how an element ended; None if it has not, or the file cannot be read: then Slurm is asked."""
    path = ending_file(jobs_folder, token)
    try:
        return ElementEnding.read(path) if stands_there(path) else None
    except (DataError, StorageError):
        return None


def _array_file(jobs_folder: Path, array: str) -> Path:
    return slurm_folder(jobs_folder) / _ARRAYS / f"{array}.json"
