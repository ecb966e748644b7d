"""Forgetting and output divergence: what the language-modelling heads of base and tuned model predict over the same texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from repdrift.core.errors import ConfigError, OutcomeNotApplicable
from repdrift.core.process_group import world
from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ON_TASK, Inputs, OutcomeInfo, ShadedTokens
from repdrift.core.validation import validation_faults
from repdrift.core.words import counted
from repdrift.outcomes.base_outputs import BaseOutputs, run_base
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.outcome import Measured, MeasuredItems, Subject, on_task, outcomes
from repdrift.outcomes.output_pass import OutputItems, read_outputs
from repdrift.outcomes.passed_sums import PassedSums, passed_key
from repdrift.outcomes.read_places import read_places
from repdrift.outcomes.token_outcome import outcomes_on_task, token_outcome, token_outcomes
from repdrift.outcomes.token_strips import strips_of
from repdrift.tasks import SampleSet

_NO_TEXT = "no general text was given: name a file, a folder or a data set behind `general_text:` in the study file"


class Outputs:
    """Token outcomes over the task's inputs and over general text. The rise of the loss is forgetting on general text alone."""

    name = "outputs"
    title = "Forgetting and output divergence"
    usual = True
    shares_batches = True

    def options(self, given: object) -> dict[str, Any]:
        """Read the options of the pass (common_tokens, compute_dtype, ...). Raises ConfigError that lists every fault."""
        try:
            return OutputOptions.model_validate({} if given is True else given).model_dump(mode="json")
        except ValidationError as error:
            raise ConfigError(f"outcome {self.name!r}: {'; '.join(validation_faults(error, OutputOptions))}") from error

    def that_count(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options that change values."""
        return OutputOptions.model_validate(options).for_key()

    def for_key(self, subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the texts of both kinds, and the options that change values."""
        return {
            **on_task(subject),
            "general_text": None if subject.general_text is None else subject.general_text.fingerprint,
            "options": self.that_count(options),
            "outcomes": token_outcomes(),
        }

    def applies(self, subject: Subject, options: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Returns None: only once the models are loaded is it known whether they have heads."""
        return None

    def measure(self, subject: Subject, options: Mapping[str, Any]) -> Measured:
        """Run both models over the task's inputs, and over general text if there is any."""
        settings = OutputOptions.model_validate(options)
        found: list[MeasuredItems] = []
        notes: dict[str, None] = {}
        left_out: list[tuple[str, Inputs, str]] = []
        no_heads = ""
        strips: list[ShadedTokens] | None = [] if subject.keeps_texts else None
        texts: list[tuple[Inputs, SampleSet | None, list[str]]] = [
            (ON_TASK, subject.samples, outcomes_on_task()),
            (ON_GENERAL_TEXT, subject.general_text, token_outcomes()),
        ]
        for inputs, samples, names in texts:
            if samples is None:
                left_out.extend((name, inputs, no_heads or _NO_TEXT) for name in names)
                continue
            try:
                passed = _passed(subject, samples, names, settings) if inputs == ON_TASK else None
                read, most = passed, None if passed is None else passed.strips
                if read is None:
                    base = _base(subject, inputs, samples, settings)
                    read = read_outputs(
                        base, subject.tuned, samples, task_kind=subject.task_kind, outcomes=names, options=settings
                    )
                    most = strips_of(read.tokens, base, inputs) if subject.keeps_texts else None
            except OutcomeNotApplicable as error:
                no_heads = str(error)
                left_out.extend((name, inputs, no_heads) for name in names)
                continue
            found += _items(read, inputs, samples)
            strips = None if strips is None or most is None else [*strips, *most]
            notes |= dict.fromkeys(read.notes)
            if inputs == ON_GENERAL_TEXT:
                said = f"General text: {counted(len(samples), 'document')} from {samples.source}, {int(read.weights.sum())} tokens predicted."
                notes |= dict.fromkeys([said, *samples.notes])
        return Measured(found, list(notes), left_out, strips if found else None)


def _passed(subject: Subject, samples: SampleSet, names: list[str], settings: OutputOptions) -> OutputItems | None:
    """Returns in every process the outputs that the extraction of the model has read; None: they need a pass of their own."""
    processes = world()
    found = _read_passed(subject, samples, names, settings) if processes.is_first else None
    return processes.from_first(found)


def _read_passed(subject: Subject, samples: SampleSet, names: list[str], settings: OutputOptions) -> OutputItems | None:
    if subject.passed is None or not subject.passed.is_dir():
        return None
    key = passed_key(
        subject.base, subject.tuned, samples, trained_as=subject.task_kind, outcomes=names, options=settings
    )
    return PassedSums(subject.passed, key, names).items(samples, read_places(samples, "causal", None).counts)


def _base(subject: Subject, inputs: Inputs, samples: SampleSet, settings: OutputOptions) -> BaseOutputs:
    """The base model, run over the texts once for all models of the task; for general text, of the study.

    Raises OutcomeNotApplicable, also if that was found before.
    """
    kept = subject.shared_by_study if inputs == ON_GENERAL_TEXT else subject.shared
    key = ("base outputs", samples.fingerprint, settings)
    if key not in kept:
        try:
            kept[key] = run_base(subject.base, samples, settings, subject.base_states)
        except OutcomeNotApplicable as error:
            kept[key] = str(error)
    if isinstance(kept[key], str):
        raise OutcomeNotApplicable(kept[key])
    return kept[key]


def _items(read: OutputItems, inputs: Inputs, samples: SampleSet) -> list[MeasuredItems]:
    """The outcomes of the texts that have a token to predict."""
    has_value = read.weights > 0
    ids = [name for name, known in zip(samples.sample_ids, has_value, strict=True) if known]
    groups = samples.groups
    kept = None if groups is None else [name for name, known in zip(groups, has_value, strict=True) if known]
    return [
        MeasuredItems(
            info=_info(name),
            inputs=inputs,
            ids=ids,
            values=values.value[has_value],
            base_values=base if np.isfinite(base := values.base_value[has_value]).all() else None,
            weights=read.weights[has_value],
            groups=kept,
        )
        for name, values in read.items.items()
    ]


def _info(name: str) -> OutcomeInfo:
    outcome = token_outcome(name)
    return OutcomeInfo(name=name, title=outcome.title, unit=outcome.unit, higher_is_better=outcome.higher_is_better)


outcomes.add(Outputs.name, Outputs())
