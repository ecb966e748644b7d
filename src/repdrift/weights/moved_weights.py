"""Measures the change of every weight of tuned models: one matrix of the base at a time, with all models that are compared with it."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from repdrift.core.errors import NonFiniteError, RepdriftError
from repdrift.core.progress import track
from repdrift.core.records.weights import ModelWeightsMoved, WeightMoved
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import running_errors
from repdrift.weights.base_matrices import BaseMatrices
from repdrift.weights.changed_matrices import ChangedMatrices, changed_matrices
from repdrift.weights.changed_matrix import ChangedMatrix
from repdrift.weights.gram_spectrum import FloatArray, GramSpectrum, columns_of
from repdrift.weights.module_kind import module_kind
from repdrift.weights.singular_subspaces import INTRUDER_COSINE, LEADING, BaseMatrix
from repdrift.weights.spectrum import carrying, frobenius_norm, low_rank_singular_values, stable_rank
from repdrift.weights.weight_comparison import relative_change
from repdrift.weights.weight_names import in_order

CARRIED = 0.9
"""Share of ||dW||_F^2 that the counted singular values carry, in `rank_90`."""


@dataclass(frozen=True)
class WeightOptions:
    """leading: the number k of singular vectors that are compared. intruder_cosine: the limit below which one is an intruder."""

    leading: int = LEADING
    intruder_cosine: float = INTRUDER_COSINE


@dataclass
class MovedWeights:
    """The models that could be measured, and by name why others could not."""

    models: dict[str, ModelWeightsMoved] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def moved_weights(
    base: BaseMatrices, tuned: Mapping[str, ModelSource], options: WeightOptions | None = None
) -> MovedWeights:
    """Measures how every weight of each tuned model moved from `base`.

    tuned: by name, full models and adapters. The spectrum of a base matrix is computed once for all models, and one matrix of
    each file is in memory at a time; a model that can only be compared when it is loaded whole is measured by itself.
    A model that cannot be measured is in `missing` with the reason, and the others are measured.
    """
    options = options or WeightOptions()
    result = MovedWeights()
    streamed: dict[str, ChangedMatrices] = {}
    for name, source in tuned.items():
        try:
            with running_errors("its weights cannot be compared"):
                opened = changed_matrices(base, source)
                if opened.in_memory:
                    _measure(base, {name: opened}, options, result)
                    del opened
                    gc.collect()  # models of peft hold themselves in circles; the next one may be as large
                else:
                    streamed[name] = opened
        except RepdriftError as error:
            result.missing[name] = str(error)
    _measure(base, streamed, options, result)
    return result


def _measure(
    base: BaseMatrices, models: dict[str, ChangedMatrices], options: WeightOptions, result: MovedWeights
) -> None:
    found: dict[str, list[WeightMoved]] = {name: [] for name in models}
    names = in_order({weight for opened in models.values() for weight in opened.readers})
    for weight in track(names, what="measuring weights", total=len(names)):
        matrix: BaseMatrix | None = None
        for name, opened in models.items():
            if name in result.missing:
                continue
            try:
                with running_errors("its weights cannot be compared"):
                    at = opened.read(weight)
                    if at is None:
                        continue
                    # Common rows of a resized embedding are another matrix of the base for each model.
                    if matrix is None or matrix.shape != at.base_shape:
                        matrix = BaseMatrix(at.read_base()) if at.is_matrix else None
                    found[name].append(weight_moved(base, at, matrix, options))
            except RepdriftError as error:
                result.missing[name] = str(error)
    for name, opened in models.items():
        if name not in result.missing:
            result.models[name] = ModelWeightsMoved(
                leading=options.leading,
                intruder_cosine=options.intruder_cosine,
                weights=found[name],
                not_compared=opened.not_compared,
                notes=opened.notes,
            )


def weight_moved(
    base: BaseMatrices, at: ChangedMatrix, matrix: BaseMatrix | None, options: WeightOptions
) -> WeightMoved:
    """Measures one change. matrix: the base model's weight where it is a matrix. Raises NonFiniteError naming the weight."""
    kind = module_kind(base, at.name, at.is_matrix)
    try:
        norm = frobenius_norm(at.read_base())
        values = _singular_values(at) if at.is_matrix else None
        change_norm = float(np.linalg.norm(values)) if values is not None else frobenius_norm(at.change())
        moved = WeightMoved(
            layer=at.name.layer,
            module=at.name.name,
            kind=kind,
            outputs=at.base_shape[0],
            inputs=at.base_shape[1] if at.is_matrix else None,
            norm=norm,
            change_norm=change_norm,
            relative_change=relative_change(change_norm, norm),
            adapter_rank=at.factors.rank if at.factors is not None else None,
            note=at.note,
        )
        if values is None or matrix is None:
            return moved
        return moved.model_copy(update=_of_matrix(at, matrix, values, change_norm, options))
    except NonFiniteError as error:
        raise NonFiniteError(f"{at.name}: {error}") from error


def _of_matrix(
    at: ChangedMatrix, matrix: BaseMatrix, values: FloatArray, change_norm: float, options: WeightOptions
) -> dict[str, int | float | None]:
    spectrum: dict[str, int | float | None] = {
        "stable_rank": stable_rank(change_norm, float(values[0])),
        "rank_90": carrying(torch.from_numpy(values), CARRIED),
    }
    if change_norm == 0.0:  # known without a decomposition
        whole = min(options.leading, *matrix.shape)
        same = {
            f"alignment_{side}": 1.0 if whole < size else None
            for side, size in zip(("left", "right"), matrix.shape, strict=True)
        }
        return {**spectrum, "k": whole, **same, "intruders": 0}
    change = at.change() if at.factors is None else (at.factors.b, at.factors.a)
    compared = matrix.compared(change, k=options.leading, limit=options.intruder_cosine)
    return {
        **spectrum,
        "k": compared.k,
        "alignment_left": compared.alignment_left,
        "alignment_right": compared.alignment_right,
        "intruders": compared.intruders,
    }


def _singular_values(at: ChangedMatrix) -> FloatArray:
    """All singular values of the change, descending: from the factors without forming B A, or from the Gram matrix."""
    if at.factors is not None:
        return low_rank_singular_values(at.factors.a, at.factors.b).numpy()
    change = at.change()
    size = frobenius_norm(change)
    if size == 0.0:
        return np.zeros(min(change.shape))
    turned = change.T if change.shape[0] > change.shape[1] else change
    return GramSpectrum(columns_of(turned, size)).singular_values() * size
