"""Which weight of one model is which of another, where the two name their backbone differently.

A checkpoint with a task head has its backbone under a prefix ("bert.", "model."), one without has not; some heads use
another prefix than their base model's checkpoints do. What stands before the path of the blocks is that prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from repdrift.core.errors import ModelError
from repdrift.weights.named_tensors import NamedTensors

Place = tuple[int | None, str]
"""A weight's block and its name inside it; None and its name inside the backbone for one outside all blocks."""


@dataclass(frozen=True)
class Located:
    """The names of one model: those of its backbone by place, and those outside it (heads)."""

    backbone: dict[Place, str]
    outside: list[str]


def locate_both(base: NamedTensors, tuned: NamedTensors, blocks_path: str) -> tuple[Located, Located]:
    """Find the backbone in both models' names, so that equal places are the same weight.

    blocks_path: name of the list of blocks inside the backbone, as `find_blocks` gives it ("encoder.layer").
    Where a model has several lists of that name, an encoder's is meant rather than a decoder's, as in `backbone_of`; then
    the pair that has most names in common.
    Raises ModelError if either has no such blocks, or they have no weight in common.
    """
    found = [_blocks_by_prefix(side, blocks_path) for side in (base, tuned)]
    pairs = [(p, q) for p in found[0] for q in found[1]]
    common = {(p, q): len(found[0][p] & found[1][q]) for p, q in pairs}
    best = max(pairs, key=lambda pair: (common[pair], -len(pair[0]) - len(pair[1])))
    if not common[best]:
        shown = [
            f"{side.where} has {min(names[p])[1]}" for side, names, p in zip((base, tuned), found, best, strict=True)
        ]
        raise ModelError(f"the blocks {blocks_path!r} of the two models have no weight in common: {', '.join(shown)}.")
    return tuple(_located(side, blocks_path, prefix) for side, prefix in zip((base, tuned), best, strict=True))  # pyright: ignore[reportReturnType]


def in_order(places: Iterable[Place]) -> list[Place]:
    """Blocks by number, then what lies outside them; names sorted."""
    return sorted(places, key=lambda place: (place[0] is None, place[0] or 0, place[1]))


def _blocks_by_prefix(side: NamedTensors, blocks_path: str) -> dict[str, set[tuple[int, str]]]:
    # The outermost list of that name: what comes before it is the prefix.
    pattern = re.compile(rf"(?:^|(?<=\.)){re.escape(blocks_path)}\.(\d+)\.(.+)$")
    found: dict[str, set[tuple[int, str]]] = {}
    for name in side.tensors:
        if match := pattern.search(name):
            found.setdefault(name[: match.start()], set()).add((int(match[1]), match[2]))
    if any(_part(prefix) == "encoder" for prefix in found):
        found = {prefix: names for prefix, names in found.items() if _part(prefix) != "decoder"}
    if not found:
        shown = ", ".join(sorted(side.tensors)[:3]) or "nothing"
        raise ModelError(f"{side.where} has no blocks named {blocks_path!r}; it holds {shown}, ...")
    return found


def _part(prefix: str) -> str:
    return prefix.rstrip(".").rpartition(".")[2]


def _located(side: NamedTensors, blocks_path: str, prefix: str) -> Located:
    start = f"{prefix}{blocks_path}."
    backbone: dict[Place, str] = {}
    outside: list[str] = []
    for name in side.tensors:
        number, _, rest = name.removeprefix(start).partition(".") if name.startswith(start) else ("", "", "")
        if number.isdecimal() and rest:
            backbone[int(number), rest] = name
        elif name.startswith(prefix):
            backbone[None, name.removeprefix(prefix)] = name
        else:
            outside.append(name)
    return Located(backbone, outside)
