"""Submission of one array through submitit, which writes the batch script and calls sbatch, or starts processes of this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import ConfigError
from repdrift.core.progress import say
from repdrift.study.jobs.slurm.array_files import submitit_folder
from repdrift.study.jobs.slurm.options import SlurmOptions

_TRIES = 3
_BETWEEN_TRIES_S = 10.0
_PASSING = ("timed out", "Unable to contact slurm controller", "temporarily", "try again", "Connection refused")
"""Words of sbatch's errors that mean that a busy controller did not answer."""


@dataclass(frozen=True)
class SubmittedElements:
    """One array that was submitted. array: its number. elements: as Slurm calls them, in order. jobs: submitit's objects."""

    array: str
    elements: list[str]
    jobs: list[Any]


def _executor(options: SlurmOptions, folder: Path, parameters: dict[str, Any]) -> Any:
    """A new executor of submitit, since one keeps what an earlier array was given. Only this user may open its folder: a pickled call can hold code."""
    import submitit

    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    cluster = options.cluster
    executor = submitit.AutoExecutor(folder=folder, cluster=cluster, **{f"{cluster}_max_num_timeout": options.requeues})
    is_local = cluster == "local"
    executor.update_parameters(**{k: v for k, v in parameters.items() if not (is_local and k.startswith("slurm_"))})
    return executor


def submit_array(
    options: SlurmOptions,
    jobs_folder: Path,
    parameters: dict[str, Any],
    elements: Sequence[tuple[Any, ...]],
    *,
    what: str,
) -> SubmittedElements:
    """Submit one array with the parameters of `array_parameters`. elements: the arguments of each `ArrayElement`. A controller that does not answer is asked again.

    Raises ConfigError with sbatch's own words if the array is refused.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    from repdrift.study.jobs.slurm.element import ArrayElement

    executor = _executor(options, submitit_folder(jobs_folder), parameters)
    for attempt in range(1, _TRIES + 1):
        try:
            jobs: list[Any] = list(executor.submit_array([ArrayElement(*each) for each in elements]))
            break
        except (FailedJobError, FailedSubmissionError) as error:
            said = " ".join(str(error).split())[:500]
            if attempt == _TRIES or not any(word in said for word in _PASSING):
                raise ConfigError(_refusal(what, said)) from error
            say(f"sbatch: {said}; it is asked again in {_BETWEEN_TRIES_S:g} s ({attempt + 1} of {_TRIES})")
            time.sleep(_BETWEEN_TRIES_S)
    else:  # pragma: no cover  the loop ends by break or raise
        raise AssertionError
    ids = [str(job.job_id) for job in jobs]
    return SubmittedElements(ids[0].split("_")[0], ids, jobs)


def _refusal(what: str, said: str) -> str:
    return (
        f"sbatch did not take {what}: {said}. Check partition, account, qos, time, memory and gpus of --launcher-option against what the cluster has (sinfo shows "
        "its partitions and their limits). Arrays that were submitted before stay in the queue; the same command takes them up, and "
        "`repdrift status` shows what is done"
    )
