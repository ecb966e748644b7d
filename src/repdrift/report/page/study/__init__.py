"""The page of a study, from its results and its tidy table."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.measure_words import drift_definition, unseen_in_words
from repdrift.core.study_headline import headline
from repdrift.core.words import listed, method_in_full
from repdrift.report.page.answers import drift_in_words
from repdrift.report.page.contents import Page
from repdrift.report.page.drift_table import drift_table
from repdrift.report.page.main_view import CAPTION, drift_by_layer
from repdrift.report.page.study.chapters import FigureFile, study_chapters
from repdrift.report.page.study.downloads import downloads, too_large
from repdrift.report.page.study.filters import study_filters
from repdrift.report.page.study.methods_text import methods_text
from repdrift.report.page.study.provenance import provenance
from repdrift.report.page.study.run_table import run_table
from repdrift.report.page.study.tiles import study_tiles
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import study_views
from repdrift.report.report_data import ReportData
from repdrift.report.skill import first_lines
from repdrift.report.style import method_color

__all__ = ["FigureFile", "study_page"]


_MOST_NAMED = 6
"""Methods that the line below the headline names; more of them stand in legends and in the methods paragraph."""


def study_page(data: ReportData, figures: Sequence[FigureFile] = ()) -> Page:
    """Returns the page of a study. figures: those that lie beside it as files."""
    study = data.results.study
    table = drift_table(data)
    views = study_views(data)
    runs, methods = run_table(data), methods_text(data)
    return Page(
        title=f"Drift of {study.model}: {study.name}",
        subtitle=_subtitle(data),
        headline=headline(data.results, data.table),
        cautions=list(dict.fromkeys(first_lines(data))),
        tiles=study_tiles(data),
        filters=study_filters(data, table),
        main=drift_by_layer(
            table,
            {title: method_color(name, data.methods) for name, title in arm_titles(data).items()},
            drift_is=drift_definition(study, study.primary_measure),
            answer=drift_in_words(data),
            caption=f"{CAPTION} {unseen_in_words(study.primary_measure)}".strip(),
        ),
        views=views,
        runs=runs,
        methods_text=methods,
        provenance=[*provenance(data), *([("Not in this page", large)] if (large := too_large(data)) else [])],
        commands=study.commands,
        downloads=downloads(data, runs, table, views, methods),
        chapters=study_chapters(data, figures, {section.name for view in views for section in view.tables}),
    )


def _subtitle(data: ReportData) -> str:
    """The study in one line: its tasks, methods, seeds, layers and pooling."""
    study = data.results.study
    named = len(data.methods) <= _MOST_NAMED
    methods = (
        "; ".join(method_in_full(n, study.method_words) for n in data.methods) if named else str(len(data.methods))
    )
    return (
        f"Study {study.name}. Tasks: {', '.join(task_titles(data).values())}. Methods: {methods}. "
        f"Seeds: {listed([str(seed) for seed in study.seeds])}. {study.n_layers} layers, pooling {study.pooling}."
    )
