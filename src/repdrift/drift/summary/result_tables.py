"""The tables of the summary: reductions, tests, controls, checks and runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from repdrift.core.hypotheses import METHOD_CLAIMS, claim
from repdrift.core.learnt_words import learnt_in_short
from repdrift.core.records.claims import Reduction
from repdrift.core.records.results import ALL_TASKS, DriftResults
from repdrift.core.records.study_info import Control
from repdrift.core.words import (
    chosen_percent,
    markdown_text,
    method_title,
    number,
    p_equals,
    percent,
    percent_range,
    pvalue,
    scores,
    short_number,
    task_title,
)
from repdrift.similarity import measure

_INTERVALS = ("reduction", "over models", "over samples", "over both")
_PASSED = {True: "passed", False: "FAILED", None: "not possible"}


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table. Heads and cells are plain texts, which are escaped here."""
    lines = ["| " + " | ".join(map(markdown_text, header)) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(map(markdown_text, row)) + " |" for row in rows]
    return "\n".join(lines)


def reductions_section(results: DriftResults) -> str:
    """Returns reductions with their intervals, effect sizes, other measures and the mixed model, for every contrast.

    Several contrasts have a table of all of them first, then a heading each.
    """
    contrasts = results.contrasts()
    if len(contrasts) == 1:
        return _contrast_section(results)
    study = results.study
    reference = markdown_text(method_title(study.reference_method))
    sections = [
        f"### {markdown_text(method_title(of.study.comparison_method))} against {reference}\n\n{_contrast_section(of)}"
        for of in contrasts
    ]
    return "\n\n".join([f"Over all tasks, every method against {reference}:\n\n" + _arms_table(results), *sections])


def _arms_table(results: DriftResults) -> str:
    """Returns the reduction of every contrast over all tasks, with the verdicts."""
    rows: list[list[str]] = []
    for of in results.contrasts():
        name = method_title(of.study.comparison_method)
        overall = next((r for r in of.reductions if r.task == ALL_TASKS and r.layer is None), None)
        verdicts = {t.hypothesis: t.verdict for t in of.tests if t.task == ALL_TASKS and t.layer is None}
        if overall is None:
            rows.append([name, *["none"] * 7, "not compared", "not compared"])
        else:
            rows.append([name, *_reduction_cells(overall), *(verdicts.get(h, "not tested") for h in METHOD_CLAIMS)])
    target = chosen_percent(results.study.target_reduction)
    header = ["method", method_title(results.study.reference_method), "the method", *_INTERVALS, "lower bound"]
    return markdown_table([*header, "drifts less", f"at least {target} less"], rows)


def _contrast_section(results: DriftResults) -> str:
    if not any(r.layer is None for r in results.reductions):
        return "No task has final models of both methods."
    rows = [[task_title(r.task), *_reduction_cells(r)] for r in results.reductions if r.layer is None]
    study = results.study
    header = [
        method_title(study.reference_method),
        method_title(study.comparison_method),
        *_INTERVALS,
    ]
    text = markdown_table(["task", *header, "lower bound"], rows)
    notes = dict.fromkeys(
        f"{task_title(r.task)}: {note}" for r in results.reductions if r.layer is None for note in r.notes
    )
    if notes:
        text += "\n\n" + "\n".join(f"- {markdown_text(note)}" for note in notes)
    overall = next((r for r in results.reductions if r.task == ALL_TASKS and r.layer is None), None)
    if overall and overall.effects:
        effects = [
            [e.name.replace("_", " "), number(e.estimate), _ends(e.low, e.high), e.missing or ""]
            for e in overall.effects
        ]
        text += f"\n\nOver all tasks, {markdown_text(method_title(study.comparison_method))} against {markdown_text(method_title(study.reference_method))}, intervals over models:\n\n"
        text += markdown_table(["effect size", "estimate", "interval", "missing"], effects)
    others = [r for r in results.other_measures if r.task == ALL_TASKS]
    if others:
        text += "\n\nOver all tasks by the measures that are not tested, to see whether the finding depends on the measure:\n\n"
        text += markdown_table(["measure", *header, "lower bound"], [[r.measure, *_reduction_cells(r)] for r in others])
    mixed = results.mixed_model
    if mixed is not None:
        text += "\n\nSecond opinion, a mixed model of log drift over tasks: "
        text += (
            f"reduction {percent(mixed.reduction)}, interval {percent_range(mixed.low, mixed.high)}, {p_equals(mixed.pvalue)} "
            f"({mixed.n_units} models)."
            if mixed.reduction is not None and mixed.pvalue is not None
            else f"none, {markdown_text(str(mixed.missing))}."
        )
    return text


def _reduction_cells(r: Reduction) -> list[str]:
    ends = {i.over: percent_range(i.low, i.high) for i in r.intervals}
    return [
        number(r.reference_drift),
        number(r.comparison_drift),
        percent(r.reduction),
        *(ends.get(over, "none") for over in ("models", "samples", "models and samples")),
        percent(r.reduction_low),
    ]


def _ends(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{number(low)} to {number(high)}"


def tests_table(results: DriftResults) -> str:
    """Returns the tests of means over layers. Where some are corrected over arms, the verdicts rest on those p-values."""
    tests = [t for t in results.tests if t.layer is None]
    arms = max((t.n_arms for t in tests), default=1)
    rows = [
        [
            claim(t.hypothesis, results.study, t.method, t.comparison),
            task_title(t.task),
            pvalue(t.pvalue),
            *([pvalue(t.deciding_pvalue if t.n_arms > 1 else None)] if arms > 1 else []),
            pvalue(t.paired.pvalue) if t.paired else "none",
            pvalue(t.smallest_deciding_pvalue if t.n_arms > 1 else t.smallest_pvalue),
            str(t.n_units),
            t.verdict,
        ]
        for t in tests
    ]
    corrected = ["p, corrected over arms"] if arms > 1 else []
    header = ["claim", "task", "p", *corrected, "p, seeds paired", "smallest possible p", "models", "verdict"]
    table = markdown_table(header, rows)
    if arms == 1:
        return table
    return (
        f"Each claim is tested for up to {arms} arms against the reference and corrected over them by Holm; the verdict, and the smallest "
        f"possible p, are those after the correction. Tasks are not corrected for.\n\n{table}"
    )


def controls_table(results: DriftResults) -> str:
    """Returns the range of every control under every measure."""
    measures = results.study.measures
    rows = []
    for name in measures:
        of = [c for c in results.controls if c.measure == name]
        if not of:
            continue
        rows.append(
            [
                name,
                _range(c.drift for c in of if c.name == "identity"),
                _range(c.drift for c in of if c.name == "mispaired") if measure(name).paired else "no control",
                _seed_range(of, results.study.methods),
                _range(c.drift for c in of if c.name == "random_change"),
            ]
        )
    header = ["measure", "identity", "mispaired", "between two seeds", "random change of the same size"]
    return "Drift of the controls, smallest to largest over layers and tasks.\n\n" + markdown_table(header, rows)


def _seed_range(controls: list[Control], methods: Sequence[str]) -> str:
    parts = [
        f"{method_title(m)}: {_range(c.drift for c in controls if c.name == 'seed_ceiling' and c.method == m)}"
        for m in methods
    ]
    return "; ".join(parts)


def checks_table(results: DriftResults) -> str:
    """Returns the sanity checks."""
    return markdown_table(
        ["check", "result", "detail"], [[s.name, _PASSED[s.passed], s.detail] for s in results.sanity]
    )


def runs_table(results: DriftResults) -> str:
    """Returns the planned runs with their scores."""
    rows = []
    for run in results.runs:
        shown = scores({name: value for name, value in run.metrics.items() if name != "train_loss"})
        rows.append(
            [
                task_title(run.task),
                method_title(run.method),
                str(run.seed),
                str(run.step),
                run.status,
                learnt_in_short(run.learnt) if run.status == "ok" and run.step == 0 else "",
                shown or run.reason or "",
            ]
        )
    return markdown_table(["task", "method", "seed", "step", "state", "learnt", "scores on its validation data"], rows)


def _range(values: Iterable[float | None]) -> str:
    known = [v for v in values if v is not None]
    ends = [short_number(end) for end in (min(known), max(known))] if known else ["not available"]
    return " to ".join(dict.fromkeys(ends))
