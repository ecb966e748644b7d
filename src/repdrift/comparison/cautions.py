"""Cautions of a comparison in plain sentences: a model that changed nothing, one that changed too much, one model twice."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.comparison import ComparedModel
from repdrift.core.words import listed, short_number
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.sanity import FIRST_LAYER_LIMIT
from repdrift.tasks import SampleSet


def cautions(models: Sequence[ComparedModel], samples: SampleSet) -> list[str]:
    """Returns every caution as a sentence, in the order in which a reader should know them."""
    compared = [m for m in models if m.status == "compared"]
    found = [f"{m.name} was not compared: {m.reason}" for m in models if m.status != "compared"]
    for model in compared:
        found += _about(model)
    found += _same_weights(compared)
    if samples.truncated_samples:
        found.append(
            f"{samples.truncated_samples} of {len(samples)} samples were cut at the maximum length, alike for all models."
        )
    return found


def _about(model: ComparedModel) -> list[str]:
    drifts = [layer.drift for layer in model.layers]
    if all(abs(drift) <= ZERO_DRIFT for drift in drifts):
        cause = (
            "an adapter whose B is zero (not trained yet), or that was never loaded into the model that was saved"
            if model.kind == "PEFT adapter"
            else "training that took no step, or the base model under another name"
        )
        return [f"{model.name} changes nothing: its drift is exactly zero in every layer. The likely cause: {cause}."]
    if all(layer.above_noise is False for layer in model.layers):
        return [
            f"{model.name} drifts nowhere more than the base model does between two runs: it changes next to nothing."
        ]
    found: list[str] = []
    first = model.layers[0]
    if first.layer == 0 and first.drift > FIRST_LAYER_LIMIT:
        found.append(
            f"{model.name} drifts by {short_number(first.drift)} in the first layer. More than {FIRST_LAYER_LIMIT} there points to a broken "
            "comparison (another base model, another vocabulary) rather than to fine-tuning."
        )
    return found


def _same_weights(compared: Sequence[ComparedModel]) -> list[str]:
    holders: dict[str, list[str]] = {}
    for model in compared:
        if model.weights_digest is not None:
            holders.setdefault(model.weights_digest, []).append(model.name)
    return [
        f"{listed(names)} have the same weights: they are one model, not {len(names)}."
        for names in holders.values()
        if len(names) > 1
    ]
