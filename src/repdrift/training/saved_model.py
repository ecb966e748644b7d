"""Saves a trained model, or nothing: a disk that is full is said with the run, the bytes needed and the bytes free."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from torch import nn

from repdrift.core.atomic import is_no_space, storage_errors
from repdrift.core.errors import StorageError
from repdrift.training.tuning_kind import TunedModel


def save_trained(tuned: TunedModel, tokenizer: Any, folder: Path, what: str) -> None:
    """Write weights, configuration and tokenizer to `folder`.

    what: the run in words, for messages. Raises StorageError if the disk does not take them; the weights' size is compared
    with the free space beforehand, so that a full disk is not filled to the last byte first.
    """
    needed = saved_bytes(tuned.model)
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
    if needed > free:
        raise _no_space(folder, what, needed, free)
    with storage_errors(folder):
        try:
            tuned.save_to(tokenizer, folder)
        except Exception as error:
            if is_no_space(folder, error):
                raise _no_space(folder, what, needed, free) from error
            raise


def saved_bytes(model: nn.Module) -> int:
    """Returns the bytes of what is saved of a model: of an adapted one, the weights that were trained; of another, all."""
    is_adapter = hasattr(model, "peft_config")
    return sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad or not is_adapter)


def _no_space(folder: Path, what: str, needed: int, free: int) -> StorageError:
    return StorageError(
        f"{what}: no space left for the trained model in {folder}: its weights take {needed:,} bytes, files beside them some "
        f"more, and {free:,} were free. Nothing of this run is kept. Free some space, or choose another "
        "folder (--results-dir), then run the same command again: the runs that are finished stay, and this one is trained anew."
    )
