from dataclasses import replace

from repdrift.core.records.results import HypothesisTest
from repdrift.report import decisions
from repdrift.report.answer import design
from repdrift.report.dashboard.claims import layer_tables
from tests.unit.report.synthetic_results import Synthetic, report_data


def family(**fields):
    """Three tests by layer with these fields; what is not named is as in a file that lacks it."""
    absent = {"correction": None, "deciding_pvalue": None, "smallest_deciding_pvalue": None, "verdict": "undecided"}
    return [HypothesisTest.model_construct(layer=layer, **absent | fields) for layer in range(3)]


def test_what_decides_is_read_and_not_worked_out_again():
    tests = family(
        pvalue=0.1,
        deciding_pvalue=0.2,
        pvalue_holm=0.3,
        pvalue_max_t=0.25,
        correction="Holm",
        smallest_deciding_pvalue=0.07,
    )
    assert decisions.correction_of(tests) == "Holm"
    assert decisions.deciding_pvalue(tests[0]) == 0.2
    assert decisions.smallest_deciding_pvalue(tests) == 0.07
    assert decisions.smallest_deciding_pvalue([]) is decisions.correction_of([]) is None


def test_results_without_these_fields_are_read_and_say_the_p_that_is_there():
    data = report_data(Synthetic(tasks=("mrpc",), layers=3))
    fields = ("correction", "deciding_pvalue", "deciding_opposite_pvalue", "smallest_deciding_pvalue")
    content = data.results.model_dump()
    for test in content["tests"]:
        for field in fields:
            del test[field]
    data = replace(data, results=type(data.results).model_validate(content))
    table = layer_tables(data)[0]
    assert (table.correction, table.smallest) == (None, None)
    assert decisions.deciding_pvalue(table.rows[0].test) == table.rows[0].test.pvalue
    assert "in a layer" not in design(data, data.test("comparison_drifts_less", "all")).text


def test_layers_are_those_with_the_verdict():
    tests = [*family(verdict="supported")[1:], *family()[:1]]
    assert decisions.layers_with(tests[::-1], "supported") == [1, 2]


def test_the_widest_claim_is_over_models_and_samples():
    both = report_data(Synthetic(tasks=("mrpc",), layers=1)).reduction("all")
    assert decisions.widest_claim(both).over == "models and samples"
    assert decisions.interval_over(both, "samples").over == "samples"
    alone = report_data(Synthetic(tasks=("mrpc",), layers=1, seeds=(1,))).reduction("all")
    assert decisions.widest_claim(alone).over == "samples"
    assert decisions.interval_over(alone, "models") is None
    assert decisions.interval_over(None, "models") is None
