"""Both directions of a claim: the p of the claim lies on one side of p = 1, that of its opposite on the other, for every task and layer."""

from dataclasses import replace

import numpy as np
import pytest

from repdrift.report.figures import figures
from repdrift.report.figures._pvalues import p_axis, p_ends
from repdrift.report.panels import title_lines
from repdrift.report.style import paper_style
from tests.unit.report.synthetic_results import Synthetic, report_data

SPECS = {spec.name: spec for spec in figures()}
LESS = "comparison_drifts_less"
ARMS = {"lora_r64": 0.5, "dora": 1.9}


@pytest.fixture(scope="module")
def one_arm():
    """LoRA drifts three times as much."""
    return report_data(Synthetic(tasks=("sst2", "mrpc"), layers=3, seeds=(1, 2, 3), lora_share=3.0, measures=("cka",)))


@pytest.fixture(scope="module")
def several_arms():
    study = Synthetic(tasks=("sst2", "mrpc"), layers=3, seeds=(1, 2, 3, 4), lora_share=0.4, shares=ARMS, methods=("full_finetune", "lora", *ARMS), measures=("cka",))  # fmt: skip
    return report_data(study)


def drawn(name, data):
    with paper_style():
        return SPECS[name].draw(data), SPECS[name].caption(data), SPECS[name].describe(data)


def points(axes, marker):
    """The places of single marks, by row."""
    found = {}
    for line in axes.lines:
        if line.get_marker() == marker and np.size(line.get_xdata()) == 1:
            found.setdefault(float(line.get_ydata()[0]), []).append(float(line.get_xdata()[0]))
    return {row: sorted(of) for row, of in found.items()}


def test_each_task_has_its_claim_and_the_opposite(one_arm):
    figure, caption, words = drawn("significance", one_arm)
    for axes, claim in zip(figure.axes[::2], (LESS, "reduction_exceeds_target"), strict=True):
        tests = [one_arm.test(claim, task) for task in (*one_arm.tasks, "all")]
        expected = [[np.log10(test.opposite_pvalue), -np.log10(test.pvalue)] for test in tests]
        shown = points(axes, "s")
        assert [shown[row] for row in range(3)] == [pytest.approx(of, abs=1e-9) for of in expected]
        low, high = axes.get_xlim()
        assert low < min(of[0] for of in expected)
        assert high > -np.log10(0.05)
        assert "left: " in " ".join(text.get_text().replace("\n", " ") for text in axes.texts)
    assert one_arm.test(LESS, "all").verdict == "rejected"
    assert "all tasks p = 1 (opposite: p = " in words
    assert ", shown)" in words
    assert "opposite" in caption


def test_results_without_the_opposite_have_one_side(one_arm):
    tests = [
        t.model_copy(update={"opposite_pvalue": None, "deciding_opposite_pvalue": None}) for t in one_arm.results.tests
    ]
    older = replace(one_arm, results=one_arm.results.model_copy(update={"tests": tests}))
    figure, _, words = drawn("significance", older)
    assert all(len(of) == 1 for of in points(figure.axes[0], "s").values())
    assert figure.axes[0].get_xlim()[0] > -0.2
    assert "opposite:" not in words


def test_the_page_of_all_figures_has_both_directions_by_layer(one_arm):
    figure, *_ = drawn("overview", one_arm)
    axes = next(axes for axes in figure.axes if "(e)" in axes.get_title(loc="left"))
    tests = one_arm.layer_tests(LESS)
    lines = {line.get_markerfacecolor(): line.get_ydata() for line in axes.lines if np.size(line.get_xdata()) == 3}
    opposite = lines.pop("white")
    (claim,) = lines.values()
    assert opposite == pytest.approx([np.log10(t.deciding_opposite_pvalue) for t in tests], abs=1e-9)
    assert claim == pytest.approx([-np.log10(t.deciding_pvalue) for t in tests], abs=1e-9)
    assert min(opposite) < np.log10(0.05)


def test_several_arms_have_both_directions_by_task_and_by_layer(several_arms):
    figure, caption, words = drawn("significance", several_arms)
    by_task, by_layer = figure.axes[:2]
    (cells,) = by_layer.images
    classes = np.ma.filled(cells.get_array().astype(float), np.nan)
    for row, contrast in enumerate(several_arms.contrasts):
        verdicts = [t.verdict for t in contrast.layer_tests(LESS)]
        assert [{-1: "rejected", 0: "undecided", 1: "supported"}[int(np.sign(c))] for c in classes[row]] == verdicts
        test = contrast.test(LESS, "all")
        places = [
            (line.get_xdata()[0], line.get_markerfacecolor())
            for line in by_task.lines
            if line.get_markersize() == 4.5 and line.get_ydata()[0] == row
        ]
        full = [at for at, face in places if face != "white"]
        assert [np.sign(at) for at in full] == {"supported": [1], "rejected": [-1], "undecided": []}[test.verdict]
    assert {"supported", "rejected"} <= {t.verdict for c in several_arms.contrasts for t in c.layer_tests(LESS)}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any(label.startswith("opposite p ≤ ") for label in labels)
    assert "orange with a dash" in caption
    assert "the opposite shown in 3" in words
    (dashes,) = by_layer.collections
    assert len(dashes.get_offsets()) == (classes < 0).sum()


@pytest.mark.parametrize("smallest", [0.04, 1e-3, 1e-9, 1e-30])
def test_ticks_of_p_stand_on_both_sides_and_are_few(smallest):
    from matplotlib.figure import Figure

    with paper_style():
        axis = Figure().add_subplot().yaxis
        ends = p_ends(0.05, [1.0], [smallest])
        p_axis(axis, ends, 6)
        places = list(axis.get_ticklocs())
    assert 0 in places
    assert 3 <= len(places) <= 6
    assert min(places) < 0 <= max(places)
    assert places == sorted(places)


def test_a_title_is_broken_between_words_and_cut_only_where_a_word_is_too_long():
    with paper_style():
        assert title_lines("LoRA drifts at least 20 % less", 400) == ["LoRA drifts at least 20 % less"]
        assert title_lines("LoRA drifts at least 20 % less", 90) == ["LoRA drifts at least", "20 % less"]
        (cut,) = title_lines("a_name_of_sixty_characters_that_has_no_word_at_which_to_break_it", 90)
        assert "…" in cut


@pytest.mark.parametrize("width", ["one-column", "two-column"])
@pytest.mark.parametrize("venue", ["acl", "neurips"])
def test_no_title_of_a_claim_is_cut(one_arm, width, venue):
    from repdrift.report.figure_size import FigureSize

    with paper_style(FigureSize(width, venue)):
        titles = [axes.get_title(loc="left").replace("\n", " ") for axes in SPECS["significance"].draw(one_arm).axes]
    assert titles[::2] == ["LoRA drifts less", "LoRA drifts at least 20 % less"]
