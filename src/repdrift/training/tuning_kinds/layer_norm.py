"""Normalisation layers only: their scales and, where they have them, shifts."""

from __future__ import annotations

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models import headless
from repdrift.training.tuning_kind import KindOptions, TunedModel, TuningKind, train_only, tuning_kinds


class LayerNormOptions(KindOptions):
    """Training of normalisation layers has no options of its own."""


class LayerNorm(TuningKind[LayerNormOptions]):
    """Trains every normalisation layer and the task's new head."""

    name = "layer_norm"
    title = "LayerNorm only"
    options = LayerNormOptions

    def prepare(self, model: nn.Module, options: LayerNormOptions, task_kind: str) -> TunedModel:
        """Give gradients to the normalisation layers of `model` and its head. Raises ModelError if it has none."""
        del options
        norms = [module for module in headless(model).modules() if "norm" in type(module).__name__.lower()]
        chosen = [parameter for module in norms for parameter in module.parameters(recurse=False)]
        if not chosen:
            raise ModelError(f"{type(model).__name__} has no normalisation layer with parameters to train")
        train_only(model, chosen, head=task_kind != "causal_lm")
        return TunedModel.of(model)


tuning_kinds.add("layer_norm", LayerNorm())
