"""Classes that a tuned classifier names otherwise than its base model, where both have a head for the same classes."""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from repdrift.batches.batching import Batch, BatchPlan, longest_and_shortest, scales_by_batch
from repdrift.batches.input_checks import require_samples_fit
from repdrift.batches.memory_budget import auto_token_budget
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.errors import NonFiniteError, OutcomeNotApplicable
from repdrift.core.process_group import device, world
from repdrift.core.progress import Bar
from repdrift.core.records.outcomes import ON_TASK
from repdrift.core.records.output_changes import ClassFlips, OutputChange
from repdrift.models import ModelSource, is_learned_prompt, load_config, running_errors
from repdrift.models.classifier import Classes, Classifier, is_classifier, load_classifier, unlike_classes
from repdrift.statistics import grouped_mean, within_share, without_spread
from repdrift.tasks import SampleSet

_ALIKE = "classes are compared where both models have a head for the same ones"


@dataclass(frozen=True)
class ChangedClasses:
    """Texts for which two models name another class, and the pairs of classes, the most frequent first."""

    disagreement: OutputChange
    flips: list[ClassFlips]


class ClassChanges:
    """Predictions of a base model and of classifiers tuned from it, over the same samples. The base model is run once."""

    def __init__(self, base: ModelSource, samples: SampleSet, options: ComparisonOptions) -> None:
        self._base, self._samples, self._options = base, samples, options
        self._predicted: np.ndarray | None = None
        self._classes: Classes | None = None

    def of(self, tuned: TunedModel) -> ChangedClasses:
        """Compares one tuned model.

        Raises OutcomeNotApplicable, with the reason, unless both have a head for the same classes; NonFiniteError naming model and
        sample; ModelError if one cannot be loaded or run; DataError if a sample does not fit.
        """
        if not is_classifier(self._base):
            raise OutcomeNotApplicable(f"the base model has no head for classes{_saved_as(self._base)}; {_ALIKE}")
        if tuned.source.is_adapter and is_learned_prompt(tuned.source):
            raise OutcomeNotApplicable(f"it is a learned prompt, whose head for classes is not read; {_ALIKE}")
        if not tuned.source.is_adapter and not is_classifier(tuned.source):
            raise OutcomeNotApplicable(f"it has no head for classes{_saved_as(tuned.source)}; {_ALIKE}")
        before, names = self._base_classes()
        classifier = load_classifier(self._base, tuned.source, dtype=self._options.compute_dtype)
        if reason := unlike_classes(names, classifier.classes):
            raise OutcomeNotApplicable(f"{reason}; {_ALIKE}")
        after = self._run(classifier, tuned.name)
        differs = (before != after).astype(np.float64)
        found = grouped_mean(differs, self._samples.groups)
        alike = without_spread(differs, self._samples.groups, of_differences=False)
        interval = None if alike or found.interval is None else within_share(found.interval)
        pairs = Counter((int(a), int(b)) for a, b in zip(before, after, strict=True) if a != b)
        return ChangedClasses(
            OutputChange(
                outcome="disagreement",
                title="Texts with another class",
                unit="share of texts",
                inputs=ON_TASK,
                value=found.mean,
                low=None if interval is None else interval.low,
                high=None if interval is None else interval.high,
                freedom=None if interval is None else found.freedom,
                n=len(differs),
                n_groups=found.n_groups,
                note=found.missing or alike,
            ),
            [ClassFlips(before=names.name(a), after=names.name(b), texts=k) for (a, b), k in pairs.most_common()],
        )

    def _base_classes(self) -> tuple[np.ndarray, Classes]:
        """Returns the class that the base model names for every sample, and its classes. It is run once."""
        if self._predicted is None or self._classes is None:
            classifier = load_classifier(self._base, self._base, dtype=self._options.compute_dtype)
            self._predicted = self._run(classifier, f"the base model {self._base.ref!r}")
            self._classes = classifier.classes
        return self._predicted, self._classes

    def _run(self, classifier: Classifier, name: str) -> np.ndarray:
        """The number of the class that the model names for every sample, (n,)."""
        samples, options = self._samples, self._options
        processes = world()
        mine: dict[int, int] = {}
        with processes.together(f"classes of {name}"), running_errors(f"{name} cannot be run"):
            body = classifier.body
            nn.Module.to(classifier.model, device())
            require_samples_fit(samples, body)
            usual = options.token_budget or auto_token_budget(
                getattr(body, "config", None),
                itemsize=next(classifier.model.parameters()).element_size(),
                cap_bytes=options.memory_cap_bytes,
            )
            plan = BatchPlan(samples, token_budget=1 if scales_by_batch(body) else usual)
            takes_types = "token_type_ids" in inspect.signature(body.forward).parameters

            def inputs_of(batch: Batch) -> dict[str, Any]:
                return {k: v.to(device()) for k, v in batch.inputs.items() if k != "token_type_ids" or takes_types}

            if classifier.reads_padding(inputs_of(longest_and_shortest(samples))):
                plan = BatchPlan(samples, token_budget=1)
            with Bar(f"classes of {name}", len(samples)) as bar:
                for number in processes.share(len(plan)):
                    batch = plan[number]
                    with torch.inference_mode():
                        logits = classifier.logits(inputs_of(batch)).float().cpu()
                    finite = torch.isfinite(logits).all(dim=1)
                    if not bool(finite.all()):
                        index = batch.sample_indices[int((~finite).nonzero()[0])]
                        raise NonFiniteError(f"{name} gives classes that are not finite for {samples.described(index)}")
                    mine |= dict(zip(batch.sample_indices, logits.argmax(dim=1).tolist(), strict=True))
                    bar.advance(len(batch.sample_indices))
        gathered = processes.gather(mine)
        found = processes.from_first(None if gathered is None else {k: v for part in gathered for k, v in part.items()})
        assert found is not None  # noqa: S101  the first process has them
        return np.array([found[index] for index in range(len(samples))])


def _saved_as(source: ModelSource) -> str:
    named = getattr(load_config(source), "architectures", None) or []
    return f" (saved as {named[0]})" if named else ""
