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


def test_the_function_measures_outlives_the_import_of_the_folder_measures():
    # In a process of its own: here the registry has long been filled.
    program = """
from repdrift.similarity import measure
measure("cka")
from repdrift.similarity import measures
import repdrift.similarity.measures.cka
import repdrift.similarity
assert measures() == repdrift.similarity.measures() != []
"""
    _in_a_process_of_its_own(program)


def test_names_are_in_alphabetical_order_whichever_was_imported_first():
    program = """
import repdrift.similarity.measures.procrustes
import repdrift.similarity.descriptors.magnitude
from repdrift.similarity import measures
from repdrift.similarity.descriptor import descriptors
assert measures() == sorted(measures()) != []
assert descriptors() == sorted(descriptors()) != []
"""
    _in_a_process_of_its_own(program)


def _in_a_process_of_its_own(program):
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
