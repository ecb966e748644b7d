"""Panels of weights by kind of module (rows) and layer (columns), which the figures of a comparison and of a study share."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from repdrift.report.cell_numbers import CellNumbers
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.heat_cells import UNTRAINED_KEY, cell_keys, color_bar, draw_cells, heat_layers, heat_scale
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted_names, text_width_pt, wrapped
from repdrift.report.panels import PanelPlan, draw_grid, label_outer, legend_above, panel_plan, panel_title

Grid = NDArray[np.float64]
_NO_COUNTERPART = re.compile(r"only in the (base|tuned) model|outside the backbone")
"""Words of a line on a weight that has nothing to be compared with, such as a new head: no weight of a block is missing for it."""
_ROW_IN = 0.135
_TITLE_IN = 0.22
_BAR_IN = 0.5


@dataclass(frozen=True)
class WeightPanel:
    """One heatmap. grid: (kinds, layers), NaN where there is no value. title: a name from outside."""

    title: str
    kinds: Sequence[str]
    layers: Sequence[int]
    grid: Grid
    untrained: Collection[int] = ()
    """Rows without a value because the method trains nothing in them."""

    @property
    def missing(self) -> bool:
        """True if some value is missing without that reason."""
        rows = [row for row in range(len(self.grid)) if row not in self.untrained]
        return bool(np.isnan(self.grid[rows]).any())


def pattern_words(panels: Sequence[WeightPanel], none: str) -> str:
    """Says what grey and hatched rows are, as far as there are some. none: the words for a value of 0."""
    untrained = (
        "; lined: kept as it was by this method, not trained" if any(panel.untrained for panel in panels) else ""
    )
    missing = "; hatched: no value" if any(panel.missing for panel in panels) else ""
    return f"Grey with dots: {none}{untrained}{missing}."


def nothing_left_out(not_compared: Sequence[str]) -> bool:
    """True if every line on weights that were not compared is on one that has no counterpart, so that a kind without a change was not trained."""
    return all(_NO_COUNTERPART.search(line) for line in not_compared)


def weight_plan(count: int, kinds: int, besides_in: float = 1.2) -> PanelPlan:
    """The arrangement of heatmaps with so many rows."""
    return panel_plan(
        count, _TITLE_IN + _ROW_IN * max(3, kinds) + 0.1, least_in=1.9, most_columns=3, besides_in=besides_in
    )


def draw_weight_panels(
    figure: Figure | SubFigure, panels: Sequence[WeightPanel], plan: PanelPlan, *, bar: str, none: str
) -> float:
    """Draw the panels on one scale, with its bar below them. Returns the height in inches that all of it needs.

    bar: the name of the value. none: the words for a value of 0.
    """
    shown = panels[: plan.shown]
    every = np.concatenate([panel.grid.ravel() for panel in shown])
    scale = heat_scale(every)
    axes_of = draw_grid(figure, plan, sharey=True)
    kinds_pt = text_width_pt([kind for panel in shown for kind in panel.kinds], NOTE_PT)
    width_pt = (72 * page_width_in() - kinds_pt) / plan.columns - 10
    titles = fitted_names([panel.title for panel in shown], width_pt, FONT_PT)
    numbers = CellNumbers()
    for axes, panel, title in zip(axes_of, shown, titles, strict=True):
        draw_cells(axes, panel.grid, scale, numbers, width_pt=width_pt, untrained=panel.untrained)
        axes.set_yticks(range(len(panel.kinds)), list(panel.kinds))
        heat_layers(axes, panel.layers, width_pt / (72 * page_width_in()))
        panel_title(axes, title, (), width_pt + 4)
    label_outer(axes_of, plan)
    color_bar(
        figure,
        axes_of,
        scale,
        "\n".join(wrapped(bar, width_pt * plan.columns)),
        below=True,
        aspect=40 if is_narrow() else 80,
        fraction=0.5 / (1 + 2 * plan.rows),
    )
    keys = cell_keys(every, none, missing=any(panel.missing for panel in shown))
    keys += [UNTRAINED_KEY] if any(panel.untrained for panel in shown) else []
    above = legend_above(figure, keys, [str(key.get_label()) for key in keys])
    rows = max(len(panel.kinds) for panel in shown)
    return above + _BAR_IN + 0.35 + plan.rows * (_TITLE_IN + _ROW_IN * max(3, rows) + 0.06)
