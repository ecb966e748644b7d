"""A comparison that was read from its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from repdrift.core.records.comparison import Comparison
from repdrift.notebook.comparison_view import (
    comparison_card,
    comparison_line,
    comparison_plot,
    comparison_table,
    figure_names,
)
from repdrift.notebook.shown_figure import ShownFigure

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class ComparisonResults:
    """A comparison as it was written. folder: where its files lie."""

    record: Comparison
    folder: Path

    @property
    def table(self) -> pd.DataFrame:
        """The tidy drift table: one row for each model, site, layer and measure."""
        return self.to_pandas()

    def to_pandas(self, what: str = "drift") -> pd.DataFrame:
        """Returns one table: `drift`, `outputs`, `patching`, or that of a section on what moved. Raises UnknownNameError."""
        return comparison_table(self.record, what)

    def plot(self, name: str = "drift_by_layer", *, width: str = "two-column", venue: str = "acl") -> ShownFigure:
        """Draws one figure as a figure of matplotlib. Raises UnknownNameError, DataError if it was not measured."""
        return comparison_plot(self.record, name, width=width, venue=venue)

    @property
    def figure_names(self) -> list[str]:
        """The names of the figures that this comparison can give."""
        return figure_names(self.record)

    def _repr_html_(self) -> str:
        return comparison_card(self.record)

    def __repr__(self) -> str:
        return comparison_line(self.record)
