"""drift_analysis_summary.md: the answer first, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from repdrift.core.records.results import ALL_TASKS, Control, DriftResults, Reduction
from repdrift.drift.chosen_measures import drift_is
from repdrift.drift.summary.cells import claim_of, markdown, number, percent, pvalue
from repdrift.drift.summary.findings import summary_layers, summary_patterns
from repdrift.drift.weight_rows import WEIGHT_MEASURES
from repdrift.similarity import measure

_PASSED = {True: "passed", False: "FAILED", None: "not possible"}


def summary_markdown(results: DriftResults, table: pd.DataFrame) -> str:
    """The summary as Markdown."""
    study = results.study
    shown = measure(study.primary_measure)
    blocks = [
        f"# Drift of {study.model}: {study.comparison_method} against {study.reference_method}",
        _answer(results),
        "## What was compared\n\n" + _compared(results, table),
        *(
            ["## What is missing or needs care\n\n" + "\n".join(f"- {w}" for w in results.warnings)]
            if results.warnings
            else []
        ),
        f"## Drift by layer\n\nDrift is 1 - {study.primary_measure} ({shown.title}) between the base model and the trained "
        "model on the same samples: 0 is unchanged, about 1 is unrelated. Mean over seeds, final models.\n\n"
        + _by_layer(results, table),
        *([f"## Drift under every measure\n\n{by_measure}"] if (by_measure := _by_measure(results, table)) else []),
        "## Reduction of drift\n\nReduction is 1 - drift of "
        f"{study.comparison_method} / drift of {study.reference_method}, from drifts averaged over layers, then seeds"
        f" (and tasks, in the row `all`). Intervals are two-sided, {100 * study.confidence:g} %: over *models* they say what "
        "other seeds would give on these samples, over *samples* what other samples would give these models, over both what "
        f"neither fixes. The lower bound is one-sided, {100 * (1 - study.alpha):g} %, over models, by inverting the "
        "permutation test. None: the notes say why, or the design is too small.\n\n" + _reductions(results),
        "## Tests\n\nThe unit is the trained model. Methods are compared by permuting their labels within tasks.\n\n"
        + _tests(results),
        *([f"## Layers\n\n{layers}"] if (layers := summary_layers(results)) else []),
        *([f"## Patterns\n\n{patterns}"] if (patterns := summary_patterns(results, table)) else []),
        "## Controls\n\n" + _controls(results) + "\n\n" + _sanity(results),
        "## Trained models\n\n" + _runs(results),
        _HOW_TO_READ,
    ]
    return "\n\n".join(blocks) + "\n"


_HOW_TO_READ = """## How to read this

- *Supported*: the data would be surprising if the claim were false. *Rejected*: they contradict the claim. *Undecided*: this
  design cannot tell; that is not evidence of no difference. *Not testable*: too few models, or no drift to take a share of.
- The smallest reachable p is set by the number of trained models alone. Where it is above the test's level, no result could
  have been significant: train more seeds.
- Intervals in `drift.csv` say how much the number depends on the choice of samples, for these trained models. They do not say
  what other seeds would give.
- An interval or lower bound belongs to its own row: over many layers or tasks some will miss by chance.
- A difference between methods that is smaller than the drift between two seeds of one method is not a finding."""


def _answer(results: DriftResults) -> str:
    lines = [t.sentence for t in results.tests if t.task == ALL_TASKS and t.layer is None]
    if not lines:
        lines = ["No task has final models of both methods, so they cannot be compared; the drift of each is below."]
    return "\n".join(f"**{line}**\n" if number == 0 else f"{line}\n" for number, line in enumerate(lines)).strip()


def _compared(results: DriftResults, table: pd.DataFrame) -> str:
    study = results.study
    there = [run for run in results.runs if run.status == "ok" and run.step == 0]
    counts = ", ".join(f"{sum(run.method == m for run in there)} trained by {m}" for m in study.methods)
    counted = table.dropna(subset=["n"])  # rows about weights are of no samples
    samples = ", ".join(f"{task} {int(rows['n'].iloc[0])}" for task, rows in counted.groupby("task", sort=False))
    unit = "tokens" if study.pooling == "tokens" else "samples"
    later = sorted({run.step for run in results.runs if run.status == "ok" and run.step != 0})
    text = (
        f"The base model {study.model} against {len(there)} final models ({counts}), layer by layer ({study.n_layers} layers, "
        f"pooling {study.pooling}), on the same {unit} for all: {samples}. The measure that is tested is "
        f"{study.primary_measure}; drift.csv has {', '.join(study.measures)}."
    )
    of_weights = [name for name in WEIGHT_MEASURES if (table["measure"] == name).any()]
    if of_weights:
        text += f" Of the weights themselves it has {', '.join(of_weights)}."
    if later:
        text += f" Checkpoints (steps {', '.join(map(str, later))}) are in drift.csv and in no test."
    return text


def _by_layer(results: DriftResults, table: pd.DataFrame) -> str:
    primary = table[(table["measure"] == results.study.primary_measure) & (table["step"] == 0)]
    if primary.empty:
        return "No final model is at hand."
    means = primary.pivot_table(index="layer", columns=["task", "method"], values="drift", aggfunc="mean", sort=False)
    header = ["layer", *(f"{task}, {method}" for task, method in means.columns)]
    rows = [[str(layer), *map(number, row)] for layer, row in zip(means.index, means.to_numpy(), strict=True)]
    return markdown(header, rows)


def _by_measure(results: DriftResults, table: pd.DataFrame) -> str:
    """Mean over layers and seeds under each measure that has a value; empty if there is one measure only."""
    study = results.study
    final = table[(table["step"] == 0) & table["measure"].isin(study.measures) & table["drift"].notna()]
    if len(study.measures) < 2 or final.empty:
        return ""
    found = dict(iter(final.groupby(["measure", "task", "method"], sort=False)))
    groups = list(dict.fromkeys((task, method) for _, task, method in found))
    rows: list[list[str]] = []
    for name in study.measures:
        of = [found.get((name, task, method)) for task, method in groups]
        if any(part is not None for part in of):
            rows.append([name, drift_is(name), *(number(_mean(part, study.n_layers)) for part in of)])
    text = (
        "Mean over layers and seeds, final models; missing where a layer has no value. Their scales differ: compare along "
        "a row, not down a column.\n\n"
    )
    return text + markdown(["measure", "drift is", *(f"{task}, {method}" for task, method in groups)], rows)


def _mean(rows: pd.DataFrame | None, n_layers: int) -> float | None:
    """None unless every layer has a value: the mean of the others would be of something else."""
    if rows is None or rows["layer"].nunique() < n_layers:
        return None
    return float(rows["drift"].mean())


def _reductions(results: DriftResults) -> str:
    rows = [[r.task, *_reduction_cells(r)] for r in results.reductions if r.layer is None]
    study = results.study
    header = [study.reference_method, study.comparison_method, "reduction", "over models", "over samples", "over both"]
    text = markdown(["task", *header, "lower bound"], rows)
    notes = dict.fromkeys(f"{r.task}: {note}" for r in results.reductions if r.layer is None for note in r.notes)
    if notes:
        text += "\n\n" + "\n".join(f"- {note}" for note in notes)
    overall = next((r for r in results.reductions if r.task == ALL_TASKS and r.layer is None), None)
    if overall and overall.effects:
        effects = [
            [e.name.replace("_", " "), number(e.estimate), _ends(e.low, e.high), e.missing or ""]
            for e in overall.effects
        ]
        text += f"\n\nOver all tasks, {study.comparison_method} against {study.reference_method}, intervals over models:\n\n"
        text += markdown(["effect size", "estimate", "interval", "missing"], effects)
    others = [r for r in results.other_measures if r.task == ALL_TASKS]
    if others:
        text += "\n\nOver all tasks under the measures that are not tested, to see whether the finding hangs on the choice:\n\n"
        text += markdown(["measure", *header, "lower bound"], [[r.measure, *_reduction_cells(r)] for r in others])
    mixed = results.mixed_model
    if mixed is not None:
        text += "\n\nSecond opinion, a mixed model of log drift over tasks: "
        text += (
            f"reduction {percent(mixed.reduction)}, interval {_percents(mixed.low, mixed.high)}, p = {pvalue(mixed.pvalue)} "
            f"({mixed.n_units} models)."
            if mixed.reduction is not None
            else f"none, {mixed.missing}."
        )
    return text


def _reduction_cells(r: Reduction) -> list[str]:
    ends = {i.over: _percents(i.low, i.high) for i in r.intervals}
    return [
        number(r.reference_drift),
        number(r.comparison_drift),
        percent(r.reduction),
        *(ends.get(over, "none") for over in ("models", "samples", "models and samples")),
        percent(r.reduction_low),
    ]


def _ends(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{number(low)} to {number(high)}"


def _percents(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f} %"


def _tests(results: DriftResults) -> str:
    rows = [
        [
            claim_of(t, results.study),
            t.task,
            pvalue(t.pvalue),
            pvalue(t.paired.pvalue) if t.paired else "none",
            pvalue(t.smallest_pvalue),
            str(t.n_units),
            t.verdict,
        ]
        for t in results.tests
        if t.layer is None
    ]
    header = ["claim", "task", "p", "p, seeds paired", "smallest reachable p", "models", "verdict"]
    return markdown(header, rows)


def _controls(results: DriftResults) -> str:
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
    return "Drift of the controls, smallest to largest over layers and tasks.\n\n" + markdown(header, rows)


def _seed_range(controls: list[Control], methods: Sequence[str]) -> str:
    parts = [f"{m}: {_range(c.drift for c in controls if c.name == 'seed_ceiling' and c.method == m)}" for m in methods]
    return "; ".join(parts)


def _sanity(results: DriftResults) -> str:
    return markdown(["check", "result", "detail"], [[s.name, _PASSED[s.passed], s.detail] for s in results.sanity])


def _runs(results: DriftResults) -> str:
    rows = []
    for run in results.runs:
        scores = ", ".join(f"{k} {v:.3f}" for k, v in run.metrics.items() if v is not None and k != "train_loss")
        rows.append([run.task, run.method, str(run.seed), str(run.step), run.status, scores or run.reason or ""])
    return markdown(["task", "method", "seed", "step", "state", "scores on its validation data"], rows)


def _range(values: Iterable[float | None]) -> str:
    known = [v for v in values if v is not None]
    return f"{min(known):.2g} to {max(known):.2g}" if known else "not at hand"
