"""A gate's verdicts in words: lines for the terminal, and Markdown for a pull request."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from repdrift.comparison.gate.judging import ERROR_RATE, GateReport, Judged
from repdrift.core.comparison_answers import answer_line, grid_line
from repdrift.core.comparison_words import how_sure, warnings_beside_notes
from repdrift.core.gate_words import GATE_VERDICTS, beside_limit
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.gate import GatedNumber, GateResult
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.words import chosen_percent, counted, markdown_text

_MOST_ROWS = 40
"""Of the table in a pull request; the JUnit file has every number."""
_MOST_FAILED, _MOST_REASONS = 3, 2
"""Numbers that failed, and reasons of others, that the terminal names."""
_COLUMNS = 100
_MOST_NAMES = 3
"""Numbers that one reason names."""


def gate_lines(report: GateReport) -> list[str]:
    """The gate in a few lines for the terminal: the verdict, then each number that failed or could not be judged."""
    lines = [f"gate {GATE_VERDICTS[report.verdict]}: {_counts(report)}"]
    failed = sorted(report.of("failed"), key=_margin, reverse=True)
    lines += [f"  {one.model}, {one.what}: {numbers_in_words(one)}" for one in failed[:_MOST_FAILED]]
    if len(failed) > _MOST_FAILED:
        lines.append(f"  and {len(failed) - _MOST_FAILED} more that failed")
    reasons = _reasons([*report.of("not judged"), *_open(report)])
    lines += [f"  {reason}" for reason in reasons[:_MOST_REASONS]]
    if len(reasons) > _MOST_REASONS:
        lines.append(f"  and {counted(len(reasons) - _MOST_REASONS, 'more reason')} (--junit, --markdown-summary)")
    return [part for line in lines for part in textwrap.wrap(line, _COLUMNS, subsequent_indent="    ")]


def gate_markdown(report: GateReport) -> str:
    """The gate in Markdown: the verdict, a table with what failed first, what changes how the numbers are read, and how it was judged."""
    result = report.comparison
    first = sorted(
        report.judged, key=lambda one: (("failed", "not judged", "passed").index(one.verdict), -_margin(one))
    )
    shown, rest = first[:_MOST_ROWS], first[_MOST_ROWS:]
    lines = [
        f"## repdrift gate: {GATE_VERDICTS[report.verdict]}",
        "",
        markdown_text(f"Drift from {result.base} on {result.data}: {_counts(report)}."),
        "",
        *(f"**{markdown_text(sentence)}**\n" for sentence in result.headline),
        "| model | number | value | at least | at most | limit | verdict |",
        "|---|---|---|---|---|---|---|",
        *(_row(one) for one in shown),
        "",
    ]
    if rest:
        lines += [f"{counted(len(rest), 'more number')} passed or stand in the JUnit file alone.", ""]
    if reasons := _reasons([*report.of("not judged"), *_open(report)]):
        lines += [*(f"- {markdown_text(reason)}" for reason in reasons), ""]
    lines += ["### What was found", ""]
    lines += [f"- **{markdown_text(m.name)}**: {markdown_text(answer_line(m))}" for m in result.compared]
    lines += [f"- **{markdown_text(m.name)}**: {markdown_text(grid_line(m))}" for m in result.by_grid]
    lines += [
        f"- **{markdown_text(m.name)}**: not compared: {markdown_text(m.reason or 'no reason is recorded')}"
        for m in result.models
        if m.status == "not comparable"
    ]
    if cautions := cautions_of(result):
        lines += ["", "### Mind", "", *(f"- {markdown_text(sentence)}" for sentence in cautions)]
    lines += ["", "### How it was judged", "", markdown_text(how_judged(report)), ""]
    return "\n".join(lines)


def gate_result(report: GateReport) -> GateResult:
    """The verdicts as a record, for the comparison's own files."""
    gate = report.gate
    return GateResult(
        verdict=report.verdict,
        fail_above=gate.fail_above,
        measure=gate.measure,
        sites=list(gate.sites),
        layers=None if gate.layers is None else list(gate.layers),
        by_layer=gate.by_layer,
        mean=gate.mean,
        outcomes=dict(gate.outcomes),
        numbers=[
            GatedNumber(
                model=one.model,
                what=one.what,
                unit=one.unit,
                limit=one.limit,
                value=one.value,
                low=None if one.ends is None else one.ends.low,
                high=None if one.ends is None else one.ends.high,
                verdict=one.verdict,
                reason=one.reason,
            )
            for one in report.judged
        ],
        counts=_counts(report),
        how=how_judged(report),
    )


def error_markdown(message: str) -> str:
    """The summary of a gate that judged nothing, since the command failed. message: why."""
    return f"## repdrift gate: could not be judged\n\n{markdown_text(f'The command failed: {message}')}\n"


def numbers_in_words(one: Judged) -> str:
    """The number with its interval and limit: `0.41 (0.35 to 0.47), limit 0.3.`"""
    unit = f" {one.unit}" if one.unit and one.unit != "share" else ""
    if one.value is None:
        return f"No number; limit {one.limit:g}{unit}."
    ends = "no interval" if one.ends is None else " to ".join(beside_limit(end, one.limit) for end in one.ends)
    return f"{beside_limit(one.value, one.limit)}{unit} ({ends}), limit {one.limit:g}."


def how_judged(report: GateReport) -> str:
    """Says what failing means, for how many numbers at once, and that passing does not show that a limit is kept."""
    count = report.together
    bounds = (
        "Its lower end holds in 97.5 % of samples of texts"
        if count == 1
        else f"All {count} lower ends hold together in {chosen_percent(1 - ERROR_RATE)} of samples of texts (each is that of a {chosen_percent(round(1 - 2 * ERROR_RATE / count, 6))} interval)"
    )
    return (
        f"A number fails if the lower end of its interval over samples is above the limit. {bounds}, for these models: so chance alone fails a gate "
        f"whose true values lie at their limits in about {chosen_percent(ERROR_RATE)} of runs (simulated: 2 to 4 %, docs/howto/ci.md), and one well below them hardly ever. A number passes if it is not shown to be above its limit; only where its upper end "
        "is not above the limit either is it shown to keep it."
    )


def cautions_of(result: Comparison) -> list[str]:
    """Sentences that change how the numbers are read, models' own notes first, each once."""
    notes = [f"{model.name}: {note}" for model in result.models for note in model.notes]
    sinks = [sinks_in_words(result.sinks)] if result.sinks is not None else []
    found = [*result.headline, *notes, *warnings_beside_notes(result), *result.data_notes, *how_sure(result), *sinks]
    return list(dict.fromkeys(found))


def _counts(report: GateReport) -> str:
    """`2 of 6 numbers above the limit; 1 could not be judged`."""
    total = counted(len(report.judged), "number")
    failed, unjudged = len(report.of("failed")), len(report.of("not judged"))
    if not report.judged:
        return "no number was gated"
    said = [
        f"{failed} of {total} shown to be above the limit"
        if failed
        else f"none of {total} is shown to be above its limit"
    ]
    if unjudged:
        said.append(f"{unjudged} could not be judged")
    if not failed and not unjudged:
        kept = sum(one.ends is not None and one.ends.high <= one.limit for one in report.judged)
        said.append(f"{kept} shown not to be above it" if kept < len(report.judged) else "all are shown to keep it")
    return "; ".join(said)


def _reasons(found: Sequence[Judged]) -> list[str]:
    """The reasons, each once with the numbers that it is about."""
    about: dict[str, list[str]] = {}
    for one in found:
        about.setdefault(one.reason, []).append(f"{one.model}, {one.what}")
    return [f"{_some(names)}: {reason}" for reason, names in about.items()]


def _some(names: Sequence[str]) -> str:
    """Names that hold commas: the first three, and the number of the others."""
    more = len(names) - _MOST_NAMES
    return "; ".join(names[:_MOST_NAMES]) + (f"; and {counted(more, 'more number')}" if more > 0 else "")


def _open(report: GateReport) -> list[Judged]:
    """The numbers that passed with a value above the limit: only their intervals reach below it."""
    return [one for one in report.of("passed") if one.value is not None and one.value > one.limit]


def _margin(one: Judged) -> float:
    return float("-inf") if one.value is None else one.value - one.limit


def _row(one: Judged) -> str:
    ends = ("", "") if one.ends is None else tuple(beside_limit(end, one.limit) for end in one.ends)
    verdict = one.verdict if one.verdict == "passed" else f"**{one.verdict}**"
    value = "missing" if one.value is None else beside_limit(one.value, one.limit)
    unit = f" ({one.unit})" if one.unit else ""
    cells = [markdown_text(one.model), markdown_text(f"{one.what}{unit}"), value, *ends, f"{one.limit:g}", verdict]
    return f"| {' | '.join(cells)} |"
