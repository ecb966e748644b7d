"""Features so large that plain CKA speaks of little else: found in the base model, and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from repdrift.core.records.comparison import BaseLayer, ComparedModel
from repdrift.core.records.representation_set import SINK_POOLING
from repdrift.core.words import layers_named, short_number
from repdrift.drift.sanity import TOP_FEATURE_LIMIT

STANDARDISED = "cka_standardized"
_MODELS_NAMED = 3


def with_standardised(measures: Sequence[str], base: Mapping[int, Tensor]) -> tuple[str, ...]:
    """The measures, and CKA of standardised features beside them if one feature of the base model holds over half the variance.

    base: by layer, (n, d).
    """
    if STANDARDISED in measures or not any(_top_share(rows) > TOP_FEATURE_LIMIT for rows in base.values()):
        return tuple(measures)
    return (*measures, STANDARDISED)


def massive_layers(base_layers: Sequence[BaseLayer]) -> list[BaseLayer]:
    """The layers of the base model in which one feature holds over half of the variance."""
    return [layer for layer in base_layers if layer.top_feature_share > TOP_FEATURE_LIMIT]


def massive_headline(base_layers: Sequence[BaseLayer], models: Sequence[ComparedModel], pooling: str) -> list[str]:
    """Says what must stand before the numbers if one feature holds over half of the base model's variance in some layer.

    Empty if there is no such layer. models: those that were compared.
    """
    massive = massive_layers(base_layers)
    if not massive:
        return []
    share = max(layer.top_feature_share for layer in massive)
    layers = [layer.layer for layer in massive]
    found = (
        f"In {layers_named(layers)} of the base model one feature holds over half of the variance (up to {share:.0%}; massive "
        "activations): plain drift there speaks mostly of that feature."
    )
    values = [f"{model.name} {words}" for model in models if (words := _beside(model, layers))]
    if values:
        more = f", and {len(values) - _MODELS_NAMED} more below" if len(values) > _MODELS_NAMED else ""
        found += (
            " Mean drift over these layers with every feature scaled to the same variance (cka_standardized), beside plain drift: "
            f"{'; '.join(values[:_MODELS_NAMED])}{more}."
        )
    else:
        found += " CKA of standardised features needs the rows themselves: take --accumulate rows."
    if pooling == "mean":
        found += f" If a few tokens make it, --pooling {SINK_POOLING} leaves them out."
    return [found]


def _beside(model: ComparedModel, layers: Sequence[int]) -> str | None:
    """Mean drift under both measures, over those of the layers in which both have a value."""
    pairs = [
        (1 - value, at.drift)
        for at in model.layers
        if at.layer in layers and (value := at.values.get(STANDARDISED)) is not None
    ]
    if not pairs:
        return None
    standardised, plain = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    return f"{short_number(standardised)} beside {short_number(plain)}"


def _top_share(rows: Tensor) -> float:
    variances = rows.double().var(dim=0, correction=0)
    total = float(variances.sum())
    return float(variances.max()) / total if total else 0.0
