"""Parts that wrappers put into the names of a checkpoint's tensors: torch.compile, DDP, FSDP, PEFT."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Some wrap the whole model, some each block, so these may stand anywhere in a name.
_ANYWHERE = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
# Modules of a model may have these names too, so they are a wrapper's only at the very beginning.
_LEADING = rf"^(?:(?:base_model\.model|module|{'|'.join(_ANYWHERE)})\.)+(?=.)"
_INSIDE = rf"(?<=\.)(?:(?:{'|'.join(_ANYWHERE)})\.)+"
WRAPPER_PATTERNS = (_LEADING, _INSIDE)
"""What is taken off, in this order. Each pattern takes all of its parts at once, since a renaming of transformers runs once."""

_ADAPTER_MARKS = (".base_layer.", ".lora_A.", ".lora_B.", ".lora_embedding_A", ".modules_to_save.", ".original_module.")


def unwrapped_name(name: str) -> str:
    """Returns a tensor's name without the parts that wrappers put into it."""
    for pattern in WRAPPER_PATTERNS:
        name = re.sub(pattern, "", name)
    return name


def wrappers_in(names: Iterable[str]) -> list[str]:
    """Returns the parts of `names` that wrappers put there, each once, in the order of their appearance."""
    found: dict[str, None] = {}
    for name in names:
        rest = name
        for pattern in WRAPPER_PATTERNS:
            found |= dict.fromkeys(match[0] for match in re.finditer(pattern, rest))
            rest = re.sub(pattern, "", rest)
    return list(found)


def adapter_part(names: Iterable[str]) -> str | None:
    """Returns the first name that an adapter which was not merged leaves in the weights of a full model, or None."""
    return next((name for name in names if any(mark in name for mark in _ADAPTER_MARKS)), None)
