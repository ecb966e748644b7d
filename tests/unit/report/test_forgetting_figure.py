"""The figure of what was forgotten: a mark for each method and task, above zero where something was lost, against drift and score."""

from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from repdrift.core.records.outcomes import ArmOutcome, StudyOutcomes
from repdrift.report.figure_size import FigureSize
from repdrift.report.figures import figure_named
from repdrift.report.glance.study_numbers import final_score, models_of
from repdrift.report.style import paper_style
from tests.unit.report.synthetic_results import Synthetic, report_data

SPEC = figure_named("forgetting")
STUDY = report_data(Synthetic(tasks=("mrpc", "sst2"), layers=3, seeds=(1, 2)))


def arm(task, method, outcome, difference, low=None, high=None, **more):
    inputs = "benchmark" if outcome.startswith("retrieval") else "general_text"
    return ArmOutcome(
        **{
            "task": task, "method": method, "outcome": outcome, "inputs": inputs, "seeds": [1, 2], "value": 1 + difference, "base_value": 1.0,
            "difference": difference, "low": low, "high": high, "interval": "" if low is None else "jackknife over items", "n": 50, "n_groups": 50,
        }
        | more
    )  # fmt: skip


def data_of(*arms):
    results = STUDY.results.model_copy(update={"outcomes": StudyOutcomes(arms=list(arms))})
    return replace(STUDY, results=results)


def drawn(data, size=None):
    with paper_style(*([] if size is None else [size])):
        figure = SPEC.draw(data)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
    return figure


def places(axes):
    """Marks by place; lines of two points are intervals or the zero line."""
    return sorted(
        (round(float(x[0]), 6), round(float(y[0]), 6))
        for line in axes.lines
        for x, y in ((line.get_xdata(), line.get_ydata()),)
        if len(x) == 1
    )


def test_a_fall_of_retrieval_is_a_loss_and_stands_above_zero():
    data = data_of(
        arm("mrpc", "full_finetune", "retrieval", -0.3, -0.4, -0.2),
        arm("mrpc", "lora", "retrieval", -0.1, -0.15, -0.05),
        arm("mrpc", "lora", "retrieval_first", -0.9),
        arm("mrpc", "lora", "retrieval", -0.7, step=30),
    )
    left, right = drawn(data).axes
    losses = {"full_finetune": 0.3, "lora": 0.1}
    drift = sorted((round(models_of(data, "mrpc", m).drift, 6), loss) for m, loss in losses.items())
    score = sorted((round(final_score(data, "mrpc", m).mean, 6), loss) for m, loss in losses.items())
    assert places(left) == drift
    assert places(right) == score
    ends = [tuple(line.get_ydata()) for line in left.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] != 0]
    assert sorted(tuple(sorted(end)) for end in ends) == [(0.05, 0.15), (0.2, 0.4)]
    assert "full fine-tuning 0.30 at drift" in SPEC.describe(data)
    assert "without one" not in SPEC.caption(data)


def test_a_rise_of_the_loss_is_one_too_and_each_outcome_has_its_row():
    arms = [arm(task, m, "forgetting", 0.2) for task in ("mrpc", "sst2") for m in ("full_finetune", "lora")]
    assert len(drawn(data_of(*arms)).axes) == 2
    both = data_of(*arms, arm("mrpc", "lora", "retrieval", -0.1), arm("sst2", "lora", "retrieval", -0.2))
    figure = drawn(both)
    assert [axes.get_ylabel().split()[0] for axes in figure.axes] == ["forgetting", "forgetting", "lost", "lost"]
    assert len(places(figure.axes[0])) == 4
    assert {y for _, y in places(figure.axes[0])} == {0.2}
    assert "(6 marks without one)" in SPEC.caption(both)


@pytest.mark.parametrize(
    "arms", [[], [arm("mrpc", "lora", "retrieval", -0.1)], [arm("mrpc", "lora", "output_kl", 0.1)]]
)
def test_it_is_not_drawn_for_fewer_than_two_marks(arms):
    assert "was measured for two methods" in SPEC.absent(data_of(*arms))


def test_a_narrow_figure_has_its_panels_one_below_the_other():
    arms = [arm("mrpc", m, "retrieval", -0.1) for m in ("full_finetune", "lora")]
    figure = drawn(data_of(*arms), FigureSize("one-column", "acl"))
    left, right = (axes.get_position() for axes in figure.axes)
    assert right.y1 < left.y0
