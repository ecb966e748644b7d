"""How far the weights themselves moved, and the base model after a random change of the same size."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from repdrift.comparison.loaded_models import load_base
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import Candidate
from repdrift.core.errors import ModelError, NonFiniteError, RepdriftError
from repdrift.core.records.comparison import LayerDrift
from repdrift.core.records.representation_set import ModuleChange
from repdrift.drift.weight_rows import layer_weight_measures
from repdrift.models import ModelSource, Stack
from repdrift.weights import apply_random_change, compare_adapter, compare_weights

T = TypeVar("T")


@dataclass(frozen=True)
class WeightChanges:
    """The change of every weight that base and tuned model share; `missing`: why there is none."""

    modules: list[ModuleChange]
    missing: str | None = None


def changes_of(
    base: ModelSource, candidate: Candidate, model: nn.Module, blocks_path: str, stack: Stack | None
) -> WeightChanges:
    """Of a full model from the two checkpoints, of an adapter from `model`, which carries it.

    What cannot be compared in weight space may still be compared in its representations: then `missing` says why.
    """
    try:
        if candidate.source.is_adapter:
            return WeightChanges(compare_adapter(model, blocks_path=blocks_path, stack=stack).changes)
        return WeightChanges(compare_weights(base, candidate.source, blocks_path).changes)
    except (ModelError, NonFiniteError) as error:
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


def run_randomly_changed(
    base: ModelSource,
    name: str,
    changes: WeightChanges,
    options: ComparisonOptions,
    run: Callable[[nn.Module], T],
    note: Callable[[str], None],
) -> T | None:
    """What `run` makes of the base model, changed at random as much as the model `name` was; None, and a note saying why,
    where there can be no such control: the model itself is compared all the same."""
    if changes.missing is not None:
        note(f"The weights of {name} were not compared, and no random change of their size was made: {changes.missing}")
    if not options.controls or not changes.modules:
        return None
    try:
        with randomly_changed(base, changes, options) as model:
            return run(model)
    except RepdriftError as error:
        note(f"The control of a random change as large as that of {name} is missing: {error}")
        return None


def with_weights(layers: Sequence[LayerDrift], changes: WeightChanges) -> list[LayerDrift]:
    """The layers with what is known of their weights."""
    measured = layer_weight_measures(changes.modules)
    return [at.model_copy(update={"weights": measured.get(at.layer, {})}) for at in layers]
