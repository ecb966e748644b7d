"""The size-matched control of a run: which change is matched, and the base model moved by noise of its size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import ModuleChange, RandomChange, SetMetadata, changes_digest
from repdrift.extraction.options import ExtractionOptions
from repdrift.weights import apply_random_change


@dataclass(frozen=True)
class MatchedChange:
    """How far training moved every weight of one run's model, to be matched by noise from `noise_seed`.

    method: the run's. changes: of its set's metadata. not_compared: the weights outside of them, each with the reason.
    """

    method: str
    noise_seed: int
    changes: tuple[ModuleChange, ...]
    not_compared: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: SetMetadata) -> MatchedChange:
        """The change of the run whose set says `run`; its seed is the noise's too, so that every run has noise of its own.

        Raises ModelError, saying why, if the set does not tell how far the weights moved, or none did.
        """
        changes = [change for change in run.weight_changes or () if change.change_norm > 0.0]
        if not changes:
            raise ModelError(f"how far training moved the weights is not known: {_why_not(run)}")
        if run.seed is None:
            raise ModelError(f"a set of method {run.method!r} without a seed is no run's")
        return cls(run.method, run.seed, tuple(changes), tuple(run.weights_not_compared or ()))

    def for_key(self) -> dict[str, Any]:
        """What determines the noise, beside the base model."""
        return {"noise_seed": self.noise_seed, "changes": changes_digest(self.changes)}

    def apply(self, model: nn.Module, options: ExtractionOptions) -> RandomChange:
        """Move `model`, the base model on the CPU, in place; returns what was done.

        The noise has full rank, for LoRA's changes too. Raises ModelError as `apply_random_change` does: the changes are of
        another model, or the model's precision is too coarse for them; then `model` is spoilt.
        """
        applied = apply_random_change(
            model, self.changes, self.noise_seed, blocks_path=options.blocks, stack=options.stack
        )
        return RandomChange(
            method=self.method,
            noise_seed=self.noise_seed,
            changes_digest=changes_digest(self.changes),
            weights_moved=len(applied),
            change_norm=math.hypot(*(weight.applied_norm for weight in applied)),
            largest_norm_error=max(abs(weight.applied_norm / weight.change_norm - 1.0) for weight in applied),
            not_moved=list(self.not_compared),
        )


def _why_not(run: SetMetadata) -> str:
    if run.weight_changes:
        return "it moved none of them"
    if run.weights_not_compared:
        return "; ".join(run.weights_not_compared[:3])
    return "they were not compared with the base model's (`weights: false` under `extraction` in the study)"
