"""The figure of the weights of a study, for one method and for many, few layers and many, and values that are missing."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from repdrift.core.records.weights import RunWeightsMoved, StudyWeightsMoved, WeightCell, WeightGroup
from repdrift.core.records.what_moved import StudyMoved
from repdrift.core.study_weights_words import study_weights_worded
from repdrift.report.figures import figures
from repdrift.report.style import paper_style
from tests.unit.report.synthetic_results import Synthetic, report_data

(SPEC,) = (spec for spec in figures() if spec.name == "weight_changes")
KINDS = ("query", "key", "value", "qkv", "output", "up", "gate", "gate_up", "down", "norm", "bias", "other")


@pytest.fixture(scope="module")
def plain_data():
    return report_data(Synthetic(tasks=("sst2",), layers=2, seeds=(1, 2), measures=("cka",)))


def with_weights(data, methods, layers, change=0.01):
    """The data with cells of every kind and layer; `change` is that of layer 0, and grows."""
    cells = [
        WeightCell(
            method=method, kind=kind, layer=layer, models=2, intruders=None if kind in ("norm", "bias") else layer % 4,
            relative_change=None if (kind, layer) == ("up", 0) else 0.0 if kind == "key" and layer else change * (layer + 1),
        )
        for method in methods for kind in KINDS for layer in range(layers)
    ]  # fmt: skip
    whole = WeightGroup(group="all", weights=9, changed=3, relative_change=change, intruders=5, vectors=30)
    runs = [
        RunWeightsMoved(task="sst2", method=method, seed=1, step=0, whole=whole, kinds=[], layers=[])
        for method in methods
    ]
    found = StudyWeightsMoved(leading=10, intruder_cosine=0.5, runs=runs, over_seeds=[], cells=cells)
    results = data.results.model_copy(update={"moved": StudyMoved(weights=found)})
    return type(data)(results, data.table, data.table_name)


@pytest.mark.parametrize(
    ("methods", "layers"),
    [(("full_finetune",), 1), (("full_finetune", "lora"), 24), (("a$b$_very_long_method_name_that_goes_on", "x", "y", "z"), 6)],
)  # fmt: skip
def test_nothing_is_cut_and_words_have_no_nan(plain_data, methods, layers):
    data = with_weights(plain_data, methods, layers)
    assert SPEC.possible(data)
    with paper_style():
        figure = SPEC.draw(data)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.min.min() > -0.02
    assert box.x1 < width + 0.02
    assert box.y1 < height + 0.02
    for words in (SPEC.caption(data), SPEC.describe(data)):
        assert words.endswith(".")
        assert not {"nan", "None", "inf"} & set(words.split())


def test_description_names_the_largest_change_and_the_intruders(plain_data):
    words = SPEC.describe(with_weights(plain_data, ("lora",), 3))
    assert (
        "LoRA: the largest relative change is 0.030, in query of layer 2; 5 intruder dimensions in 1 final model."
        in words
    )


def test_figure_needs_a_change(plain_data):
    assert not SPEC.possible(plain_data)
    none = with_weights(plain_data, ("lora",), 1, change=0.0)
    cells = [cell for cell in none.results.moved.weights.cells if cell.relative_change == 0.0]
    weights = none.results.moved.weights.model_copy(update={"cells": cells})
    still = none.results.model_copy(update={"moved": StudyMoved(weights=weights)})
    assert not SPEC.possible(type(none)(still, none.table, none.table_name))


def test_results_without_the_section_have_no_words(plain_data):
    assert study_weights_worded(plain_data.results) is None


def test_kinds_that_a_method_does_not_train_are_not_called_missing(plain_data):
    data = with_weights(plain_data, ("full_finetune", "lora"), 3)
    found = data.results.moved.weights
    cells = [cell for cell in found.cells if cell.method != "lora" or cell.kind not in ("norm", "bias")]
    outside = WeightGroup(group="other", weights=1, changed=1, relative_change=0.25)
    head = "classifier.weight: only in the tuned model"
    runs = [
        run.model_copy(update={"kinds": [outside] if run.method == "lora" else [], "not_compared": [head]})
        for run in found.runs
    ]
    cells = [cell for cell in cells if cell.kind != "other"]
    changed = found.model_copy(update={"cells": cells, "runs": runs})

    def drawn(weights):
        results = data.results.model_copy(update={"moved": StudyMoved(weights=weights)})
        study = type(data)(results, data.table, data.table_name)
        with paper_style():
            figure = SPEC.draw(study)
            texts = [text.get_text() for text in figure.axes[1].texts]
            return texts, [text.get_text() for text in figure.legends[0].get_texts()], SPEC.caption(study)

    texts, keys, caption = drawn(changed)
    assert texts.count("not trained") == 2
    assert "not trained" in keys
    assert "not drawn: other modules, such as a pooler (LoRA 0.25)" in caption

    unknown = [run.model_copy(update={"not_compared": ["layer 1 norm.weight: could not be read"]}) for run in runs]
    texts, keys, _ = drawn(changed.model_copy(update={"runs": unknown}))
    assert texts.count("missing") == 3, "a weight that could not be compared may have been trained"
    assert "not trained" not in texts + keys


def test_intruders_have_no_row_for_what_is_no_matrix(plain_data):
    (spec,) = (spec for spec in figures() if spec.name == "intruder_dimensions")
    with paper_style():
        labels = [
            label.get_text() for label in spec.draw(with_weights(plain_data, ("lora",), 3)).axes[0].get_yticklabels()
        ]
    assert "query" in labels
    assert not {"norm", "bias"} & set(labels)
