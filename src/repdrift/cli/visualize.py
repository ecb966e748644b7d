"""repdrift visualize: figures and the page of an analysis."""

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
    figures: Annotated[
        str | None,
        typer.Option(
            help="Names of figures with commas between them (docs/howto/figures.md lists them). They are drawn alone, and the page is left as it is.",
            show_default="all that the results can give, and the page",
        ),
    ] = None,
    formats: o.FigureFormats = "png,pdf",
    width: o.FigureWidth = "two-column",
    venue: o.FigureVenue = "acl",
    config: o.Config = None,
    overrides: o.Overrides = None,
) -> None:
    """Draw the figures (PNG and PDF), their captions, and one page that is read in a browser.

    Example: repdrift visualize --results-file results/drift_analysis/drift_analysis_results.json --output-dir figures
    For a paper: repdrift visualize --figures drift_heatmap,drift_reduction --format pdf --width one-column --venue acl
    """
    from repdrift.core.records.results import RESULTS_FILE
    from repdrift.report import visualize as draw
    from repdrift.report.figure_size import figure_size
    from repdrift.study.runs import ANALYSIS_FOLDER, FIGURES_FOLDER

    study, _ = o.study_from(config, overrides=overrides)
    source = results_file or study.results_dir / ANALYSIS_FOLDER / RESULTS_FILE
    files = draw(
        source,
        output_dir or study.results_dir / FIGURES_FOLDER,
        figure_names=None if figures is None else o.parts(figures),
        formats=o.parts(formats),
        size=figure_size(width, venue),
    )
    for path in files.written:
        tell(str(path))
