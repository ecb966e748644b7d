"""The first lines of a comparison: for each model its drift, whether that is above noise, and what changes how it is read."""

from __future__ import annotations

from repdrift.comparison.massive_features import STANDARDISED
from repdrift.comparison.measured import drift_in_short
from repdrift.core.layer_grid_words import grid_answer
from repdrift.core.output_words import outputs_answer
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.words import counted, layers_named, number


def answer_line(model: ComparedModel) -> str:
    """One line on a model that was compared, without its name: drift, where most, above noise or not, what it did to outputs, the first
    caution."""
    outputs = outputs_answer(model.outputs)
    line = f"{drift_in_short(model.layers)}; {_above_noise(model)}{f'; {outputs}' if outputs else ''}."
    return f"{line}{_first_caution(model)}"


def _first_caution(model: ComparedModel) -> str:
    if not model.notes:
        return ""
    more = len(model.notes) - 1
    return f" Mind: {model.notes[0]}" + (f" ({counted(more, 'more caution')} below.)" if more else "")


def grid_line(model: ComparedModel) -> str:
    """One line on a model that only the layer grid compares, without its name: why, what the grid shows, and the first caution."""
    grid = None if model.moved is None else model.moved.grid
    found = " ".join(grid_answer(grid)) if grid is not None else ""
    return f"no drift by layer, compared by the layer grid alone: {model.reason} {found}{_first_caution(model)}"


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


def _above_noise(model: ComparedModel) -> str:
    above = [at.layer for at in model.layers if at.above_noise]
    unknown = [at.layer for at in model.layers if at.above_noise is None]
    if len(unknown) == len(model.layers):
        return "whether it is above noise is not known"
    if len(above) == len(model.layers):
        return "above noise in every layer" if len(above) > 1 else f"above noise in {layers_named(above)}"
    said = f"above noise in {layers_named(above)} only" if above else "above noise in no layer"
    return said + (f", not known in {layers_named(unknown)}" if unknown else "")
