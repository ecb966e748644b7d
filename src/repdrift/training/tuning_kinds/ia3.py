"""(IA)3 (Liu et al. 2022): one factor for each feature of keys, values and the inner layer of the MLP."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from repdrift.training.adapter_tuning import with_adapter
from repdrift.training.tuning_kind import KindOptions, TunedModel, TuningKind, modules_named, tuning_kinds


class Ia3Options(KindOptions):
    """Options of (IA)3, in peft's terms."""

    target_modules: tuple[str, ...] | None = Field(
        default=None,
        description="Endings of the scaled modules' names; null takes those that peft knows for the model.",
    )
    feedforward_modules: tuple[str, ...] | None = Field(
        default=None, description="Those of target_modules whose input is scaled instead of the output (the MLP's)."
    )


class Ia3(TuningKind[Ia3Options]):
    """Trains factors of activations, and the task's new head."""

    name = "ia3"
    title = "(IA)3"
    options = Ia3Options
    usual_rates = (1e-3, 1e-2)

    def prepare(self, model: nn.Module, options: Ia3Options, task_kind: str) -> TunedModel:
        """Put the factors on `model`."""
        from peft import IA3Config

        config = IA3Config(
            target_modules=list(options.target_modules) if options.target_modules else None,
            feedforward_modules=list(options.feedforward_modules) if options.feedforward_modules else None,
        )
        next_step = f"Set target_modules and feedforward_modules to some of: {modules_named(model)}."
        return TunedModel.of(with_adapter(model, config, task_kind, what=self.title, next_step=next_step))

    def runs_by_block(self, options: Ia3Options) -> bool:
        """Returns False: only the matrices of plain LoRA are read block by block."""
        del options
        return False


tuning_kinds.add("ia3", Ia3())
