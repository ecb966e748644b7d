"""Tasks of lm-evaluation-harness, run on base and tuned model: the score of every item, paired."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from repdrift.core.errors import ConfigError, OutcomeNotApplicable, SampleSetMismatchError
from repdrift.core.fingerprint import unchanged_file_sha256
from repdrift.core.reading import reading_errors, stands_there
from repdrift.core.records.outcomes import ON_BENCHMARK, OutcomeInfo
from repdrift.core.validation import validation_faults
from repdrift.models import load_tokenizer
from repdrift.models.language_model import head_kind
from repdrift.models.whole_language_model import load_whole_base, load_whole_tuned
from repdrift.outcomes.harness_run import HarnessScores, load_tasks, run_tasks
from repdrift.outcomes.harness_tasks import HarnessOptions, is_task_file, require_harness, task_key
from repdrift.outcomes.outcome import Measured, MeasuredItems, Subject, outcomes


class LmEval:
    """Scores of benchmark items by lm-evaluation-harness, by each of a task's metrics that is a number for each item."""

    name = "lm_eval"
    title = "Tasks of lm-evaluation-harness"
    usual = False
    shares_batches = False

    def options(self, given: object) -> dict[str, Any]:
        """Read a list of tasks, or the fields of `HarnessOptions`. Raises ConfigError. A study can be read without the package."""
        if given is True:
            raise ConfigError("outcome 'lm_eval': name the tasks behind it, such as lm_eval: [hellaswag, my_task.yaml]")
        is_list = isinstance(given, Sequence) and not isinstance(given, str)
        try:
            found = HarnessOptions.model_validate({"tasks": given} if is_list else given)
        except ValidationError as error:
            raise ConfigError(
                f"outcome {self.name!r}: {'; '.join(validation_faults(error, HarnessOptions))}"
            ) from error
        return found.model_dump(mode="json")

    def that_count(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns all of them: the tasks, and how they are asked; of task files that are there also the content."""
        files = [Path(task) for task in options["tasks"] if is_task_file(task) and stands_there(Path(task))]
        found: dict[str, str] = {}
        for path in files:
            with reading_errors(path):
                found[str(path)] = unchanged_file_sha256(path)
        return {**options, "files": found}

    def for_key(self, subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Returns the harness's version, and of task files the content and their data's. Raises MissingDependencyError."""
        require_harness()
        from importlib.metadata import version

        return {"lm_eval": version("lm_eval"), "tasks": [task_key(task) for task in options["tasks"]]}

    def applies(self, subject: Subject, options: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Returns why the base model cannot do the tasks: it does not predict the next token."""
        try:
            kind = head_kind(subject.base)
        except OutcomeNotApplicable as error:
            return str(error)
        return (
            None
            if kind == "causal"
            else "the base model predicts masked tokens, and the tasks are for models that predict the next one"
        )

    def measure(self, subject: Subject, options: Mapping[str, Any]) -> Measured:
        """Run the tasks on the tuned model, and on the base model once for all."""
        settings = HarnessOptions.model_validate(options)
        kept = subject.shared_by_study
        if ("lm_eval tasks", settings) not in kept:
            kept["lm_eval tasks", settings] = load_tasks(settings)
        tasks = kept["lm_eval tasks", settings]
        tokenizer = load_tokenizer(subject.base)
        try:
            if ("lm_eval base", settings) not in kept:
                whole = load_whole_base(subject.base)
                kept["lm_eval base", settings] = run_tasks(
                    whole.model, tokenizer, tasks, settings, what="the base model"
                )
                del whole
            tuned = load_whole_tuned(subject.base, subject.tuned, trained_as=subject.task_kind)
        except OutcomeNotApplicable as error:
            return Measured([], left_out=[(self.name, ON_BENCHMARK, str(error))])
        scores = run_tasks(tuned.model, tokenizer, tasks, settings, what="the tuned model")
        notes = tuned.notes
        del tuned
        gc.collect()  # models refer to themselves
        return _paired(kept["lm_eval base", settings], scores, notes, settings)


def _paired(
    base: Sequence[HarnessScores], tuned: Sequence[HarnessScores], notes: Sequence[str], settings: HarnessOptions
) -> Measured:
    """Sets each metric of the tuned model beside the base model's. Raises SampleSetMismatchError if the two were asked other things."""
    ours = {(scores.task, scores.metric): scores for scores in base}
    items: list[MeasuredItems] = []
    left_out: list[tuple[str, Any, str]] = []
    said = list(notes)
    for scores in tuned:
        other, name = ours[scores.task, scores.metric], _name(scores)
        if (other.ids, other.prompts) != (scores.ids, scores.prompts):
            raise SampleSetMismatchError(
                f"{scores.task}: base and tuned model were asked different things, so nothing is paired"
            )
        if scores.values is None or other.values is None:
            left_out.append((name, ON_BENCHMARK, scores.reason or other.reason))
            continue
        if settings.group_field is not None and scores.groups is None:
            said.append(f"{scores.task} has no field {settings.group_field!r} in every item, so each stands alone.")
        items.append(
            MeasuredItems(
                info=_info(scores),
                inputs=ON_BENCHMARK,
                ids=scores.ids,
                values=np.array(scores.values),
                base_values=np.array(other.values),
                groups=scores.groups,
            )
        )
    if not items and not left_out:
        left_out.append((LmEval.name, ON_BENCHMARK, "the tasks gave no score of an item"))
    if settings.limit is not None:
        said.append(f"Only the first {settings.limit} items of each task were run (limit).")
    return Measured(items, list(dict.fromkeys(said)), left_out)


def _name(scores: HarnessScores) -> str:
    return f"{scores.task} {scores.metric}"


def _info(scores: HarnessScores) -> OutcomeInfo:
    return OutcomeInfo(
        name=_name(scores),
        title=f"{scores.task}, {scores.metric} (lm-evaluation-harness)",
        unit="mean over items",
        higher_is_better=scores.higher_is_better,
    )


outcomes.add(LmEval.name, LmEval())
