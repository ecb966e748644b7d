from typing import get_args

import pytest

from repdrift.core import hypotheses
from repdrift.core.records.claims import Hypothesis
from repdrift.core.records.study_info import StudyInfo

STUDY = StudyInfo.model_construct(
    reference_method="full_finetune", comparison_method="lora", target_reduction=0.25, equivalence_margin=1.25
)


@pytest.mark.parametrize("hypothesis", get_args(Hypothesis))
def test_every_hypothesis_has_a_claim_and_a_place_in_the_order(hypothesis):
    assert hypothesis in hypotheses.HYPOTHESES
    assert hypotheses.claim(hypothesis, STUDY) != hypothesis


def test_claims_name_methods_target_and_margin():
    assert hypotheses.claim(hypotheses.LESS, STUDY) == "LoRA drifts less"
    assert hypotheses.claim(hypotheses.TARGET, STUDY) == "LoRA drifts at least 25 % less"
    assert hypotheses.claim(hypotheses.ALIKE, STUDY) == "LoRA and full fine-tuning drift alike within a factor of 1.25"
    assert hypotheses.claim(hypotheses.ABOVE_NOISE, STUDY, "dora") == "DoRA drifts more than the noise of extraction"
    assert hypotheses.claim(hypotheses.INTERACTION, STUDY) == "the reduction differs between tasks"
    assert "LoRA takes models farther from the base" in hypotheses.claim(hypotheses.ABOVE_SEEDS, STUDY, "lora")


def test_with_several_arms_every_claim_about_one_names_it():
    several = STUDY.model_copy(update={"comparison_methods": ["lora", "lora_r64"]})
    for hypothesis in (hypotheses.LESS, hypotheses.TARGET, hypotheses.ALIKE, hypotheses.INTERACTION):
        assert "lora_r64" in hypotheses.claim(hypothesis, several, comparison="lora_r64")
    assert hypotheses.claim(hypotheses.INTERACTION, several) == "the reduction of LoRA differs between tasks"
