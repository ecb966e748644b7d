"""The headline of a comparison says which model drifts most, whether more than noise, and which models have no drift."""

import pytest

from repdrift.core.comparison_answers import answer_line, comparison_headline, drift_in_short
from tests.unit.report.synthetic_comparison import compared, comparison, refused


def test_headline_of_one_model_is_its_first_line():
    result = comparison([compared("dpo", [0.1, 0.3])])
    assert comparison_headline(result) == f"dpo against base-model: {answer_line(result.models[0])}"
    assert "mean drift 0.20, most in layer 1 (0.30, " in comparison_headline(result)


def test_headline_of_several_names_the_extremes_and_who_is_missing():
    result = comparison(
        [compared("a", [0.1, 0.2]), compared("b", [0.4, 0.2]), compared("c", [0.2, 0.2], above=False), refused("d")]
    )
    said = comparison_headline(result)
    assert said.startswith("Of 3 models against base-model, b drifts most: mean drift 0.30, most in layer 0 (0.40")
    assert "a drifts least (mean drift 0.15)" in said
    assert said.endswith("d could not be compared.")


def test_headline_without_any_drift_says_so():
    assert comparison_headline(comparison([refused("d")])).startswith("No model has a drift by layer from base-model.")


def test_headline_of_models_within_noise_claims_no_more():
    said = comparison_headline(comparison([compared("a", [0.1], above=False), compared("b", [0.2], above=False)]))
    lead = "None of 2 models against base-model drifts more than noise in any layer; the largest drift is that of b: "
    assert said.startswith(lead)


@pytest.mark.parametrize(
    ("drifts", "said"),
    [
        ([0.0], "drift 0 in layer 0"),
        ([2e-16, -3e-16], "drift 0 in every layer"),
        ([0.0, 0.0], "drift 0 in every layer"),
        (
            [-2e-4, -1e-4],
            "mean drift -0.00015, and no layer stands out (-0.00020 to -0.00010, with intervals that overlap)",
        ),
        ([0.2, 0.3, 0.3], "most in layer 1 ("),
        ([0.2, 0.2], "drift 0.20, the same in every layer"),
    ],
)
def test_largest_layer_is_named_where_there_is_one(drifts, said):
    assert said in drift_in_short(compared("a", drifts).layers)


def test_a_long_path_of_the_base_leaves_room_for_what_was_found():
    result = comparison([compared("dpo", [0.1, 0.3])]).model_copy(update={"base": "/data/models/of/ours/llama/base"})
    assert comparison_headline(result).startswith("dpo against …/llama/base: mean drift 0.20")
