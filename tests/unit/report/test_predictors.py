"""Which drift goes with what, in the summary, on the page and as a figure."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from repdrift.core.records.drift_predictors import DriftPredictors, MeasureCorrelation
from repdrift.drift.summary import summary_markdown
from repdrift.report.figures import figures
from repdrift.report.figures.predictors import caption, describe, draw
from repdrift.report.style import paper_style
from tests.unit.report.synthetic_results import Synthetic, report_data


def predictors(outcome, correlations, **more):
    fields = {
        "outcome": outcome, "outcome_title": outcome, "correlations": correlations, "smallest_pvalue": 5e-05, "n_units": 12, "groups": 2,
        "sentence": f"Models that differ more from their base by cka do more of {outcome}.",
    }  # fmt: skip
    return DriftPredictors(**{**fields, **more})


FOUND = [
    predictors(
        "score",
        [
            MeasureCorrelation(measure="cka", title="CKA", correlation=0.8, low=0.3, high=0.95, pvalue=0.004, pvalue_max_t=0.01),
            MeasureCorrelation(measure="cosine", title="cosine", correlation=-0.2, pvalue=0.5, pvalue_max_t=0.7, missing="few"),
            MeasureCorrelation(measure="gulp", title="GULP", correlation=None, missing="1 model without a value in every layer"),
        ],
    ),
    predictors("forgetting", [MeasureCorrelation(measure="cka", title="CKA", correlation=0.1, pvalue=0.6, pvalue_max_t=0.8)], n_left_out=3),
]  # fmt: skip


@pytest.fixture(scope="module")
def data():
    plain = report_data(Synthetic(tasks=("sst2",), layers=3))
    return type(plain)(plain.results.model_copy(update={"drift_predictors": FOUND}), plain.table, plain.table_name)


def test_the_figure_has_a_panel_for_each_outcome_and_fills_what_holds_after_correction(data):
    with paper_style():
        figure = draw(data)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.min.min() > -0.02
    assert box.x1 < width + 0.02
    assert box.y1 < height + 0.02
    score, forgetting = figure.axes
    titles = tuple(axes.get_title(loc="left") for axes in (score, forgetting))
    assert titles == ("against score (n = 12)", "against forgetting (n = 12)")
    points = {float(line.get_ydata()[0]): line for line in score.lines if line.get_marker() == "o"}
    assert [points[row].get_markerfacecolor() == "white" for row in (0.0, 1.0)] == [False, True]
    assert [text.get_text() for text in score.get_yticklabels()] == ["CKA", "cosine"]
    bars = [line for line in score.lines if list(line.get_xdata()) == [0.3, 0.95]]
    assert len(bars) == 1


def test_words_name_every_correlation(data):
    assert "All, against score: CKA 0.80; cosine -0.20." in describe(data)
    assert "95 %" in caption(data)
    (spec,) = [spec for spec in figures() if spec.name == "predictors"]
    assert spec.possible(data)
    assert not spec.possible(report_data(Synthetic(tasks=("sst2",), layers=3)))


def test_the_summary_has_sentences_tables_and_reasons(data):
    text = summary_markdown(data.results, data.table)
    section = text[text.index("## Which drift goes with what") : text.index("## Controls")]
    assert "Models that differ more from their base by cka do more of score." in section
    assert "| cka | 0.80 | 0.30 to 0.95 | 0.004 | 0.01 |  |" in section
    assert "| gulp | none | none | none | none | 1 model without a value in every layer |" in section
    assert "3 models more cannot count" in section
