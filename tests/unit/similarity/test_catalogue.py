"""Measures are found by name."""

import subprocess
import sys

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


def test_names_are_in_order_and_functions_outlive_the_import_of_the_folder_measures():
    # In a process of its own: here the registry has long been filled.
    program = """
import repdrift.similarity.measures.procrustes
import repdrift.similarity.measures.directions
from repdrift.similarity import descriptors, measures
assert measures() == sorted(measures()) != []
assert descriptors() == sorted(descriptors()) != []
import repdrift.similarity
assert measures() == repdrift.similarity.measures()
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
