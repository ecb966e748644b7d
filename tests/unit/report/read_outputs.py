"""Every output of a study and of a comparison as its reader sees it, by the output's name."""

import html
import re
from pathlib import Path

from repdrift.comparison.output import summary
from repdrift.drift.summary import summary_markdown
from repdrift.notebook.comparison_view import comparison_card
from repdrift.notebook.study_view import StudyResults, results_card
from repdrift.report.figure_files import caption_of
from repdrift.report.figures import figures
from repdrift.report.glance import Screen, comparison_glance, study_glance
from repdrift.report.tables.chosen import TableOptions
from repdrift.report.tables.comparison_table import comparison_table
from repdrift.report.tables.markdown import markdown
from repdrift.report.tables.study_table import study_table
from tests.unit.report.page.comparison.made_page import made_page, read_page
from tests.unit.report.page.study.read_page import page_source


def study_outputs(data):
    """Terminal, summary, page, cards, table, and the captions and descriptions of all figures of a study."""
    moved = data.results.moved
    if moved is not None and moved.grid is not None and not moved.grid.runs:  # a synthetic grid has no models
        results = data.results.model_copy(update={"moved": moved.model_copy(update={"grid": None})})
        data = type(data)(results, data.table, data.table_name)
    found = {
        "terminal": "\n".join(study_glance(data.results, data.table, {}, Screen(120))),
        "summary": summary_markdown(data.results, data.table),
        "page": read(page_source(data)),
        "card": read(StudyResults(data, Path())._repr_html_()),
        "card without table": read(results_card(data.results)),
        "table": markdown(study_table(data, TableOptions()), 2),
    }
    for spec in figures():
        if spec.possible(data):
            found[f"caption of {spec.name}"] = caption_of(spec, data)
            found[f"description of {spec.name}"] = spec.describe(data)
    return found


def comparison_outputs(result):
    """Terminal, summary, page, card and table of a comparison."""
    return {
        "terminal": "\n".join(comparison_glance(result, {}, Screen(120))),
        "summary": summary(result),
        "page": read_page(made_page(result))[0].words,
        "card": read(comparison_card(result)),
        "table": markdown(comparison_table(result, TableOptions()), 2),
    }


def read(source):
    """The text of an HTML source, without its style."""
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", source, flags=re.DOTALL))
