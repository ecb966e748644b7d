"""drift_analysis_summary.md: the answer first, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from repdrift.core.records.results import Control, DriftResults
from repdrift.drift.measure_names import drift_is
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
        f" (and tasks, in the row `all`). The lower bound is one-sided, {100 * (1 - study.alpha):g} %, over trained models;"
        " none: the design is too small for one.\n\n" + _reductions(results),
        "## Tests\n\nMethod labels are permuted over trained models, within tasks. The unit is the trained model.\n\n"
        + _tests(results),
        "## Controls\n\n" + _controls(results) + "\n\n" + _sanity(results),
        "## Trained models\n\n" + _runs(results),
        _HOW_TO_READ,
    ]
    return "\n\n".join(blocks) + "\n"


_HOW_TO_READ = """## How to read this

- *Supported*: the data would be surprising if the claim were false. *Rejected*: they contradict the claim. *Undecided*: this
  design cannot tell; that is not evidence of no difference.
- The smallest reachable p is set by the number of trained models alone. Where it is above the test's level, no result could
  have been significant: train more seeds.
- Intervals in `drift.csv` say how much the number depends on the choice of samples, for these trained models. They do not say
  what other seeds would give.
- A lower bound of the reduction belongs to its own row: over many layers or tasks some will be too high by chance.
- A difference between methods that is smaller than the drift between two seeds of one method is not a finding."""


def _answer(results: DriftResults) -> str:
    lines = [t.sentence for t in results.tests if t.task == "all" and t.layer is None]
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
    rows = [[str(layer), *map(_number, row)] for layer, row in zip(means.index, means.to_numpy(), strict=True)]
    return _markdown(header, rows)


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
            rows.append([name, drift_is(name), *(_number(_mean(part, study.n_layers)) for part in of)])
    text = (
        "Mean over layers and seeds, final models; missing where a layer has no value. Their scales differ: compare along "
        "a row, not down a column.\n\n"
    )
    return text + _markdown(["measure", "drift is", *(f"{task}, {method}" for task, method in groups)], rows)


def _mean(rows: pd.DataFrame | None, n_layers: int) -> float | None:
    """None unless every layer has a value: the mean of the others would be of something else."""
    if rows is None or rows["layer"].nunique() < n_layers:
        return None
    return float(rows["drift"].mean())


def _reductions(results: DriftResults) -> str:
    rows = [
        [
            r.task,
            _number(r.reference_drift),
            _number(r.comparison_drift),
            _percent(r.reduction),
            _percent(r.reduction_low),
        ]
        for r in results.reductions
        if r.layer is None
    ]
    study = results.study
    return _markdown(
        ["task", f"{study.reference_method}", f"{study.comparison_method}", "reduction", "lower bound"], rows
    )


def _tests(results: DriftResults) -> str:
    claims = {
        "comparison_drifts_less": "drifts less",
        "reduction_exceeds_target": f"drifts at least {100 * results.study.target_reduction:g} % less",
    }
    rows = [
        [t.task, claims[t.hypothesis], _p(t.pvalue), _p(t.smallest_pvalue), str(t.n_units), t.verdict]
        for t in results.tests
        if t.layer is None
    ]
    text = _markdown(["task", "claim", "p", "smallest reachable p", "models", "verdict"], rows)
    layers = [t for t in results.tests if t.layer is not None and t.hypothesis == "comparison_drifts_less"]
    if layers:
        of_layer = {r.layer: r for r in results.reductions if r.task == "all"}
        rows = [
            [
                str(t.layer),
                _percent(of_layer[t.layer].reduction),
                _percent(of_layer[t.layer].reduction_low),
                _p(t.pvalue),
                _p(t.pvalue_holm),
                _p(t.pvalue_bh),
                t.verdict,
            ]
            for t in layers
        ]
        text += "\n\nBy layer, over all tasks (claim: drifts less); the verdict rests on p corrected over layers by Holm:\n\n"
        header = ["layer", "reduction", "lower bound", "p", "p (Holm)", "p (Benjamini-Hochberg)", "verdict"]
        text += _markdown(header, rows)
    return text


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
            ]
        )
    header = ["measure", "identity", "mispaired", "between two seeds"]
    return "Drift of the controls, smallest to largest over layers and tasks.\n\n" + _markdown(header, rows)


def _seed_range(controls: list[Control], methods: Sequence[str]) -> str:
    parts = [f"{m}: {_range(c.drift for c in controls if c.name == 'seed_ceiling' and c.method == m)}" for m in methods]
    return "; ".join(parts)


def _sanity(results: DriftResults) -> str:
    return _markdown(["check", "result", "detail"], [[s.name, _PASSED[s.passed], s.detail] for s in results.sanity])


def _runs(results: DriftResults) -> str:
    rows = []
    for run in results.runs:
        scores = ", ".join(f"{k} {v:.3f}" for k, v in run.metrics.items() if v is not None and k != "train_loss")
        rows.append([run.task, run.method, str(run.seed), str(run.step), run.status, scores or run.reason or ""])
    return _markdown(["task", "method", "seed", "step", "state", "scores on its validation data"], rows)


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None or pd.isna(value):
        return "missing"
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"


def _p(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _range(values: Iterable[float | None]) -> str:
    known = [v for v in values if v is not None]
    return f"{min(known):.2g} to {max(known):.2g}" if known else "not at hand"
