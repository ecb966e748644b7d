"""How many tokens a batch may hold, and what to do when memory runs out all the same."""

from __future__ import annotations

from typing import Any

import torch

DEFAULT_TOKEN_BUDGET = 4096
DEFAULT_MEMORY_CAP_BYTES = 128 << 20
"""For the hidden states of one batch on the CPU, so that a model takes itself and well under half a gigabyte more."""

_LEAST_TOKENS, _MOST_TOKENS = 256, 16384
_SHARE_OF_FREE_DEVICE_MEMORY = 4
_WIDTH_FIELDS = ("hidden_size", "d_model", "n_embd", "dim", "word_embed_proj_dim")
_INNER_FIELDS = ("intermediate_size", "ffn_dim", "d_ff", "n_inner", "ffn_hidden_size", "hidden_dim")


def auto_token_budget(
    config: Any, *, itemsize: int, captured_bytes_per_token: int = 0, cap_bytes: int | None = None
) -> int:
    """Tokens of a batch whose activations take about `cap_bytes` (None: `DEFAULT_MEMORY_CAP_BYTES`, or a quarter of what
    is free on the accelerator); between 256 and 16,384, and 4,096 where the configuration tells no width.

    An estimate from the widths of one block: six hidden states and three inner ones live at once. itemsize: bytes of one
    number. captured_bytes_per_token: what is held beside it until the batch is done.
    """
    width, inner = _first(config, _WIDTH_FIELDS), _first(config, _INNER_FIELDS)
    if width is None:
        return DEFAULT_TOKEN_BUDGET
    per_token = itemsize * (6 * width + 3 * (inner or 4 * width)) + captured_bytes_per_token
    if getattr(config, "_attn_implementation", None) == "eager":
        heads = _first(config, ("num_attention_heads", "n_head", "n_heads")) or 1
        per_token += 2 * itemsize * heads * 512  # the scores of a row, at the usual greatest length
    cap = cap_bytes if cap_bytes is not None else _default_cap()
    return max(_LEAST_TOKENS, min(_MOST_TOKENS, cap // per_token))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on any device: torch names it differently on each."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "can't allocate memory", "not enough memory", "DefaultCPUAllocator")
    )


def _default_cap() -> int:
    if torch.cuda.is_available():
        return max(DEFAULT_MEMORY_CAP_BYTES, torch.cuda.mem_get_info()[0] // _SHARE_OF_FREE_DEVICE_MEMORY)
    return DEFAULT_MEMORY_CAP_BYTES


def _first(config: Any, fields: tuple[str, ...]) -> int | None:
    for field in fields:
        value = getattr(config, field, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None
