from dataclasses import replace
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from repdrift.core.claim_parts import widest_claim
from repdrift.core.records.claims import LayerCluster
from repdrift.report.figures import figures
from repdrift.report.figures._significance_of_arms import p_classes
from repdrift.report.figures.reduction import forest_rows
from repdrift.report.figures.reduction_by_layer import axis_of, reductions_of
from repdrift.report.heat_cells import cell_text, heat_scale
from repdrift.report.labels import plain
from repdrift.report.report_data import layers_with
from repdrift.report.style import (
    integer_axis,
    layer_axis,
    legend_columns,
    method_color,
    method_look,
    method_marker,
    paper_style,
    task_mark,
)
from tests.unit.report.synthetic_results import Synthetic, report_data

SPECS = {spec.name: spec for spec in figures()}
HOSTILE = ("<script>alert(1)</script>", 'a$b$ & "q" with a very long name that goes on and on', "x\ny")
SHARES = {"lora_r64": 0.5, "dora": 0.9, "pissa": 0.6, "ia3": 0.4, "biases": 0.2, "layer_norm": 2.5, "top_two": 0.8}
STUDIES = {
    "one method": Synthetic(tasks=("sst2",), methods=("lora",), layers=3),
    "hostile names": Synthetic(tasks=HOSTILE, layers=3, seeds=(1,), identity=False),
    "missing runs": Synthetic(
        tasks=("mrpc", "sst2"), layers=12, seeds=(1, 2), missing=(("mrpc", "lora", 1), ("mrpc", "lora", 2), ("sst2", "lora", 2)),
        checkpoints=(50, 100),
    ),
    "negative drift": Synthetic(tasks=("mrpc", "sst2"), layers=4, seeds=(1, 2), negative_below=2, lora_share=3.0),
    "deep": Synthetic(tasks=("sst2",), layers=24, seeds=(1, 2), weights=True),
    "many arms": Synthetic(
        tasks=("mrpc", "sst2"), layers=6, seeds=(1, 2), shares=SHARES, methods=("full_finetune", "lora", *SHARES),
        missing=(("sst2", "dora", 1), ("sst2", "dora", 2)), measures=("cka",),
    ),
    "one layer": Synthetic(tasks=("sst2",), layers=1, seeds=(1, 2), checkpoints=(10,)),
}  # fmt: skip


DRAWN = [
    (figure, study)
    for study in STUDIES
    for figure in SPECS
    if not (
        (study == "one method" and figure in ("drift_reduction", "reduction_by_layer", "significance", "task_profiles"))
        or (study in ("deep", "one layer") and figure == "task_profiles")
        or (study not in ("missing runs", "one layer") and figure == "trajectory")
        or figure
        in (
            "frontier",
            "predictors",
            "forgetting",
            "drift_by_site",
            "weight_changes",
            "intruder_dimensions",
            "samples",
            "likeness",
            "likeness_of_profiles",
            "likeness_of_directions",
            "layer_grid",
            "directions",
        )  # nothing of these here; see the tests of each
    )
]
"""Figures that the results of a study hold something for."""
HOLM = report_data(
    Synthetic(tasks=("sst2",), layers=3, lora_share=0.4, noise=0.02, inference=False, random_change=False)
)
"""Results that hold reductions and tests alone."""


@pytest.fixture(scope="module")
def data():
    """Report data by the name of the study, made once."""
    return {name: report_data(study) for name, study in STUDIES.items()}


def test_figures_are_drawn_where_the_results_hold_what_they_show(data):
    assert [(name, study) for study in STUDIES for name, spec in SPECS.items() if spec.possible(data[study])] == DRAWN


DRAWINGS = {}


def drawn(name, data):
    """The figure, laid out; drawn once for the same data."""
    if (name, id(data)) not in DRAWINGS:
        with paper_style():
            figure = SPECS[name].draw(data)
            FigureCanvasAgg(figure)
            figure.draw_without_rendering()
        DRAWINGS[name, id(data)] = figure, data  # held, so that no other data gets its id
    return DRAWINGS[name, id(data)][0]


def texts(figure):
    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


@pytest.mark.parametrize(("name", "study"), DRAWN)
def test_words_never_say_nan(name, study, data):
    for words in (SPECS[name].caption(data[study]), SPECS[name].describe(data[study])):
        assert words.endswith(".")
        assert not {"nan", "None", "inf"} & set(words.replace("%", " ").split())


def test_heatmap_hatches_what_is_missing_and_writes_the_rest(data):
    mrpc, sst2 = drawn("drift_heatmap", data["missing runs"]).axes[:2]
    hatched = [p for axes in (mrpc, sst2) for p in axes.patches if isinstance(p, Rectangle) and p.get_hatch()]
    assert [(p.get_y(), p.get_width()) for p in hatched] == [(0.5, 12)]
    assert "missing" in texts(mrpc)
    assert "LoRA (1 of 2)" in texts(sst2)
    numbers = [
        w
        for w in texts(mrpc) + texts(sst2)
        if w.replace(".", "").replace("-", "").replace("e", "").isdigit() and "." in w
    ]
    assert len(numbers) == 3 * 12
    assert not [t for t in drawn("drift_heatmap", data["deep"]).axes[0].texts if "." in t.get_text()]


def test_the_number_in_a_cell_is_short_and_a_small_one_is_not_nothing():
    values = (0.314, 0.0996, 0.0994, 0.0042, 8e-6, -8e-6, -0.003, 0.0)
    said = ["0.31", "0.10", "0.099", "0.004", "<0.001", ">-0.001", "-0.003", "0"]
    assert [cell_text(value) for value in values] == said


def test_the_scale_of_the_heatmap_is_logarithmic_where_drifts_span_two_decades_and_colours_are_of_drifts_above_zero(
    data,
):
    study = data["negative drift"]
    axes = drawn("drift_heatmap", study).axes[0]
    values = np.array([study.mean_drift("mrpc", method) for method in study.methods])
    (image,) = axes.images
    shown = np.ma.filled(image.get_array().astype(float), np.nan)
    assert np.array_equal(np.isnan(shown), values <= 0)
    assert shown[values > 0] == pytest.approx(values[values > 0])
    grey = [p for p in axes.patches if isinstance(p, Rectangle) and "." in (p.get_hatch() or "")]
    assert sum(round(p.get_width()) for p in grey) == (values <= 0).sum() > 0
    assert [t.get_text() for t in drawn("drift_heatmap", study).legends[0].get_texts()] == ["0 or below"]
    assert not heat_scale(np.array([0.9, 0.01, -1, np.nan])).logarithmic
    tenfold = heat_scale(np.array([0.9, 0.008, 1e-9]))
    assert tenfold.logarithmic
    assert tenfold.clipped
    assert tenfold.norm.vmin == pytest.approx(9e-5)
    assert "what is smaller than 0.000090 is drawn as that" in tenfold.in_words


def test_panels_name_each_line_once_and_say_what_is_absent(data):
    figure = drawn("drift_by_layer", data["missing runs"])
    (legend,) = figure.legends
    labels = [t.get_text() for t in legend.get_texts()]
    assert len(labels) == len(set(labels))
    assert {"full fine-tuning", "LoRA", "base model twice"} <= set(labels)
    assert "LoRA: missing" in texts(figure.axes[0])[0]
    assert "LoRA: 1 of 2 runs" in texts(figure.axes[1])[0]
    assert any("noise not measured" in t for t in texts(drawn("drift_by_layer", data["hostile names"])))


def test_means_of_a_single_layer_are_seen(data):
    (axes,) = drawn("drift_by_layer", data["one layer"]).axes
    (mean,) = [line for line in axes.lines if line.get_label() == "LoRA"]
    assert mean.get_marker() == method_marker("lora", [])


def test_reduction_axis_holds_zero_the_target_and_all_that_is_drawn(data):
    for study in ("missing runs", "deep", "one layer", "negative drift"):
        low, high = drawn("drift_reduction", data[study]).axes[0].get_xlim()
        assert -130 < low < 0, "a ratio to almost no drift is marked at the edge, not drawn"
        assert high > 20
    assert any(t.startswith("−2") for t in texts(drawn("drift_reduction", data["negative drift"]))), (
        "the number stands beside the mark"
    )
    assert "missing" in texts(drawn("drift_reduction", data["missing runs"]).axes[0])


def test_the_forest_has_one_row_a_task_and_three_marks(data):
    study = data["many arms"]
    rows = forest_rows(study)
    assert [row.task for row in rows if row.look is None] == ["mrpc", "sst2", "all"]
    assert len(rows) == 3 * (1 + len(study.contrasts))
    assert [row.task for row in forest_rows(data["missing runs"])] == ["mrpc", "sst2", "all"]
    for name in ("deep", "many arms"):
        labels = [t.get_text() for t in drawn("drift_reduction", data[name]).legends[0].get_texts()]
        assert labels == ["estimate, 95 % interval", "lower bound, 95 %", "target, 20 %"]


def test_rows_of_the_forest_are_the_numbers(data):
    for study in (data["deep"], HOLM):
        axes, reduction = drawn("drift_reduction", study).axes[0], study.reduction("sst2")
        (estimate,) = [line for line in axes.lines if line.get_marker() == "s"]
        assert estimate.get_xdata() == pytest.approx(100 * reduction.reduction)
        ticks = [line.get_xdata() for line in axes.lines if line.get_marker() == "|"]
        assert ticks == ([] if reduction.reduction_low is None else [pytest.approx(100 * reduction.reduction_low)])
        spans = [
            tuple(line.get_xdata())
            for line in axes.lines
            if line.get_marker() == "None" and list(line.get_ydata()) == [0, 0]
        ]
        widest = widest_claim(reduction)
        assert spans == ([] if widest is None else [pytest.approx((100 * widest.low, 100 * widest.high))])
    assert any("no interval" in t for t in texts(drawn("drift_reduction", HOLM)))


def test_reductions_by_layer_lie_at_their_values_and_are_full_where_supported(data):
    for name in ("deep", "many arms"):
        study = data[name]
        axes = drawn("reduction_by_layer", study).axes[0]
        lines = [line for line in axes.lines if line.get_marker() == "None" and line.get_transform() == axes.transData]
        lines = [line for line in lines if np.size(line.get_xdata()) >= len(study.layers)]
        ends = axis_of(study)
        for contrast, line in zip(study.contrasts, lines, strict=True):
            at_layers = np.isin(line.get_xdata(), study.layers)
            assert line.get_ydata()[at_layers] == pytest.approx(ends.clip(reductions_of(contrast)), nan_ok=True)
        held = sum(len(layers_with(c.layer_tests("comparison_drifts_less"), "supported")) for c in study.contrasts)
        marks = [line for line in axes.lines if np.size(line.get_xdata()) == 1 and line.get_marker() != "None"]
        assert sum(mark.get_markerfacecolor() != "white" for mark in marks) == held


def test_controls_spend_no_room_on_negative_values_that_are_not_there(data):
    low, high = drawn("controls", data["deep"]).axes[0].get_ylim()
    assert -1e-3 < low < 0
    assert 1 < high < 5
    below, _ = drawn("controls", data["negative drift"]).axes[0].get_ylim()
    assert below < data["negative drift"].mean_drift("mrpc", "lora").min() < 0


def test_significance_says_where_correction_puts_it_out_of_reach(data):
    left, right = drawn("significance", data["one layer"]).axes[:2]
    assert [p for p in left.patches if p.get_hatch()]
    assert any("0.05 cannot be" in t for t in texts(right))


def test_significance_rests_on_max_t_where_there_is_one(data):
    for study, correction in ((data["deep"], "max-T"), (HOLM, "Holm")):
        figure = drawn("significance", study)
        labels = [t.get_text() for t in figure.legends[0].get_texts()]
        assert [label for label in labels if label.startswith("p")] == ["p", f"p, {correction}", "p = 0.05"]
        assert f"on which the verdicts rest{':' if correction == 'max-T' else ''}" in SPECS["significance"].caption(
            study
        )
        lines = [line for line in figure.axes[1].lines if len(line.get_xdata()) == len(study.layers)]
        field = "pvalue_max_t" if correction == "max-T" else "pvalue_holm"
        tests = study.layer_tests("comparison_drifts_less")
        of_opposite = (("opposite_pvalue", 1), ("deciding_opposite_pvalue", 1))
        for line, (name, sign) in zip(lines, (("pvalue", -1), (field, -1), *of_opposite), strict=True):
            assert line.get_ydata() == pytest.approx([sign * np.log10(getattr(t, name)) for t in tests], abs=1e-9)
        after = "the same" if correction == "max-T" else f"{min(1, 3 * tests[0].smallest_pvalue):.2g}"
        assert any(f"after {correction} {after}" in t.replace("\n", " ") for t in texts(figure.axes[1]))
        shown = {
            line.get_ydata()[0]: line.get_xdata()[0] for line in figure.axes[0].lines if np.size(line.get_xdata()) == 1
        }
        assert shown == {0: pytest.approx(-np.log10(study.test("comparison_drifts_less", "sst2").pvalue), abs=1e-9)}


def test_clusters_are_bars_under_the_layers_that_they_span(data):
    study = data["deep"]
    clusters = [
        LayerCluster(hypothesis="comparison_drifts_less", first_layer=a, last_layer=b, mass=1, threshold=1, pvalue=p, smallest_pvalue=0.01)
        for a, b, p in ((2, 9, 0.03), (11, 11, 0.4), (12, 12, 0.2))
    ]  # fmt: skip
    study = replace(study, results=study.results.model_copy(update={"clusters": clusters}))
    figure = drawn("significance", study)
    bars = [p for p in figure.axes[1].patches if isinstance(p, Rectangle) and not p.get_hatch()]
    spans = {(round(b.get_x() + 0.4), round(b.get_x() + b.get_width() - 0.4)): b.get_facecolor()[:3] for b in bars}
    assert set(spans) == {(2, 9), (11, 11), (12, 12)}
    assert spans[2, 9] != spans[11, 11] == (1, 1, 1)
    words = texts(figure.axes[1])
    assert "p = 0.03" in words
    assert "p = 0.2" in words
    assert "p = 0.4" not in words, "there is no room for it beside the smaller one"
    assert "layers 2 to 9 p = 0.03" in SPECS["significance"].describe(study)


def test_a_task_without_an_interval_says_why(data):
    caption = SPECS["drift_reduction"].caption(data["hostile names"])
    assert "missing: <script>alert(1)</script>" in caption
    assert "has none over models and samples and over models (no interval over models: they need two models" in caption
    assert "Intervals that are missing" not in SPECS["drift_reduction"].caption(data["deep"])
    assert "(the analysis does not say why)" in SPECS["drift_reduction"].caption(HOLM)


def test_the_random_change_has_its_line_where_it_was_measured(data):
    labels = [t.get_text() for t in drawn("controls", data["deep"]).legends[0].get_texts()]
    assert labels.count("random change") == 1
    lora = [
        line for line in drawn("controls", data["deep"]).axes[0].lines if line.get_color() == method_color("lora", [])
    ]
    expected = data["deep"].control_drift("random_change", "sst2", "lora")
    assert any(np.array_equal(line.get_ydata(), expected) for line in lora)
    assert "random change of the same size 0" in SPECS["controls"].describe(data["one layer"])
    assert not [t for t in texts(drawn("controls", HOLM)) if "random" in t]
    assert "was not measured" in SPECS["controls"].caption(HOLM)
    assert "random change of the same size not at hand" in SPECS["controls"].describe(HOLM)


def test_layers_that_may_drift_most_are_filled_and_rank_one_is_on_top(data):
    axes = drawn("layer_ranks", data["deep"]).axes[0]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    filled = [int(line.get_xdata()[0]) for line in marks if line.get_markerfacecolor() != "white"]
    ranking = data["deep"].results.rankings[0]
    assert filled == [layer.layer for layer in ranking.layers if layer.may_be_largest]
    assert [line.get_ydata()[0] for line in marks] == [layer.rank for layer in ranking.layers]
    bars = [
        tuple(line.get_ydata())
        for line in axes.lines
        if line.get_marker() == "None" and len(set(line.get_xdata())) == 1
    ]
    assert bars == [(layer.rank_low, layer.rank_high) for layer in ranking.layers]


def test_the_final_model_stands_last_and_missing_models_are_hollow():
    study = report_data(Synthetic(tasks=("sst2",), layers=2, seeds=(1, 2), checkpoints=(10, 20)))
    table = study.table[~((study.table.step == 10) & (study.table.seed == 2) & (study.table.method == "lora"))]
    axes = drawn("trajectory", replace(study, table=table)).axes[0]
    assert {t.get_position()[0]: t.get_text() for t in axes.get_xticklabels()} | {0: ""} == {
        10: "10",
        20: "20",
        axes.get_xticks().max(): "final",
        0: "",
    }
    assert axes.get_xticks().max() > 20
    marks = [line for line in axes.lines if line.get_marker() == "s" and len(line.get_xdata()) == 1]
    assert [line.get_markerfacecolor() == "white" for line in marks] == [True, False, False]
    rows = table[(table.method == "lora") & (table.measure == "cka")]
    expected = [rows[rows.step == step].drift.mean() for step in (10, 20, 0)]
    assert [line.get_ydata()[0] for line in marks] == pytest.approx(expected)


def test_scores_stand_against_the_mean_drift_of_their_model(data):
    study = data["missing runs"]
    figure = drawn("score", study)
    axes = figure.axes[0]
    drift = float(study.drift("sst2", "lora").loc[1].mean())
    run = next(r for r in study.results.runs if (r.task, r.method, r.seed, r.step) == ("sst2", "lora", 1, 0))
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
    assert len(points) == 5
    assert pytest.approx((drift, run.metrics["accuracy"])) in points
    assert axes.get_title(loc="left").startswith("ρ = ")
    assert "\n" not in axes.get_title(loc="left"), "the rest stands in the caption"
    assert "full fine-tuning ρ = −0.31 (−0.70 to 0.20), n = 5, p = 0.21" in SPECS["score"].caption(study)
    assert "Not there: f1 of 3 final models." in SPECS["score"].caption(study)


def test_scores_need_an_association():
    assert not SPECS["score"].possible(report_data(Synthetic(tasks=("sst2",), layers=1, metrics=False)))
    assert not SPECS["score"].possible(HOLM)


def test_profiles_have_pearson_above_and_spearman_below_the_diagonal(data):
    study = data["missing runs"]
    (likeness,) = study.results.profiles
    words = {t.get_position(): t.get_text() for t in drawn("task_profiles", study).axes[0].texts}
    assert words == {(1, 0): f"{likeness.pearson:.2f}", (0, 1): f"{likeness.spearman:.2f}"}


def test_whole_ticks_hold_one_and_the_columns_of_a_legend_fit():
    with paper_style():
        for last, ticks in (
            (1, [1]),
            (2, [1, 2]),
            (6, [1, 2, 3, 4, 5, 6]),
            (12, [1, 4, 6, 8, 10, 12]),
            (24, [1, 5, 10, 15, 20]),
        ):
            axes = drawn_axes()
            integer_axis(axes.yaxis, last)
            assert list(axes.get_yticks()) == ticks
        assert legend_columns(["a"] * 4) == 4
        assert legend_columns(["a"] * 40, most=5) == 5
        assert legend_columns(["a name of some thirty characters"] * 9) == 3
        assert legend_columns(["a name of many more characters, some forty"] * 9) == 2
        assert legend_columns(["x" * 90] * 2) == 1
    assert [task_mark(task, "abcdefghi") for task in "ai"] == [("o", False), ("o", True)]


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


def test_fourteen_arms_have_colours_of_their_own_for_every_eye_and_differ_without_colour():
    methods = ["full_finetune", "lora", *(f"arm_{number}" for number in range(50))]
    looks = [method_look(method, methods) for method in methods]
    assert len({look.color for look in looks[:14]}) == 14
    assert len({(look.marker, look.dashes) for look in looks}) == 52
    for sight in ("all colours", "protanopia", "deuteranopia", "tritanopia"):
        seen = [lab_of(look.color, sight) for look in looks[:14]]
        assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15, sight
        assert max(lightness for lightness, *_ in seen) < 76, "dark enough for white paper"


# Machado, Oliveira and Fernandes 2009, severity 1.0.
SIGHTS = {
    "all colours": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab_of(color, sight):
    """CIELAB of a colour as eyes of this sight see it (D65)."""
    rgb = np.array(mpl.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(SIGHTS[sight]) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    x, y, z = np.cbrt(np.array(to_xyz) @ linear / (0.95047, 1, 1.08883))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_a_figure_of_several_arms_names_every_arm_and_fills_marks_that_are_supported():
    study = Synthetic(
        tasks=("mrpc", "sst2"), layers=3, methods=("full_finetune", "lora", "lora_r64", "dora"), lora_share=0.4, shares={"lora_r64": 0.9}, noise=0.03,
        missing=tuple(("sst2", "dora", seed) for seed in (42, 123, 456)), measures=("cka",),
    )  # fmt: skip
    several = report_data(study)
    spec = SPECS["significance"]
    with paper_style():
        forest, figure = SPECS["drift_reduction"].draw(several), spec.draw(several)
    names = [label.get_text() for label in forest.axes[0].get_yticklabels()]
    assert (
        names[1:4] == [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["LoRA", "lora_r64", "DoRA"]
    )
    assert "missing" in [t.get_text() for t in forest.axes[0].texts]
    assert spec.describe(several).count("drifts at least 20 % less") == 3
    held = sum(t.verdict == "supported" for c in several.contrasts for t in c.layer_tests("comparison_drifts_less"))
    (cells,) = figure.axes[1].images
    assert (np.ma.filled(cells.get_array().astype(float), 0) > 0).sum() == held > 0
    assert "corrected by" in spec.caption(several)
    assert p_classes(np.array([[np.nan, 0.06, 0.05, 0.01, 0.001]]), 0.05)[0, 1:].tolist() == [0, 1, 2, 3]


def test_a_single_contrast_of_many_arms_is_drawn_as_two_methods_are(data):
    one = data["many arms"].contrasts[0]
    assert (
        SPECS["drift_reduction"]
        .caption(one)
        .startswith("Reduction = 1 - drift of LoRA / drift of full fine-tuning, from")
    )
