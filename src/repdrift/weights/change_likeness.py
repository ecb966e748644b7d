"""Likeness of the changes of any two models, weight by weight, added up by kind of module, by layer and over the whole model.

The cosine of the whole model is exact: inner products and squared norms are summed over all weights. A module that an adapter is not on has
dW = 0 there, and adds 0. A weight that is not known of a model (it has another shape, or no counterpart) is left out for its pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ModelError, NonFiniteError, RepdriftError
from repdrift.core.progress import track
from repdrift.core.records.likeness import GroupLikeness
from repdrift.core.words import models_apart, some_listed
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import running_errors
from repdrift.weights.base_matrices import BaseMatrices
from repdrift.weights.change_products import MOST_BYTES, FloatArray, inner_products
from repdrift.weights.change_subspaces import LeadingSubspaces, leading_subspaces, subspace_likeness
from repdrift.weights.changed_matrices import ChangedMatrices, changed_matrices
from repdrift.weights.changed_matrix import ChangedMatrix, MatrixReader
from repdrift.weights.module_kind import module_kind
from repdrift.weights.singular_subspaces import LEADING
from repdrift.weights.weight_comparison import OUTSIDE_BACKBONE
from repdrift.weights.weight_names import WeightName, in_order, names_of_base

_ALL = ("all", "all")
_OUTSIDE = "outside"
_MOST_LOADED_BYTES = 8 << 30
"""Models whose kind of adapter must be loaded whole take no more than this together."""


@dataclass(frozen=True)
class ChangeLikenesses:
    """names: the models that could be opened, in order. groups: of each pair of places in it (i < j), the whole model first.

    missing: by model that could not, the reason. not_compared: by model, a line for each weight of the body that is left out. cautions: sentences on what
    makes changes look alike beside training. notes: sentences on weights that are compared in part, or not for every pair.
    """

    names: list[str]
    groups: dict[tuple[int, int], list[GroupLikeness]]
    missing: dict[str, str] = field(default_factory=dict)
    not_compared: dict[str, list[str]] = field(default_factory=dict)
    cautions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    leading: int = LEADING


def change_likenesses(
    base: BaseMatrices, tuned: Mapping[str, ModelSource], *, leading: int = LEADING, most_bytes: int = MOST_BYTES
) -> ChangeLikenesses:
    """Compares the changes of every two of the tuned models, one weight at a time.

    tuned: by name, full models and adapters of `base`. leading: singular vectors of each subspace, at most. most_bytes: of whole changes of one
    weight that are held at once. A model that cannot be read is in `missing`, and the others are compared.
    """
    missing: dict[str, str] = {}
    opened = _opened(base, tuned, missing)
    while True:
        names = list(opened)
        shapes: dict[str, dict[int, tuple[int, ...]]] = {}
        try:
            groups = _groups(
                base, list(opened.values()), [tuned[n].is_adapter for n in names], leading, most_bytes, shapes
            )
        except _ModelFailedError as failed:  # what was summed holds numbers of a model that cannot be compared
            missing[names[failed.number]] = str(failed)
            del opened[names[failed.number]]
            continue
        not_compared = {name: lines for name, changes in opened.items() if (lines := _of_body(changes.not_compared))}
        notes = [*_in_part(opened), *_not_of_every_pair(names, shapes)]
        cautions = [*_rounded(opened), *_under_other_names(base, opened, tuned)]
        return ChangeLikenesses(names, groups, missing, not_compared, cautions, notes, leading)


def _rounded(opened: Mapping[str, ChangedMatrices]) -> list[str]:
    holders: dict[str, list[str]] = {}
    for name, changes in opened.items():
        for line in changes.precisions:
            holders.setdefault(line, []).append(name)
    return [
        f"{models_apart(names)}: {line}."
        + (
            " Models that were rounded alike share it, so their changes look more alike than training made them."
            if len(names) > 1
            else ""
        )
        for line, names in holders.items()
    ]


def _under_other_names(
    base: BaseMatrices, opened: Mapping[str, ChangedMatrices], tuned: Mapping[str, ModelSource]
) -> list[str]:
    """A sentence for adapters beside full models whose files name the same weights in another way."""
    if all(tuned[name].is_adapter for name in opened):
        return []
    return [
        f"{name} changes weights that the base model's files keep under other names ({some_listed([str(weight) for weight in weights])}): beside full "
        "models only the other weights are compared."
        for name, changes in opened.items()
        if tuned[name].is_adapter and (weights := _not_in_files(base, changes))
    ]


def _not_in_files(base: BaseMatrices, changes: ChangedMatrices) -> list[WeightName]:
    """The weights of an adapter that the base model's files keep in other parts, as a stack of experts that they keep one by one."""
    there = names_of_base(base.tensors, base.blocks_path)
    stored = {w: WeightName(w.layer, w.name.partition("[")[0]) for w in changes.names if not w.in_head}
    return [weight for weight, whole in stored.items() if whole not in there]


def _of_body(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.endswith(OUTSIDE_BACKBONE)]


def _in_part(opened: Mapping[str, ChangedMatrices]) -> list[str]:
    return [f"{name}: {line}." for name, changes in opened.items() for line in changes.notes]


def _not_of_every_pair(names: list[str], shapes: Mapping[str, Mapping[int, tuple[int, ...]]]) -> list[str]:
    """A sentence for each weight of which two models have common parts of different shapes."""
    said: list[str] = []
    for weight, of in shapes.items():
        kinds = {shape: [names[number] for number, at in of.items() if at == shape] for shape in of.values()}
        parts = [f"{' x '.join(map(str, shape))} in {models_apart(holders)}" for shape, holders in kinds.items()]
        said.append(f"{weight} is compared only between models of which as much of it is known: {', '.join(parts)}.")
    return said


class _ModelFailedError(Exception):
    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number


def _opened(
    base: BaseMatrices, tuned: Mapping[str, ModelSource], missing: dict[str, str]
) -> dict[str, ChangedMatrices]:
    opened: dict[str, ChangedMatrices] = {}
    whole = sum(4 * math.prod(tensor.shape) for tensor in base.tensors.tensors.values())
    loaded = 0
    for name, source in tuned.items():
        try:
            with running_errors("its weights cannot be compared"):
                changes = changed_matrices(base, source)
            loaded += whole if changes.in_memory else 0
            if changes.in_memory and loaded > max(whole, _MOST_LOADED_BYTES):
                raise ModelError(
                    f"its kind of adapter can only be compared when it is loaded whole ({whole / 1e9:.1f} GB), and the models before it take "
                    f"{(loaded - whole) / 1e9:.1f} GB of the {_MOST_LOADED_BYTES / 1e9:.1f} GB that are kept for such models. Compare fewer of them at once."
                )
            opened[name] = changes
        except RepdriftError as error:
            missing[name] = str(error)
    return opened


def _groups(
    base: BaseMatrices,
    models: list[ChangedMatrices],
    is_adapter: list[bool],
    leading: int,
    most_bytes: int,
    shapes: dict[str, dict[int, tuple[int, ...]]],
) -> dict[tuple[int, int], list[GroupLikeness]]:
    """Returns the likeness of every pair by group. shapes: takes those of each weight of which two models have different ones."""
    count = len(models)
    sums: dict[tuple[str, str], _Sums] = {_ALL: _Sums(count)}
    names = in_order({weight for changes in models for weight in changes.readers})
    has_other_names = [
        adapter and bool(_not_in_files(base, at)) for adapter, at in zip(is_adapter, models, strict=True)
    ]
    for weight in track(names, what="comparing changes of weights", total=len(names)):
        seen: dict[int, ChangedMatrix] = {}
        spaces: dict[int, LeadingSubspaces] = {}
        readers = {
            number: partial(_read, changes.readers[weight], number, seen, spaces, leading)
            for number, changes in enumerate(models)
            if weight in changes.readers
        }
        products = inner_products(readers, count, most_bytes=most_bytes)
        for number in range(count):
            if weight in models[number].unread:
                continue
            if has_other_names[number] and base.owner(weight) is None:  # it may be on it under another name
                continue
            if is_adapter[number] and number not in readers:  # it is not on this module, so it did not change it
                known = [
                    other
                    for other in range(count)
                    if other in readers or (is_adapter[other] and weight not in models[other].unread)
                ]
                products[number, known] = products[known, number] = 0.0
        any_of = next(iter(seen.values()))
        of_weight = {number: at.base_shape for number, at in seen.items()}
        if len(set(of_weight.values())) > 1:
            shapes[str(weight)] = of_weight
        numbers = np.array([math.prod(of_weight.get(number, any_of.base_shape)) for number in range(count)])
        kind = module_kind(base, weight, any_of.is_matrix)
        layer = _OUTSIDE if weight.layer is None else str(weight.layer)
        module = () if weight.layer is None else (("module", f"{kind} of layer {layer}"),)
        for group in (_ALL, ("kind", kind), ("layer", layer), *module):
            sums.setdefault(group, _Sums(count)).add(products, numbers, spaces)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    return {(i, j): [found.of(i, j, *group) for group, found in sums.items()] for i, j in pairs}


def _read(
    reader: MatrixReader,
    number: int,
    seen: dict[int, ChangedMatrix],
    spaces: dict[int, LeadingSubspaces],
    leading: int,
) -> ChangedMatrix:
    """Reads a change, and keeps its leading subspaces, so that it need not be read once more for them."""
    try:
        with running_errors("its weights cannot be compared"):
            at = reader()
            if at.is_matrix and number not in spaces:
                try:
                    spaces[number] = leading_subspaces(at, leading)
                except NonFiniteError as error:
                    raise NonFiniteError(f"{at.name}: {error}") from error
    except RepdriftError as error:
        raise _ModelFailedError(number, str(error)) from error
    seen.setdefault(number, ChangedMatrix(at.name, at.base_shape, at.read_base))
    return at


class _Sums:
    """Sums over the weights of one group, for every pair of models."""

    def __init__(self, count: int) -> None:
        self._products = np.zeros((count, count))
        self._squares = np.zeros((count, count))  # of row i, over the weights known of both i and j
        self._expected = np.zeros((count, count))
        self._weights = np.zeros((count, count), dtype=np.int64)
        self._sides = np.zeros((6, count, count))
        self._counts = np.zeros((6, count, count), dtype=np.int64)

    def add(self, products: FloatArray, numbers: NDArray[np.int64], spaces: Mapping[int, LeadingSubspaces]) -> None:
        """Adds one weight. numbers: how many it has in each model, (count,); two models of a known product have as many."""
        known = np.isfinite(products)
        own = np.where(known.diagonal(), products.diagonal(), 0.0)
        self._products += np.where(known, products, 0.0)
        self._squares += np.where(known, own[:, None], 0.0)
        self._expected += np.where(known, np.outer(own, own) / numbers[:, None], 0.0)
        self._weights += known & ((own[:, None] > 0) | (own[None, :] > 0))
        for i, one in spaces.items():
            for j, other in spaces.items():
                if i < j and known[i, j] and (alike := subspace_likeness(one, other)) is not None:
                    found = (
                        alike.left,
                        alike.right,
                        alike.left_chance,
                        alike.right_chance,
                        alike.left_angle,
                        alike.right_angle,
                    )
                    for side, value in enumerate(found):
                        if value is not None:
                            self._sides[side, i, j] += value
                            self._counts[side, i, j] += 1

    def of(self, i: int, j: int, by: str, group: str) -> GroupLikeness:
        """Returns the likeness of the models i < j in this group."""
        product, expected = float(self._products[i, j]), float(self._expected[i, j])
        one, other = math.sqrt(self._squares[i, j]), math.sqrt(self._squares[j, i])
        means = [
            float(self._sides[side, i, j] / self._counts[side, i, j]) if self._counts[side, i, j] else None
            for side in range(6)
        ]
        is_defined = one > 0 and other > 0
        return GroupLikeness(
            by=by,  # pyright: ignore[reportArgumentType]
            group=group,
            weights=int(self._weights[i, j]),
            cosine=min(1.0, max(-1.0, product / one / other)) if is_defined else None,
            chance=math.sqrt(expected) / one / other if is_defined else None,
            left=means[0],
            right=means[1],
            left_chance=means[2],
            right_chance=means[3],
            left_angle=means[4],
            right_angle=means[5],
            missing=None if is_defined else _why(one, other),
        )


def _why(one: float, other: float) -> str:
    if one == other == 0:
        return "neither model changed any of these weights that are known of both"
    which = "first" if one == 0 else "second"
    return f"the {which} model changed none of these weights that are known of both"
