"""The screen at the end of `run` and `analyze`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from repdrift.core.claim_parts import OVER, widest_claim
from repdrift.core.first_lines import first_lines
from repdrift.core.outcome_words import score_title
from repdrift.core.records.results import ALL_TASKS, SUMMARY_FILE, TABLE_PARQUET, DriftResults
from repdrift.core.sink_words import sinks_in_short
from repdrift.core.site_rows import residual_rows
from repdrift.core.study_headline import headlines
from repdrift.core.words import chosen_percent, method_title, percent, signed_digits, task_title
from repdrift.report.glance.cautions import Caution, Kind, kind_of
from repdrift.report.glance.ending import Ending, ending_lines
from repdrift.report.glance.screen import Screen
from repdrift.report.glance.short_numbers import short_percent_range, with_spread
from repdrift.report.glance.small_table import GlanceRow, GlanceTable
from repdrift.report.glance.study_numbers import Score, final_score, forgetting_of, models_of, not_learnt_of
from repdrift.report.report_data import ReportData

_NARROWER = "~"
"""Mark of an interval that claims less than the others of its table."""


def study_glance(results: DriftResults, table: pd.DataFrame, places: Mapping[str, str], screen: Screen) -> list[str]:
    """Returns the lines, 25 at most. table: the tidy table. places: what lies where, such as `page` and its path, in the order to look."""
    data = ReportData(results, residual_rows(table), TABLE_PARQUET)
    ending = Ending(
        headlines=headlines(results, table),
        tables=[_by_task(data, screen), _by_method(data, screen)],
        cautions=study_cautions(results),
        places=places,
        all_cautions_in=SUMMARY_FILE,
    )
    return ending_lines(ending, screen)


def study_cautions(results: DriftResults) -> list[Caution]:
    """Returns every caution of an analysis, the most serious first: from its checks and its warnings."""
    found: list[Caution] = []
    if not any(r.task == ALL_TASKS and r.layer is None for r in results.reductions):
        text = (
            "No method could be compared with another: no task has final models of the reference and of another method."
        )
        found.append(Caution(Kind.NOT_COMPARED, text))
    found += [
        Caution(Kind.FAILED_CONTROL, f"Check failed: {check.name}. {check.detail}")
        for check in results.sanity
        if check.passed is False
    ]
    sentences = list(dict.fromkeys([*first_lines(results), *results.warnings]))
    rates = set(results.tuning.cautions) if results.tuning is not None else set()
    found += [Caution(Kind.LEARNING_RATES if said in rates else kind_of(said), said) for said in sentences]
    return sorted(found, key=lambda caution: caution.kind)


def _by_task(data: ReportData, screen: Screen) -> GlanceTable:
    """A row for each task and method that has models or was to have them."""
    rows: list[GlanceRow] = []
    for task in data.tasks:
        title = task_title(task)
        for method in data.methods:
            if data.planned(task, method):
                rows.append(_row(data, task, method, [title, method_title(method)], screen))
                title = ""
    return _table(data, ["task", "method"], rows, screen)


def _by_method(data: ReportData, screen: Screen) -> GlanceTable:
    """A row for each method, over all tasks: for studies of which every task and method would not fit."""
    rows = [_row_over_tasks(data, method, screen) for method in data.methods]
    return _table(data, ["method, over all tasks"], rows, screen)


def _table(data: ReportData, names: Sequence[str], rows: Sequence[GlanceRow], screen: Screen) -> GlanceTable:
    heads = [
        "drift (sd)" if any(screen.plus_minus in row.numbers[0] for row in rows) else "drift",
        "reduction",
        "at equal skill",
        _score_head(data),
        "forgetting",
    ]
    used = [any(row.numbers[place] for row in rows) for place in range(len(heads))]
    kept = [place for place, is_used in enumerate(used) if is_used or place == 0]
    return GlanceTable(
        name_heads=names,
        heads=[heads[place] for place in kept],
        rows=[GlanceRow(row.names, [row.numbers[place] for place in kept], row.drifts) for row in rows],
        layers=data.layers,
        optional=[heads[place] for place in kept if place in (2, 4)],
        notes=_notes(data, rows, screen),
    )


def _notes(data: ReportData, rows: Sequence[GlanceRow], screen: Screen) -> list[str]:
    study = data.results.study
    said = ["sd over seeds"] if any(screen.plus_minus in row.numbers[0] for row in rows) else []
    over = _claims(data)
    if study.contrasted and data.results.reductions:
        ends = f" [{chosen_percent(study.confidence)} interval over {over[0]}]" if over else ""
        said.append(f"reduction against {method_title(study.reference_method)}{ends}")
        if any(_NARROWER in row.numbers[1] for row in rows):
            said.append(f"{_NARROWER}: interval over {' or '.join(over[1:])} alone")
    if any("*" in number for row in rows for number in row.numbers):
        said.append("*: not all models have learnt the task")
    if sinks := sinks_in_short(study.sinks.values()):
        said.append(sinks)
    return said


def _claims(data: ReportData) -> list[str]:
    """Returns the kinds of claims that intervals of reductions make in these results, the widest first."""
    found = {
        interval.over for r in data.results.reductions if r.layer is None and (interval := widest_claim(r)) is not None
    }
    return [over for over in OVER if over in found]


def _metrics(data: ReportData) -> list[str]:
    """The primary scores of the study's final models, each once."""
    scores = [final_score(data, task, method) for task in data.tasks for method in data.methods]
    return list(dict.fromkeys(score.metric for score in scores if score is not None))


def _score_head(data: ReportData) -> str:
    """The head of the scores: which score it is, where there is one."""
    metrics = _metrics(data)
    return score_title(metrics[0]) if len(metrics) == 1 else "score"


def _score_text(data: ReportData, score: Score | None) -> str:
    """A score, with its name where tasks have other ones; empty for none."""
    if score is None:
        return ""
    return score.text if len(_metrics(data)) == 1 else f"{score_title(score.metric)} {score.text}"


def _row(data: ReportData, task: str, method: str, names: Sequence[str], screen: Screen) -> GlanceRow:
    models, score, forgot = (
        models_of(data, task, method),
        final_score(data, task, method),
        forgetting_of(data, task, method),
    )
    mark = "*" if not_learnt_of(data, task, method) else ""
    drift = "no value" if models.drift is None else with_spread(models.drift, models.spread, screen.plus_minus)
    difference = None if forgot is None else forgot.difference
    numbers = [
        drift if models.seeds else "no model",
        _reduction(data, task, method),
        _at_equal_skill(data, task, method),
        f"{_score_text(data, score)}{mark}",
        "" if difference is None else signed_digits(difference),
    ]
    return GlanceRow(names, numbers, models.by_layer if models.seeds else [None] * len(data.layers))


def _row_over_tasks(data: ReportData, method: str, screen: Screen) -> GlanceRow:
    found = [models_of(data, task, method) for task in data.tasks]
    there = [models for models in found if models.drift is not None]
    drifts = [models.drift for models in there if models.drift is not None]
    drift = float(np.mean(drifts)) if drifts else None
    of = f" ({len(there)} of {len(data.tasks)} tasks)" if 0 < len(there) < len(data.tasks) else ""
    mark = "*" if any(not_learnt_of(data, task, method) for task in data.tasks) else ""
    layers = np.mean([np.asarray(models.by_layer, dtype=float) for models in there], axis=0) if there else []
    numbers = [
        "no model" if drift is None else with_spread(drift, None, screen.plus_minus) + mark + of,
        _reduction(data, ALL_TASKS, method),
        _at_equal_skill(data, ALL_TASKS, method),
        "",
        "",
    ]
    return GlanceRow([method_title(method)], numbers, [float(value) for value in layers] or [None] * len(data.layers))


def _reduction(data: ReportData, task: str, method: str) -> str:
    study = data.results.study
    if method == study.reference_method:
        return "reference" if data.results.reductions else ""
    found = next(
        (
            r
            for r in data.results.reductions
            if (r.task, r.layer, r.comparison or study.comparison_method) == (task, None, method)
        ),
        None,
    )
    if found is None or found.reduction is None:
        return "none" if data.results.reductions else ""
    rests_on = (study.reference_method, method)
    mark = "*" if task != ALL_TASKS and any(not_learnt_of(data, task, each) for each in rests_on) else ""
    interval = widest_claim(found)
    if interval is None:
        return f"{percent(found.reduction)}{mark}"
    narrower = "" if interval.over == _claims(data)[0] else _NARROWER
    return f"{percent(found.reduction)} {short_percent_range(interval.low, interval.high)}{narrower}{mark}"


def _at_equal_skill(data: ReportData, task: str, method: str) -> str:
    compared = [each for each in data.results.equal_skill if each.test is not None]
    if not compared:
        return ""
    found = next((e for e in compared if (e.task, e.comparison) == (task, method)), None)
    if found is None or found.reduction is None:
        return "none" if method != data.results.study.reference_method else ""
    ends = "" if found.interval is None else f" {short_percent_range(found.interval.low, found.interval.high)}"
    return f"{percent(found.reduction)}{ends}"
