"""Words on what a measure does not see are held to the invariances that the measure declares."""

import pytest

from repdrift.core.measure_words import unseen_in_words
from repdrift.similarity import measure


@pytest.mark.parametrize("name", ["cka", "cka_biased", "cosine", "cosine_centered"])
def test_what_a_measure_does_not_see_is_what_it_declares(name):
    said, declared = unseen_in_words(name), measure(name).invariances
    assert ("a shift that all samples share" in said) == ("translation" in declared)
    assert ("a rotation of all of them" in said) == ("rotation" in declared)
    assert ("scale" in said or "length" in said) == ("scaling" in declared)


def test_a_measure_without_words_says_nothing():
    assert unseen_in_words("procrustes") == ""
