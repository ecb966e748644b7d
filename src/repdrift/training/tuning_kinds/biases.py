"""Biases only (BitFit, Ben Zaken et al. 2022)."""

from __future__ import annotations

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models import headless
from repdrift.training.tuning_kind import KindOptions, TunedModel, TuningKind, train_only, tuning_kinds


class BiasesOptions(KindOptions):
    """Training of biases has no options of its own."""


class Biases(TuningKind[BiasesOptions]):
    """Trains every bias and the task's new head."""

    name = "biases"
    title = "biases only"
    options = BiasesOptions

    def prepare(self, model: nn.Module, options: BiasesOptions, task_kind: str) -> TunedModel:
        """Give gradients to the biases of `model` and its head. Raises ModelError for a model without biases."""
        del options
        chosen = [p for name, p in headless(model).named_parameters() if name.rsplit(".", 1)[-1] == "bias"]
        if not chosen:
            raise ModelError(
                f"{type(model).__name__} has no biases to train; kinds that fit it are layer_norm, layers and lora"
            )
        train_only(model, chosen, head=task_kind != "causal_lm")
        return TunedModel.of(model)


tuning_kinds.add("biases", Biases())
