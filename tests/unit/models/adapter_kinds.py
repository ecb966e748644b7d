"""An adapter of every kind that the installed peft has, and of every initialisation of LoRA, on a tiny Llama.

Every trained tensor is moved off its start, so that an adapter that did not arrive is seen.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

KIND_OPTIONS: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10},
    "ADAPTION_PROMPT": {"adapter_len": 4, "adapter_layers": 1, "target_modules": None},
    "BOFT": {"boft_block_size": 4},
    "C3A": {"block_size": 4},
    "CARTRIDGE": {"num_virtual_tokens": 4},
    "CPT": {"cpt_token_ids": [1, 2], "cpt_mask": [1, 1], "cpt_tokens_type_mask": [1, 1]},
    "FOURIERFT": {"n_frequency": 20},
    "IA3": {"target_modules": ["q_proj", "down_proj"], "feedforward_modules": ["down_proj"]},
    "LN_TUNING": {"target_modules": ["input_layernorm"]},
    "MULTITASK_PROMPT_TUNING": {"num_virtual_tokens": 4, "num_tasks": 1},
    "OFT": {"r": 0, "oft_block_size": 4},
    "P_TUNING": {"num_virtual_tokens": 4},
    "PREFIX_TUNING": {"num_virtual_tokens": 4},
    "PROMPT_TUNING": {"num_virtual_tokens": 4},
    "ROAD": {"group_size": 8},
    "SHADOW": {"target_modules": None},
    "TRAINABLE_TOKENS": {"token_indices": [1, 2, 5], "target_modules": ["embed_tokens"]},
    "VBLORA": {"r": 2, "num_vectors": 8, "vector_length": 8, "topk": 2},
    "WAVEFT": {"n_frequency": 20},
}
"""Options that a kind needs on a model this small; a kind that is not here gets rank 4 on q_proj and v_proj."""


def lora_initialisations() -> list[Any]:
    """Every value of `init_lora_weights` that the installed peft names, read from its own type."""
    from peft import LoraConfig

    annotation = str(LoraConfig.__dataclass_fields__["init_lora_weights"].type)
    named = re.findall(r"'([^']+)'", annotation)
    assert "pissa" in named
    return [True, False, *(name.replace("[number of iters]", "4") for name in named)]


def save_kind(base: Path, folder: Path, kind: str, **options: Any) -> Any:
    """Save an adapter of this kind on `base`, a Llama, and return the model of peft that it was saved from.

    Raises what peft raises if it cannot make one without data or another model.
    """
    from peft import get_peft_model
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    config = PEFT_TYPE_TO_CONFIG_MAPPING[kind]  # pyright: ignore[reportArgumentType]
    chosen = {
        "task_type": "CAUSAL_LM",
        "r": 4,
        "target_modules": ["q_proj", "v_proj"],
        **KIND_OPTIONS.get(kind, {}),
        **options,
    }
    return save_moved(
        base, folder, config(**{k: v for k, v in chosen.items() if k in config.__dataclass_fields__}), get_peft_model
    )


def save_moved(base: Path, folder: Path, config: Any, put_on: Any, kind_of_model: Any = None) -> Any:
    """Put an adapter on `base`, a Llama unless said otherwise, move its trained tensors, save it, and return the model of peft."""
    from transformers import LlamaForCausalLM

    torch.manual_seed(5)
    model = put_on((kind_of_model or LlamaForCausalLM).from_pretrained(base), config)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    model.eval().save_pretrained(folder, save_embedding_layers=False)
    return model
