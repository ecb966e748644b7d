"""Tiles of a comparison: the right number, and a verdict that the numbers carry."""

import pytest

from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ON_TASK
from repdrift.core.records.output_changes import ModelOutputs, OutputChange
from tests.unit.report.page.comparison.made_page import made_page, tile
from tests.unit.report.synthetic_comparison import compared, comparison, refused


def change(outcome, value, inputs=ON_GENERAL_TEXT, **fields):
    return OutputChange(
        outcome=outcome, title=outcome, unit="nats", inputs=inputs, value=value, n=40, n_groups=40, **fields
    )


def outputs(rise, low, high, inputs=ON_GENERAL_TEXT):
    loss = change("forgetting", 3 + rise, inputs, base_value=3.0, difference=rise, low=low, high=high)
    return ModelOutputs(changes=[loss, change("output_kl", 0.2, inputs), change("top1_agreement", 0.8, inputs)])


def of(*models, **fields):
    return made_page(comparison(list(models), **fields))


def test_drift_of_one_and_of_several():
    one = tile(of(compared("a", [0.1, 0.3])), "drift")
    assert (one.value, one.chip) == ("0.20", "most in layer 1")
    alike = tile(of(compared("a", [0.2, 0.3], layer_fields={"drift_low": 0.1, "drift_high": 0.4})), "drift")
    assert alike.chip == "no layer stands out"
    assert alike.line == "Mean drift 0.25, and no layer stands out (0.20 to 0.30, with intervals that overlap)."
    several = tile(of(compared("iPhone", [0.1, 0.3]), compared("b", [0.1, 0.1])), "drift")
    assert several.value == "0.10 to 0.20"
    assert several.line.startswith("iPhone drifts most: mean drift 0.20")


@pytest.mark.parametrize(
    ("above", "value", "chip", "verdict"),
    [
        ([True, True], "2 of 2 layers", "yes", "yes"),
        ([True, False], "1 of 2 layers", "in part", "open"),
        ([False, False], "0 of 2 layers", "no", "no"),
        ([True, None], "1 of 2 layers", "not known everywhere", "open"),
        ([None, None], "not known", "not measured", "open"),
    ],
)
def test_noise(above, value, chip, verdict):
    model = compared("a", [0.1, 0.2])
    layers = [at.model_copy(update={"above_noise": each}) for at, each in zip(model.layers, above, strict=True)]
    found = tile(of(model.model_copy(update={"layers": layers})), "noise")
    assert (found.value, found.chip, found.verdict) == (value, chip, verdict)


@pytest.mark.parametrize(
    ("drifts", "fields", "value", "chip"),
    [
        ([0.1, 0.1], {}, "5.00 times", "more"),
        ([0.001, 0.001], {"drift_high": 0.002}, "0.050 times", "less"),
        ([0.02, 0.02], {}, "1 times", "not told apart"),
        ([0.02, 0.2], {}, "5.50 times", "varies by layer"),
        ([0.1, 0.1], {"drift_low": None, "drift_high": None}, "5.00 times", "no interval"),
        ([0.0, 0.0], {}, "none", "not told apart"),
        ([0.1], {"random_change_drift": None}, "not known", "not measured"),
    ],
)
def test_beside_a_random_change(drifts, fields, value, chip):
    found = tile(of(compared("a", drifts, layer_fields=fields)), "random")
    assert (found.value, found.chip) == (value, chip)


@pytest.mark.parametrize(
    ("numbers", "value", "chip"),
    [
        ((0.12, 0.08, 0.16), "+0.12 nats", "worse"),
        ((-0.12, -0.2, -0.05), "-0.12 nats", "better"),
        ((0.01, -0.05, 0.07), "+0.010 nats", "not known"),
        ((0.2, None, None), "+0.20 nats", "not known"),
    ],
)
def test_outputs(numbers, value, chip):
    found = tile(of(compared("a", [0.1], outputs=outputs(*numbers))), "outputs")
    assert (found.label, found.value, found.chip) == ("Forgetting", value, chip)


def test_loss_on_these_texts_is_not_called_forgetting():
    found = tile(of(compared("a", [0.1], outputs=outputs(0.1, 0.05, 0.15, ON_TASK))), "outputs")
    assert found.label == "Loss of the next token"


def test_classes_that_changed():
    flips = ModelOutputs(changes=[change("disagreement", 0.125, ON_TASK, low=0.1, high=0.2)])
    found = tile(of(compared("a", [0.1], outputs=flips)), "outputs")
    assert (found.label, found.value, found.chip) == ("Classes that changed", "12 %", "changed")


def test_outputs_that_lack_say_why():
    found = tile(of(compared("a", [0.1], outputs=ModelOutputs(left_out=["No head."]))), "outputs")
    assert (found.value, found.verdict, list(found.details)) == ("not known", "open", ["No head."])


def test_models_that_differ_have_no_common_verdict():
    found = tile(of(compared("a", [0.1], outputs=outputs(0.1, 0.05, 0.2)), compared("b", [0.1], outputs=outputs(-0.1, -0.2, -0.05))), "outputs")  # fmt: skip
    assert (found.value, found.chip) == ("-0.10 to +0.10 nats", "differs by model")


def test_weights():
    found = tile(of(compared("a", [0.1, 0.2])), "moved")
    assert (found.value, found.chip) == ("1.0 %", "most in layer 0")
    assert tile(of(compared("a", [0.1], layer_fields={"weights": {}})), "moved").value == "not known"


def test_controls_that_are_missing_are_named():
    assert tile(of(compared("a", [0.1])), "controls").value == "4 of 4"
    found = tile(of(compared("a", [0.1], layer_fields={"mispaired_drift": None})), "controls")
    assert (found.value, found.verdict, found.line) == ("3 of 4", "open", "Missing: mispaired samples.")
    assert tile(of(refused("a")), "controls").verdict == "no"


def test_a_drift_as_far_as_between_other_samples_is_named():
    found = tile(of(compared("a", [0.1, 1.01])), "controls")
    assert "As far as that: a in layer 1 (1.01)." in found.details
