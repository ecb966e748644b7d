"""Measures are found by name."""

import pytest

from repdrift.core.errors import UnknownNameError
from repdrift.similarity import Measure, measure, measures


def test_the_first_four_measures_are_registered():
    assert {"cka", "cka_biased", "cosine", "cosine_centered"} <= set(measures())
    assert len(set(measures())) == len(measures())
    assert all(isinstance(measure(name), Measure) for name in measures())


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown measure 'cosine_centred'.*Did you mean 'cosine_centered'"):
        measure("cosine_centred")
