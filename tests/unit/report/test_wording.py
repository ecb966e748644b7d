import pytest

from repdrift.core import hypotheses
from repdrift.core.records.results import StudyInfo
from repdrift.report import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.314, "0.31"),
        (0.0994, "0.099"),
        (0.0996, "0.10"),
        (0.0042, "0.004"),
        (0.00049, "5e-04"),
        (-0.003, "-0.003"),
        (2e-6, "2e-06"),
    ],
)
def test_small_numbers_keep_a_digit(value, text):
    assert wording.small(value) == text


def test_lists_are_joined_as_in_a_sentence():
    assert [wording.listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_counted_things_have_their_number():
    assert [wording.counted(n, "layer") for n in (0, 1, 2)] == ["0 layers", "1 layer", "2 layers"]
    assert wording.counted(2, "analysis", "analyses") == "2 analyses"


def test_names_that_are_not_known_are_kept():
    assert [wording.method_title(m) for m in ("lora", "full_finetune", "dora")] == ["LoRA", "full fine-tuning", "dora"]
    titles = {"own": "my measure", "gap": "a distance"}
    study = StudyInfo.model_construct(measure_titles=titles, distances=["gap"])
    assert wording.drift_definition(study, "cka") == "1 - debiased CKA"
    assert wording.drift_definition(study, "own") == "1 - my measure"
    assert wording.drift_definition(study, "gap") == "a distance"
    assert wording.drift_definition(study, "unknown") == "1 - unknown"
    assert [wording.task_title(t) for t in ("all", "mrpc")] == ["all tasks", "mrpc"]


def test_estimates_have_their_unit():
    assert wording.estimate_text(hypotheses.TARGET, 0.314) == "31.4 %"
    assert wording.estimate_text(hypotheses.ALIKE, 0.686) == "0.69"
    assert wording.estimate_text(hypotheses.INTERACTION, 0.14) == "14.0 points"
    assert wording.estimate_text(hypotheses.ABOVE_NOISE, 0.0042) == "0.004"
    assert wording.effect_text("difference", 0.0042) == "0.004"
    assert wording.effect_text("ratio", 0.686) == "0.69"


@pytest.mark.parametrize(
    ("layers", "text"), [([], "none"), ([4], "4"), ([7, 1, 2, 3], "1 to 3, 7"), ([0, 1, 3, 5, 6], "0 to 1, 3, 5 to 6")]
)
def test_neighbouring_layers_are_drawn_together(layers, text):
    assert wording.layer_ranges(layers) == text
