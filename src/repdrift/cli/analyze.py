"""repdrift analyze: measure drift and test the hypotheses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from repdrift.cli import options as o
from repdrift.cli.field_options import changed, with_field_options
from repdrift.core.progress import tell, tell_json
from repdrift.study.analysis_options import AnalysisOptions


@with_field_options(AnalysisOptions, "analysis", panel="Analysis", unless_given=o.THE_STUDYS)
def analyze(
    *,
    config: o.Config = None,
    task: o.Task = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Folder for the results.", show_default="results/drift_analysis")
    ] = None,
    analysis: dict[str, Any],
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    as_json: bool = typer.Option(False, "--json", help="Print the whole results as JSON."),
) -> None:
    """Measure how far every extracted model has drifted from the base model, with controls, and test the hypotheses.

    Writes drift_analysis_results.json, drift.parquet, drift.csv and drift_analysis_summary.md.

    Example: repdrift analyze --task all --output-dir results/drift_analysis

    Example, other measures too: repdrift analyze --measure cka --measure procrustes --replicates 2000
    """
    from repdrift.core.equal_skill_words import all_in_lines
    from repdrift.core.first_lines import first_lines
    from repdrift.core.hypotheses import LESS
    from repdrift.core.records.results import ALL_TASKS, RESULTS_FILE, SUMMARY_FILE
    from repdrift.drift import analyze as run_analysis
    from repdrift.study.drift_plan import drift_plan
    from repdrift.study.inputs import StudyInputs
    from repdrift.study.runs import ANALYSIS_FOLDER

    study, config_path = o.study_from(config, results_dir=results_dir, base_dir=base_dir)
    study = study.model_copy(update={"analysis": changed(study.analysis, analysis)})
    plan = drift_plan(study, config_path, tasks=task, samples_of=StudyInputs(study, config_path).sample_set)
    target = output_dir or study.results_dir / ANALYSIS_FOLDER
    results, _ = run_analysis(plan, target)
    if as_json:
        tell_json(json.loads(results.model_dump_json()))
        return
    first = first_lines(results)
    for caution in first:
        tell(f"note: {caution}")
    tested = [each.test.sentence for each in results.equal_skill if each.test is not None]
    for each in results.equal_skill:
        if each.test is not None:
            tell(f"[{each.test.verdict}] {each.test.sentence}")
    # Results over all tasks come first, and among them whether each method drifts less.
    for test in sorted(
        results.tests, key=lambda t: (t.task != ALL_TASKS, t.task == ALL_TASKS and t.hypothesis != LESS)
    ):
        if test.layer is None:
            tell(f"[{test.verdict}] {test.sentence}")
    for line in (line for line in all_in_lines(results.equal_skill) if line not in tested):
        tell(f"note: {line}")
    for warning in (w for w in results.warnings if w not in first):
        tell(f"note: {warning}")
    for check in results.sanity:
        if check.passed is False:
            tell(f"check failed: {check.name}. {check.detail}")
    tell(f"{target / SUMMARY_FILE}\n{target / RESULTS_FILE}")
