"""Grids: every layer against every layer, by any number of measures. Each representation is prepared once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ConfigError, RepdriftError
from repdrift.similarity.arrays import Array
from repdrift.similarity.catalogue import measure
from repdrift.similarity.representation import Representation


def grid(
    layers_a: Iterable[Array],
    layers_b: Iterable[Array] | None = None,
    measures: Sequence[str] = ("cka",),
) -> dict[str, NDArray[np.float64]]:
    """Compare every layer of `layers_a` with every one of `layers_b`: (len(a), len(b)) by the name of each measure.

    Layers are representations (n, p) of the same n samples in the same order. Without `layers_b`, `layers_a` is compared
    with itself. Both may be generators: a layer is dropped as soon as it is prepared, and only what the measures keep
    stays (for CKA one n x n matrix a layer, where n <= p). Measures of predictions compare logits; they cannot be mixed
    with measures of representations.
    Raises UnknownNameError if there is no such measure; ConfigError if no measure or both kinds are named; and what the
    measures raise, naming the layer.
    """
    if not measures:
        raise ConfigError("name at least one measure")
    found = [measure(name) for name in dict.fromkeys(measures)]
    kinds = {m.inputs: m.name for m in found}
    if len(kinds) > 1:
        pair = " and ".join(f"{name!r} of {kind}" for kind, name in kinds.items())
        raise ConfigError(f"one grid compares representations or predictions, not both: {pair}")
    left = _prepared(layers_a, found, "layers_a")
    right = left if layers_b is None else _prepared(layers_b, found, "layers_b")
    return {m.name: m.compare_all(left[m.name], right[m.name]) for m in found}


def _prepared(layers: Iterable[Array], found: Sequence[Any], which: str) -> dict[str, list[Any]]:
    prepared: dict[str, list[Any]] = {m.name: [] for m in found}
    for number, layer in enumerate(layers):
        try:
            side = Representation(layer, constant_allowed=found[0].inputs == "predictions")
            for m in found:
                prepared[m.name].append(m.prepare(side))
        except RepdriftError as error:
            raise type(error)(f"{which}[{number}]: {error}") from error
    return prepared
