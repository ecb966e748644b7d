"""The summary's sections on layers and on patterns."""

from __future__ import annotations

import pandas as pd

from repdrift.core.records.results import ALL_TASKS, DriftResults, LayerRanking
from repdrift.drift.summary.cells import claim_of, markdown, number, percent, pvalue


def summary_layers(results: DriftResults) -> str:
    """Tests by layer over all tasks, clusters, ranks; empty if there is nothing of them."""
    blocks = [_by_layer(results), _clusters(results), _levels(results), *map(_ranking, results.rankings)]
    return "\n\n".join(block for block in blocks if block)


def summary_patterns(results: DriftResults, table: pd.DataFrame) -> str:
    """Drift over training, drift against score, likeness of tasks; empty if there is nothing of them."""
    blocks = [trajectory] if (trajectory := _trajectory(results, table)) else []
    if results.associations:
        blocks.append("\n".join(f"- {a.sentence}" for a in results.associations))
    if results.profiles:
        rows = [[p.method, p.task, p.other_task, number(p.pearson), number(p.spearman)] for p in results.profiles]
        blocks.append(
            "Whether two tasks move the same layers: correlation over layers of mean drifts. Layers are no independent units, so "
            "that there is no p.\n\n" + markdown(["method", "task", "other task", "Pearson", "Spearman"], rows)
        )
    return "\n\n".join(blocks)


def _trajectory(results: DriftResults, table: pd.DataFrame) -> str:
    """Mean drift over layers and seeds by step; empty without checkpoints."""
    primary = table[table["measure"] == results.study.primary_measure]
    steps = sorted(int(step) for step in primary["step"].unique() if step != 0)
    if not steps:
        return ""
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for (task, method, step), rows in primary.groupby(["task", "method", "step"], sort=False):  # pyright: ignore[reportGeneralTypeIssues]
        cells.setdefault((str(task), str(method)), {})[int(str(step))] = (
            f"{number(float(rows['drift'].mean()))} ({rows['seed'].nunique()})"
        )
    rows = [[*group, *(found.get(step, "missing") for step in (*steps, 0))] for group, found in cells.items()]
    return (
        "Drift over training, mean over layers and the seeds at hand (their number in brackets); in no test.\n\n"
        + markdown(["task", "method", *(f"step {step}" for step in steps), "final"], rows)
    )


def _by_layer(results: DriftResults) -> str:
    tests = [t for t in results.tests if t.layer is not None and t.hypothesis == "comparison_drifts_less"]
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
    header = ["layer", "reduction", "lower bound", "p", "p (max-T)", "p (Holm)", "p (Benjamini-Hochberg)", "verdict"]
    return (
        f"Over all tasks (claim: {claim_of(tests[0], results.study)}); the verdict rests on p corrected over the layers by {tests[0].correction}:\n\n"
        + markdown(header, rows)
    )


def _clusters(results: DriftResults) -> str:
    if not results.clusters:
        return ""
    claims = {t.hypothesis: claim_of(t, results.study) for t in results.tests}
    rows = [
        [
            claims.get(c.hypothesis, c.hypothesis),
            f"{c.first_layer} to {c.last_layer}" if c.last_layer > c.first_layer else str(c.first_layer),
            pvalue(c.pvalue),
            pvalue(c.smallest_pvalue),
        ]
        for c in results.clusters
    ]
    return (
        "Runs of adjacent layers that differ (cluster permutation over all tasks). A small p says that the methods differ, and most "
        "visibly there; not that every layer of the run does.\n\n"
        + markdown(["claim", "layers", "p", "smallest reachable p"], rows)
    )


def _levels(results: DriftResults) -> str:
    lines: list[str] = []
    for hypothesis in ("drift_above_identity", "drift_above_seed_ceiling"):
        for method in results.study.methods:
            tests = [
                t for t in results.tests if t.hypothesis == hypothesis and t.method == method and t.layer is not None
            ]
            if tests:
                shown = [str(t.layer) for t in tests if t.verdict == "supported"]
                where = f"in {len(shown)} of {len(tests)} layers" + (
                    f" ({', '.join(shown)})" if 0 < len(shown) < len(tests) else ""
                )
                least = min(t.smallest_deciding_pvalue for t in tests if t.smallest_deciding_pvalue is not None)
                lines.append(
                    f"- That {claim_of(tests[0], results.study)} is supported {where}; smallest reachable p {least:.2g}."
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
        f"Which layers drift most under {ranking.method}: the first five by mean drift over all tasks. Ranks' intervals hold for all layers "
        f"at once ({100 * ranking.confidence:g} %, {ranking.over} drawn anew).\n\n"
    )
    return text + markdown(["layer", "drift", "rank", "interval", "may be the largest"], rows)
