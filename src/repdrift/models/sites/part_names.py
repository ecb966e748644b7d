"""Names of the parts of a block, which say where to look for what it adds to the residual stream; the law says what is taken."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Literal

from torch import nn

PartKind = Literal["attention", "cross", "mixer"]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ATTENTION = re.compile(r"att(?:n|ention)", re.IGNORECASE)
_CROSS = re.compile(r"cross|encoder_?(?:att|dec)|enc_?dec", re.IGNORECASE)
_MIXERS = {"mixer", "mamba", "ssm", "recurrent", "rglru", "deltanet", "rwkv", "conv", "hyena", "fourier"}
_MLPS = {"mlp", "moe", "ffn", "forward", "expert", "experts"}


def part_kind(name: str, kind: str, block: str) -> PartKind | None:
    """Tells an attention, an attention on another sequence, and another mixer of tokens apart; None for anything else.

    name: of the module inside its block. kind, block: the classes of module and block; the words that both begin with name the family,
    not the part (in a RecurrentGemma block every class begins with Recurrent).
    """
    own = name.rpartition(".")[2]
    words = _words(kind)
    family = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(words, _words(block), strict=False))))
    part = words[family:]
    text = f"{own} {' '.join(part)}"
    if _ATTENTION.search(text):
        return "cross" if _CROSS.search(f"{own} {''.join(part)}") else "attention"
    return "mixer" if _MIXERS & {*_words(own), *part} else None


def is_norm(module: nn.Module) -> bool:
    """True for a norm, by the name of its class."""
    return "norm" in type(module).__name__.lower()


def is_mlp(name: str, kind: str) -> bool:
    """True for an MLP, or experts that are a part of one, by the names of module and class."""
    return bool(_MLPS & {*_words(name), *_words(kind)})


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
