"""What is read has few digits and no number in a program's notation, in every output; exact values are on hover and in files."""

import pytest

from tests.unit.report import synthetic_moved
from tests.unit.report.odd_studies import odd_study
from tests.unit.report.read_outputs import comparison_outputs, study_outputs
from tests.unit.report.synthetic_comparison import compared, comparison, layer
from tests.unit.report.synthetic_results import Synthetic, report_data
from tests.unit.report.written_numbers import numbers_to_count


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("drift 0.4481 and 0.448", ["0.4481"]),
        ("8e-06 or 1.2e+03", ["8e-06", "1.2e+03"]),
        ("100.25 %, 0.0312, 12.5, 1,234 samples and 10,000 draws", ["100.25"]),
        ("0.448 ±0.001 and 0.4482 ±0.0003; seed 12345", []),
        ("learning rate 2e-05, rates 0.0001 and 3e-05", []),
        ("torch 2.8.0 on 2026-01-05T12:00:00+00:00, model 0123456789abcdef, 1.000", []),
        ("-0.4481 to -1e-7", ["-0.4481", "-1e-7"]),
    ],
)
def test_long_numbers_are_found_and_what_has_to_be_exact_is_spared(text, found):
    assert [each.partition(" in: ")[0] for each in numbers_to_count(text)] == found


@pytest.mark.parametrize("name", ["one layer, one seed, long names", "nothing but negative drift"])
def test_nothing_that_is_read_of_an_odd_study_has_to_be_counted(name):
    found = {output: numbers_to_count(text) for output, text in study_outputs(odd_study(name)).items()}
    assert {output: numbers for output, numbers in found.items() if numbers} == {}


def test_nothing_that_is_read_of_a_usual_study_has_to_be_counted():
    study = Synthetic(tasks=("sst2", "mrpc"), layers=4, seeds=(1, 2), checkpoints=(50, 100), lora_share=0.00123456)
    data = report_data(study)
    more = {
        "moved": synthetic_moved.moved(study),
        "sites": synthetic_moved.sites(study),
        "drift_predictors": synthetic_moved.predictors(),
        "equal_skill": synthetic_moved.equal_skill(study),
    }
    data = type(data)(data.results.model_copy(update=more), data.table, data.table_name)
    found = {output: numbers_to_count(text) for output, text in study_outputs(data).items()}
    assert {output: numbers for output, numbers in found.items() if numbers} == {}


def test_nothing_that_is_read_of_a_comparison_has_to_be_counted():
    tiny = compared("tiny", [3.21e-6, 4.56e-7])
    odd = compared("odd", [0.123456, 0.98765], layer_fields={"random_change_drift": 1.23e-6, "random_change_low": 1e-9})
    more = tiny.model_copy(update={"name": "more", "layers": [layer(0, 1.2345), layer(1, -2.5e-5)]})
    outputs = comparison_outputs(comparison([tiny, odd, more]))
    found = {output: numbers_to_count(text) for output, text in outputs.items()}
    assert {output: numbers for output, numbers in found.items() if numbers} == {}
