"""A comparison as a table: models or layers down, numbers or models across."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ON_TASK, Inputs
from repdrift.core.records.output_changes import OutputChange
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.words import counted, layer_ranges, listed
from repdrift.report.tables.chosen import TableOptions, chosen_names
from repdrift.report.tables.contents import Cell, Column, Group, ResultsTable, Row

COMPARISON_ROWS = ("models", "layers")
COMPARISON_COLUMNS = ("numbers", "models", "layers")
QUANTITIES = ("drift", "most", "noise", "classes", "loss", "forgetting")
"""What a table of a comparison can show, in the order of its columns."""
_NO_ARMS = ("reduction", "p", "equal_skill", "score")


def comparison_table(result: Comparison, options: TableOptions) -> ResultsTable:
    """Returns the table. Raises ConfigError and UnknownNameError for what the comparison does not have."""
    rows = {"arms": "models", "": "models"}.get(options.rows, options.rows)
    columns = {"arms": "models"}.get(options.columns, options.columns) or ("numbers" if rows == "models" else "models")
    _require_axes(rows, columns)
    _require_measure(result, options.measure)
    by_layer = "layers" in (rows, columns)
    if by_layer and options.show and chosen_names(options.show, (*QUANTITIES, *_NO_ARMS)) != ["drift"]:
        raise ConfigError("a table by layer shows the drift alone; leave --show out.")
    if options.layers and not by_layer:
        raise ConfigError(
            "--layer chooses among the layers of a table by layer: add --rows layers or --columns layers."
        )
    layers = _layers(result, options.layers)
    if rows == "layers":
        table = _layers_down(result, layers)
    elif columns == "layers":
        table = _models_down(result, [_at_layer(layer) for layer in layers])
    else:
        table = _models_down(result, _chosen(result, options.show))
    return replace(
        table,
        caption=options.caption or _caption(result, by_layer=by_layer),
        label=options.label or "tab:drift-comparison",
        general_notes=_left_out(result, by_model=rows == "models"),
    )


@dataclass(frozen=True)
class _Quantity:
    """Columns of one number under a head, and the cells of a model in them."""

    columns: Sequence[Column]
    cells: Callable[[ComparedModel], Sequence[Cell]]


def _require_axes(rows: str, columns: str) -> None:
    """Raises ConfigError unless rows and columns are two different things that a comparison has."""
    if "tasks" in (rows, columns):
        raise ConfigError(
            "a comparison has one set of texts and no tasks: rows and columns are models, layers or numbers."
        )
    if rows not in COMPARISON_ROWS or columns not in COMPARISON_COLUMNS:
        raise ConfigError(
            f"rows of a comparison's table are {listed(list(COMPARISON_ROWS))}, columns {listed(list(COMPARISON_COLUMNS))}; got --rows {rows} --columns {columns}."
        )
    if rows == columns:
        others = [name for name in COMPARISON_COLUMNS if name != rows]
        raise ConfigError(f"rows and columns are both {rows!r}: name another one with --columns ({', '.join(others)}).")
    if (rows, columns) == ("layers", "numbers"):
        raise ConfigError("a table with layers down has models across: give --columns models.")


def _require_measure(result: Comparison, measure: str) -> None:
    known = list(dict.fromkeys(name for model in result.compared for at in model.layers for name in at.values))
    if measure and measure not in known:
        raise UnknownNameError.of("measure", measure, known)
    if measure and measure != PRIMARY_MEASURE:
        raise ConfigError(
            f"tables of a comparison are of {PRIMARY_MEASURE}; drift.csv beside comparison.json has the drift under {measure!r} by model and layer."
        )


def _layers(result: Comparison, wanted: Sequence[int]) -> list[int]:
    there = [at.layer for at in result.base_layers]
    unknown = [layer for layer in wanted if layer not in there]
    if unknown:
        raise ConfigError(
            f"the comparison has no {'layer' if len(unknown) == 1 else 'layers'} {layer_ranges(unknown)}: it has {layer_ranges(there)}."
        )
    return sorted(set(wanted)) or there


def _chosen(result: Comparison, wanted: Sequence[str]) -> list[_Quantity]:
    chosen = chosen_names(wanted, (*QUANTITIES, *_NO_ARMS))
    there = {name for name in QUANTITIES if name in ("drift", "most", "noise")}
    measured: dict[str, tuple[str, Inputs]] = {
        "classes": ("disagreement", ON_TASK),
        "loss": ("forgetting", ON_TASK),
        "forgetting": ("forgetting", ON_GENERAL_TEXT),
    }
    for name, (outcome, inputs) in measured.items():
        if any(_change(model, outcome, inputs) is not None for model in result.models):
            there.add(name)
    faults = [f"{name.replace('_', '-')}: it needs arms of a study" for name in chosen if name in _NO_ARMS]
    faults += [
        f"{name}: this comparison did not measure it" for name in chosen if name in QUANTITIES and name not in there
    ]
    if faults:
        raise ConfigError(f"the table cannot show what was asked for. {'. '.join(faults)}.")
    names = chosen or [name for name in QUANTITIES if name in there]
    known = _quantities()
    return [known[name] for name in names]


def _quantities() -> Mapping[str, _Quantity]:
    ends = "95 % interval"
    return {
        "drift": _Quantity([Column("mean drift", "estimate", "drift")], lambda m: [_mean_drift(m)]),
        "most": _Quantity(
            [
                Column("largest", "estimate", "largest_drift"),
                Column(ends, "interval", "largest_drift"),
                Column("in layer", "text", "layer"),
            ],
            _most,
        ),
        "noise": _Quantity([Column("layers above noise", "text", "layers_above_noise")], lambda m: [_noise(m)]),
        "classes": _Quantity(
            [Column("other class, %", "percent", "other_class"), Column(ends, "percent interval", "other_class")],
            lambda m: _outputs(m, "disagreement", ON_TASK),
        ),
        "loss": _Quantity(
            [Column("rise of loss, nats", "estimate", "rise_of_loss"), Column(ends, "interval", "rise_of_loss")],
            lambda m: _outputs(m, "forgetting", ON_TASK),
        ),
        "forgetting": _Quantity(
            [Column("forgetting, nats", "estimate", "forgetting"), Column(ends, "interval", "forgetting")],
            lambda m: _outputs(m, "forgetting", ON_GENERAL_TEXT),
        ),
    }


def _models_down(result: Comparison, quantities: Sequence[_Quantity]) -> ResultsTable:
    groups = [Group("", quantity.columns) for quantity in quantities]
    rows = [
        Row([model.name], [cell for quantity in quantities for cell in quantity.cells(model)])
        for model in result.models
    ]
    return ResultsTable("", "", ["model"], groups, rows)


def _layers_down(result: Comparison, layers: Sequence[int]) -> ResultsTable:
    groups = [
        Group(model.name, [Column("drift", "estimate", "drift"), Column("95 % interval", "interval", "drift")])
        for model in result.models
    ]
    rows = [
        Row([str(layer)], [cell for model in result.models for cell in _drift_at(model, layer)]) for layer in layers
    ]
    return ResultsTable("", "", ["layer"], groups, rows)


def _at_layer(layer: int) -> _Quantity:
    return _Quantity([Column(str(layer), "estimate", "drift")], lambda model: _drift_at(model, layer)[:1])


def _drift_at(model: ComparedModel, layer: int) -> list[Cell]:
    at = next((each for each in model.layers if each.layer == layer), None)
    if at is None:
        why = [_no_drift(model)]
        return [Cell(notes=why), Cell(notes=why)]
    notes = [] if at.above_noise is not False else ["not above noise"]
    return [Cell(value=at.drift, notes=notes), _ends(at)]


def _ends(at: LayerDrift) -> Cell:
    if at.drift_low is None or at.drift_high is None:
        return Cell(notes=["no interval over samples: comparison.md says why"])
    return Cell(low=at.drift_low, high=at.drift_high)


def _no_drift(model: ComparedModel) -> str:
    why = (model.reason or "its layers have no counterparts").partition(". ")[0].rstrip(".")
    if model.status == "compared by grid":
        return f"{model.name} has no drift by layer, and is compared by the layer grid alone: {why}"
    if model.status == "not comparable":
        return f"{model.name} was not compared: {why}"
    return f"{model.name} has no drift in this layer"


def _mean_drift(model: ComparedModel) -> Cell:
    if not model.layers:
        return Cell(notes=[_no_drift(model)])
    return Cell(value=sum(at.drift for at in model.layers) / len(model.layers), notes=list(model.notes))


def _most(model: ComparedModel) -> list[Cell]:
    if not model.layers:
        return [Cell(notes=[_no_drift(model)])] * 3
    at = max(model.layers, key=lambda each: each.drift)
    return [Cell(value=at.drift), _ends(at), Cell(text=str(at.layer))]


def _noise(model: ComparedModel) -> Cell:
    if not model.layers:
        return Cell(notes=[_no_drift(model)])
    known = [at.above_noise for at in model.layers if at.above_noise is not None]
    if not known:
        return Cell(notes=["noise was not measured"])
    notes = [f"in {len(model.layers) - len(known)} layers it is not known"] if len(known) < len(model.layers) else []
    return Cell(text=f"{sum(known)} of {len(model.layers)}", notes=notes)


def _outputs(model: ComparedModel, outcome: str, inputs: Inputs) -> list[Cell]:
    change = _change(model, outcome, inputs)
    if change is None:
        left_out = model.outputs.left_out if model.outputs is not None else []
        why = [left_out[0].rstrip(".")] if left_out else [f"outputs of {model.name} were not compared"]
        return [Cell(notes=why), Cell(notes=why)]
    value = change.value if change.difference is None else change.difference
    notes = [change.note] if change.note else ["no interval"]
    return [Cell(value=value), Cell(low=change.low, high=change.high, notes=[] if change.low is not None else notes)]


def _change(model: ComparedModel, outcome: str, inputs: Inputs) -> OutputChange | None:
    changes = [] if model.outputs is None else model.outputs.changes
    return next((change for change in changes if (change.outcome, change.inputs) == (outcome, inputs)), None)


def _left_out(result: Comparison, *, by_model: bool) -> list[str]:
    """Sentences under the table: what stands before all numbers, and, where models are columns, what changes how theirs are read."""
    said = list(result.headline)
    if not by_model:
        said += [f"{model.name}: {note}" for model in result.compared for note in model.notes]
    if not result.control_samples:
        said.append("No controls were run, so it is not known whether a drift is above noise")
    return [sentence.rstrip(".") for sentence in said]


def _caption(result: Comparison, *, by_layer: bool) -> str:
    data = re.sub(r"^.*/", "", result.data)
    mean = "" if by_layer else ", mean over layers and the largest layer"
    return (
        f"Drift from {result.base} on {counted(result.samples, 'sample')} of {data}: 1 - debiased CKA{mean}, with 95 % intervals over samples for "
        "these models. 0 is unmoved, about 1 unrelated." + ("" if by_layer else _about_outputs(result))
    )


def _about_outputs(result: Comparison) -> str:
    """Sentences on the numbers of outputs that the comparison has; "" if it has none."""
    measured = {
        (change.outcome, change.inputs) for model in result.models if model.outputs for change in model.outputs.changes
    }
    said = {
        ("disagreement", ON_TASK): "Other class: texts for which the tuned model names another class than its base",
        ("forgetting", ON_TASK): "Rise of loss: of the tuned model over its base on these texts, per token",
        ("forgetting", ON_GENERAL_TEXT): "Forgetting: the same rise on general text",
    }
    return "".join(f" {sentence}." for key, sentence in said.items() if key in measured)
