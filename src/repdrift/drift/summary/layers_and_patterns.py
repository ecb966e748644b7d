"""The sections of the summary on layers and on patterns."""

from __future__ import annotations

import pandas as pd

from repdrift.core.hypotheses import FLOORS, LESS, claim
from repdrift.core.records.claims import LayerRanking
from repdrift.core.records.results import ALL_TASKS, DriftResults
from repdrift.core.words import (
    chosen_percent,
    layer_ranges,
    markdown_text,
    method_title,
    number,
    percent,
    pvalue,
    task_title,
)
from repdrift.drift.summary.result_tables import markdown_table


def summary_layers(results: DriftResults) -> str:
    """Returns tests by layer over all tasks, clusters and ranks; empty if there are none."""
    by_layer = [_by_layer(contrast) for contrast in results.contrasts()]
    blocks = [*by_layer, _clusters(results), _floors(results), *map(_ranking, results.rankings)]
    return "\n\n".join(block for block in blocks if block)


def summary_patterns(results: DriftResults, table: pd.DataFrame) -> str:
    """Returns drift over training, drift against score and similarity of tasks; empty if there is none of them."""
    blocks = [trajectory] if (trajectory := _trajectory(results, table)) else []
    if results.associations:
        blocks.append("\n".join(f"- {markdown_text(a.sentence)}" for a in results.associations))
    if results.profiles:
        rows = [
            [
                method_title(p.method),
                task_title(p.task),
                task_title(p.other_task),
                number(p.pearson),
                number(p.spearman),
            ]
            for p in results.profiles
        ]
        blocks.append(
            "Whether two tasks move the same layers: correlation over layers of mean drifts. Layers are not independent units, so "
            "there is no p.\n\n" + markdown_table(["method", "task", "other task", "Pearson", "Spearman"], rows)
        )
    return "\n\n".join(blocks)


def _trajectory(results: DriftResults, table: pd.DataFrame) -> str:
    """Returns the mean drift over layers and seeds by step; empty without checkpoints."""
    primary = table[table["measure"] == results.study.primary_measure]
    steps = sorted(int(step) for step in primary["step"].unique() if step != 0)
    if not steps:
        return ""
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for (task, method, step), rows in primary.groupby(["task", "method", "step"], sort=False):  # pyright: ignore[reportGeneralTypeIssues]
        cells.setdefault((str(task), str(method)), {})[int(str(step))] = (
            f"{number(float(rows['drift'].mean()))} ({rows['seed'].nunique()})"
        )
    rows = [
        [task_title(group[0]), method_title(group[1]), *(found.get(step, "missing") for step in (*steps, 0))]
        for group, found in cells.items()
    ]
    return (
        "Drift over training, mean over layers and over the seeds that are there (their number in brackets). It is in no test.\n\n"
        + markdown_table(["task", "method", *(f"step {step}" for step in steps), "final"], rows)
    )


def _by_layer(results: DriftResults) -> str:
    tests = [t for t in results.tests if t.layer is not None and t.hypothesis == LESS]
    if not tests:
        return ""
    of_layer = {r.layer: r for r in results.reductions if r.task == ALL_TASKS}
    rows = [
        [
            str(t.layer),
            percent(of_layer[t.layer].reduction),
            percent(of_layer[t.layer].reduction_low),
            pvalue(t.pvalue),
            pvalue(t.pvalue_max_t),
            pvalue(t.pvalue_holm),
            pvalue(t.pvalue_bh),
            t.verdict,
        ]
        for t in tests
    ]
    over_arms = f", and over {tests[0].n_arms} arms by Holm" if tests[0].n_arms > 1 else ""
    header = ["layer", "reduction", "lower bound", "p", "p (max-T)", "p (Holm)", "p (Benjamini-Hochberg)", "verdict"]
    return (
        f"Over all tasks (claim: {markdown_text(claim(LESS, results.study))}). The verdict rests on p corrected over the layers by {tests[0].correction}{over_arms}:\n\n"
        + markdown_table(header, rows)
    )


def _clusters(results: DriftResults) -> str:
    if not results.clusters:
        return ""
    rows = [
        [
            claim(c.hypothesis, results.study, comparison=c.comparison),
            f"{c.first_layer} to {c.last_layer}" if c.last_layer > c.first_layer else str(c.first_layer),
            pvalue(c.pvalue),
            pvalue(c.smallest_pvalue),
        ]
        for c in results.clusters
    ]
    return (
        "Clusters of adjacent layers that differ (cluster permutation over all tasks). A small p says that the methods differ, most "
        "visibly there; it does not say that every layer of the cluster differs.\n\n"
        + markdown_table(["claim", "layers", "p", "smallest possible p"], rows)
    )


def _floors(results: DriftResults) -> str:
    lines: list[str] = []
    for hypothesis in FLOORS:
        for method in results.study.methods:
            tests = [
                t for t in results.tests if t.hypothesis == hypothesis and t.method == method and t.layer is not None
            ]
            if tests:
                shown = [t.layer for t in tests if t.layer is not None and t.verdict == "supported"]
                where = f"in {len(shown)} of {len(tests)} layers" + (
                    f" ({layer_ranges(shown)})" if 0 < len(shown) < len(tests) else ""
                )
                least = min(t.smallest_deciding_pvalue for t in tests if t.smallest_deciding_pvalue is not None)
                lines.append(
                    f"- That {markdown_text(claim(hypothesis, results.study, method))} is supported {where}; smallest possible p {pvalue(least)}."
                )
    return "\n".join(lines)


def _ranking(ranking: LayerRanking) -> str:
    ordered = sorted(ranking.layers, key=lambda layer: layer.rank)
    rows = [
        [
            str(r.layer),
            number(r.drift),
            f"{r.rank:g}",
            f"{r.rank_low} to {r.rank_high}",
            "yes" if r.may_be_largest else "no",
        ]
        for r in ordered[:5]
    ]
    text = (
        f"The five layers that drift most under {markdown_text(method_title(ranking.method))}, by mean drift over all tasks. The intervals of ranks hold "
        f"for all layers at once ({chosen_percent(ranking.confidence)}, {ranking.over} drawn anew).\n\n"
    )
    return text + markdown_table(["layer", "drift", "rank", "interval", "may be the largest"], rows)
