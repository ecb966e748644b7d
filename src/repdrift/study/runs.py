"""The runs of a study, and the folders of their outputs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from repdrift.core.errors import UnknownNameError
from repdrift.core.records.results import ALL_TASKS
from repdrift.study.config import StudyConfig
from repdrift.study.given_study import config_words

T = TypeVar("T")

REPRESENTATIONS_FOLDER = "phase3_representations"
ANALYSIS_FOLDER = "drift_analysis"
FIGURES_FOLDER = "drift_visualizations"
OUTCOMES_FOLDER = "outcomes"
WEIGHTS_FOLDER = "weights"
FIRST_TOKENS_FOLDER = "first_tokens"
JOBS_FOLDER = "jobs"
IDENTITY_FOLDER = "identity"
RANDOM_CHANGE_FOLDER = "random_change"

_OWN_TASK = (
    " A task of your own is an entry under `tasks:` in the study file, which every command takes: "
    "{name: NAME, train: FILE, validation: FILE, text_columns: [COLUMN], label_column: COLUMN}."
)


@dataclass(frozen=True)
class RunId:
    """One trained model of a study."""

    task: str
    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.task}, {self.method}, seed {self.seed}"


def planned_runs(
    config: StudyConfig,
    *,
    tasks: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> list[RunId]:
    """The runs of a study in its order, or the part of them with these tasks, methods and seeds (None: every one).

    Raises UnknownNameError for a task, method or seed that the study does not have.
    """
    chosen_tasks = selected_tasks(config, tasks)
    chosen_methods = _chosen("method", methods, config.method_names)
    chosen_seeds = _chosen("seed", seeds, config.seeds)
    return [RunId(task, method, seed) for task in chosen_tasks for method in chosen_methods for seed in chosen_seeds]


def selected_tasks(config: StudyConfig, names: Sequence[str] | None) -> list[str]:
    """The tasks that were asked for, in the study's order; None and `all` ask for every one."""
    if names is not None and list(names) == [ALL_TASKS]:
        names = None
    return _chosen("task", names, config.task_names)


def set_folder(config: StudyConfig, run: RunId, step: int = 0) -> Path:
    """The folder of a run's representation set. Step 0 is the final model."""
    name = f"{run.task}_{run.method}_seed{run.seed}"
    return config.results_dir / REPRESENTATIONS_FOLDER / name / f"step_{step:06d}"


def outcomes_folder(config: StudyConfig, run: RunId, step: int = 0) -> Path:
    """The folder of a run's outcomes, with two files for each kind. Step 0 is the final model."""
    name = f"{run.task}_{run.method}_seed{run.seed}"
    return config.results_dir / OUTCOMES_FOLDER / name / f"step_{step:06d}"


def weights_folder(config: StudyConfig, run: RunId, step: int = 0) -> Path:
    """The folder that keeps how a run's weights moved, weight by weight. Step 0 is the final model."""
    name = f"{run.task}_{run.method}_seed{run.seed}"
    return config.results_dir / WEIGHTS_FOLDER / name / f"step_{step:06d}"


def first_tokens_folder(config: StudyConfig, run: RunId) -> Path:
    """The folder that keeps what a run's final model does to the first tokens of general text."""
    return config.results_dir / FIRST_TOKENS_FOLDER / f"{run.task}_{run.method}_seed{run.seed}"


def passed_folder(config: StudyConfig, run: RunId, step: int = 0) -> Path:
    """The folder of outputs that were read while the run was extracted, until its outcomes have taken them over."""
    return outcomes_folder(config, run, step) / "passed"


def base_states_folder(config: StudyConfig) -> Path:
    """The folder of the base model's final hidden states, which outputs are read from."""
    return config.results_dir / OUTCOMES_FOLDER / "base_states"


def random_change_folder(config: StudyConfig, run: RunId) -> Path:
    """The folder of the base model's set after a random change as large as that of the run's final model."""
    return set_folder(config, run).parent / RANDOM_CHANGE_FOLDER


def base_folder(config: StudyConfig, task: str) -> Path:
    """The folder of the base model's set for a task."""
    return config.base_dir / task / "step_000000"


def identity_folder(config: StudyConfig, task: str) -> Path:
    """The folder of the base model's second extraction, which measures the noise of extraction."""
    return config.base_dir / task / IDENTITY_FOLDER


def repdrift_command(stage: str, run: RunId | None, config_path: str | None) -> str:
    """The command that makes what is missing, for messages. config_path: what the user gave as --config."""
    parts = ["repdrift", stage, *config_words(config_path)]
    if run is not None:
        parts += ["--task", run.task, "--method", run.method, "--seed", str(run.seed)]
    return shlex.join(parts)


def _chosen(kind: str, wanted: Sequence[object] | None, planned: Sequence[T]) -> list[T]:
    if not wanted:
        return list(planned)
    unknown = [name for name in wanted if name not in planned]
    if unknown:
        error = UnknownNameError.of(f"{kind} of this study", unknown[0], planned)
        raise UnknownNameError(f"{error}{_OWN_TASK if kind == 'task' else ''}")
    return [entry for entry in planned if entry in wanted]
