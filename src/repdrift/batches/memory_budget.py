"""Memory: how many tokens a batch may hold, and which errors say that it ran out."""

from __future__ import annotations

from typing import Any

import torch

from repdrift.models.dimensions import inner_width_of, text_config, width_of

DEFAULT_TOKEN_BUDGET = 4096
DEFAULT_MEMORY_CAP_BYTES = 32 << 20
"""For the activations of one batch on a CPU: about 1,000 tokens of a small model. Larger batches gain nothing there and lose
the caches: beside 128 MiB, SmolLM2-135M was 5 to 10 % faster on two idle cores, and 1.5 times as fast on a busy one."""

_LEAST_TOKENS, _MOST_TOKENS = 256, 16384
_LEAST_DEVICE_CAP_BYTES = 128 << 20
_PART_OF_FREE_DEVICE_MEMORY = 4
_USUAL_MAX_LENGTH = 512


def auto_token_budget(
    config: Any, *, itemsize: int, captured_bytes_per_token: int = 0, cap_bytes: int | None = None
) -> int:
    """Number of tokens in a batch whose activations take about `cap_bytes`, between 256 and 16,384.

    This is an estimate from the widths of one block: six hidden states and three inner ones are in memory at once.
    config: the model's; if it tells no width, the answer is 4,096. itemsize: bytes of one number.
    captured_bytes_per_token: bytes kept until the batch is done, beside the activations.
    cap_bytes: None means 32 MiB, or a quarter of the free memory of the accelerator.
    """
    config = text_config(config)
    width = width_of(config)
    if width is None:
        return DEFAULT_TOKEN_BUDGET
    per_token = itemsize * (6 * width + 3 * (inner_width_of(config) or 4 * width)) + captured_bytes_per_token
    if getattr(config, "_attn_implementation", None) == "eager":
        per_token += 2 * itemsize * _attention_heads(config) * _USUAL_MAX_LENGTH  # the attention scores of one token
    cap = cap_bytes if cap_bytes is not None else _default_cap()
    return max(_LEAST_TOKENS, min(_MOST_TOKENS, cap // per_token))


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that memory ran out; each kind of device says it differently."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "can't allocate memory", "not enough memory", "DefaultCPUAllocator")
    )


def _default_cap() -> int:
    if torch.cuda.is_available():
        return max(_LEAST_DEVICE_CAP_BYTES, torch.cuda.mem_get_info()[0] // _PART_OF_FREE_DEVICE_MEMORY)
    return DEFAULT_MEMORY_CAP_BYTES


def _attention_heads(config: Any) -> int:
    counts = (getattr(config, field, None) for field in ("num_attention_heads", "n_head", "n_heads"))
    return next((count for count in counts if isinstance(count, int) and count > 0), 1)
