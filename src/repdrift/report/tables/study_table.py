"""The main results of a study as a table: tasks, arms or layers down, arms, tasks, layers or numbers across."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.measure_words import drift_definition
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, counted, layer_ranges, listed, method_title, task_title
from repdrift.report.report_data import ReportData
from repdrift.report.tables.chosen import TableOptions, chosen_names
from repdrift.report.tables.contents import Cell, Column, Group, ResultsTable, Row
from repdrift.report.tables.study_cells import BY_LAYER, QUANTITIES, StudyCells

STUDY_ROWS = ("tasks", "arms", "layers")
STUDY_COLUMNS = ("arms", "tasks", "layers", "numbers")


@dataclass(frozen=True)
class _Place:
    """A task, an arm and a layer; None: all tasks are meant by `all`, the mean over layers by None."""

    task: str
    method: str
    layer: int | None = None


def study_table(data: ReportData, options: TableOptions) -> ResultsTable:
    """Returns the table. Raises ConfigError and UnknownNameError for what the results do not have."""
    rows, columns = options.rows or "tasks", options.columns or "arms"
    _require_axes(rows, columns)
    measure = options.measure or data.results.study.primary_measure
    if measure not in data.drift_measures:
        raise UnknownNameError.of("measure", measure, data.drift_measures)
    cells = StudyCells(data, measure)
    by_layer = "layers" in (rows, columns)
    shown = _quantities(data, options.show, by_layer=by_layer)
    layers = _layers(data, options.layers)
    if options.layers and not by_layer:
        raise ConfigError(
            "--layer chooses among the layers of a table by layer: add --rows layers or --columns layers."
        )
    tasks, methods = list(data.tasks), list(data.methods)
    if len(tasks) > 1:
        tasks.append(ALL_TASKS)
    if by_layer and shown != ["drift"]:
        methods = [m for m in methods if m in data.results.study.contrasted]
    table = _laid_out(cells, shown, rows, columns, tasks, methods, layers)
    return replace(
        table,
        caption=options.caption or _caption(data, measure, shown, by_layer=by_layer, layers=options.layers),
        label=options.label or f"tab:{_plain_label(data.results.study.name)}",
    )


def _require_axes(rows: str, columns: str) -> None:
    """Raises ConfigError unless rows and columns are two different things that a study has."""
    if rows == "models" or columns == "models":
        raise ConfigError("rows and columns of a study are tasks, arms or layers; `models` are those of a comparison.")
    if rows not in STUDY_ROWS or columns not in STUDY_COLUMNS:
        raise ConfigError(
            f"rows of a study's table are {listed(list(STUDY_ROWS))}, columns {listed(list(STUDY_COLUMNS))}; got --rows {rows} --columns {columns}."
        )
    if rows == columns:
        others = [name for name in STUDY_COLUMNS if name != rows]
        raise ConfigError(f"rows and columns are both {rows!r}: name another one with --columns ({', '.join(others)}).")
    if (rows, columns) == ("layers", "numbers"):
        raise ConfigError("a table with layers down has arms or tasks across: give --columns arms or --columns tasks.")


def _quantities(data: ReportData, wanted: Sequence[str], *, by_layer: bool) -> list[str]:
    """The numbers that are shown: those that were asked for, or those that the results have. Raises ConfigError for what they lack."""
    study, results = data.results.study, data.results
    lacking: dict[str, str] = {}
    if not study.contrasted or not any(r.layer is None for r in results.reductions):
        why = (
            "no method could be compared with another: no task has final models of the reference and of another method"
        )
        lacking |= dict.fromkeys(("reduction", "p", "equal_skill"), why)
    if not any(each.test is not None for each in results.equal_skill):
        why = next(
            (e.missing for e in results.equal_skill if e.missing), "the results hold no comparison at equal skill"
        )
        lacking.setdefault("equal_skill", why)
    if results.outcomes is None or not any(arm.outcome == "forgetting" for arm in results.outcomes.arms):
        lacking["forgetting"] = (
            "forgetting was not measured: set outcomes.general_text in the study and run `repdrift evaluate`"
        )
    if not any(run.metrics or run.learnt for run in results.runs):
        lacking["score"] = "the results hold no scores"
    if by_layer:
        lacking |= {name: "it is of whole models, not of single layers" for name in QUANTITIES if name not in BY_LAYER}
    if not wanted:
        usual = ["drift"] if by_layer else [name for name in QUANTITIES if name != "p"]
        return [name for name in usual if name not in lacking]
    chosen = chosen_names(wanted, QUANTITIES)
    faults = [f"{name.replace('_', '-')}: {lacking[name]}" for name in chosen if name in lacking]
    if faults:
        raise ConfigError(
            "the table cannot show what was asked for. " + ". ".join(fault.rstrip(".") for fault in faults) + "."
        )
    return chosen


def _layers(data: ReportData, wanted: Sequence[int]) -> list[int]:
    unknown = [layer for layer in wanted if layer not in data.layers]
    if unknown:
        raise ConfigError(
            f"the results have no {'layer' if len(unknown) == 1 else 'layers'} {layer_ranges(unknown)}: they have {layer_ranges(data.layers)}."
        )
    return sorted(set(wanted)) or list(data.layers)


def _laid_out(
    cells: StudyCells,
    shown: Sequence[str],
    rows: str,
    columns: str,
    tasks: Sequence[str],
    methods: Sequence[str],
    layers: Sequence[int],
) -> ResultsTable:
    """The table without its caption."""
    axes: dict[str, Sequence[str | int]] = {"tasks": tasks, "arms": methods, "layers": layers}
    heads = {"tasks": "task", "arms": "method", "layers": "layer"}
    by_layer = "layers" in (rows, columns)
    # What neither rows nor columns name stands beside the rows, or, where layers are down, beside the columns.
    nested = [name for name in ("tasks", "arms") if name not in (rows, columns)]
    if rows == "layers":
        row_axes, column_axes = ["layers"], [columns, *nested]
    elif columns == "numbers":
        row_axes, column_axes = [rows, "arms" if rows == "tasks" else "tasks"], []
    else:
        row_axes, column_axes = [rows, *nested], [columns]
    groups, places = _groups(cells, shown, axes, column_axes, by_layer=by_layer)
    made: list[Row] = []
    before: object = None
    for keys in product(*(axes[axis] for axis in row_axes)):
        at = dict(zip(row_axes, keys, strict=True))
        found = [cell for column in places for cell in _cells_at(cells, {**at, **column.where}, column.quantity)]
        names = [_title(axis, key) for axis, key in at.items()]
        new = keys[0] != before
        begins = made != [] and new and (len(row_axes) > 1 or (keys[0] == ALL_TASKS))
        made.append(Row(names if new else ["", *names[1:]], found, begins=begins))
        before = keys[0]
    return ResultsTable("", "", [heads[axis] for axis in row_axes], groups, made)


@dataclass(frozen=True)
class _ColumnPlace:
    """A quantity and what its columns are about, by axis."""

    quantity: str
    where: dict[str, str | int]


def _groups(
    cells: StudyCells,
    shown: Sequence[str],
    axes: dict[str, Sequence[str | int]],
    column_axes: Sequence[str],
    *,
    by_layer: bool,
) -> tuple[list[Group], list[_ColumnPlace]]:
    groups: list[Group] = []
    places: list[_ColumnPlace] = []
    for keys in product(*(axes[axis] for axis in column_axes)):
        where = dict(zip(column_axes, keys, strict=True))
        method = where.get("arms")
        head = ", ".join(_title(axis, key) for axis, key in where.items())
        columns: list[Column] = []
        for quantity in shown:
            if method is not None and not _has(cells, quantity, str(method)):
                continue
            columns += cells.columns(quantity, None if method is None else str(method))
            places.append(_ColumnPlace(quantity, where))
        if columns:
            alone = by_layer and len(columns) == 1
            groups.append(Group("", [replace(columns[0], head=head)]) if alone else Group(head, columns))
    return groups, places


def _has(cells: StudyCells, quantity: str, method: str) -> bool:
    """Tells whether a quantity means anything for a method: the reference has no reduction from itself."""
    study = cells.data.results.study
    return method != study.reference_method or quantity not in ("reduction", "p", "equal_skill")


def _cells_at(cells: StudyCells, where: dict[str, str | int], quantity: str) -> list[Cell]:
    layer = where.get("layers")
    return cells.cells(quantity, str(where["tasks"]), str(where["arms"]), None if layer is None else int(layer))


def _title(axis: str, key: str | int) -> str:
    if axis == "layers":
        return str(key)
    return task_title(str(key)) if axis == "tasks" else method_title(str(key))


def _caption(
    data: ReportData,
    measure: str,
    shown: Sequence[str],
    *,
    by_layer: bool,
    layers: Sequence[int],
) -> str:
    study = data.results.study
    reference = method_title(study.reference_method)
    mean = "" if by_layer else ", mean over layers"
    sentences = [
        f"Drift of {study.model} under {listed([method_title(m) for m in data.methods])}: {drift_definition(study, measure)}{mean}, "
        f"mean over final models of {counted(len(study.seeds), 'seed')}, ± their standard deviation. 0 is unmoved, about 1 unrelated"
    ]
    if layers:
        sentences.append("Some of the layers")
    ends = f"with {chosen_percent(study.confidence)} intervals"
    if "reduction" in shown:
        sentences.append(f"Reduction: 1 - drift / drift of {reference}, at the end of training, {ends}")
    if "equal_skill" in shown:
        sentences.append(f"At equal skill: the same reduction where every run had the same score, {ends} over models")
    if "score" in shown:
        sentences.append("Score: on validation rows, mean over final models, ± standard deviation")
    if "forgetting" in shown:
        sentences.append(f"Forgetting: rise of the loss on general text, nats per token, {ends}")
    return ". ".join(sentences) + "."


def _plain_label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() or "drift"
