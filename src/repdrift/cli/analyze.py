"""repdrift analyze: measure drift and test the hypotheses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from repdrift.cli import options as o
from repdrift.cli.field_options import changed, with_field_options
from repdrift.cli.study_end import Full, print_study_end
from repdrift.core.progress import tell_json
from repdrift.study.analysis_options import AnalysisOptions


@with_field_options(AnalysisOptions, "analysis", panel="Analysis", unless_given=o.THE_STUDYS)
def analyze(
    *,
    study_file: o.StudyFile = None,
    config: o.Config = None,
    overrides: o.Overrides = None,
    task: o.Task = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Folder for the results.", show_default="results/drift_analysis")
    ] = None,
    analysis: dict[str, Any],
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    as_json: bool = typer.Option(False, "--json", help="Print the whole results as JSON."),
    full: Full = False,
) -> None:
    """Measure how far every extracted model has drifted from the base model, with controls, and test the hypotheses.

    Writes drift_analysis_results.json, drift.parquet, drift.csv and drift_analysis_summary.md.

    Example: repdrift analyze --task all --output-dir results/drift_analysis

    Example, other measures too: repdrift analyze --measure cka --measure procrustes --replicates 2000
    """
    from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE
    from repdrift.drift import analyze as run_analysis
    from repdrift.study.drift_plan import drift_plan
    from repdrift.study.given_study import config_words
    from repdrift.study.inputs import StudyInputs
    from repdrift.study.runs import ANALYSIS_FOLDER

    study, config_path = o.study_from(
        config, study_file=study_file, overrides=overrides, results_dir=results_dir, base_dir=base_dir
    )
    o.require_once(config_path, analysis, "analysis")
    study = study.model_copy(update={"analysis": changed(study.analysis, analysis)})
    inputs = StudyInputs(study, config_path)
    plan = drift_plan(
        study, config_path, tasks=task, samples_of=inputs.sample_set, general_text=lambda: inputs.general_text
    )
    target = output_dir or study.results_dir / ANALYSIS_FOLDER
    results, table = run_analysis(plan, target)
    inputs.stores.send(target)
    inputs.stores.require_sent()
    if as_json:
        tell_json(json.loads(results.model_dump_json()))
        return
    drawn_by = f"repdrift visualize --results-file {shlex.quote(str(target / RESULTS_FILE))}"
    if config and output_dir is None:
        drawn_by = shlex.join(["repdrift", "visualize", *config_words(config_path)])
    places = {
        "summary": str(target / SUMMARY_FILE),
        "results": str(target / RESULTS_FILE),
        "page": f"drawn by {drawn_by}",
    }
    print_study_end(results, table, places, full=full)
