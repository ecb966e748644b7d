"""The figures of a comparison: no text over another, none outside, no data cut, for one layer and many, one model and many, and names of sixty characters."""

import pytest

from repdrift.core.records.comparison import BaseLayer, ComparedModel, Comparison, LayerDrift, SiteLayers
from repdrift.core.records.layer_grid import BestLayer, GridMatrix, ModelGrid
from repdrift.core.records.patching import PatchedLayer, PatchedShare, Patching
from repdrift.core.records.weights import ModelWeightsMoved, WeightMoved
from repdrift.core.records.what_moved import ModelMoved
from repdrift.report import (
    compared_sites_figure,
    comparison_figure,
    directions_figure,
    grid_figure,
    likeness_figure,
    patching_figure,
    weights_figure,
)
from repdrift.report.figure_size import FigureSize
from repdrift.report.style import paper_style
from tests.unit.report.figure_faults import faults_of
from tests.unit.report.odd_studies import LONG
from tests.unit.report.synthetic_moved import KINDS, moved
from tests.unit.report.synthetic_results import Synthetic

CAUTION = (
    "It was trained on another model, so that -26.2 % of this drift are not those of the model that is named here."
)


def comparison(names, layers, *, negative=False):
    """A comparison of models of these names, with every section, caution and control."""
    study = Synthetic(tasks=("sst2",), methods=tuple(names), seeds=(1,), layers=layers)
    sections = moved(study)
    models = [_model(name, number, layers, sections, negative=negative) for number, name in enumerate(names)]
    shares = [
        PatchedLayer(layer=layer, undone=_share(1.5 * layer / layers), brought=_share(-2 if layer == 0 else layer / layers)) for layer in range(layers)
    ]  # fmt: skip
    patching = [
        Patching(model=name, reference=LONG.format("base"), outputs="next tokens", status="patched", unit="nats per token", depth=layers, samples=40, change=0.3, change_back=0.2, layers=shares)
        for name in names
    ]  # fmt: skip
    return Comparison(
        created="2026-01-05T12:00:00+00:00", versions={}, base=LONG.format("base"), base_revision=None, base_digest="d", data="texts.txt", task="texts", samples=40,
        control_samples=20, tokens=400, truncated_samples=0, sample_set_fingerprint="f", pooling="mean", compute_dtype="float32", accumulated="rows",
        base_layers=[BaseLayer(layer=layer, noise_floor=0.0 if layer == 0 else 1e-7, top_feature_share=0.1, participation_ratio=9.0, largest_activation=3.0) for layer in range(layers)], models=models, between=[],
        patching=patching, headline=[CAUTION, CAUTION], warnings=[], wall_time_s=1.0,
    )  # fmt: skip


def _share(value):
    return PatchedShare(share=value, low=value - 0.2, high=value + 0.3, distance=0.1)


def _drifts(layers, scale, *, negative):
    return [
        LayerDrift(
            layer=layer, rows=40, drift=-0.01 if negative else scale * layer / layers, drift_low=scale * layer / layers - 0.02, drift_high=scale * layer / layers + 0.02,
            values={}, mispaired_drift=0.99, random_change_drift=0.001 * layer, rounding_drift=1e-12,
        )
        for layer in range(layers)
    ]  # fmt: skip


def _model(name, number, layers, sections, *, negative):
    scale = 0.1 * (1 + number % 9)
    kept = [WeightMoved(layer=layer, module=kind, kind=kind, outputs=4, inputs=4, norm=1.0, change_norm=0.001 * (1 + layer), relative_change=0.001 * (1 + layer),
                        intruders=layer % 3) for layer in range(layers) for kind in KINDS]  # fmt: skip
    values = [[1 / (1 + abs(i - j)) for j in range(layers)] for i in range(layers)]
    matrices = [
        GridMatrix(kind=kind, measure="cka", row_layers=list(range(layers)), column_layers=list(range(layers)), values=values)
        for kind in ("base_base", "base_tuned")
    ]  # fmt: skip
    best = [BestLayer(layer=layer, best=layer, value=1.0, as_good=[layer]) for layer in range(layers)]
    return ComparedModel(
        name=name, ref=name, kind="full model", status="compared", layers=_drifts(layers, scale, negative=negative), mean_drift=scale, notes=[CAUTION] if number == 0 else [],
        sites=[SiteLayers(mean_drift=0.1, site="attn_out", layers=_drifts(layers, scale / 2, negative=negative)), SiteLayers(mean_drift=0.1, site="embeddings", layers=[_drifts(1, 0.1, negative=negative)[0].model_copy(update={"layer": -1})])],
        moved=ModelMoved(
            weights=ModelWeightsMoved(leading=10, intruder_cosine=0.5, weights=kept), directions=sections.directions.runs[number].found,
            grid=ModelGrid(rows=40, matrices=matrices, of_tuned=best, of_base=best),
        ),
    )  # fmt: skip


DRAWINGS = {
    "drift": comparison_figure.comparison_drawing, "sites": compared_sites_figure.site_drawing, "directions": directions_figure.directions_drawing,
    "grid": grid_figure.grid_drawing, "patching": patching_figure.patching_drawing, "weights": weights_figure.weights_drawing,
    "intruders": weights_figure.intruders_drawing,
}  # fmt: skip
CASES = {
    "one model, one layer": (["$x$ <b>"], 1, False),
    "many models of long names": ([LONG.format(f"{number:02}") for number in range(14)], 5, False),
    "many layers, negative drift": (["lora", LONG.format("second")], 96, True),
}


@pytest.mark.parametrize("size", [FigureSize(), FigureSize("one-column", "neurips")], ids=["wide", "narrow"])
@pytest.mark.parametrize("case", CASES)
def test_no_figure_of_a_comparison_has_a_fault(case, size):
    names, layers, negative = CASES[case]
    result = comparison(names, layers, negative=negative)
    found = {}
    for name, drawing in DRAWINGS.items():
        draw = drawing(result)
        assert draw is not None, name
        with paper_style(size):
            faults = faults_of(draw())
        found |= {name: faults} if faults else {}
    assert not found


def test_a_caution_stands_once_and_no_number_is_parted_from_its_sign():
    result = comparison(["lora"], 3)
    lines = comparison_figure.caption_lines(result)
    assert " ".join(lines).count("of the model that is named here") == 2, "of the model, and of the comparison"
    assert sum("-26.2 %" in line for line in lines) == 2


@pytest.mark.parametrize("of", likeness_figure.FIGURE_NAMES)
def test_the_likeness_of_models_of_long_names_has_no_fault(of):
    study = Synthetic(
        tasks=(LONG.format("task"),), methods=("lora", LONG.format("arm")), seeds=tuple(range(1, 31)), layers=2
    )
    with paper_style():
        assert faults_of(likeness_figure.likeness_drawing(moved(study).likeness, of)()) == []


def test_patched_shares_and_intervals_that_go_on_have_triangles_at_the_frame():
    result = comparison(["lora"], 3)
    with paper_style():
        _, right = patching_figure.patching_drawing(result)().axes[:2]
    ends = right.get_ylim()
    places = [
        (x, y, line.get_marker())
        for line in right.lines
        if line.get_marker() in ("v", "^")
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]
    assert places == [(0, ends[0], "v")]
    assert ends[0] < -1


def test_kinds_that_a_compared_model_does_not_train_are_called_so():
    result = comparison(["full_finetune", "lora"], 3)
    full, lora = result.models
    weights = [at for at in lora.moved.weights.weights if at.kind != "norm"]
    moved_less = lora.moved.model_copy(update={"weights": lora.moved.weights.model_copy(update={"weights": weights})})
    result = result.model_copy(update={"models": [full, lora.model_copy(update={"moved": moved_less})]})
    with paper_style():
        figure = weights_figure.weights_drawing(result)()
    assert [text.get_text() for text in figure.axes[1].texts].count("not trained") == 1
    assert "not trained" in [text.get_text() for text in figure.legends[0].get_texts()]
