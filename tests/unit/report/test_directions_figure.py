"""The figure of directions of a study: few panels and many, layers without shares, shares below 0, and names that are long or odd."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from repdrift.core.records.directions import (
    BesideRandomChange,
    DriftShare,
    LayerDirections,
    ModelDirections,
    RunDirections,
    StudyDirections,
)
from repdrift.core.records.what_moved import StudyMoved
from repdrift.core.study_directions_words import study_directions_section
from repdrift.core.worded_section import section_markdown
from repdrift.report.figures import figures
from repdrift.report.style import paper_style
from tests.unit.report.synthetic_results import Synthetic, report_data

(SPEC,) = (spec for spec in figures() if spec.name == "directions")
SHARES = {"shift": 0.5, "rotation": -0.1, "scaling": 0.0, "linear": 0.2, "rest": 0.4}


@pytest.fixture(scope="module")
def plain_data():
    return report_data(Synthetic(tasks=("sst2",), layers=2, seeds=(1, 2), measures=("cka",)))


def with_directions(data, tasks, methods, n_layers, *, moved=True):
    layers = [
        LayerDirections(layer=0, relative_change=0.0, missing=["It did not move."]),
        *(
            LayerDirections(
                layer=layer,
                relative_change=0.1,
                relative_shift=0.3,
                adjusted_pvalue=0.01,
                rotation_alone=0.1,
                scaling_alone=0.0,
                shares=[DriftShare(kind=kind, share=share) for kind, share in SHARES.items()] if moved else [],
                beside_random=BesideRandomChange(rows=40, own_shift_share=0.5, random_shift_share=0.45),
            )
            for layer in range(1, n_layers + 1)
        ),
    ]
    runs = [
        RunDirections(task=task, method=method, seed=seed, found=ModelDirections(layers=layers, n=40))
        for task in tasks
        for method in methods
        for seed in (1, 2)
    ]
    results = data.results.model_copy(update={"moved": StudyMoved(directions=StudyDirections(runs=runs))})
    return type(data)(results, data.table, data.table_name)


@pytest.mark.parametrize(
    ("tasks", "methods", "layers"),
    [(("sst2",), ("lora",), 1), (("sst2", "mrpc"), ("full_finetune", "lora"), 24), (("a$b$_very_long_task_name",), ("x" * 60, "y", "z", "w"), 6)],
)  # fmt: skip
def test_nothing_is_cut_and_words_have_no_nan(plain_data, tasks, methods, layers):
    data = with_directions(plain_data, tasks, methods, layers)
    assert SPEC.possible(data)
    with paper_style():
        figure = SPEC.draw(data)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.min.min() > -0.02
    assert box.x1 < width + 0.02
    assert box.y1 < height + 0.02
    low, high = figure.axes[0].get_ylim()
    assert low < -0.1 < 1.1 < high
    for words in (SPEC.caption(data), SPEC.describe(data)):
        assert words.endswith(".")
        assert not {"nan", "None", "inf"} & set(words.split())
    assert "50 % of the change goes to a shift that all samples share" in SPEC.describe(data)


def test_study_whose_models_did_not_move_has_no_figure(plain_data):
    assert not SPEC.possible(plain_data)
    assert not SPEC.possible(with_directions(plain_data, ("sst2",), ("lora",), 1, moved=False))


def test_section_in_words_names_the_kind_and_warns_where_a_random_change_shifts_as_much(plain_data):
    data = with_directions(plain_data, ("sst2",), ("lora",), 2)
    section = study_directions_section(data.results)
    assert section is not None
    text = "\n".join(section_markdown(section))
    assert (
        "LoRA: on average over layers, 50 % of the change of the representations goes to a shift that all samples share"
        in text
    )
    assert "a shift that all samples share is beyond chance in 4 of 4 layers of these models" in text
    assert not {"nan", "None"} & set(text.split())


def test_caution_on_a_random_change_names_each_layer_once_with_the_number_of_models(plain_data):
    data = with_directions(plain_data, ("sst2", "mrpc"), ("lora",), 3)
    shares = [DriftShare(kind=kind, share=float(kind == "shift")) for kind in SHARES]

    def layer(number, layer):  # three of four models have the control; layer 1 is alike in all of them, layer 3 in one
        alike = layer == 1 or (layer == 3 and number == 0)
        beside = BesideRandomChange(rows=40, own_shift_share=1.0, random_shift_share=0.9 if alike else 0.1)
        return LayerDirections(
            layer=layer,
            relative_change=0.1,
            shares=shares,
            rotation_alone=0.0,
            scaling_alone=0.0,
            beside_random=beside if number < 3 else None,
        )

    runs = [
        run.model_copy(update={"found": ModelDirections(layers=[layer(number, at) for at in (1, 2, 3)], n=40)})
        for number, run in enumerate(data.results.moved.directions.runs)
    ]
    moved = StudyMoved(directions=StudyDirections(runs=runs))
    section = study_directions_section(data.results.model_copy(update={"moved": moved}))
    assert section is not None
    said = [line for line in section.answer if "random change" in line]
    assert len(said) == 1
    assert said[0].startswith(
        "LoRA: in layer 1 (3 of the 3 models with this control) and layer 3 (1 of 3) a random change of the weights of the same size shifts"
    )
    assert "(in layer 1 the shift is 90 % of what it changes in the representations, beside 100 %" in said[0]


def test_a_layer_without_a_map_alone_says_none_in_the_table(plain_data):
    data = with_directions(plain_data, ("sst2",), ("lora",), 2)
    for run in data.results.moved.directions.runs:
        run.found.layers[1] = run.found.layers[1].model_copy(update={"rotation_alone": None, "scaling_alone": None})
    section = study_directions_section(data.results)
    assert section is not None
    first, second = next(table for table in section.tables if "kind of map" in table.title).rows
    assert list(first[-2:]) == ["none", "none"]
    assert list(second[-2:]) == ["10 %", "0 %"]
