import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from repdrift.report.figures import figures
from repdrift.report.style import layer_axis, method_color, method_marker, paper_style, plain
from tests.unit.report.synthetic_results import Synthetic, report_data

SPECS = {spec.name: spec for spec in figures()}
HOSTILE = ("<script>alert(1)</script>", 'a$b$ & "q" with a very long name that goes on and on', "x\ny")
STUDIES = {
    "one method": Synthetic(tasks=("sst2",), methods=("lora",), layers=3),
    "hostile names": Synthetic(tasks=HOSTILE, layers=3, seeds=(1,), identity=False),
    "missing runs": Synthetic(
        tasks=("mrpc", "sst2"), layers=12, seeds=(1, 2), missing=(("mrpc", "lora", 1), ("mrpc", "lora", 2), ("sst2", "lora", 2)),
        checkpoints=(50, 100),
    ),
    "negative drift": Synthetic(tasks=("mrpc", "sst2"), layers=4, seeds=(1, 2), negative_below=2, lora_share=3.0),
    "deep": Synthetic(tasks=("sst2",), layers=24, seeds=(1, 2), weights=True),
    "one layer": Synthetic(tasks=("sst2",), layers=1, seeds=(1, 2), checkpoints=(10,)),
}  # fmt: skip


DRAWN = [
    (figure, study)
    for study in STUDIES
    for figure in SPECS
    if not (
        (study == "one method" and figure in ("drift_reduction", "significance", "task_profiles"))
        or (study in ("deep", "one layer") and figure == "task_profiles")
        or (study not in ("missing runs", "one layer") and figure == "trajectory")
    )
]
"""Figures that the results of a study hold something for."""


@pytest.fixture(scope="module")
def data():
    """Report data by the name of the study, made once."""
    return {name: report_data(study) for name, study in STUDIES.items()}


def test_figures_are_drawn_where_the_results_hold_what_they_show(data):
    assert [(name, study) for study in STUDIES for name, spec in SPECS.items() if spec.possible(data[study])] == DRAWN


def drawn(name, data):
    with paper_style():
        figure = SPECS[name].draw(data)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
    return figure


def texts(figure):
    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


@pytest.mark.parametrize(("name", "study"), DRAWN)
def test_nothing_is_cut_at_the_edge_of_the_picture_and_words_never_say_nan(name, study, data):
    figure = drawn(name, data[study])
    with paper_style():  # ticks are made when they are asked for
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.min.min() > -0.02
    assert box.x1 < width + 0.02
    assert box.y1 < height + 0.02
    for words in (SPECS[name].caption(data[study]), SPECS[name].describe(data[study])):
        assert words.endswith(".")
        assert not {"nan", "None", "inf"} & set(words.replace("%", " ").split())


def test_heatmap_hatches_what_is_missing_and_writes_the_rest(data):
    axes = drawn("drift_heatmap", data["missing runs"]).axes[0]
    hatched = [p for p in axes.patches if isinstance(p, Rectangle) and p.get_hatch()]
    assert [(p.get_y(), p.get_width()) for p in hatched] == [(0.5, 12)]
    words = texts(axes)
    assert "missing" in words
    assert "LoRA (1 of 2)" in words
    numbers = [w for w in words if w.replace(".", "").replace("-", "").replace("e", "").isdigit() and "." in w]
    assert len(numbers) == 3 * 12
    assert not [t for t in drawn("drift_heatmap", data["deep"]).axes[0].texts if "." in t.get_text()]


def test_panels_name_each_line_once_and_say_what_is_absent(data):
    figure = drawn("drift_by_layer", data["missing runs"])
    (legend,) = figure.legends
    labels = [t.get_text() for t in legend.get_texts()]
    assert len(labels) == len(set(labels))
    assert {"full fine-tuning (mean)", "LoRA (mean)", "base model twice (noise)"} <= set(labels)
    assert "LoRA: missing" in texts(figure.axes[0])
    assert "LoRA: 1 of 2 runs" in texts(figure.axes[1])
    assert any("noise not measured" in t for t in texts(drawn("drift_by_layer", data["hostile names"])))


def test_means_of_a_single_layer_are_seen(data):
    (axes,) = drawn("drift_by_layer", data["one layer"]).axes
    (mean,) = [line for line in axes.lines if line.get_label() == "LoRA (mean)"]
    assert mean.get_marker() == "_"


def test_reduction_axis_holds_zero_and_the_target(data):
    for study in ("missing runs", "deep", "one layer", "negative drift"):
        low, high = drawn("drift_reduction", data[study]).axes[0].get_ylim()
        assert low < 0
        assert high > 20
        assert low > -130, "a ratio to almost no drift is marked at the edge, not drawn"
    marked = [t for t in texts(drawn("drift_reduction", data["negative drift"])) if t.startswith("-2")]
    assert marked, "the number stands beside the mark"
    assert "missing" in texts(drawn("drift_reduction", data["missing runs"]).axes[0])


def test_controls_spend_no_room_on_negative_values_that_are_not_there(data):
    low, high = drawn("controls", data["deep"]).axes[0].get_ylim()
    assert -1e-3 < low < 0
    assert 1 < high < 5
    below, _ = drawn("controls", data["negative drift"]).axes[0].get_ylim()
    assert below < data["negative drift"].mean_drift("mrpc", "lora").min() < 0


def test_significance_says_where_correction_puts_it_out_of_reach(data):
    figure = drawn("significance", data["one layer"])
    left, right = figure.axes[:2]
    assert [p for p in left.patches if p.get_hatch()]
    assert any("0.05 cannot be reached" in t for t in texts(right))


def test_layer_ticks_are_few_and_round():
    with paper_style():
        for layers, step in ((6, 1), (12, 1), (24, 2), (32, 4), (48, 4), (80, 8), (126, 20)):
            axes = drawn_axes()
            layer_axis(axes, range(layers))
            assert list(np.diff(axes.get_xticks())[:1]) == [step]
            assert len(axes.get_xticks()) <= 12


def drawn_axes():
    from matplotlib.figure import Figure

    return Figure().add_subplot()


def test_labels_are_one_short_line_without_formulas():
    assert plain("a\nb\tc") == "a b c"
    assert plain("$x$") == r"\$x\$"
    assert plain(" \n") == "(no name)"
    assert len(plain("x" * 100)) == 30
    assert plain("begin" + "x" * 50 + "end", 12).startswith("begin")
    assert plain("begin" + "x" * 50 + "end", 12).endswith("end")


def test_other_methods_get_colours_and_marks_of_their_own():
    methods = ["full_finetune", "dora", "lora", "ia3"]
    assert len({method_color(m, methods) for m in methods}) == 4
    assert len({method_marker(m, methods) for m in methods}) == 4
