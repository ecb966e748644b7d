"""The packages and the device that some training options need, asked for before anything is trained."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn

from repdrift.core.errors import ConfigError, MissingDependencyError, StorageError
from repdrift.core.hidden_secrets import cause_without_secrets
from repdrift.stores.remote.wandb_artifact import WANDB_OFF, wandb_mode
from repdrift.training.arms import Arm
from repdrift.training.options import TrainingOptions
from repdrift.training.quantised_layers import require_bitsandbytes

_WITHOUT_WANDB = "Log in with `wandb login`, set WANDB_MODE=offline to keep the log in ./wandb until `wandb sync`, or take wandb out of report_to."


def require_available(options: TrainingOptions, arm: Arm | None = None) -> None:
    """Raises MissingDependencyError for a package that is not installed, ConfigError for an option that needs a GPU where there is none."""
    if arm is not None and getattr(arm.options, "base_bits", None) is not None:
        require_bitsandbytes()
    for service in options.report_to:
        if importlib.util.find_spec(service) is None:
            raise MissingDependencyError.of(service, service, f"report_to: {service}")
        if service == "wandb":
            _require_wandb_login()
    if options.optimizer == "adamw_8bit":
        if not torch.cuda.is_available():
            raise ConfigError(
                "optimizer: adamw_8bit runs on a CUDA GPU, and this machine has none. Take optimizer: adafactor, which needs less "
                "memory still, or adamw."
            )
        if importlib.util.find_spec("bitsandbytes") is None:
            raise MissingDependencyError.of("bitsandbytes", "gpu", "optimizer: adamw_8bit")


def _require_wandb_login() -> None:
    """Raises ConfigError if W&B's client is to send and has no key, or the service refuses the key or does not answer."""
    import wandb

    if wandb_mode(wandb) in WANDB_OFF or "prompt" not in inspect.signature(wandb.login).parameters:
        return
    try:
        is_known = wandb.login(prompt=False)
    except wandb.Error as error:  # a key of a wrong form
        raise ConfigError(f"report_to: wandb: {error}. {_WITHOUT_WANDB}") from cause_without_secrets(error)
    if not is_known:
        raise ConfigError(f"report_to: wandb needs a key of W&B, and this machine has none. {_WITHOUT_WANDB}")


@contextmanager
def reporting_errors(options: TrainingOptions) -> Generator[None]:
    """Turns what W&B's client raises in the block into a StorageError: no network, a key that is refused, a full disk."""
    if "wandb" not in options.report_to:
        yield
        return
    import wandb

    try:
        yield
    except wandb.Error as error:
        raise StorageError(
            f"the training could not be reported to W&B: {error}. {_WITHOUT_WANDB}"
        ) from cause_without_secrets(error)


def require_checkpointable(model: nn.Module, options: TrainingOptions, arm: Arm) -> None:
    """Raises ConfigError if `gradient_checkpointing` is asked for, and transformers has none for this kind of model, or the arm does not go with it."""
    if options.gradient_checkpointing and arm.tuning.against_checkpointing is not None:
        raise ConfigError(f"method {arm.name!r}: {arm.tuning.against_checkpointing}")
    if options.gradient_checkpointing and not getattr(model, "supports_gradient_checkpointing", False):
        raise ConfigError(
            f"gradient_checkpointing: transformers has none for {type(model).__name__}. Leave it out, and take a smaller batch_size "
            "with gradient_accumulation_steps if memory is short."
        )
