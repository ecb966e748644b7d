"""Charts of a comparison: every model named, values of the records, and none where nothing was measured."""

import pandas as pd

from repdrift.core.records.comparison import SiteLayers
from repdrift.core.records.weights import ModelWeightsMoved, WeightMoved
from repdrift.core.records.what_moved import ModelMoved
from repdrift.core.worded_section import WordedSection
from repdrift.report.page.answers import answer_of_models
from repdrift.report.page.views import comparison_views
from tests.unit.report.page.views.made_studies import PLAIN, made
from tests.unit.report.synthetic_comparison import compared, comparison, layer


def _moved():
    """Sections of one model, taken from a study, and two weights of one kind and layer."""
    of_study = made(PLAIN).results.moved
    weights = [
        WeightMoved(layer=1, module=name, kind="query", outputs=4, inputs=4, norm=10.0, change_norm=change, relative_change=change / 10, rank_90=2, k=5, intruders=1)
        for name, change in (("a", 3.0), ("b", 4.0))
    ]  # fmt: skip
    return ModelMoved(
        directions=of_study.directions.runs[0].found, grid=of_study.grid.runs[0].found, weights=ModelWeightsMoved(leading=5, intruder_cosine=0.5, weights=weights)
    )  # fmt: skip


def test_charts_have_the_values_of_the_records():
    site = SiteLayers(site="attn_out", layers=[layer(0, 0.4), layer(1, 0.5)], mean_drift=0.45)
    result = comparison([compared("a", [0.1, 0.2], sites=[site], moved=_moved()), compared("b", [-0.1, 0.3])])
    views = {view.name: view for view in comparison_views(result)}
    assert set(views) == {"heatmap", "sites", "weights", "weights_by_kind", "weights_by_layer", "layer_grid", "directions"}  # fmt: skip
    heat = views["heatmap"].rows.set_index(["arm", "site", "layer"])["drift"].sort_index()
    assert heat.loc["b", "resid_post"].tolist() == [-0.1, 0.3]
    assert heat.loc["a", "attn_out"].tolist() == [0.4, 0.5]
    assert views["heatmap"].answer == ["The largest drift of all models and layers is 0.30, in layer 1 of b."]
    assert set(views["sites"].rows["arm"]) == {"a"}
    (cell,) = views["weights"].rows.to_dict("records")
    assert (cell["arm"], cell["layer"], cell["intruders"]) == ("a", 1, 2)
    assert cell["relative_change"] == (3.0**2 + 4.0**2) ** 0.5 / (10.0**2 + 10.0**2) ** 0.5
    by_kind = views["weights_by_kind"].rows.set_index("panel")["value"]
    assert by_kind["share of intruder dimensions"] == 0.2
    for view in views.values():
        assert set(view.shown) | set(view.keyboard) | set(view.filters) <= set(view.rows.columns)


def test_nothing_measured_gives_no_chart():
    assert comparison_views(comparison([compared("a", [0.1])])) == []


def test_sentences_on_several_models_name_theirs():
    first, second = WordedSection("x", "x", ["It moved.", "More."]), WordedSection("x", "x", ["The weights of b moved."])  # fmt: skip
    assert answer_of_models([("a", first)]) == ["It moved.", "More."]
    assert answer_of_models([("a", first), ("b", second)]) == ["a: It moved.", "The weights of b moved."]


def test_rows_of_a_heatmap_of_many_models_stay_small():
    result = comparison([compared(f"m{n}", [0.01 * place for place in range(80)]) for n in range(60)])
    (view,) = comparison_views(result)
    assert isinstance(view.rows, pd.DataFrame)
    assert len(view.rows) == 60 * 80
