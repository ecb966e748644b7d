"""The tile of the reduction: how much less each method drifts than the reference, with its interval and verdict."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.study_headline.contrast import AT_EQUAL_SKILL, Contrast, contrasts, first_named
from repdrift.core.words import listed, method_title, reduction_in_words, short_number, task_title
from repdrift.report.answer import answer, between_seeds, details
from repdrift.report.page.contents import NOT_KNOWN, Tile, Verdict
from repdrift.report.report_data import ReportData

_FEW_TASKS = 4
_QUESTIONS = ("Does ", "By how much?", "Is the target", "Are they alike?", "Who drifts less", "What could this design")
"""Beginnings of the questions of the answer that the tile's details take over."""


def reduction_tile(data: ReportData) -> Tile | None:
    """Returns the tile; None in a study of one method, which has nothing to compare."""
    found = contrasts(data.results)
    if not found:
        return None
    reference = method_title(data.results.study.reference_method)
    whens = listed(list(dict.fromkeys(each.when for each in found)))
    label = f"Reduction against {reference}, {whens}"
    if len(found) > 1:
        return _of_several(data, found, label)
    (one,) = found
    chip, verdict = _chip(one)
    said = [
        f"{point.question} {point.short} {point.text}"
        for point in answer(data)
        if point.question.startswith(_QUESTIONS)
    ]
    value = "not tested" if one.verdict == "not testable" else one.size or NOT_KNOWN
    seeds = between_seeds(data)
    beside = (
        ""
        if seeds.short == "Not known."
        else f" Does the difference exceed the drift between two seeds of one method? {seeds.short}"
    )
    return Tile(
        "reduction",
        label,
        value,
        chip,
        verdict,
        f"{_line(one)}{_by_task(data)}{beside}",
        [*said, f"{seeds.question} {seeds.text}"],
    )


def _by_task(data: ReportData) -> str:
    """The reduction on each of a few tasks as a sentence, since a mean over tasks hides that they differ; of the end of training."""
    found = [(task, each.reduction) for task in data.compared_tasks() if (each := data.reduction(task)) is not None]
    known = [f"{task_title(task)} {reduction_in_words(value)}" for task, value in found if value is not None]
    return f" By task: {', '.join(known)}." if 1 < len(known) <= _FEW_TASKS else ""


def _of_several(data: ReportData, found: Sequence[Contrast], label: str) -> Tile:
    known = sorted((each.reduction, each.method) for each in found if each.reduction is not None)
    less = [each for each in found if each.state == "yes"]
    more = [each for each in found if each.state == "no"]
    rest = [each for each in found if each.state == "open"]
    value = f"{len(less)} of {len(found)} less"
    parts = [
        f"{word}: {first_named([f'{each.method} ({each.size})' if each.size else each.method for each in _largest_first(those)])}"
        for word, those in (("Less", less), ("More", more), ("Not decided", rest))
        if those
    ]
    verdict: Verdict = "yes" if len(less) == len(found) else "no" if len(more) == len(found) else "open"
    chip = (
        "all less"
        if verdict == "yes"
        else "all more"
        if verdict == "no"
        else "mixed"
        if less or more
        else "none decided"
    )
    line = "; ".join(parts) + "."
    if any(each.when == AT_EQUAL_SKILL for each in found) and any(each.when != AT_EQUAL_SKILL for each in found):
        at_the_end = [each.method for each in found if each.when != AT_EQUAL_SKILL]
        line += f" At the end of training alone: {first_named(at_the_end)}."
    spread = (
        [f"Measured reductions: from {_share(known[0][0])} ({known[0][1]}) to {_share(known[-1][0])} ({known[-1][1]})."]
        if known
        else []
    )
    lines = [*spread, *(_line(each) for each in found)]
    targets = [
        f"{title}: {point.question} {point.short} {point.text}"
        for title, points in details(data)
        for point in points
        if point.question.startswith("Is the target")
    ]
    return Tile("reduction", label, value, chip, verdict, line, [*lines, *targets])


def _largest_first(found: Sequence[Contrast]) -> list[Contrast]:
    return sorted(found, key=lambda each: -abs(each.reduction or 0))


def _chip(one: Contrast) -> tuple[str, Verdict]:
    word = {"supported": "less", "rejected": "more"}.get(one.verdict, one.verdict)
    if one.verdict in ("supported", "rejected") and one.state == "open":
        return f"{word}, if learnt", "open"
    return word, one.state


def _line(one: Contrast) -> str:
    """The clause with its interval, and what the interval is over."""
    sentence = f"{one.sentence[:1].upper()}{one.sentence[1:]}" if one.sentence.startswith("whether") else one.sentence
    if one.interval is None:
        undefined = one.reduction is None and one.test is not None
        why = ", and a ratio is not defined, since the reference does not drift" if undefined else ""
        missing = " (no interval)" if one.verdict in ("supported", "rejected", "undecided") and not undefined else ""
        return f"{sentence}{missing}{why}."
    return f"{sentence}; {one.interval_words}."


def _share(value: float) -> str:
    return f"{short_number(100 * value)} %"
