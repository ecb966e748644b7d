"""repdrift visualize: figures and the dashboard page of an analysis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdrift.cli import options as o
from repdrift.core.progress import tell


def visualize(
    results_file: Annotated[
        Path | None,
        typer.Option(
            help="What `repdrift analyze` wrote.", show_default="results/drift_analysis/drift_analysis_results.json"
        ),
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Where the figures go.", show_default="results/drift_visualizations")
    ] = None,
    config: o.Config = None,
) -> None:
    """Draw the figures (PNG and PDF) and one dashboard page that holds them.

    Example: repdrift visualize --results-file results/drift_analysis/drift_analysis_results.json --output-dir figures
    """
    from repdrift.core.records.results import RESULTS_FILE
    from repdrift.report import visualize as draw
    from repdrift.study.runs import ANALYSIS_FOLDER, FIGURES_FOLDER

    study, _ = o.study_from(config)
    source = results_file or study.results_dir / ANALYSIS_FOLDER / RESULTS_FILE
    files = draw(source, output_dir or study.results_dir / FIGURES_FOLDER)
    for path in files.written:
        tell(str(path))
