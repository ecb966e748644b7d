"""No text lies over another or leaves its figure, no axis cuts data, and no panel is empty without a word: every figure, on odd studies, at both widths."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from repdrift.report.figure_files import with_caution
from repdrift.report.figure_size import FigureSize
from repdrift.report.figures import figures
from repdrift.report.style import paper_style
from tests.unit.report.figure_faults import faults_of
from tests.unit.report.odd_studies import STUDIES, odd_study

ONE, TWO = FigureSize("one-column"), FigureSize("two-column")
SIZES = {
    "usual": (TWO,), "96 layers": (ONE,), "twelve arms": (ONE,), "one method, hostile names": (ONE,), "nothing but negative drift": (TWO,),
    "one layer, one seed, long names": (FigureSize("one-column", "neurips"), TWO), "negative drift, missing runs": (ONE, TWO),
}  # fmt: skip
"""Widths at which each study is drawn."""
IMPOSSIBLE = {
    ("one layer, one seed, long names", "task_profiles"),
    *(
        ("one method, hostile names", name)
        for name in ("frontier", "drift_reduction", "reduction_by_layer", "significance", "trajectory")
    ),
    *(("nothing but negative drift", name) for name in ("trajectory", "task_profiles")),
}


@pytest.mark.parametrize("study", STUDIES)
def test_no_figure_of_an_odd_study_has_a_fault(study):
    data = odd_study(study)
    found = {}
    for spec in figures():
        why = spec.absent(data)
        assert (why is None) == ((study, spec.name) not in IMPOSSIBLE), (spec.name, why)
        for size in SIZES[study] if why is None else ():
            with paper_style(size):
                figure = with_caution(spec, data)
                faults = faults_of(figure)
                words = f"{spec.caption(data)} {spec.describe(data)}"
            assert figure.get_figwidth() == pytest.approx(size.inches)
            assert not {"nan", "None", "inf"} & set(words.split()), spec.name
            found |= {(spec.name, size.width, size.venue): faults} if faults else {}
    assert not found


def planted():
    with paper_style():
        figure = Figure(figsize=(4, 3))
        axes = figure.subplots(1, 2)
        axes[0].plot([0, 1], [0, 1], "o")
        axes[0].set_title("left")
    return figure, axes


def test_a_figure_without_faults_has_none():
    figure, axes = planted()
    axes[1].text(0.5, 0.5, "no such run", fontsize=7)
    with paper_style():
        assert faults_of(figure) == []


def test_planted_faults_are_found():
    with paper_style():
        figure, (left, right) = planted()
        assert faults_of(figure) == ["panel 1 () is empty and does not say why"]
        right.text(0.5, 0.5, "one text", fontsize=7)
        right.text(0.52, 0.52, "over another", fontsize=7)
        right.text(0.95, 0.2, "and one that leaves the figure", fontsize=7)
        right.text(0.1, 0.9, "small", fontsize=6)
        left.text(1, 1, "ink", fontsize=7, ha="center", va="center")
        faults = faults_of(figure)
    for expected in (
        "'one text' and 'over another' lie over each other",
        "'and one that leaves the figure' leaves the figure",
        "'small' has 6 points, not 7 to 9",
        "a mark lies on 'ink'",
    ):
        assert expected in faults
    assert len(faults) == 4


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_turned_texts_overlap_where_their_letters_do(angle):
    with paper_style():
        figure, (_, right) = planted()
        right.text(0.3, 0.3, "a long text", fontsize=7, rotation=angle)
        beside = {0: (0.3, 0.4), 30: (0.5, 0.3), 90: (0.45, 0.3)}[angle]
        right.text(*beside, "a long text", fontsize=7, rotation=angle)
        assert faults_of(figure) == []
        along = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
        right.text(*(0.3 + 0.1 * along), "x", fontsize=7, rotation=angle)
        assert any("'a long text' and 'x' lie over" in fault for fault in faults_of(figure))


def test_cut_data_and_labels_that_stand_twice_are_found():
    with paper_style():
        figure, (left, right) = planted()
        left.set_ylim(0, 0.9)
        right.bar([0, 1], [1, 2])
        right.set_xlim(0.2, 2)
        right.set_xticks([0.5, 1.5], ["same", "same"])
        faults = faults_of(figure)
    assert any(
        fault.startswith("panel 0 (left): Line2D") and fault.endswith("is cut at the edge of the panel")
        for fault in faults
    )
    assert any(fault.startswith("panel 1 (): Rectangle") for fault in faults)
    assert "panel 1 (): ticks share the label ['same']" in faults


def test_a_figure_is_no_taller_than_a_page():
    with paper_style():
        figure, axes = planted()
        axes[1].plot([1])
        figure.set_figheight(9)
        assert faults_of(figure) == ["the figure is 9.0 in tall, more than a page has (8.4)"]
