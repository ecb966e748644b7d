"""The size-matched control of a run: the base model, moved at random as far as training moved it."""

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
    """The sizes of the changes that training made to the weights of one run's model, to be matched by noise.

    method: of the run. noise_seed: the noise is drawn from it. changes: one for each changed weight, from the metadata of
    the run's set. not_compared: weights that are not among them, each with the reason.
    """

    method: str
    noise_seed: int
    changes: tuple[ModuleChange, ...]
    not_compared: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: SetMetadata) -> MatchedChange:
        """Returns the change that the metadata `run` records. The noise has the run's seed, so every run has its own noise.

        Raises ModelError, with the reason, if the metadata does not tell how far the weights moved, or none moved.
        """
        changes = [change for change in run.weight_changes or () if change.change_norm > 0.0]
        if not changes:
            raise ModelError(f"how far training moved the weights is not known: {_why_not(run)}")
        if run.seed is None:
            raise ModelError(f"a set of method {run.method!r} that has no seed does not come from a training run")
        return cls(run.method, run.seed, tuple(changes), tuple(run.weights_not_compared or ()))

    def for_key(self) -> dict[str, Any]:
        """Everything that determines the noise, apart from the base model."""
        return {"noise_seed": self.noise_seed, "changes": changes_digest(self.changes)}

    def apply(self, model: nn.Module, options: ExtractionOptions) -> RandomChange:
        """Move `model`, the base model on the CPU, in place, and return what was done.

        The noise has full rank, also where the change is LoRA's. Raises ModelError if the changes are those of another
        model, or if the model's number format is too coarse for them; the model is then of no further use.
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
        return "training moved none of them"
    if run.weights_not_compared:
        return "; ".join(run.weights_not_compared[:3])
    return (
        "they were not compared with the base model's (`repdrift extract --no-weights`, or `weights: false` under "
        "`extraction` in the study). Delete the run's set and extract it again with weights"
    )
