"""The hypotheses that an analysis tests: their names, in the order in which one asks, and each as a claim in words."""

from __future__ import annotations

from repdrift.core.records.claims import Hypothesis
from repdrift.core.records.study_info import StudyInfo
from repdrift.core.words import chosen_percent, method_title

LESS: Hypothesis = "comparison_drifts_less"
LESS_AT_EQUAL_SKILL: Hypothesis = "comparison_drifts_less_at_equal_skill"
TARGET: Hypothesis = "reduction_exceeds_target"
ALIKE: Hypothesis = "methods_equivalent"
INTERACTION: Hypothesis = "method_task_interaction"
ABOVE_NOISE: Hypothesis = "drift_above_identity"
ABOVE_SEEDS: Hypothesis = "drift_above_seed_ceiling"
METHOD_CLAIMS: tuple[Hypothesis, ...] = (LESS, TARGET)
"""Claims about the comparison method that are tested in every layer."""
FLOORS: tuple[Hypothesis, ...] = (ABOVE_NOISE, ABOVE_SEEDS)
"""Claims about one method: its drift is above the noise of extraction, or above the drift between its own models."""
HYPOTHESES: tuple[Hypothesis, ...] = (LESS_AT_EQUAL_SKILL, *METHOD_CLAIMS, ALIKE, INTERACTION, *FLOORS)


def claim(hypothesis: str, study: StudyInfo, method: str | None = None, comparison: str | None = None) -> str:
    """Returns a hypothesis as a sentence without its full stop: `LoRA drifts less`.

    method: the method whose drift is meant, for the hypotheses in FLOORS. comparison: the method that is compared with the
    reference; None means the study's first. A hypothesis without words keeps its name.
    """
    return claim_about(
        hypothesis,
        comparison=comparison or study.comparison_method,
        reference=study.reference_method,
        target_reduction=study.target_reduction,
        equivalence_margin=study.equivalence_margin,
        method=method,
        several_arms=len(study.contrasted) > 1,
    )


def claim_about(
    hypothesis: str,
    *,
    comparison: str,
    reference: str,
    target_reduction: float,
    equivalence_margin: float | None,
    method: str | None = None,
    several_arms: bool = False,
) -> str:
    """Returns the words of `claim` for a study of which there is no record yet. Methods are given by name.

    several_arms: more than one method is compared with the reference, so that each claim has to say which one it is about.
    """
    comparison, reference = method_title(comparison), method_title(reference)
    subject = "a method" if method is None else method_title(method)
    factor = "" if equivalence_margin is None else f" within a factor of {equivalence_margin:g}"
    claims: dict[str, str] = {
        LESS: f"{comparison} drifts less",
        LESS_AT_EQUAL_SKILL: f"{comparison} drifts less at equal skill",
        TARGET: f"{comparison} drifts at least {chosen_percent(target_reduction)} less",
        ALIKE: f"{comparison} and {reference} drift alike{factor}",
        INTERACTION: f"the reduction{f' of {comparison}' if several_arms else ''} differs between tasks",
        ABOVE_NOISE: f"{subject} drifts more than the noise of extraction",
        ABOVE_SEEDS: f"{subject} takes models farther from the base model than they are from one another",
    }
    return claims.get(hypothesis, hypothesis)
