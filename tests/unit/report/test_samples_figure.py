"""The figure of samples: marks inside their axis, groups named whole, and a key for what is full and hollow."""

from dataclasses import replace

from repdrift.report.figure_size import FigureSize
from repdrift.report.figures import figures
from repdrift.report.style import paper_style
from tests.unit.report.odd_studies import odd_study
from tests.unit.report.synthetic_moved import SAMPLES

SPECS = {spec.name: spec for spec in figures()}


def test_samples_of_a_few_rows_lie_inside_their_axis():
    data = odd_study("usual")
    tasks = [
        task.model_copy(update={"models": [
            model.model_copy(update={"moves": model.moves.model_copy(update={"samples": SAMPLES // 5})}) for model in task.models
        ]})
        for task in data.results.moved.samples.tasks
    ]  # fmt: skip
    moved = data.results.moved.model_copy(
        update={"samples": data.results.moved.samples.model_copy(update={"tasks": tasks})}
    )
    data = replace(data, results=data.results.model_copy(update={"moved": moved}))
    with paper_style():
        axes = SPECS["samples"].draw(data).axes[0]
    highest = max(max(line.get_ydata()) for line in axes.lines)
    assert 55 < highest < axes.get_ylim()[1]


def test_samples_name_their_groups_whole_and_say_what_full_and_hollow_marks_are():
    data = odd_study("usual")
    tasks = [
        task.model_copy(update={"groups": [of.model_copy(update={"by": "length", "value": "middle (15 to 23 tokens)"}) for of in task.groups]})
        for task in data.results.moved.samples.tasks
    ]  # fmt: skip
    moved = data.results.moved.model_copy(
        update={"samples": data.results.moved.samples.model_copy(update={"tasks": tasks})}
    )
    data = replace(data, results=data.results.model_copy(update={"moved": moved}))
    for width in ("one-column", "two-column"):
        with paper_style(FigureSize(width)):
            figure = SPECS["samples"].draw(data)
        assert "middle (15 to 23 tokens)" in [label.get_text() for label in figure.axes[1].get_yticklabels()]
        keys = [text.get_text() for text in figure.legends[0].get_texts()]
        assert keys[-2:] == ["group: corrected p ≤ 0.05", "group: corrected p > 0.05"]


def test_a_narrow_figure_has_every_task_that_fits_and_panels_as_tall_as_their_rows():
    data = odd_study("usual")
    with paper_style(FigureSize("one-column")):
        figure = SPECS["samples"].draw(data)
        caption = SPECS["samples"].caption(data)
        tasks = len(data.results.moved.samples.tasks)
    assert len(figure.axes) == 2 * tasks or f"The first {len(figure.axes)} of {2 * tasks} panels" in caption
    assert len(figure.axes) >= 4
