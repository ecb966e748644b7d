"""Sections of a study's report on what moved, in words, in the order in which summary and page show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repdrift.core.first_tokens_words import first_tokens_section
from repdrift.core.likeness_words import likeness_section
from repdrift.core.records.results import DriftResults
from repdrift.core.study_directions_words import study_directions_section
from repdrift.core.study_grid_words import study_grid_section
from repdrift.core.study_sample_words import study_samples_section
from repdrift.core.study_site_words import study_sites
from repdrift.core.study_weights_words import study_weights_worded
from repdrift.core.worded_section import WordedSection
from repdrift.core.words import sentence_case


def study_likeness(results: DriftResults) -> WordedSection | None:
    """The section on the likeness of changes; None if the results have none."""
    found = None if results.moved is None else results.moved.likeness
    return None if found is None else likeness_section(found)


def study_samples(results: DriftResults) -> WordedSection | None:
    """The section on samples; None if the results have none."""
    found = None if results.moved is None else results.moved.samples
    return None if found is None else study_samples_section(found)


_WORDED: Sequence[Callable[[DriftResults], WordedSection | None]] = (
    study_weights_worded,
    study_sites,
    study_likeness,
    study_samples,
    study_directions_section,
    first_tokens_section,
    study_grid_section,
)
"""One for each section; None if the results have nothing of it."""


def study_sections(results: DriftResults) -> list[WordedSection]:
    """Returns the sections that the results have, and last what was asked for and left out, with the reasons."""
    found = [section for worded in _WORDED if (section := worded(results)) is not None]
    left_out = {} if results.moved is None else results.moved.left_out
    if left_out:
        lines = [f"{sentence_case(name.replace('_', ' '))}: {reason}" for name, reason in left_out.items()]
        found.append(WordedSection("left-out", "Not measured of what moved", left_out=lines))
    return found
