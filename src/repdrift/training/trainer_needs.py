"""The packages and the device that some training options need, asked for before anything is trained."""

from __future__ import annotations

import importlib.util

import torch
from torch import nn

from repdrift.core.errors import ConfigError, MissingDependencyError
from repdrift.training.arms import Arm
from repdrift.training.options import TrainingOptions
from repdrift.training.quantised_layers import require_bitsandbytes


def require_available(options: TrainingOptions, arm: Arm | None = None) -> None:
    """Raises MissingDependencyError for a package that is not installed, ConfigError for an option that needs a GPU where there is none."""
    if arm is not None and getattr(arm.options, "base_bits", None) is not None:
        require_bitsandbytes()
    for service in options.report_to:
        if importlib.util.find_spec(service) is None:
            raise MissingDependencyError.of(service, service, f"report_to: {service}")
    if options.optimizer == "adamw_8bit":
        if not torch.cuda.is_available():
            raise ConfigError(
                "optimizer: adamw_8bit runs on a CUDA GPU, and this machine has none. Take optimizer: adafactor, which needs less "
                "memory still, or adamw."
            )
        if importlib.util.find_spec("bitsandbytes") is None:
            raise MissingDependencyError.of("bitsandbytes", "gpu", "optimizer: adamw_8bit")


def require_checkpointable(model: nn.Module, options: TrainingOptions, arm: Arm) -> None:
    """Raises ConfigError if `gradient_checkpointing` is asked for, and transformers has none for this kind of model, or the arm does not go with it."""
    if options.gradient_checkpointing and arm.tuning.against_checkpointing is not None:
        raise ConfigError(f"method {arm.name!r}: {arm.tuning.against_checkpointing}")
    if options.gradient_checkpointing and not getattr(model, "supports_gradient_checkpointing", False):
        raise ConfigError(
            f"gradient_checkpointing: transformers has none for {type(model).__name__}. Leave it out, and take a smaller batch_size "
            "with gradient_accumulation_steps if memory is short."
        )
