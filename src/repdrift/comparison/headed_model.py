"""A model with its head, ready to be run on from any of its blocks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from repdrift.comparison.options import ComparisonOptions
from repdrift.core.errors import OutcomeNotApplicable
from repdrift.core.process_group import device
from repdrift.extraction.patched_run import PatchedRunner
from repdrift.models import Blocks, ModelSource, execution_device, find_blocks, is_learned_prompt
from repdrift.models.classifier import Classifier, load_classifier, unlike_classes
from repdrift.models.full_attention import FullAttention
from repdrift.models.language_model import load_language_model, load_tuned_reader
from repdrift.models.output_head import OutputHead
from repdrift.outcomes.vocabularies import compared_columns
from repdrift.tasks import SampleSet

Outputs = Literal["next tokens", "masked tokens", "classes"]

_PROMPT = (
    "it is a learned prompt: its virtual tokens stand before the text, so its positions are not the base model's, and a state of one put into the "
    "other is none that it could have. Patch a model whose weights differ."
)


@dataclass(frozen=True)
class HeadedModel:
    """A loaded model whose outputs can be read after any of its blocks was given another state.

    source: its files. outputs: what the head predicts. body: the part that holds the blocks. runner: gives the last hidden states (b, t, d), or for classes
    the logits (b, k). logits: from rows of what the runner gives, (m, d) or (m, k), to (m, v). notes: sentences that change how its
    numbers are read. head, classifier: what the outputs were made with. kept: (v,) ids
    of the outputs that are compared, whose probabilities are made to sum to 1; None: all.
    """

    source: ModelSource
    outputs: Outputs
    body: nn.Module
    blocks: Blocks
    runner: PatchedRunner
    logits: Callable[[Tensor], Tensor]
    notes: list[str] = field(default_factory=list)
    head: OutputHead | None = None
    kept: Tensor | None = None
    classifier: Classifier | None = None

    def inputs(self, given: Mapping[str, Tensor]) -> dict[str, Any]:
        """The inputs that the model takes, on its device."""
        parameters = inspect.signature(self.body.forward).parameters
        where = execution_device(self.body)
        taken: dict[str, Any] = {name: value.to(where) for name, value in given.items() if name in parameters}
        return {**taken, "use_cache": False} if "use_cache" in parameters else taken

    def log_probabilities(self, rows: Tensor) -> Tensor:
        """Natural logarithms of the probabilities of outputs, (m, v) float32."""
        logits = self.logits(rows).float()
        return torch.log_softmax(logits if self.kept is None else logits[:, self.kept.to(logits.device)], dim=1)


def headed_base(base: ModelSource, options: ComparisonOptions) -> HeadedModel:
    """Loads the base model with the language-modelling head in its files. Raises OutcomeNotApplicable if there is none, ModelError."""
    split = load_language_model(base, dtype=options.compute_dtype)
    return _language_model(base, split.body, split.head, [], options)


def headed_tuned(
    base: ModelSource, tuned: ModelSource, reference: HeadedModel, samples: SampleSet, options: ComparisonOptions
) -> HeadedModel:
    """Loads a tuned language model with its own head, or with the base model's, which `reference` has, where tuning trained none.

    Where the vocabularies differ and that was asked for, it has the common tokens as `kept`, which the reference is to be given too. Raises
    OutcomeNotApplicable for a learned prompt, or if the vocabularies differ and it was not; ModelError.
    """
    if tuned.is_adapter and is_learned_prompt(tuned):
        raise OutcomeNotApplicable(_PROMPT)
    reader = load_tuned_reader(base, tuned, dtype=options.compute_dtype)
    assert reference.head is not None  # noqa: S101  language models have one
    head = reference.head if reader.head is None else reader.head
    columns = compared_columns(
        base, tuned, samples, reference.head.rows, head.rows, common_tokens=options.common_tokens
    )
    notes = reader.notes[:1] if reader.head is None else []
    notes += [] if columns.note is None else [columns.note]
    found = _language_model(tuned, reader.body, head, notes, options)
    return found if columns.kept is None else replace(found, kept=torch.from_numpy(columns.kept))


def headed_classifier(base: ModelSource, source: ModelSource, options: ComparisonOptions) -> HeadedModel:
    """Loads a classifier with the head in its files. base: what an adapter stands on. Raises OutcomeNotApplicable, ModelError."""
    if source.is_adapter and is_learned_prompt(source):
        raise OutcomeNotApplicable(_PROMPT)
    classifier = load_classifier(base, source, dtype=options.compute_dtype)
    nn.Module.to(classifier.model, device())
    blocks = find_blocks(classifier.body, path=options.blocks)
    attention = FullAttention(classifier.body)

    def logits(inputs: Mapping[str, Any]) -> Tensor:
        with attention.used():
            return classifier.logits(dict(inputs))

    runner = PatchedRunner(blocks, logits)
    return HeadedModel(source, "classes", classifier.body, blocks, runner, lambda rows: rows, classifier=classifier)


def require_like_classes(reference: HeadedModel, tuned: HeadedModel) -> None:
    """Raises OutcomeNotApplicable if the classes of two classifiers cannot be set side by side."""
    assert reference.classifier is not None and tuned.classifier is not None  # noqa: S101, PT018
    if reason := unlike_classes(reference.classifier.classes, tuned.classifier.classes):
        raise OutcomeNotApplicable(reason)


def _language_model(
    source: ModelSource, body: nn.Module, head: OutputHead, notes: list[str], options: ComparisonOptions
) -> HeadedModel:
    nn.Module.to(body.eval(), device())
    head.to(device())
    blocks = find_blocks(body, path=options.blocks)
    outputs: Outputs = "next tokens" if head.kind == "causal" else "masked tokens"
    attention = FullAttention(body)

    def last_state(inputs: Mapping[str, Any]) -> Tensor:
        with attention.used():
            return body(**inputs)[0]

    runner = PatchedRunner(blocks, last_state)
    return HeadedModel(source, outputs, body, blocks, runner, head.logits, notes, head)
