"""repdrift analyze: measure drift and test the hypotheses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdrift.cli import options as o


def analyze(
    config: o.Config = None,
    task: o.Task = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Folder for the results.", show_default="results/drift_analysis")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            help="Similarity measure (see `repdrift measures`). The option may be repeated.",
            show_default="the study's",
        ),
    ] = None,
    target_reduction: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.99,
            help="The reduction of drift that is tested: is it larger than this share?",
            show_default="the study's, or 0.2",
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(min=1e-6, max=0.49, help="Significance level of the tests.", show_default="the study's, or 0.05"),
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of bootstrap resamples of the samples; 0 for none.",
            show_default="the study's, or 10000",
        ),
    ] = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    as_json: bool = typer.Option(False, "--json", help="Print the whole results as JSON."),
) -> None:
    """Measure how far every extracted model has drifted from the base model, with controls, and test the hypotheses.

    Writes drift_analysis_results.json, drift.parquet, drift.csv and drift_analysis_summary.md.

    Example: repdrift analyze --task all --output-dir results/drift_analysis
    """
    from repdrift.core.records.results import ALL_TASKS, RESULTS_FILE, SUMMARY_FILE
    from repdrift.drift import analyze as run_analysis
    from repdrift.study.drift_plan import drift_plan
    from repdrift.study.runs import ANALYSIS_FOLDER

    study, config_path = o.study_from(config, results_dir=results_dir, base_dir=base_dir)
    plan = drift_plan(
        study,
        config_path,
        tasks=task,
        measures=measure,
        target_reduction=target_reduction,
        alpha=alpha,
        replicates=replicates,
    )
    target = output_dir or study.results_dir / ANALYSIS_FOLDER
    results, _ = run_analysis(plan, target)
    if as_json:
        typer.echo(results.model_dump_json(indent=2))
        return
    for test in sorted(results.tests, key=lambda test: test.task != ALL_TASKS):  # results over all tasks come first
        if test.layer is None:
            typer.echo(f"[{test.verdict}] {test.sentence}")
    for warning in results.warnings:
        typer.echo(f"note: {warning}")
    for check in results.sanity:
        if check.passed is False:
            typer.echo(f"check failed: {check.name}. {check.detail}")
    typer.echo(f"{target / SUMMARY_FILE}\n{target / RESULTS_FILE}")
