"""The table of one model of a comparison by layer: its heads and its cells, beside the controls."""

from __future__ import annotations

from repdrift.comparison.massive_features import STANDARDISED
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.words import number


def table_header(result: Comparison, model: ComparedModel) -> list[str]:
    """The heads of a model's table by layer. Controls that the model has no use for have no column."""
    rounding = ["rounding"] if _has_rounding(model) else []
    beside = ["drift, scaled"] if _standardised(result, model) else []
    return [
        "layer",
        "drift",
        "95 % interval",
        *beside,
        "noise floor",
        *rounding,
        "random change",
        "mispaired",
        "weights moved",
    ]


def table_rows(result: Comparison, model: ComparedModel) -> list[list[str]]:
    """The cells under `table_header`, a row for each layer; a missing number is an empty cell."""
    floors = {layer.layer: layer.noise_floor for layer in result.base_layers}
    standardised = _standardised(result, model)
    rows: list[list[str]] = []
    for at in model.layers:
        interval = "" if at.drift_low is None else f"{number(at.drift_low)} to {number(at.drift_high)}"
        controls = [
            *([standardised[at.layer]] if standardised else []),
            floors.get(at.layer),
            *([at.rounding_drift] if _has_rounding(model) else []),
            at.random_change_drift,
            at.mispaired_drift,
            at.weights.get("weight_relative_change"),
        ]
        rows.append([str(at.layer), number(at.drift), interval, *(number(value, missing="") for value in controls)])
    return rows


def _standardised(result: Comparison, model: ComparedModel) -> dict[int, float | None]:
    """Drift by CKA of standardised features, by layer, to stand beside the drift; empty unless the headline calls for it."""
    if not result.headline or not any(at.values.get(STANDARDISED) is not None for at in model.layers):
        return {}
    values = {at.layer: at.values.get(STANDARDISED) for at in model.layers}
    return {layer: None if value is None else 1 - value for layer, value in values.items()}


def _has_rounding(model: ComparedModel) -> bool:
    return any(at.rounding_drift is not None for at in model.layers)
