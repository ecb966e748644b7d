"""The options of `--launcher slurm`, checked before anything is submitted, and the parameters of an array as submitit takes them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator, model_validator

from repdrift.core.progress import say
from repdrift.study.jobs.launcher import JobDemand, LauncherOptions

_PREFIX = "sbatch."
MOST_IN_ARRAY = 1000
"""Slurm's own limit (MaxArraySize) is 1001 unless a cluster has another one."""
_LEAST_TIME_MIN = 240
"""Asked for where the account of a job says less: it is of the fastest case, and a job that hits its limit goes on in the next one."""
_SPARE_TIME = 3
_SPARE_MEMORY = 1.5
_SPARE_MEMORY_WITHOUT_GPU = 3.0
"""On a processor the C library and oneDNN keep memory for texts of each length, beside what the account counts (benchmarks/training)."""
_LIBRARIES_GB = 2.0
_OWN_OPTIONS = {
    "time": "time",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "mem": "memory",
    "cpus-per-task": "cpus",
    "gpus-per-node": "gpus",
    "constraint": "constraint",
    "exclude": "exclude",
}
"""Options of sbatch that have a name here."""
_TAKEN = frozenset(
    {
        "array",
        "begin",
        "chdir",
        "dependency",
        "error",
        "export-file",
        "input",
        "job-name",
        "no-requeue",
        "nodes",
        "ntasks",
        "ntasks-per-node",
        "open-mode",
        "output",
        "parsable",
        "requeue",
        "signal",
        "test-only",
        "wait",
        "wrap",
    }
)
"""Options of sbatch by which the launcher itself works."""
_OPTION_NAME = re.compile(r"[a-z][a-z0-9-]*")
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)")
_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[MGT]B?)", re.IGNORECASE)
_GB = {"M": 1 / 1024, "G": 1.0, "T": 1024.0}


def _minutes(value: object) -> object:
    if isinstance(value, str) and (found := _TIME.fullmatch(value.strip())) is not None:
        part = {name: int(text or 0) for name, text in found.groupdict().items()}
        return math.ceil(part["days"] * 1440 + part["hours"] * 60 + part["minutes"] + part["seconds"] / 60)
    if isinstance(value, str) and not value.strip().isdecimal():
        raise ValueError("expected minutes, HH:MM:SS or D-HH:MM:SS, such as 240 or 04:00:00")
    return value


def _gigabytes(value: object) -> object:
    if isinstance(value, str):
        found = _MEMORY.fullmatch(value.strip())
        if found is None:
            raise ValueError("expected a number with its unit, such as 24GB or 800MB")
        return float(found["number"]) * _GB[found["unit"][0].upper()]
    return value


def _not_nothing(value: str) -> str:
    if not value.strip():
        raise ValueError("expected a text, got blanks")
    return value


# One line without control characters: a line break would end the comment that an #SBATCH line is, and the rest would be run as a command.
_Line = Annotated[
    str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(_not_nothing)
]


class SlurmOptions(LauncherOptions):
    """Options of `--launcher slurm`."""

    cluster: Literal["slurm", "local"] = Field(
        "slurm",
        description="`local` runs the elements as processes of this machine instead, to try a study without Slurm.",
    )
    partition: _Line | None = Field(None, description="Partition or partitions, as sbatch takes them.")
    account: _Line | None = Field(None, description="Account that is charged.")
    qos: _Line | None = Field(None, description="Quality of service.")
    time: Annotated[int, BeforeValidator(_minutes), Field(ge=1)] | None = Field(
        None,
        description="Time limit of one job, in minutes or as HH:MM:SS. A training that hits it is queued again and goes on from its saved state. "
        "By default 4 hours, or three times what the study's account says.",
    )
    memory: Annotated[float, BeforeValidator(_gigabytes), Field(gt=0)] | None = Field(
        None, description="Memory of one job, such as 24GB. By default from the study's account, with room to spare."
    )
    cpus: int | None = Field(None, ge=1, description="CPU cores of one job. By default as many as --threads, else 1.")
    gpus: int = Field(0, ge=0, description="GPUs of one job that runs models.")
    constraint: _Line | None = Field(None, description="Features that a node must have.")
    exclude: _Line | None = Field(None, description="Nodes that are not used.")
    setup: _Line | None = Field(
        None,
        description="Shell commands that are run in the batch script before the job, joined by `;`, such as `module load cuda/12`.",
    )
    at_once: int | None = Field(
        None,
        ge=1,
        description="Jobs of one array at once, at most. By default --jobs if above 1, else as many as Slurm starts.",
    )
    requeues: int = Field(
        50,
        ge=0,
        description="How often a job may be started again by Slurm after its time limit, a preemption or a lost node.",
    )
    stop_before: int = Field(
        120, ge=30, description="Seconds before the time limit at which a job is stopped and queued again."
    )
    ask_every: float = Field(30.0, ge=1, description="Seconds between two questions to Slurm.")
    on_ctrl_c: Literal["leave", "cancel"] = Field(
        "leave",
        description="What Ctrl-C does with jobs in the queue: `leave` them, to be taken up by the same command later, or `cancel` them.",
    )
    sbatch: dict[str, str] = Field(
        {},
        description="Any other option of sbatch, as `sbatch.NAME=VALUE`, such as `sbatch.nice=100`; without a value (`sbatch.exclusive=`) it is a flag.",
    )

    @model_validator(mode="before")
    @classmethod
    def _collect_sbatch(cls, given: Any) -> Any:
        """Puts every `sbatch.NAME` under `sbatch`."""
        if not isinstance(given, Mapping):
            return given
        kept = {key: value for key, value in given.items() if not str(key).startswith(_PREFIX)}
        passed = {str(key).removeprefix(_PREFIX): value for key, value in given.items() if str(key).startswith(_PREFIX)}
        if "sbatch" in kept and isinstance(kept["sbatch"], str):
            raise ValueError(f"{_PREFIX}NAME=VALUE passes an option on; got sbatch={kept['sbatch']!r}")
        return {**kept, "sbatch": {**kept.get("sbatch", {}), **passed}} if passed else kept

    @field_validator("sbatch")
    @classmethod
    def _check_sbatch(cls, passed: dict[str, str]) -> dict[str, str]:
        faults: list[str] = []
        for name, value in passed.items():
            if not _OPTION_NAME.fullmatch(name):
                faults.append(f"{_PREFIX}{name}: expected a long option of sbatch without its dashes, such as nice")
            elif name in _OWN_OPTIONS:
                faults.append(f"{_PREFIX}{name}: give it as {_OWN_OPTIONS[name]}=VALUE")
            elif name in _TAKEN:
                faults.append(f"{_PREFIX}{name}: the launcher sets it itself")
            elif any(ord(char) < 32 or ord(char) == 127 for char in value):
                faults.append(f"{_PREFIX}{name}: expected one line without control characters, got {value!r}")
        if faults:
            raise ValueError("; ".join(faults))
        return passed


def array_parameters(
    options: SlurmOptions,
    demands: Sequence[JobDemand],
    *,
    name: str,
    cpus: int,
    runs_models: bool,
    after: Sequence[str],
    at_once: int | None = None,
    begin: str | None = None,
) -> dict[str, Any]:
    """Returns the parameters of one array for submitit's AutoExecutor. demands: of its jobs. after: numbers of arrays that it waits for.

    at_once: elements at the same time at most. begin: not before then, as sbatch takes it.
    """
    slurm: dict[str, Any] = {
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "constraint": options.constraint,
        "exclude": options.exclude,
        "setup": None if options.setup is None else [options.setup],
        "array_parallelism": at_once or MOST_IN_ARRAY,
        "signal_delay_s": options.stop_before,
        # Every element ends before the next stage begins, however it ends: `repdrift job` looks by itself whether what it needs is there.
        "dependency": f"afterany:{':'.join(after)}" if after else None,
        # From Slurm 22.05 on, srun does not take the cores of the batch job by itself.
        "srun_args": ["-c", str(cpus)],
        "additional_parameters": {
            "requeue": True,
            **({} if begin is None else {"begin": begin}),
            **{key: True if value == "" else value for key, value in options.sbatch.items()},
        },
    }
    return {
        "name": name,
        "timeout_min": time_limit_min(options, demands),
        "mem_gb": memory_gb(options, demands),
        "cpus_per_task": cpus,
        "gpus_per_node": options.gpus if runs_models and options.gpus else None,
        "stderr_to_stdout": True,
        **{f"slurm_{key}": value for key, value in slurm.items() if value is not None},
    }


def time_limit_min(options: SlurmOptions, demands: Sequence[JobDemand]) -> int:
    """The time limit of the jobs of an array, in minutes."""
    if options.time is not None:
        return options.time
    most_s = max((demand.seconds or 0.0 for demand in demands), default=0.0)
    return max(_LEAST_TIME_MIN, math.ceil(_SPARE_TIME * most_s / 60))


def memory_gb(options: SlurmOptions, demands: Sequence[JobDemand]) -> float | None:
    """The memory of the jobs of an array, in GB (2**30 bytes); None leaves it to Slurm, where no account says it."""
    if options.memory is not None:
        return options.memory
    most = max((demand.memory_bytes or 0 for demand in demands), default=0)
    spare = _SPARE_MEMORY if options.gpus else _SPARE_MEMORY_WITHOUT_GPU
    return float(math.ceil(spare * most / 2**30 + _LIBRARIES_GB)) if most else None


def say_defaults(options: SlurmOptions) -> None:
    """Say once what was not given and matters on most clusters."""
    if options.cluster == "slurm" and not options.gpus:
        say("Slurm: no GPU is asked for; --launcher-option gpus=1 gives one to every job that runs models")
