"""Words of the results that figures and page share: measures, intervals, effects. Plain text; a page escapes it for itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from repdrift.core.hypotheses import ALIKE, INTERACTION, METHOD_CLAIMS
from repdrift.core.records.claims import IntervalSource
from repdrift.core.records.study_info import StudyInfo
from repdrift.core.words import percent, short_number

OVER: dict[IntervalSource, str] = {
    "models and samples": "over models and samples",
    "models": "over trained models, for these samples",
    "samples": "over samples, for these trained models",
}
"""What an interval is over, from the widest claim to the narrowest."""
EFFECTS = {
    "difference": "difference of mean drifts",
    "ratio": "ratio of mean drifts",
    "log_ratio": "log of the ratio",
    "cliffs_delta": "Cliff's delta",
}

_MEASURES = {
    "cka": "debiased CKA",
    "cka_biased": "biased CKA",
    "cosine": "raw cosine",
    "cosine_centered": "centred cosine",
}


def drift_definition(study: StudyInfo, measure: str) -> str:
    """Returns what drift is under a measure: `1 - debiased CKA`, or the name of a distance."""
    return drift_in_words(measure, study.measure_titles, study.distances)


def drift_in_words(measure: str, titles: Mapping[str, str], distances: Collection[str]) -> str:
    """Returns what drift is under a measure. titles: of measures, by name. distances: measures whose drift is the value itself."""
    title = _MEASURES.get(measure) or titles.get(measure, measure)
    return title if measure in distances else f"1 - {title}"


def estimate_text(hypothesis: str, value: float) -> str:
    """The estimate of a hypothesis with its unit: a reduction in percent, a distance of reductions in points, a ratio, a drift."""
    if hypothesis in METHOD_CLAIMS:
        return percent(value)
    if hypothesis == INTERACTION:
        return f"{100 * value:.1f} points"
    return f"{value:.2f}" if hypothesis == ALIKE else short_number(value)


def effect_text(name: str, value: float) -> str:
    """The estimate of an effect size as text."""
    return short_number(value) if name == "difference" else f"{value:.2f}"
