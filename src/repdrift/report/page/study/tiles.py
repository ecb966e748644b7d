"""The tiles of a study's page: drift, reduction, score, forgetting, learnt or not, and controls, each with its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from repdrift.core.learnt_words import JudgedModel, judged_models
from repdrift.core.words import counted, listed, score_number, some_listed
from repdrift.report.page.contents import NOT_KNOWN, Tile
from repdrift.report.page.study.drift_tile import drift_tile
from repdrift.report.page.study.forgetting_tile import forgetting_tile
from repdrift.report.page.study.reduction_tile import reduction_tile
from repdrift.report.page.study.score_tile import score_tile
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_NAMED = 3


def study_tiles(data: ReportData) -> list[Tile]:
    """Returns the tiles in the order in which one asks. Where no model has learnt its task, no verdict is good."""
    models = judged_models(data.results.runs)
    sure = all(model.verdict is True for model in models)
    found = [drift_tile(data), reduction_tile(data), score_tile(data), forgetting_tile(data)]
    tiles = [
        *(_unsure(tile) if tile.name != "reduction" and not sure else tile for tile in found if tile is not None),
        _learnt_tile(data, models),
        _controls_tile(data),
    ]
    some_learnt = any(model.verdict is True for model in models)
    return tiles if some_learnt else [_unsure(tile) for tile in tiles]


def _unsure(tile: Tile) -> Tile:
    """The tile without praise: a good verdict over models that have not learnt, or may not have, says little."""
    return replace(tile, verdict="open") if tile.verdict == "yes" else tile


def _learnt_tile(data: ReportData, models: Sequence[JudgedModel]) -> Tile:
    label = "Learnt their task"
    have = sum(model.verdict is True for model in models)
    have_not = sum(model.verdict is False for model in models)
    unknown = len(models) - have - have_not
    planned = sum(run.step == 0 for run in data.results.runs)
    absent = (
        f" {counted(planned - len(models), 'planned model')} {'is' if planned - len(models) == 1 else 'are'} missing."
        if planned > len(models)
        else ""
    )
    if not models:
        return Tile("learnt", label, NOT_KNOWN, "no model", "open", f"No trained model is there.{absent}")
    value = f"{have} of {len(models)}"
    details = _learnt_by_group(data, models)
    if have == len(models):
        line = f"Every model's score is surely above that of the best constant answer.{absent}"
        return Tile("learnt", label, value, "learnt", "yes", line, details)
    if have_not:
        line = f"{counted(have_not, 'model')} {'does' if have_not == 1 else 'do'} not surely beat the best constant answer, so {'its' if have_not == 1 else 'their'} drift says little of the method.{absent}"
        return Tile("learnt", label, value, "not all learnt" if have else "none learnt", "no", line, details)
    line = (
        f"For {counted(unknown, 'model')} it is not known: too few rows were scored, or the files do not say.{absent}"
    )
    return Tile("learnt", label, value, "not known", "open", line, details)


def _learnt_by_group(data: ReportData, models: Sequence[JudgedModel]) -> list[str]:
    lines: list[str] = []
    for task, task_name in task_titles(data).items():
        for method, arm in arm_titles(data).items():
            group = [model for model in models if (model.task, model.method) == (task, method)]
            known = [model.learnt for model in group if model.learnt is not None]
            if not group:
                lines.append(f"{task_name}, {arm}: no model.")
                continue
            have = sum(model.verdict is True for model in group)
            scores = ""
            if known:
                ends = list(
                    dict.fromkeys(
                        f"{score_number(value)}" for value in (min(k.score for k in known), max(k.score for k in known))
                    )
                )
                constants = listed(sorted({f"{score_number(k.constant_score)}" for k in known}))
                scores = f"; {known[0].metric} {' to '.join(ends)}, and {constants} for the best constant answer"
            lines.append(f"{task_name}, {arm}: {have} of {len(group)} known to have learnt{scores}.")
    return lines


def _controls_tile(data: ReportData) -> Tile:
    label = "Controls and checks"
    checks = data.results.sanity
    failed = [check.name for check in checks if check.passed is False]
    passed = sum(check.passed is True for check in checks)
    not_possible = len(checks) - passed - len(failed)
    details = [
        f"{check.name}: {({True: 'passed', False: 'FAILED', None: 'not possible'})[check.passed]}. {check.detail}"
        for check in checks
    ]
    if not checks:
        return Tile("controls", label, NOT_KNOWN, "not made", "open", "The analysis made no check of the comparison.")
    value = f"{passed} of {len(checks)}"
    rest = f" {not_possible} could not be made." if not_possible else ""
    if failed:
        return Tile(
            "controls",
            label,
            value,
            f"{len(failed)} failed",
            "no",
            f"Failed: {some_listed(failed, most=_NAMED)}.{rest}",
            details,
        )
    if not_possible:
        return Tile("controls", label, value, "not all made", "open", f"No check failed.{rest}", details)
    return Tile(
        "controls",
        label,
        value,
        "passed",
        "yes",
        "Sample sets match, noise is small, controls are as expected.",
        details,
    )
