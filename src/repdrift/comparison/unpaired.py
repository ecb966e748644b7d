"""Models whose layers have no counterparts in the base model, one to one: whether the layer grid compares them, and how it is read."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from repdrift.comparison.base_model import extractor_for
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.errors import ModelError
from repdrift.core.words import layer_ranges
from repdrift.models import ModelSource, load_config, width_of

ONLY_SUMS = "the layer grid takes the rows themselves (--accumulate rows), and only sums were kept"


def may_keep_rows(options: ComparisonOptions) -> bool:
    """True if the options allow that rows are kept. Even so, memory may not."""
    return options.accumulate == "rows" or (options.accumulate == "auto" and options.pooling != "tokens")


def refused_for(tuned: TunedModel, no_grid: str) -> TunedModel:
    """The model, refused if its layers have no counterparts. no_grid: the sentence of `no_grid_because`."""
    if tuned.unpaired is None:
        return tuned
    return replace(tuned, unpaired=None, refused=tuned.refused or f"{tuned.unpaired} {no_grid}")


def layers_there(options: ComparisonOptions, model: nn.Module) -> ComparisonOptions:
    """The options with those of the layers that a model of another depth has. Raises ModelError if it has none of them."""
    if options.layers is None:
        return options
    depth = len(extractor_for(model, options.model_copy(update={"layers": None})).blocks)
    there = tuple(layer for layer in options.layers if layer < depth)
    if not there:
        raise ModelError(
            f"it has none of the layers that were asked for ({layer_ranges(options.layers)}): it has {depth}, 0 to {depth - 1}. Name others (--layer)."
        )
    return options.model_copy(update={"layers": there})


def descends(base: ModelSource, tuned: ModelSource) -> bool:
    """True if layers of one number are one layer before and after: both models have one architecture and one width."""
    if tuned.is_adapter:
        return True
    try:
        ours, theirs = load_config(base), load_config(tuned)
    except ModelError:
        return False
    return ours.model_type == theirs.model_type and width_of(ours) == width_of(theirs)
