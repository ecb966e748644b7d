"""A study in a notebook: its card, its tables and its figures, from the results and the tidy table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from repdrift.core.claim_parts import widest_claim
from repdrift.core.errors import UnknownNameError
from repdrift.core.first_lines import first_lines
from repdrift.core.hypotheses import LESS
from repdrift.core.records.claims import Reduction
from repdrift.core.records.results import ALL_TASKS, TABLE_CSV, TABLE_PARQUET, DriftResults
from repdrift.core.records.sites import RESID_POST
from repdrift.core.shared_paths import shareable
from repdrift.core.study_headline import headline
from repdrift.core.table_file import read_table
from repdrift.core.words import listed, method_title, percent_range, reduction_in_words, task_title
from repdrift.notebook.cards import Card, card_html
from repdrift.notebook.shown_figure import FigureWords, ShownFigure, shown_figure
from repdrift.notebook.study_tables import RECORD_TABLES
from repdrift.report.figure_files import caption_of, chosen_figures, with_caution
from repdrift.report.figure_size import figure_size
from repdrift.report.figures import figures
from repdrift.report.page.study.tiles import study_tiles
from repdrift.report.report_data import ReportData, read_report_data


@dataclass(frozen=True, repr=False)
class StudyResults:
    """The results of a study, read from its files. folder: where they lie."""

    data: ReportData
    folder: Path

    @property
    def record(self) -> DriftResults:
        """All that the analysis found, except the tables."""
        return self.data.results

    @property
    def table(self) -> pd.DataFrame:
        """The tidy drift table: one row for each task, method, seed, step, site, layer and measure."""
        parts = [self.data.table, self.data.other_sites]
        return pd.concat([part for part in parts if part is not None and len(part)], ignore_index=True)

    def to_pandas(self, what: str = "drift") -> pd.DataFrame:
        """Returns one table: `drift`, `runs`, `reductions`, `tests`, or that of a file beside the results, such as `outcomes`.

        Raises UnknownNameError that lists the tables there are, DataError if the table's file is missing or damaged.
        """
        tables = self._tables()
        if what not in tables:
            raise UnknownNameError.of("table of these results", what, tables)
        return tables[what]()

    def plot(self, name: str, *, width: str = "two-column", venue: str = "acl") -> ShownFigure:
        """Draws one figure by the name that `repdrift visualize --figures` knows, as a figure of matplotlib.

        Raises UnknownNameError for a name, width or venue that does not exist, DataError that says why these results cannot give the figure.
        """
        (spec,) = chosen_figures(self.data, [name])
        size = figure_size(width, venue)
        words = FigureWords(spec.title, caption_of(spec, self.data, size), spec.describe(self.data))
        return shown_figure(lambda: with_caution(spec, self.data), words, size)

    @property
    def figure_names(self) -> list[str]:
        """The names of the figures that these results can give."""
        return [spec.name for spec in figures() if spec.possible(self.data)]

    def _tables(self) -> dict[str, Callable[[], pd.DataFrame]]:
        of_files = {
            name.removesuffix(".parquet"): partial(read_table, self.folder / name, digest)
            for name, digest in self.record.table_sha256.items()
            if name.endswith(".parquet") and name not in (TABLE_PARQUET, TABLE_CSV)
        }
        of_record = {name: partial(make, self.record) for name, make in RECORD_TABLES.items()}
        return {"drift": lambda: self.table, **of_record, **of_files}

    def _repr_html_(self) -> str:
        study = self.record.study
        return card_html(
            Card(
                title=f"Study {study.name}: {study.model} on {listed(list(map(task_title, study.tasks)))}",
                headline=headline(self.record, self.data.table),
                header=["number", "value", "verdict", "in words"],
                rows=[[tile.label, tile.value, tile.chip, tile.line] for tile in study_tiles(self.data)],
                cautions=_cautions(self.record),
                footer=f"Figures: {', '.join(self.figure_names)} (.plot). Tables: {', '.join(self._tables())} (.to_pandas).",
            )
        )

    def __repr__(self) -> str:
        return f"<results of the study {self.record.study.name}: {headline(self.record, self.data.table)}>"


def study_results(results_file: Path) -> StudyResults:
    """Reads the results of a study and the table beside them. Raises DataError if one of them is missing or damaged."""
    return StudyResults(read_report_data(results_file), results_file.parent)


def results_card(results: DriftResults) -> str:
    """Returns the card of results without their table: the verdict on each method, and its reduction on each task."""
    results = shareable(results).without_secrets()
    study = results.study
    tests = [
        t
        for t in results.tests
        if t.hypothesis == LESS and t.task == ALL_TASKS and t.layer is None and t.site == RESID_POST
    ]
    rows = [
        [method_title(r.comparison or study.comparison_method), task_title(r.task), *_reduction_cells(r)]
        for r in results.reductions
        if r.layer is None and r.site == RESID_POST
    ]
    return card_html(
        Card(
            title=f"Study {study.name}: {study.model} on {listed(list(map(task_title, study.tasks)))}",
            headline=" ".join(f"[{test.verdict}] {test.sentence}" for test in tests) or "No methods were compared.",
            header=["method", "task", f"drift, against {method_title(study.reference_method)}", "interval of the reduction"],
            rows=rows,
            cautions=_cautions(results),
            footer="With the tidy table and figures: repdrift.load_results(FOLDER).",
        )
    )  # fmt: skip


def _reduction_cells(found: Reduction) -> list[str]:
    if found.reduction is None:
        return ["not defined", "; ".join(found.notes) or "none"]
    interval = widest_claim(found)
    ends = "none" if interval is None else f"{percent_range(interval.low, interval.high)} over {interval.over}"
    return [reduction_in_words(found.reduction), ends]


def _cautions(results: DriftResults) -> list[str]:
    return list(dict.fromkeys([*first_lines(results), *results.warnings]))
