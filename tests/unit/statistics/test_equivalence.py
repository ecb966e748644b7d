import numpy as np
import pytest

from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.statistics.equivalence import equivalence_test, superiority_test

_LOW, _HIGH = [1.0, 1.1, 1.2, 1.3], [2.0, 2.1, 2.2, 2.3]


@pytest.mark.parametrize("margin", [0, -0.1, np.inf, np.nan])
def test_margin_of_a_difference_is_finite_and_above_zero(margin):
    with pytest.raises(ConfigError, match="difference should be finite and above 0"):
        equivalence_test(_LOW, _HIGH, margin=margin)


@pytest.mark.parametrize("margin", [1, 0.8, np.inf, np.nan])
def test_margin_of_a_ratio_is_finite_and_above_one(margin):
    with pytest.raises(ConfigError, match="ratio should be finite and above 1"):
        equivalence_test(_LOW, _HIGH, margin=margin, scale="ratio")


@pytest.mark.parametrize("margin", [1, 1.5, -np.inf, np.nan])
def test_margin_of_a_reduction_is_finite_and_below_one(margin):
    with pytest.raises(ConfigError, match="reduction should be finite and below 1"):
        superiority_test(_HIGH, _LOW, margin=margin)


@pytest.mark.parametrize("alpha", [0, 0.5, 5])
def test_alpha_leaves_room_for_the_opposite_claim(alpha):
    with pytest.raises(ConfigError, match="alpha should lie between 0 and 0.5"):
        equivalence_test(_LOW, _HIGH, margin=0.1, alpha=alpha)
    with pytest.raises(ConfigError, match="alpha should lie between 0 and 0.5"):
        superiority_test(_HIGH, _LOW, margin=0.1, alpha=alpha)


def test_what_the_label_permutation_test_refuses_is_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'ratio'"):
        equivalence_test(_LOW, _HIGH, margin=2, scale="ratios")
    with pytest.raises(NonFiniteError, match=r"b\[0\] is nan"):
        equivalence_test(_LOW, [np.nan, 1], margin=0.1)
    with pytest.raises(NonFiniteError, match=r"reference\[0\] is nan"):
        superiority_test([np.nan, 1], _LOW, margin=0.1)
    with pytest.raises(ShapeError, match="stratum 'y' has 1 values of a and 0 of b"):
        superiority_test([1, 2], [1, 2], margin=0.1, strata=[*"xyxx"])
    with pytest.raises(ConfigError, match="n_permutations should be at least 1"):
        superiority_test([1, 2], [1, 2], margin=0.1, n_permutations=0)


def test_share_of_a_mean_not_above_zero_is_refused():
    with pytest.raises(DegenerateInputError, match="the mean of reference is -0.5"):
        superiority_test([0, -1], [1, 2], margin=0.1)
    with pytest.raises(DegenerateInputError, match="the mean of a is 0"):
        equivalence_test([-1, 1], [1, 2], margin=2, scale="ratio")
    with pytest.raises(DegenerateInputError, match="the mean of b is 0"):
        equivalence_test([1, 2], [0, 0], margin=2, scale="ratio")
    assert superiority_test([1, 2], [-1, 0], margin=0.1).estimate == pytest.approx(1 + 0.5 / 1.5)


def test_verdicts_and_sentences_of_a_reduction():
    supported = superiority_test(_HIGH, _LOW, margin=0.2)
    assert supported.verdict == "supported"
    assert supported.sentence == (
        "The reduction is 46.5 % (8 trained models). That it is more than 20 % is supported (p = 0.0143); "
        "smallest p that this design can reach: 0.014."
    )
    rejected = superiority_test(_LOW, _HIGH, margin=0.2)
    assert rejected.verdict == "rejected"
    assert "The reduction is -87.0 %" in rejected.sentence
    assert "That it is more than 20 % is rejected (p = 1; that it is less than 20 %: p = 0.0143)" in rejected.sentence
    undecided = superiority_test(_HIGH, _LOW, margin=0.45)
    assert undecided.verdict == "undecided"
    assert min(undecided.pvalue, undecided.opposite_pvalue) > undecided.alpha
    assert "Whether it is more than 45 % is undecided (p = 0." in undecided.sentence


def test_verdicts_and_sentences_of_equivalence():
    supported = equivalence_test(_LOW, [1.05, 1.15, 1.2, 1.25], margin=0.4)
    assert supported.verdict == "supported"
    assert "That it is less than 0.4 either way is supported" in supported.sentence
    rejected = equivalence_test(_LOW, _HIGH, margin=0.4)
    assert (rejected.verdict, rejected.opposite_pvalue) == ("rejected", pytest.approx(2 / 70))
    assert "The difference is -1 (8 trained models)" in rejected.sentence
    assert "that it is more than 0.4 one way: p = 0.0286" in rejected.sentence
    ratio = equivalence_test(_LOW, _HIGH, margin=1.9, scale="ratio")
    assert ratio.verdict == "undecided"
    assert "The ratio is 0.5349" in ratio.sentence
    assert "Whether it is within a factor of 1.9 is undecided" in ratio.sentence


def test_a_design_that_cannot_reach_alpha_says_so():
    found = superiority_test([2.0, 2.1], [1.0, 1.1], margin=0.1)
    assert (found.verdict, found.pvalue) == ("undecided", found.smallest_pvalue)
    assert found.sentence.endswith("no result could have reached 0.05, the smallest possible p is 0.167.")
    # Three against three reach 0.05 for a reduction; the opposite of equivalence, on two sides, only 0.1.
    assert superiority_test([2.0, 2.1, 2.2], [1.0, 1.1, 1.2], margin=0.1).verdict == "supported"
    apart = equivalence_test([2.0, 2.1, 2.2], [1.0, 1.1, 1.2], margin=0.1)
    assert (apart.verdict, apart.opposite_pvalue) == ("undecided", pytest.approx(0.1))


def test_arguments_are_left_as_they_were():
    a, b = np.array(_LOW), np.array(_HIGH)
    equivalence_test(a, b, margin=0.1)
    superiority_test(b, a, margin=0.1)
    assert (a.tolist(), b.tolist()) == (_LOW, _HIGH)
