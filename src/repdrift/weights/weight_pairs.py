"""The weights that two checkpoints of one architecture have in common, paired by name and read one pair at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from repdrift.core.errors import ModelError
from repdrift.weights.named_tensors import NamedTensor, NamedTensors
from repdrift.weights.weight_comparison import outside_backbone
from repdrift.weights.weight_names import MatchedNames, TensorNames, WeightName, heads_among, in_order, match_names

_FINENESS = ("float64", "float32", "float16", "bfloat16")
_NO_WEIGHTS = ("position_ids", "inv_freq")
"""Ends of the names of constants that older files hold beside the weights."""


@dataclass(frozen=True)
class CommonRows:
    """Numbers of rows of one matrix outside the blocks, such as an embedding whose vocabulary was resized."""

    base: int
    tuned: int

    @property
    def common(self) -> int:
        """The number of rows that both models have."""
        return min(self.base, self.tuned)

    def note(self, name: str) -> str:
        """Says in words which rows of the matrix `name` were compared."""
        return f"{name} has {self.tuned} rows, in the base model {self.base}: the {self.common} rows that both have were compared"


@dataclass(frozen=True, order=True)
class _Precision:
    """The coarseness of the numbers of a weight in its files; the coarser one is the greater."""

    place: tuple[int, int]
    words: str


def _precision(of: NamedTensor) -> _Precision | None:
    if of.dtype is None:
        return None
    if of.bits is not None:
        return _Precision((1, -of.bits), f"{of.bits} bits a number")
    return _Precision((0, _FINENESS.index(of.dtype)), of.dtype)


@dataclass(frozen=True)
class WeightPair:
    """One weight in both models, not read yet.

    name: its name in the base model. rows: set where only the rows that both have are compared.
    """

    weight: WeightName
    name: str
    base: NamedTensor
    tuned: NamedTensor
    rows: CommonRows | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is compared."""
        return self.base.shape if self.rows is None else (self.rows.common, *self.base.shape[1:])

    @property
    def note(self) -> str | None:
        """The part of the change that a comparison of the two does not cover, or None."""
        notes = [self.precision_note, self.rows and self.rows.note(self.name)]
        return "; ".join(note for note in notes if note) or None

    @property
    def precision_note(self) -> str | None:
        """Says in words that the two are kept in different types, or None. A finer tuned model may come from this base, or from a finer one."""
        one, other = _precision(self.base), _precision(self.tuned)
        if one is None or other is None or one == other:
            return None
        is_coarser = other > one
        part = "is rounding" if is_coarser else "may be the rounding of the base model's files"
        return f"{one.words} in the base model, {other.words} in the tuned one: part of the change {part}"

    def read_base(self) -> torch.Tensor:
        """Reads the part of the base model's weight that is compared."""
        return self.base.read()[: self.rows and self.rows.common]

    def read_tuned(self) -> torch.Tensor:
        """Reads the part of the tuned model's weight that is compared."""
        return self.tuned.read()[: self.rows and self.rows.common]


@dataclass(frozen=True)
class WeightPairs:
    """The weights that both models have, blocks first, and a line with the reason for each left out."""

    pairs: list[WeightPair]
    not_compared: list[str]


def weight_pairs(before: NamedTensors, after: NamedTensors, blocks_path: str, *, heads: bool = False) -> WeightPairs:
    """Pairs the weights of the backbone of two models, and with `heads` those of heads that both models have.

    blocks_path: name of the list of blocks inside the backbone, as `find_blocks` gives it. Weights that only one model has,
    tied copies, tensors without ordinary floats, and all of a second stack of blocks are left out with the reason.
    Raises ModelError if the blocks are absent, or a weight has two shapes that differ in more than the rows of an embedding.
    """
    names = match_names(before, after, blocks_path)
    in_base, in_tuned = names.base, names.tuned
    not_compared = [*_only_in(in_base, in_tuned, "base", before), *_only_in(in_tuned, in_base, "tuned", after)]
    shared = {
        w: (in_base.backbone[w], in_tuned.backbone[w]) for w in in_base.backbone.keys() & in_tuned.backbone.keys()
    }
    if heads:
        of_heads = _shared_heads(before, after, names)
        shared |= {WeightName(None, name, in_head=True): (name, name) for name in of_heads}
        not_compared += outside_backbone(_outside(in_base, in_tuned, not_compared, of_heads))
    else:
        not_compared += outside_backbone(_outside(in_base, in_tuned, not_compared))
    pairs: list[WeightPair] = []
    outside_blocks: list[WeightPair] = []
    for weight in in_order(shared):
        name, name_in_tuned = shared[weight]
        one, other = before.tensors[name], after.tensors[name_in_tuned]
        pair = WeightPair(weight, name, one, other, common_rows(weight, one, other))
        if None in (one.dtype, other.dtype):
            not_compared.append(f"{name}: holds no ordinary floating-point weights")
            continue
        if pair.rows is None:
            _require_one_shape(pair, before, after)
        if weight.layer is None:
            if tied := _tied_in_both(pair, outside_blocks):
                not_compared.append(f"{name}: tied to {tied}, compared there")
                continue
            outside_blocks.append(pair)
        pairs.append(pair)
    return WeightPairs(pairs, not_compared)


def common_rows(weight: WeightName, one: NamedTensor, other: NamedTensor) -> CommonRows | None:
    """Returns the rows of base and tuned model for a matrix outside the blocks in which they differ in number; None for any other."""
    base, tuned = one.shape, other.shape
    if weight.layer is not None or len(base) != 2 or len(tuned) != 2 or base[0] == tuned[0] or base[1] != tuned[1]:
        return None
    return CommonRows(base[0], tuned[0])


def _only_in(one: TensorNames, other: TensorNames, which: str, model: NamedTensors) -> Iterator[str]:
    """A line for each weight of the backbone, and each tied head, that only one of the two models has; `which` says which one that is."""
    alone = [one.backbone[weight] for weight in in_order(one.backbone.keys() - other.backbone.keys())]
    both = in_order(one.backbone.keys() & other.backbone.keys())
    shared = [one.backbone[weight] for weight in both if weight.layer is None]
    for name in [*alone, *sorted(set(one.outside) - set(other.outside))]:
        tensor = model.tensors[name]
        tied = next((known for known in shared if _equal_matrices(tensor, model.tensors[known])), None)
        if tied:
            yield f"{name}: only in the {which} model, tied to {tied} there"
        elif name in alone and name.rpartition(".")[2] not in _NO_WEIGHTS:
            yield f"{name}: only in the {which} model"


def _shared_heads(before: NamedTensors, after: NamedTensors, names: MatchedNames) -> list[str]:
    """The names of heads' weights that both models have in a shape that can be compared."""
    shared = set(heads_among(names.base.outside)) & set(heads_among(names.tuned.outside))
    tokens = most_rows({weight: before.tensors[name] for weight, name in names.base.backbone.items()})
    return [
        name for name in sorted(shared) if is_same_head(before.tensors[name].shape, after.tensors[name].shape, tokens)
    ]


def most_rows(backbone: Mapping[WeightName, NamedTensor]) -> int:
    """Returns the rows of the longest matrix outside the blocks, the embedding of tokens; 0 if there is none."""
    return max((t.shape[0] for weight, t in backbone.items() if weight.layer is None and len(t.shape) == 2), default=0)


def is_same_head(base: tuple[int, ...], tuned: tuple[int, ...], tokens: int) -> bool:
    """True for shapes of one head in two models: equal, or those of a vocabulary that was resized.

    tokens: rows of the base model's embedding, which a head for tokens has too. The rows of any other head are classes: those of
    another number are others.
    """
    return base == tuned or (len(base) == len(tuned) == 2 and base[1] == tuned[1] and base[0] == tokens)


def _outside(one: TensorNames, other: TensorNames, named: list[str], compared: Sequence[str] = ()) -> list[str]:
    """The tensors outside the backbone of either model that are not compared and that no line names yet."""
    known = {line.partition(":")[0] for line in named}
    return sorted({*one.outside, *other.outside} - known - {*compared})


def _tied_in_both(pair: WeightPair, seen: list[WeightPair]) -> str | None:
    """The name of an earlier weight that is the same matrix in the base model and in the tuned one."""
    same = (s.name for s in seen if _equal_matrices(pair.base, s.base) and _equal_matrices(pair.tuned, s.tuned))
    return next(same, None)


def _equal_matrices(a: NamedTensor, b: NamedTensor) -> bool:
    if a.shape != b.shape or len(a.shape) != 2 or a.dtype != b.dtype or a.dtype is None:
        return False
    return torch.equal(a.read(), b.read())


def _require_one_shape(pair: WeightPair, before: NamedTensors, after: NamedTensors) -> None:
    base, tuned = pair.base.shape, pair.tuned.shape
    if base != tuned:
        raise ModelError(
            f"{pair.weight} is {base} in {before.where} and {tuned} in {after.where}: "
            "the second was not tuned from the first as it is."
        )
