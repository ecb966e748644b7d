"""Full fine-tuning: every parameter trains."""

from __future__ import annotations

from torch import nn

from repdrift.training.tuning_kind import KindOptions, TunedModel, TuningKind, tuning_kinds


class FullOptions(KindOptions):
    """Full fine-tuning has no options of its own."""


class FullFinetuning(TuningKind[FullOptions]):
    """Trains every parameter."""

    name = "full_finetune"
    title = "full fine-tuning"
    options = FullOptions
    usual_rates = (1e-5, 1e-4)

    def prepare(self, model: nn.Module, options: FullOptions, task_kind: str) -> TunedModel:
        """Leave every parameter with its gradient."""
        del options, task_kind
        return TunedModel.of(model)


tuning_kinds.add("full_finetune", FullFinetuning())
