"""Classes that a tuned classifier names otherwise than its base model, where both have a head for the same classes."""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from repdrift.batches.batching import BatchPlan
from repdrift.batches.input_checks import require_samples_fit
from repdrift.batches.memory_budget import auto_token_budget
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.errors import NonFiniteError, OutcomeNotApplicable
from repdrift.core.process_group import device, world
from repdrift.core.progress import Bar
from repdrift.core.records.outcomes import ON_TASK
from repdrift.core.records.output_changes import ClassFlips, OutputChange
from repdrift.models import (
    ModelSource,
    headless,
    is_causal_decoder,
    is_learned_prompt,
    load_config,
    running_errors,
)
from repdrift.models.adapters import put_adapter
from repdrift.models.loading import MissingWeightsError, load_whole
from repdrift.statistics.grouped_mean import grouped_mean
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

    def of(self, tuned: TunedModel) -> ChangedClasses:
        """Compares one tuned model.

        Raises OutcomeNotApplicable, with the reason, unless both have a head for the same classes; NonFiniteError naming model and
        sample; ModelError if one cannot be loaded or run; DataError if a sample does not fit.
        """
        names = _class_names(self._base, "the base model")
        if not tuned.source.is_adapter:
            theirs = _class_names(tuned.source, "it")
            if len(theirs) != len(names):
                raise OutcomeNotApplicable(
                    f"its head has {len(theirs)} classes, the base model's {len(names)}; {_ALIKE}"
                )
            if theirs != names:
                raise OutcomeNotApplicable(
                    f"its classes are {', '.join(theirs)}, the base model's {', '.join(names)}; {_ALIKE}"
                )
        elif is_learned_prompt(tuned.source):
            raise OutcomeNotApplicable(f"it is a learned prompt, whose head for classes is not read; {_ALIKE}")
        if self._predicted is None:
            self._predicted = self._run(_loaded(self._base, self._options), f"the base model {self._base.ref!r}")
        before = self._predicted
        whole = _loaded(self._base if tuned.source.is_adapter else tuned.source, self._options)
        model = put_adapter(whole, self._base, tuned.source) if tuned.source.is_adapter else whole
        after = self._run(model, tuned.name)
        differs = (before != after).astype(np.float64)
        found = grouped_mean(differs, self._samples.groups)
        pairs = Counter((int(a), int(b)) for a, b in zip(before, after, strict=True) if a != b)
        return ChangedClasses(
            OutputChange(
                outcome="disagreement",
                title="Texts with another class",
                unit="share of texts",
                inputs=ON_TASK,
                value=found.mean,
                low=None if found.interval is None else found.interval.low,
                high=None if found.interval is None else found.interval.high,
                n=len(differs),
                n_groups=found.n_groups,
                note=found.missing,
            ),
            [ClassFlips(before=names[a], after=names[b], texts=k) for (a, b), k in pairs.most_common()],
        )

    def _run(self, model: nn.Module, name: str) -> np.ndarray:
        """The number of the class that the model names for every sample, (n,)."""
        samples, options = self._samples, self._options
        processes = world()
        mine: dict[int, int] = {}
        with processes.together(f"classes of {name}"), running_errors(f"{name} cannot be run"):
            body = headless(model)
            nn.Module.to(model, device()).eval()
            require_samples_fit(samples, body)
            config: Any = getattr(body, "config", None)
            # A decoder reads its class at the last token that is not padding, by the padding token's id: so each text is alone.
            usual = options.token_budget or auto_token_budget(
                config, itemsize=next(model.parameters()).element_size(), cap_bytes=options.memory_cap_bytes
            )
            plan = BatchPlan(samples, token_budget=1 if is_causal_decoder(config) else usual)
            takes_types = "token_type_ids" in inspect.signature(body.forward).parameters
            with Bar(f"classes of {name}", len(samples)) as bar:
                for number in processes.share(len(plan)):
                    batch = plan[number]
                    given = {k: v.to(device()) for k, v in batch.inputs.items() if k != "token_type_ids" or takes_types}
                    with torch.inference_mode():
                        logits = model(**given).logits.float().cpu()
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


def _class_names(source: ModelSource, whose: str) -> list[str]:
    """The names of the classes of a classifier. Raises OutcomeNotApplicable if the model is none."""
    from transformers.models.auto import modeling_auto as auto

    config = load_config(source)
    known: set[str] = set()
    for value in auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.values():
        known |= {value} if isinstance(value, str) else set(value)
    named = [str(name) for name in getattr(config, "architectures", None) or []]
    if not any(name in known for name in named):
        saved = f" (saved as {named[0]})" if named else ""
        raise OutcomeNotApplicable(f"{whose} has no head for classes{saved}; {_ALIKE}")
    if config.num_labels < 2 or getattr(config, "problem_type", None) in ("regression", "multi_label_classification"):
        raise OutcomeNotApplicable(f"{whose} does not name one class of several for a text; {_ALIKE}")
    return [str(config.id2label.get(number, number)) for number in range(config.num_labels)]


def _loaded(source: ModelSource, options: ComparisonOptions) -> nn.Module:
    from transformers import AutoModelForSequenceClassification

    try:
        return load_whole(source, AutoModelForSequenceClassification, dtype=options.compute_dtype)
    except MissingWeightsError as error:
        if not error.only_head:
            raise
        raise OutcomeNotApplicable(f"{source.ref!r} has no head for classes in its files. {error}") from error
