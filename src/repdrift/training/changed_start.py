"""LoRA whose start moved a part of the base weights into the adapter, saved as plain LoRA on the untouched base model.

PiSSA and OLoRA begin with W = (W - s B0 A0) + s B0 A0, and train B and A. The change of the base weight is then
s (B A - B0 A0), which is plain LoRA of twice the rank: s [B, -B0] [A; A0]. Such a file says nothing of the start, so it
loads on any machine, while the start itself is a singular value decomposition, whose last bits differ between machines.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repdrift.models import quiet_transformers

_A, _B = "lora_A", "lora_B"


def start_of(tuned: Any) -> dict[str, Tensor]:
    """The factors that the adapter of peft's model `tuned` has before training, by name, as copies on the CPU."""
    return {name: tensor.cpu().clone() for name, tensor in _state(tuned).items() if _A in name or _B in name}


def save_as_plain_lora(tuned: Any, start: dict[str, Tensor], tokenizer: Any, folder: Path) -> None:
    """Write the adapter to `folder` as plain LoRA on the base model before its start. start: from `start_of`."""
    from safetensors.torch import save_file

    state = {name: tensor.cpu() for name, tensor in _state(tuned).items()}
    for name, before in start.items():
        after = state[name]
        state[name] = torch.cat([after, before]) if _A in name else torch.cat([after, -before], dim=1)
    config = deepcopy(tuned.peft_config["default"])
    scale = config.lora_alpha / (config.r**0.5 if config.use_rslora else config.r)
    config.r, config.lora_alpha = 2 * config.r, scale * 2 * config.r
    config.use_rslora, config.init_lora_weights, config.inference_mode = False, True, True
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()},
        folder / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    with quiet_transformers():
        config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _state(tuned: Any) -> dict[str, Tensor]:
    from peft import get_peft_model_state_dict

    return get_peft_model_state_dict(tuned)
