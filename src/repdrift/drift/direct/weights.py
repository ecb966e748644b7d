"""How far the weights themselves moved, and the base model after a random change of the same size."""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.progress import say
from repdrift.core.records.comparison import LayerDrift
from repdrift.core.records.representation_set import ModuleChange
from repdrift.drift.direct.candidates import Candidate
from repdrift.drift.direct.options import ComparisonOptions
from repdrift.drift.direct.passes import load_base
from repdrift.drift.weight_rows import layer_weight_measures
from repdrift.models import ModelSource
from repdrift.models.weight_space import apply_random_change, compare_adapter, compare_weights


@dataclass(frozen=True)
class WeightChanges:
    """The change of every weight that base and tuned model share; `missing`: why there is none."""

    modules: list[ModuleChange]
    missing: str | None = None


def changes_of(base: ModelSource, candidate: Candidate, model: nn.Module, blocks_path: str) -> WeightChanges:
    """Of a full model from the two checkpoints, of an adapter from `model`, which carries it. Never raises for a model that
    was run: what cannot be compared in weight space is still compared in its representations."""
    try:
        if candidate.source.is_adapter:
            return WeightChanges(compare_adapter(model, blocks_path=blocks_path).changes)
        return WeightChanges(compare_weights(base, candidate.source, blocks_path).changes)
    except ModelError as error:
        say(f"note: the weights of {candidate.name} are not compared: {error}")
        return WeightChanges([], str(error))


@contextmanager
def randomly_changed(base: ModelSource, changes: WeightChanges, options: ComparisonOptions) -> Generator[nn.Module]:
    """The base model, loaded anew, with every changed weight moved by noise of the same norm; freed on leaving."""
    model = load_base(base, options)
    apply_random_change(model, changes.modules, options.seed, blocks_path=options.blocks, stack=options.stack)
    try:
        yield model
    finally:
        del model
        gc.collect()


def with_weights(layers: Sequence[LayerDrift], changes: WeightChanges) -> list[LayerDrift]:
    """The layers with what is known of their weights."""
    measured = layer_weight_measures(changes.modules)
    return [at.model_copy(update={"weights": measured.get(at.layer, {})}) for at in layers]
