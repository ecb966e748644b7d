"""Names of weights that are the same in two models, although the two name their backbone differently.

A checkpoint with a task head has its backbone under a prefix ("bert.", "model."), one without a head has no prefix, and some
heads use a prefix of their own. The prefix is what stands before the path of the blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from repdrift.core.errors import ModelError
from repdrift.weights.named_tensors import NamedTensor, NamedTensors

_WRAPPED = ("base_layer", "original_module", "token_adapter")
_SECOND_STACK = re.compile(r"^([^.]+)\..*\.\d+\.")
"""The name of a weight in a numbered block somewhere inside the part that is captured."""


@dataclass(frozen=True)
class WeightName:
    """The name of one weight; written as "layer 3, output.dense.weight" in messages.

    layer: the number of the weight's block, or None for a weight outside all blocks. name: the weight's name inside its
    block, or inside the backbone where `layer` is None. in_head: True for a weight beside the backbone, whose name is that in
    the whole model.
    """

    layer: int | None
    name: str
    in_head: bool = False

    def __str__(self) -> str:
        return self.name if self.layer is None else f"layer {self.layer}, {self.name}"


@dataclass(frozen=True)
class TensorNames:
    """The names that one model gives its tensors: `backbone` by weight, `outside` for those of heads and other parts."""

    backbone: dict[WeightName, str]
    outside: list[str]


@dataclass(frozen=True)
class MatchedNames:
    """The names in two models; equal keys of `base.backbone` and `tuned.backbone` are the same weight."""

    base: TensorNames
    tuned: TensorNames


def match_names(base: NamedTensors, tuned: NamedTensors, blocks_path: str) -> MatchedNames:
    """Find the backbone in the names of both models.

    blocks_path: name of the list of blocks inside the backbone, as `find_blocks` gives it ("encoder.layer").
    Where a model has several lists of that name, an encoder's is taken rather than a decoder's, as `backbone_of` does;
    among the rest, the pair of lists with most names in common.
    Raises ModelError if a model has no such blocks, or the two have no weight in common.
    """
    in_base, in_tuned = _blocks_by_prefix(base, blocks_path), _blocks_by_prefix(tuned, blocks_path)
    pairs = [(p, q) for p in in_base for q in in_tuned]
    common = {(p, q): len(in_base[p] & in_tuned[q]) for p, q in pairs}
    best = max(pairs, key=lambda pair: (common[pair], -len(pair[0]) - len(pair[1])))
    if not common[best]:
        shown = [
            f"{model.where} has {min(names[prefix])[1]}"
            for model, names, prefix in ((base, in_base, best[0]), (tuned, in_tuned, best[1]))
        ]
        raise ModelError(
            f"the blocks {blocks_path!r} of the two models have no weight in common: {', '.join(shown)}. Was one tuned from the other?"
        )
    return MatchedNames(_names_under(base, blocks_path, best[0]), _names_under(tuned, blocks_path, best[1]))


def own_name(name: str) -> str:
    """A module's or a parameter's name without the names that peft gives to what is inside its wrappers."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPED)


def weight_name(parameter: str, blocks_path: str) -> WeightName:
    """Returns the name of a parameter or a module of the backbone, without what peft adds to it."""
    name = own_name(parameter)
    number, _, rest = name.removeprefix(f"{blocks_path}.").partition(".")
    if name.startswith(f"{blocks_path}.") and number.isdecimal():
        return WeightName(int(number), rest)
    return WeightName(None, name)


def names_of_base(model: NamedTensors, blocks_path: str) -> dict[WeightName, NamedTensor]:
    """The tensors of the backbone of one model by weight: of the list of blocks with most tensors, where several have that name."""
    found = _blocks_by_prefix(model, blocks_path)
    prefix = max(found, key=lambda start: (len(found[start]), -len(start)))
    return {weight: model.tensors[name] for weight, name in _names_under(model, blocks_path, prefix).backbone.items()}


def heads_of_base(model: NamedTensors, blocks_path: str) -> dict[str, NamedTensor]:
    """The tensors of heads of one model by their whole names: outside its backbone and outside every second stack of blocks."""
    found = _blocks_by_prefix(model, blocks_path)
    prefix = max(found, key=lambda start: (len(found[start]), -len(start)))
    return {name: model.tensors[name] for name in heads_among(_names_under(model, blocks_path, prefix).outside)}


def heads_among(outside: Iterable[str]) -> list[str]:
    """Returns the names outside a backbone that belong to heads.

    A second stack of blocks, as a decoder or a vision tower, is no head, and neither is anything else under its first name.
    """
    names = sorted(set(outside))
    stacks = {match[1] for name in names if (match := _SECOND_STACK.match(name))}
    return [name for name in names if name.partition(".")[0] not in stacks]


def in_order(weights: Iterable[WeightName]) -> list[WeightName]:
    """Returns `weights` sorted: blocks by number, then the weights outside all blocks, then those of heads; by name within each."""
    return sorted(weights, key=lambda weight: (weight.layer is None, weight.layer or 0, weight.in_head, weight.name))


def _blocks_by_prefix(model: NamedTensors, blocks_path: str) -> dict[str, set[tuple[int, str]]]:
    """Block number and name of every weight in a list called `blocks_path`, by what stands before that name."""
    # The outermost list of that name: what comes before it is the prefix.
    pattern = re.compile(rf"(?:^|(?<=\.)){re.escape(blocks_path)}\.(\d+)\.(.+)$")
    found: dict[str, set[tuple[int, str]]] = {}
    for name in model.tensors:
        if match := pattern.search(name):
            found.setdefault(name[: match.start()], set()).add((int(match[1]), match[2]))
    if any(_last_part(prefix) == "encoder" for prefix in found):
        found = {prefix: names for prefix, names in found.items() if _last_part(prefix) != "decoder"}
    if not found:
        shown = ", ".join(sorted(model.tensors)[:3]) or "nothing"
        raise ModelError(
            f"{model.where} has no blocks named {blocks_path!r}; it holds {shown}, ... Are the two models of one architecture?"
        )
    return found


def _last_part(prefix: str) -> str:
    return prefix.rstrip(".").rpartition(".")[2]


def _names_under(model: NamedTensors, blocks_path: str, prefix: str) -> TensorNames:
    start = f"{prefix}{blocks_path}."
    backbone: dict[WeightName, str] = {}
    outside: list[str] = []
    for name in model.tensors:
        number, _, rest = name.removeprefix(start).partition(".") if name.startswith(start) else ("", "", "")
        if number.isdecimal() and rest:
            backbone[WeightName(int(number), rest)] = name
        elif name.startswith(prefix):
            backbone[WeightName(None, name.removeprefix(prefix))] = name
        else:
            outside.append(name)
    return TensorNames(backbone, outside)
