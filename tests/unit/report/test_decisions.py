from repdrift.core.records.results import HypothesisTest
from repdrift.report import decisions
from tests.unit.report.synthetic_results import Synthetic, report_data


def family(**fields):
    """Three tests by layer with these p-values."""
    return [
        HypothesisTest.model_construct(layer=layer, smallest_pvalue=0.01, **{"pvalue_max_t": None, "pvalue_holm": None, "verdict": "undecided"} | fields)
        for layer in range(3)
    ]  # fmt: skip


def test_max_t_decides_before_holm_and_holm_before_the_p_itself():
    assert decisions.deciding_field(family(pvalue=0.1)) == "pvalue"
    assert decisions.deciding_field(family(pvalue_holm=0.2)) == "pvalue_holm"
    assert decisions.deciding_field(family(pvalue_holm=0.2, pvalue_max_t=0.1)) == "pvalue_max_t"
    assert decisions.deciding_pvalue(family(pvalue=0.1, pvalue_holm=0.2)[0]) == 0.2
    assert decisions.deciding_pvalue(family(pvalue=None)[0]) is None


def test_holm_multiplies_the_least_p_and_max_t_does_not():
    assert decisions.smallest_deciding_pvalue(family(pvalue_holm=1.0)) == 0.03
    assert decisions.smallest_deciding_pvalue(family(pvalue_holm=1.0, pvalue_max_t=1.0)) == 0.01
    assert decisions.smallest_deciding_pvalue([]) is None


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
