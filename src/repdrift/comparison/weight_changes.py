"""Change of the weights themselves, and the base model after a random change of the same size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from repdrift.comparison.base_model import BaseModel
from repdrift.comparison.measured import Gap, reason_of
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.errors import RepdriftError
from repdrift.core.records.comparison import LayerDrift
from repdrift.core.records.representation_set import ModuleChange
from repdrift.drift.weight_rows import layer_weight_measures
from repdrift.models import ModelSource, running_errors
from repdrift.weights import CANNOT_MERGE, apply_random_change, compare_adapter, compare_weights

T = TypeVar("T")


@dataclass(frozen=True)
class WeightChanges:
    """The change of every weight that base and tuned model share.

    missing: why there are no changes; None if there are. notes: sentences on weights that were compared in part, or not.
    """

    modules: list[ModuleChange]
    missing: str | None = None
    notes: tuple[str, ...] = ()


def changes_of(base: BaseModel, tuned: TunedModel, model: nn.Module, blocks_path: str) -> WeightChanges:
    """Compares the weights of a full model's two checkpoints, or reads an adapter's change from `model`, where it is on.

    A model whose weights cannot be compared may still be compared in its representations: then `missing` says why.
    """
    try:
        with running_errors("its weights cannot be compared"):
            if tuned.source.is_adapter:
                # On weights of its own, an adapter may have replaced some of the base model's.
                before = None if base.carries(model) else _base_weights(base)
                found = compare_adapter(model, blocks_path=blocks_path, stack=base.options.stack, base=before)
                skipped = [line for line in found.not_compared if CANNOT_MERGE in line]
                more = f", and so are {len(skipped) - 1} more" if len(skipped) > 1 else ""
                notes = (
                    [f"The change of its weights is not that of all of them: {skipped[0]}{more}."] if skipped else []
                )
            else:
                found = compare_weights(_base_weights(base), tuned.source, blocks_path)
                notes = [f"The change of its weights: {line}." for line in found.resized]
                if found.rounds_to_base is not None:
                    notes.append(
                        f"Its weights, rounded to {found.rounds_to_base}, are those of the base model: all of its drift is the rounding of the "
                        "base model's files, and nothing is known to have moved. Were base and tuned model exchanged?"
                    )
            return WeightChanges(found.changes, notes=tuple(notes))
    except RepdriftError as error:
        return WeightChanges([], str(error))


def run_randomly_changed(
    base: BaseModel,
    name: str,
    changes: WeightChanges,
    run: Callable[[nn.Module], T],
    missing: Callable[[Gap], None],
) -> T | None:
    """Runs the base model after a random change as large as that of the model `name`, and returns what `run` returns.

    The base model is freed after it, since its weights are changed in place. Where there can be no such control it
    returns None, and `missing` gets the reason; the model itself is compared all the same.
    """
    if changes.missing is not None:
        missing(Gap(name, "weights", changes.missing))
    options = base.options
    if not options.controls or not changes.modules:
        return None
    try:
        with running_errors("it cannot be run"), base.without_adapters() as model:
            apply_random_change(model, changes.modules, options.seed, blocks_path=options.blocks, stack=options.stack)
            return run(model)
    except RepdriftError as error:
        missing(Gap(name, "random change", reason_of(error)))
        return None
    finally:
        base.free()


def with_weights(layers: Sequence[LayerDrift], changes: WeightChanges) -> list[LayerDrift]:
    """Adds to each layer how far its weights moved."""
    measured = layer_weight_measures(changes.modules)
    return [at.model_copy(update={"weights": measured.get(at.layer, {})}) for at in layers]


def _base_weights(base: BaseModel) -> ModelSource | nn.Module:
    """The loaded base model in place of a GGUF file, whose weights are slow to decode; else the files."""
    if base.source.gguf_file is None or base.options.compute_dtype != "float32" or base.loaded is None:
        return base.source
    return base.loaded
