import re
from dataclasses import replace

import pytest

from repdrift.report.page.study.headline import headline
from tests.unit.drift.skill_studies import two_arms
from tests.unit.report.equal_skill_results import with_equal_skill
from tests.unit.report.page.study.read_page import page_source
from tests.unit.report.synthetic_results import Synthetic, report_data

SMALL = Synthetic(tasks=("mrpc", "sst2"), layers=3)


def said(**study):
    return headline(report_data(replace(SMALL, **study)))


def test_it_says_what_changed_where_more_than_noise_and_what_became_of_skill():
    assert said(lora_share=0.5, noise=0.02) == (
        "LoRA drifts 50 % less than full fine-tuning at the end of training (95 % interval of the reduction 41 to 57 % over models and samples); "
        "the drift is largest in layer 2 (of 0 to 2) and above the noise of extraction in every layer; all 12 models have learnt their task, and scores lie -0.033 to -0.020 from "
        "those of full fine-tuning."
    )


def test_where_no_model_has_learnt_that_comes_first_and_no_difference_is_claimed():
    found = said(learnt=False, inference=False)
    assert found.startswith("None of the 12 models has learnt its task; whether LoRA drifts less than full fine-tuning")
    assert "cannot be tested" in found
    assert "%" not in found


def test_a_verdict_on_models_that_may_not_have_learnt_is_conditional():
    found = said(learnt=None)
    assert "if the models have learnt their tasks" in found
    assert "of 12 of 12 models it is not known whether they have learnt" in found


def test_a_claim_over_part_of_the_tasks_names_them():
    found = said(tasks=("mrpc", "sst2", "rte"), missing=tuple(("rte", "lora", seed) for seed in (42, 123, 456)))
    assert "at the end of training, on MRPC and SST-2 alone (" in found


def test_drift_that_is_all_noise_is_largest_nowhere():
    found = said(negative_below=3)
    assert "the drift is nowhere above the noise of extraction" in found
    assert "largest" not in found


@pytest.mark.parametrize(
    ("study", "words"),
    [
        ({"identity": False}, "not compared with the noise of extraction"),
        ({"methods": ("lora",)}, "LoRA cannot be compared with full fine-tuning: no task has final models of both"),
        ({"layers": 1}, "the drift is above the noise"),
        ({"metrics": False, "learnt": None}, "of 12 of 12 models it is not known whether they have learnt."),
    ],
)
def test_what_is_missing_is_said(study, words):
    found = said(**study)
    assert words in found
    assert not re.search(r"\b(nan|None)\b(?! of)", found)


def test_several_methods_are_counted_by_verdict_largest_first():
    found = said(methods=("full_finetune", "lora", "dora", "ia3"), shares={"dora": 0.5, "ia3": 1.5})
    assert found.startswith(
        "Of 3 methods at the end of training, 2 drift less than full fine-tuning (DoRA 52 % less, LoRA 29 % less), 1 drifts more than "
        "full fine-tuning ((IA)3 44 % more);"
    )


def test_a_study_of_one_method_says_how_far_it_moved():
    data = report_data(replace(SMALL, methods=("full_finetune",)))
    alone = data.results.study.model_copy(update={"comparison_method": "full_finetune", "comparison_methods": []})
    found = headline(replace(data, results=data.results.model_copy(update={"study": alone})))
    mean = data.primary["drift"].mean()
    assert found.startswith(f"Full fine-tuning moved by {mean:.2f} on average (1 - debiased CKA); the drift is largest")


def test_at_equal_skill_comes_first_where_it_exists(two_arms_with_checkpoints):
    assert headline(two_arms_with_checkpoints).startswith(
        "LoRA drifts 29 % less than full fine-tuning at equal skill (95 % interval of"
    )


def test_a_number_and_its_percent_sign_stay_on_one_line():
    source = page_source(report_data(replace(SMALL, lora_share=1.262, noise=0.02))).split("</style>")[-1]
    assert re.search(r"\d %", source) is None
    assert re.search(r"\b\d\d\u00a0% more than full fine-tuning", source)
    assert re.search(r"\bp [=<] ", source) is None
    assert re.search(r"\(p\u00a0=\u00a00\.\d", source)


@pytest.fixture
def two_arms_with_checkpoints(tmp_path):
    return with_equal_skill(tmp_path, two_arms(("sst2", "mrpc"), ratio=0.7))
