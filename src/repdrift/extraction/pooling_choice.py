"""Pooling `auto`: which pooling it is for a model."""

from __future__ import annotations

from repdrift.core.errors import UnknownNameError
from repdrift.core.records.representation_set import SINK_POOLING, Pooling, PoolingChoice, Stack
from repdrift.models import ModelSource, is_causal_decoder, load_config


def resolved_pooling(choice: PoolingChoice, base: ModelSource, stack: Stack | None = None) -> Pooling:
    """Returns `choice`, and for `auto` the default of the base model's kind.

    That is `mean_without_sinks` for a causal decoder, whose first tokens carry activations far above all others, and `mean`
    for any other model. stack: the half of an encoder-decoder model that is read. Raises ModelError if the model's
    configuration cannot be read.
    """
    if choice != "auto":
        return choice
    return SINK_POOLING if is_causal_decoder(load_config(base), stack) else "mean"


def concrete(choice: PoolingChoice) -> Pooling:
    """Returns `choice`. Raises UnknownNameError for `auto`, which only `resolved_pooling` can replace."""
    if choice == "auto":
        raise UnknownNameError("pooling 'auto' has to be resolved for the base model first (resolved_pooling)")
    return choice
