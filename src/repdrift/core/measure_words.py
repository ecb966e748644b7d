"""Measures in words: what drift is under each of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from repdrift.core.records.study_info import StudyInfo
from repdrift.core.words import sentence_case

_MEASURES = {
    "cka": "debiased CKA",
    "cka_biased": "biased CKA",
    "cosine": "raw cosine",
    "cosine_centered": "centred cosine",
}


_UNSEEN = {
    "cka": "a shift that all samples share, a rotation of all of them, or one scale for all",
    "cka_biased": "a shift that all samples share, a rotation of all of them, or one scale for all",
    "cosine": "the length of single samples",
    "cosine_centered": "a shift that all samples share, or the length of single samples",
}


def unseen_in_words(measure: str) -> str:
    """Returns a sentence on changes that leave a measure as it is; empty for a measure without one. `repdrift measures` has all of them."""
    return f"{sentence_case(_MEASURES[measure])} does not see {_UNSEEN[measure]}." if measure in _UNSEEN else ""


def drift_definition(study: StudyInfo, measure: str) -> str:
    """Returns what drift is under a measure: `1 - debiased CKA`, or the name of a distance."""
    return drift_in_words(measure, study.measure_titles, study.distances)


def drift_in_words(measure: str, titles: Mapping[str, str], distances: Collection[str]) -> str:
    """Returns what drift is under a measure. titles: of measures, by name. distances: measures whose drift is the value itself."""
    title = _MEASURES.get(measure) or titles.get(measure, measure)
    return title if measure in distances else f"1 - {title}"
