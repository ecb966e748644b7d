"""The change of the weights of a study's models in words: how far they moved under each method, where, and which directions are new."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.results import DriftResults
from repdrift.core.records.weights import StudyWeightsMoved, WeightContrast, WeightsOverSeeds
from repdrift.core.weights_words import ROUNDING, TITLE, group_title, packed_sentence, relative_size
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import (
    counted,
    listed,
    method_title,
    number,
    p_equals,
    percent,
    pvalue,
    some_listed,
    task_title,
    times,
)

_HEADER = (
    "distance",
    "sd",
    "relative change",
    "sd",
    "rank for 90 %",
    "alignment left",
    "right",
    "share of intruders",
    "sd",
)
_LINES = 12
_CAPTION = (
    "Final models, means over seeds; sd: standard deviation between seeds, from three on. Distance: ||dW|| of all weights joined. Relative change: ||dW|| / ||W|| of the changed weights "
    "joined. Rank for 90 %: median over the changed matrices of a model. Alignment: of the leading left (outputs) and right (inputs) singular "
    "vectors of base and tuned matrix. Share of intruders: of the leading left singular vectors of the tuned matrices, those near none of the base's."
)


def study_weights_worded(results: DriftResults) -> WordedSection | None:
    """Returns the section; None if the results have nothing of it."""
    found = None if results.moved is None else results.moved.weights
    if found is None:
        return None
    packed = dict.fromkeys(line for run in found.runs for line in run.not_compared)
    answer = [
        *packed_sentence(list(packed)),
        *_sizes(found),
        *_rounding(found),
        *(contrast_sentence(at) for at in found.contrasts),
        *_intruders(found),
    ]
    tables = [
        CaptionedTable("By task and method", _CAPTION, ("task", "method", "seeds", *_HEADER), _rows(found, "all")),
        CaptionedTable(
            "By kind of module", "Columns as above.", ("task", "method", "module", *_HEADER), _rows(found, "kind")
        ),
        CaptionedTable("By layer", "Columns as above.", ("task", "method", "layer", *_HEADER), _rows(found, "layer")),
    ]
    return WordedSection("weights", TITLE, answer, tables, notes=_notes(found), left_out=_left_out(found))


def contrast_sentence(at: WeightContrast) -> str:
    """One contrast of two methods, with its interval and p."""
    method, reference = method_title(at.method), method_title(at.reference)
    over = f"over {counted(at.models, 'trained model')} against {at.reference_models}, {listed([task_title(t) for t in at.tasks])}"
    if at.estimate is None:
        return f"Size of the change, {method} against {reference}: not compared, since {at.note}."
    if at.quantity == "change_norm":
        ends = "" if at.low is None or at.high is None else f" [{times(at.low)}, {times(at.high)}]"
        said = f"Under {method} all weights together moved {times(at.estimate)}{ends} times as far (||dW||) as under {reference}"
    else:
        ends = "" if at.low is None or at.high is None else f" [{100 * at.low:.2f}, {100 * at.high:.2f}]"
        said = (
            f"The share of intruders in the matrices that all of these models changed on a task is {100 * at.estimate:+.2f}{ends} percentage points under {method} against "
            f"{reference}"
        )
    tested = (
        "not tested"
        if at.p is None or at.p_adjusted is None
        else f"{p_equals(at.p_adjusted)} (corrected; the least that this design can give is {pvalue(at.smallest_p)} before)"
    )
    note = f"; {at.note}" if at.note else ""
    return f"{said} ({over}): {tested}{note}."


def _sizes(found: StudyWeightsMoved) -> list[str]:
    said: list[str] = []
    for at in _part(found, "all"):
        kinds = [k for k in _part(found, "kind") if (k.task, k.method) == (at.task, at.method) and k.relative_change]
        if at.relative_change is None:
            continue
        most = max(kinds, key=lambda k: k.relative_change or 0.0, default=None)
        where = (
            ""
            if most is None
            else f"; most in {group_title(most.group)}, by {relative_size(most.relative_change or 0.0)}"
        )
        said.append(
            f"{task_title(at.task)}, {method_title(at.method)}: the weights that changed moved by {relative_size(at.relative_change)} of their size{where} "
            f"({counted(len(at.seeds), 'seed')})."
        )
    return said


def _rounding(found: StudyWeightsMoved) -> list[str]:
    rounded = [run for run in found.runs if not run.step and any(ROUNDING in note for note in run.notes)]
    if not rounded:
        return []
    return [
        f"In {counted(len(rounded), 'final model')} a part of the change is rounding, since the files have a coarser type than the base model's (see the notes)."
    ]


def _intruders(found: StudyWeightsMoved) -> list[str]:
    final = [run for run in found.runs if not run.step and run.whole.intruders is not None]
    with_some = [run for run in final if run.whole.intruders]
    rule = f"|cosine| below {found.intruder_cosine:g} with every left singular vector of the base, {found.leading} leading vectors a matrix"
    if not final:
        return []
    if not with_some:
        return [f"No final model has an intruder dimension ({rule})."]
    by_method = {
        method: [r for r in with_some if r.method == method] for method in dict.fromkeys(r.method for r in final)
    }
    counts = [
        f"{method_title(method)}: {len(runs)} of {sum(1 for r in final if r.method == method)}, "
        f"{sum(r.whole.intruders or 0 for r in runs)} in all"
        for method, runs in by_method.items()
    ]
    return [f"Final models with intruder dimensions ({rule}): {'; '.join(counts)}."]


def _part(found: StudyWeightsMoved, part: str) -> list[WeightsOverSeeds]:
    return [at for at in found.over_seeds if at.part == part]


def _rows(found: StudyWeightsMoved, part: str) -> list[list[str]]:
    return [
        [
            task_title(at.task),
            method_title(at.method),
            str(len(at.seeds)) if part == "all" else group_title(at.group),
            number(at.change_norm),
            number(at.change_norm_sd, missing="-"),
            number(at.relative_change, missing="-"),
            number(at.relative_change_sd, missing="-"),
            _short(at.rank_90),
            number(at.alignment_left, missing="-"),
            number(at.alignment_right, missing="-"),
            percent(at.intruder_share, missing="-"),
            percent(at.intruder_share_sd, missing="-"),
        ]
        for at in _part(found, part)
        if at.relative_change != 0.0 or part == "all"
    ]


def _notes(found: StudyWeightsMoved) -> list[str]:
    said = [
        f"Intervals are {percent(found.confidence).replace('.0', '')} ones over trained models (Welch; of the ratio on its logarithm), tests exchange the labels of "
        "models within tasks, never of matrices. weights.parquet has a row for each matrix and model, checkpoints too.",
        "Where a matrix has more outputs than inputs, the base's left singular vectors do not span all outputs; a direction outside their span "
        "counts as an intruder.",
        *found.notes,
    ]
    in_part: dict[str, int] = {}
    for run in found.runs:
        for note in run.notes:
            in_part[note] = in_part.get(note, 0) + 1
    return [*said, *(f"{counted(models, 'model')}: {note}." for note, models in in_part.items())]


def _left_out(found: StudyWeightsMoved) -> Sequence[str]:
    holders: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        holders.setdefault(reason, []).append(name)
    for run in found.runs:
        for line in run.not_compared:
            holders.setdefault(line, [])
    lines = [f"{some_listed(names)}: {reason}" if names else reason for reason, names in holders.items()]
    more = len(lines) - _LINES
    return [*lines[:_LINES], f"{more} more, which drift_analysis_results.json names"] if more > 0 else lines


def _short(value: float | None) -> str:
    return number(value, missing="-")
