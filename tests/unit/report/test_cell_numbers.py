"""Numbers stand in the cells of a heatmap where every one of the figure fits its cell, and nowhere else; their ink can be read."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repdrift.report.cell_numbers import CellNumbers, ink_on
from repdrift.report.figure_size import FigureSize
from repdrift.report.figures import figures
from repdrift.report.heat_cells import draw_cells, heat_scale
from repdrift.report.labels import NOTE_PT, text_width_pt
from repdrift.report.style import paper_style
from tests.unit.report.figure_faults import drawn_texts, faults_of
from tests.unit.report.synthetic_results import Synthetic, report_data

SPECS = {spec.name: spec for spec in figures()}
WIDTHS = [FigureSize(width, venue) for width in ("one-column", "two-column") for venue in ("acl", "neurips")]


def numbers_of(grids, width_in):
    """The numbers that are drawn in panels beside each other."""
    with paper_style():
        figure = Figure(figsize=(width_in, 1.5))
        numbers = CellNumbers()
        for axes, grid in zip(np.atleast_1d(figure.subplots(1, len(grids))), grids, strict=True):
            draw_cells(axes, grid, heat_scale(grid), numbers, width_pt=10.0)
            axes.set(xticks=[], yticks=[])
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        return [text.text for text in drawn_texts(figure)], faults_of(figure)


@pytest.mark.parametrize("width_in", np.arange(1.0, 4.6, 0.25))
def test_panels_of_a_figure_have_all_numbers_or_none(width_in):
    short, long = np.full((2, 4), 0.5), np.full((2, 4), 0.004)
    drawn, faults = numbers_of([short, long], width_in)
    assert len(drawn) in (0, 16)
    assert not faults


def test_numbers_are_there_where_they_fit_and_not_where_they_do_not():
    assert len(numbers_of([np.full((2, 4), 0.004)] * 2, 4.0)[0]) == 16
    assert numbers_of([np.full((2, 4), 0.004)] * 2, 2.0)[0] == []


@pytest.mark.parametrize("size", WIDTHS, ids=str)
@pytest.mark.parametrize("name", ["overview", "drift_heatmap"])
def test_numbers_of_a_study_stand_apart_at_every_width(name, size):
    data = report_data(Synthetic(tasks=("sst2", "mrpc"), layers=6, seeds=(1,), measures=("cka",), lora_share=0.02))
    with paper_style(size):
        figure = SPECS[name].draw(data)
        assert faults_of(figure) == []


def test_the_ink_has_the_larger_contrast():
    assert [ink_on(color) for color in ("white", "#fde725", "#440154", "#0072B2", "#D55E00", "#4a4a4a")] == [
        "black", "black", "white", "white", "black", "white"
    ]  # fmt: skip


def test_more_drift_is_lighter_as_on_the_page_and_none_is_dark():
    with paper_style():
        cmap = mpl.colormaps[mpl.rcParams["image.cmap"]]
    light = [float(np.dot(cmap(share)[:3], (0.2126, 0.7152, 0.0722))) for share in np.linspace(0, 1, 20)]
    assert (np.diff(light) > 0).all(), "in grey too"
    assert cmap.name == "viridis"


def test_the_checker_finds_a_number_that_is_wider_than_its_cell():
    with paper_style():
        figure = Figure(figsize=(1.2, 1))
        axes = figure.add_subplot()
        axes.imshow(np.ones((1, 4)), aspect="auto")
        axes.set(xticks=[], yticks=[])
        axes.text(1, 0, "0.004", ha="center", va="center", fontsize=NOTE_PT)
        assert text_width_pt(["0.004"], NOTE_PT) > 18
        assert faults_of(figure) == ["'0.004' is wider than its cell"]
