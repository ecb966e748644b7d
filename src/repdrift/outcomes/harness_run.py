"""Runs tasks of lm-evaluation-harness on a loaded model, and keeps the score of every item. No code but the installed package's is run."""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from repdrift.core.errors import DataError, ModelError, RepdriftError
from repdrift.core.process_group import device
from repdrift.models import running_errors
from repdrift.models.third_party import first_line
from repdrift.outcomes.harness_tasks import HarnessOptions, is_task_file, read_task_file, require_harness, unknown_task

_FEWSHOT_SEED = 1234
"""The harness's own, by which examples are drawn: the same for base and tuned model."""
_NO_FILTER = "none"


@dataclass(frozen=True)
class HarnessScores:
    """One metric of one task for one model.

    ids: numbers of the items in the task. prompts: hashes of what the model was asked. values: one for each item; None: its number for an
    item is not one number, which `reason` says. groups: labels from `group_field`; None: not asked for, or an item lacks it.
    """

    task: str
    metric: str
    higher_is_better: bool | None
    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    values: tuple[float, ...] | None
    groups: tuple[str, ...] | None
    reason: str = ""


def load_tasks(options: HarnessOptions) -> Any:
    """Loads the tasks and their data.

    Raises MissingDependencyError if the package is not there, ConfigError for a name that is no task, DataError if the data cannot be
    read (no network), ModelError for what else fails.
    """
    require_harness()
    with _quietly():
        from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]

        by_file = [is_task_file(name) for name in options.tasks]
        manager: Any = TaskManager(include_defaults=not all(by_file))
        specs: list[Any] = []
        for name, from_file in zip(options.tasks, by_file, strict=True):
            if not from_file and name not in manager.task_index:
                raise unknown_task(name, manager.all_tasks)
            specs.append(read_task_file(Path(name).expanduser()) if from_file else name)
        for name, spec in zip(options.tasks, specs, strict=True):
            _load(manager, name, spec)
        loaded = manager.load(specs)
    for task in loaded["tasks"].values():
        given = task.get_config("num_fewshot")
        wanted = options.num_fewshot if options.num_fewshot is not None and given != 0 else given
        task.set_config(key="num_fewshot", value=wanted or 0)
        task.set_fewshot_seed(seed=_FEWSHOT_SEED)
    return loaded


def run_tasks(
    model: nn.Module, tokenizer: Any, tasks: Any, options: HarnessOptions, *, what: str
) -> list[HarnessScores]:
    """Runs every task on a causal language model, which is moved to the device in use. what: names the model.

    Raises ModelError if it cannot be run.
    """
    with running_errors(f"lm-evaluation-harness cannot run {what}"), _quietly(), torch.inference_mode():
        from lm_eval.evaluator import evaluate  # pyright: ignore[reportMissingImports]
        from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]

        language_model: Any = HFLM  # its decorator hides what it takes
        wrapped = language_model(
            pretrained=nn.Module.to(model, device()),  # pyright: ignore[reportArgumentType]
            tokenizer=tokenizer,
            batch_size=options.batch_size,
            backend="causal",
        )
        found: Any = evaluate(
            lm=wrapped,
            task_dict=tasks,
            limit=options.limit,
            bootstrap_iters=0,
            log_samples=True,
            confirm_run_unsafe_code=False,
        )
    samples: Mapping[str, list[Any]] = found.get("samples") or {}
    return [
        scores
        for task in tasks["tasks"]
        for scores in _scores(task, samples.get(task, []), found["higher_is_better"].get(task, {}), options.group_field)
    ]


def _load(manager: Any, name: str, spec: Any) -> None:
    try:
        manager.load([spec])
    except RepdriftError:
        raise
    except OSError as error:  # the hub, datasets and requests: no network, no such file
        raise DataError(
            f"outcome 'lm_eval': the data of task {name!r} cannot be read: {first_line(error)}. Data of built-in tasks come from the Hugging Face hub: run "
            "once with a network (without HF_HUB_OFFLINE), after which they are kept, or give a task file with local data_files."
        ) from error
    except Exception as error:  # the harness has no error tree
        raise ModelError(f"outcome 'lm_eval': task {name!r} cannot be loaded: {first_line(error)}") from error


def _scores(
    task: str, samples: list[Any], directions: Mapping[str, bool], group_field: str | None
) -> list[HarnessScores]:
    by_metric: dict[tuple[str, str], list[Any]] = {}
    for sample in samples:
        for metric in sample["metrics"]:
            by_metric.setdefault((metric, sample["filter"]), []).append(sample)
    found: list[HarnessScores] = []
    for (metric, chosen), of_metric in by_metric.items():
        values = [_number(sample.get(metric)) for sample in of_metric]
        known = None if None in values else tuple(float(value) for value in values if value is not None)
        labels = [_label(sample["doc"], group_field) for sample in of_metric]
        found.append(
            HarnessScores(
                task=task,
                metric=metric if chosen == _NO_FILTER else f"{metric} after {chosen}",
                higher_is_better=directions.get(metric),
                ids=tuple(str(sample["doc_id"]) for sample in of_metric),
                prompts=tuple(f"{sample['doc_hash']} {sample['prompt_hash']}" for sample in of_metric),
                values=known,
                groups=None if None in labels else tuple(str(label) for label in labels),
                reason=""
                if known is not None
                else f"{metric} of {task} is no number for each item, so there is no paired difference",
            )
        )
    return found


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (bool, int, float)) or (hasattr(value, "item") and getattr(value, "ndim", 1) == 0)
    return float(value) if is_number and math.isfinite(float(value)) else None


def _label(doc: Any, field: str | None) -> str | None:
    value = doc.get(field) if field is not None and isinstance(doc, Mapping) else None
    return None if value is None else str(value)


@contextmanager
def _quietly() -> Generator[None]:
    """Silences the harness's bars and log inside the block, and refuses metrics that would be fetched as code; both are put back."""
    import evaluate as metrics  # pyright: ignore[reportMissingImports]

    log, kept = logging.getLogger("lm_eval"), metrics.load
    level = log.level

    def refuse(name: str, *_: Any, **__: Any) -> Any:
        raise ModelError(f"the metric {name!r} would be fetched from the hub as code, which is never run")

    with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            metrics.load = refuse
            log.setLevel(logging.ERROR)
            yield
        finally:
            metrics.load = kept
            log.setLevel(level)
