"""The summary's section on comparisons at equal skill, beside those at the end of training."""

from __future__ import annotations

from repdrift.core.equal_skill_words import WHAT_IT_ANSWERS, reduction_at_end, skill_notes, tasks_in_words
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.results import DriftResults
from repdrift.core.words import markdown_text, method_title, number, percent, percent_range, pvalue
from repdrift.drift.summary.result_tables import markdown_table

_HEADER = [
    "task",
    "the method",
    "at equal skill",
    "over models",
    "at the end",
    "p",
    "smallest possible p",
    "models",
    "verdict",
]


def equal_skill_section(results: DriftResults) -> str:
    """Returns a table of every contrast and task with both reductions, then scores, conditions and second opinions; empty for none."""
    found = results.equal_skill
    if not found:
        return ""
    blocks = [WHAT_IT_ANSWERS]
    compared = [each for each in found if each.test is not None]
    several = len(results.study.contrasted) > 1
    if compared:
        header = [_HEADER[0], f"{method_title(results.study.reference_method)}", *_HEADER[1:]]
        rows = [[*([method_title(e.comparison)] if several else []), *_row(e, results)] for e in compared]
        blocks.append(markdown_table([*(["method"] if several else []), *header], rows))
    notes = skill_notes(found, several=several)
    blocks.append("\n".join(f"- {markdown_text(note)}" for note in notes))
    return "\n\n".join(blocks)


def _row(found: EqualSkill, results: DriftResults) -> list[str]:
    test = found.test
    assert test is not None  # noqa: S101  rows are of comparisons
    return [
        tasks_in_words(found, results),
        number(found.reference_drift),
        number(found.comparison_drift),
        percent(found.reduction),
        "none" if found.interval is None else percent_range(found.interval.low, found.interval.high),
        percent(reduction_at_end(found, results)),
        pvalue(test.pvalue if test.deciding_pvalue is None else test.deciding_pvalue),
        pvalue(test.smallest_pvalue if test.smallest_deciding_pvalue is None else test.smallest_deciding_pvalue),
        str(test.n_units),
        test.verdict,
    ]
