"""The headline in every situation that a study can end in: the sentence that comes out claims what the tests say, and no more."""

import re
from dataclasses import replace

import pytest

from repdrift.core.hypotheses import ALIKE, INTERACTION, LESS, TARGET
from repdrift.core.records.claims import Interval
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.study_headline import headline, headlines
from tests.unit.drift.skill_studies import two_arms
from tests.unit.report.equal_skill_results import with_equal_skill
from tests.unit.report.odd_studies import odd_study
from tests.unit.report.synthetic_results import Synthetic, report_data

SMALL = Synthetic(tasks=("mrpc", "sst2"), layers=3)
TOO_FEW = "no p below 0.25 could come out"
REST = "the drift is largest in one of layers 1 to 2 (of 0 to 2; these are not told apart) and above the noise of extraction in every layer of these models; all 12 models have learnt their task; mean scores by task lie -0.033 to -0.020 from those of full fine-tuning."


def said(**study):
    data = report_data(replace(SMALL, **study))
    return headline(data.results, data.table)


def claims_said(study, *, less=None, target=None, alike=None, interaction=None, reduction=None):
    """The headline with these parts of the claims over all tasks changed."""
    data = report_data(replace(SMALL, **study))
    changed = {LESS: less, TARGET: target, ALIKE: alike, INTERACTION: interaction}
    tests = [
        t.model_copy(update=changed[t.hypothesis])
        if t.task == ALL_TASKS and t.layer is None and changed.get(t.hypothesis)
        else t
        for t in data.results.tests
    ]
    reductions = [
        r.model_copy(update=reduction) if reduction and r.task == ALL_TASKS and r.layer is None else r
        for r in data.results.reductions
    ]
    return headline(data.results.model_copy(update={"tests": tests, "reductions": reductions}), data.table)


def decided(verdict, p, **more):
    """Fields of a test with this verdict; p is that of the claim, or of the opposite one where the claim is rejected."""
    one, other = (1 - p, p) if verdict == "rejected" else (p, 1 - p)
    fields = {"pvalue": one, "deciding_pvalue": one, "opposite_pvalue": other, "deciding_opposite_pvalue": other}
    return {"verdict": verdict, "smallest_pvalue": 0.0025, "smallest_deciding_pvalue": 0.0025, **fields, **more}


def test_a_study_with_an_answer_says_all_of_it():
    assert said(lora_share=0.5, noise=0.02) == (
        "LoRA drifts 50 % less than full fine-tuning at the end of training (95 % interval 41 to 57 % less, over models and samples; p = 0.0025 for "
        "the claim that it drifts less); the target of 20 % less is met (p = 0.0025 for the claim that it is met); "
        + REST
    )


BOTH = "full fine-tuning at the end of training"
SITUATIONS = {
    "drifts more": (
        {"lora_share": 1.5, "noise": 0.02}, {},
        f"LoRA drifts 51 % more than {BOTH} (95 % interval 44 to 60 % more, over models and samples; p = 0.0025 for the claim that it drifts more); "
        "the target of 20 % less is not met (p = 0.0025 for the claim that it is not met); ",
    ),
    "drifts several times as much": (
        {"lora_share": 3.0, "noise": 0.02}, {}, f"LoRA drifts 3.0 times as much as {BOTH} (95 % interval 3.0 to 3.1 times as much, over models and samples; ",
    ),
    "undecided": (
        {}, {"less": decided("undecided", 0.21), "target": decided("undecided", 0.4)},
        f"Whether LoRA drifts less than {BOTH} is undecided (measured: 28 % less; 95 % interval 19 to 35 % less, over models and samples; p = 0.21 for the claim "
        "that it drifts less); whether the target of 20 % less is met is undecided (p = 0.4 for the claim that it is met); ",
    ),
    "target missed though it drifts less": (
        {}, {"target": decided("rejected", 0.012)},
        "p = 0.0025 for the claim that it drifts less); the target of 20 % less is not met (p = 0.012 for the claim that it is not met); ",
    ),
    "equal within the margin": (
        {"lora_share": 1.0}, {"less": decided("undecided", 0.4), "alike": decided("supported", 0.012)},
        "LoRA and full fine-tuning drift alike, within a factor of 1.25, at the end of training (measured: 3.4 % more; 95 % interval 12 % more to 3.6 % less, "
        "over models and samples; p = 0.012 for the claim that they do); whether LoRA drifts less is undecided (p = 0.4 for the claim that it drifts less); ",
    ),
    "less, but equal within the margin too": (
        {}, {"alike": decided("supported", 0.012)},
        "for the claim that it drifts less); still, both lie within a factor of 1.25 (p = 0.012 for the claim that they do); ",
    ),
    "one seed of each": (
        {"seeds": (1,)}, {},
        f"Whether LoRA drifts less than {BOTH} is undecided (measured: 31 % less; 95 % interval 29 to 33 % less, over samples, for these models alone; "
        f"4 models are too few: {TOO_FEW}); whether the target of 20 % less is met is undecided (4 models are too few: {TOO_FEW}); ",
    ),
    "one model of each": (
        {"seeds": (1,), "tasks": ("mrpc",)}, {},
        f"Whether LoRA drifts less than {BOTH} cannot be tested (measured: 34 % less; 95 % interval 32 to 36 % less, over samples, for these models alone; "
        "2 models are too few: no p below 0.5 could come out); the drift is",
    ),
    "no interval": ({"inference": False}, {}, f"LoRA drifts 28 % less than {BOTH} (no interval; p = 0.0025 for the claim that it drifts less); "),
    "one of several models has not learnt": (
        {"not_learnt": (("sst2", "lora", 42),)}, {},
        f"LoRA drifts 29 % less than {BOTH}, on MRPC alone (95 % interval 21 to 36 % less, over models and samples; p = 0.05 for the claim that it drifts less); "
        "the target of 20 % less is met (p = 0.05 for the claim that it is met); 1 of 12 models has not learnt its task; the drift is",
    ),
    "not known whether they have learnt": (
        {"learnt": None}, {},
        f"LoRA drifts 28 % less than {BOTH}, if the models have learnt their tasks (95 % interval 19 to 35 % less, over models and samples; p = 0.0025 for the "
        "claim that it drifts less); if the models have learnt their tasks, the target of 20 % less is met (p = 0.0075 for the claim that it is met); "
        "whether the 12 models have learnt their task is not known; the drift",
    ),
    "the reference does not drift": (
        {"negative_below": 3}, {},
        f"Whether LoRA drifts less than {BOTH} is undecided (full fine-tuning does not drift on average, so a share of its drift is not defined; p = ",
    ),
    "supported where the reference does not drift": (
        {}, {"less": decided("supported", 0.01), "reduction": {"reduction": None, "intervals": []}},
        f"LoRA drifts less than {BOTH} (full fine-tuning does not drift on average, so a share of its drift is not defined; p = 0.01 for the claim that it "
        "drifts less); ",
    ),
    "the test says less and the mean says more": (
        {}, {"reduction": {"reduction": -0.031, "intervals": [Interval(over="models", low=-0.4, high=0.2, method="t")]}},
        f"LoRA drifts less than {BOTH} (by the mean over models 3.1 % more; two-sided 95 % interval 40 % more to 20 % less, over models; one-sided p = 0.0025 for the claim that it "
        "drifts less); ",
    ),
    "tasks differ": (
        {}, {"interaction": decided("supported", 0.003)}, "; tasks differ, from 25 % less on SST-2 to 29 % less on MRPC (p = 0.003 for the claim that tasks differ); ",
    ),
    "a tiny p": ({}, {"less": decided("supported", 2e-6)}, "; p < 0.0001 for the claim that it drifts less); "),
    "no noise floor": ({"identity": False}, {}, "; the drift is largest in one of layers 1 to 2 (of 0 to 2; these are not told apart) and not compared with the noise of extraction; "),
    "one layer": ({"layers": 1}, {}, "; the drift is above the noise of extraction in every layer of these models; "),
    "all noise": ({"negative_below": 3}, {}, "; the drift is nowhere above the noise of extraction; "),
    "a missing run": ({"missing": (("sst2", "lora", 42),)}, {}, "; all 11 models have learnt their task; 1 of 12 planned models is missing; "),
    "no model of one method": (
        {"methods": ("full_finetune",)}, {},
        "LoRA cannot be compared with full fine-tuning: no task has final models of both; full fine-tuning moved by 0.33 on average (1 - debiased CKA); the drift",
    ),
    "a task without models of one method": (
        {"tasks": ("mrpc", "sst2", "rte"), "missing": tuple(("rte", "lora", seed) for seed in (42, 123, 456))}, {},
        f"LoRA drifts 28 % less than {BOTH}, on MRPC and SST-2 alone (95 % interval",
    ),
    "three methods": (
        {"methods": ("full_finetune", "lora", "dora", "ia3"), "shares": {"dora": 0.5, "ia3": 1.5}}, {},
        "Of 3 methods at the end of training, 2 drift less than full fine-tuning (DoRA 52 % less, LoRA 29 % less; each p at most 0.0075 for the claim to drift less), "
        "1 drifts more than full fine-tuning ((IA)3 44 % more; p = 0.0075 for the claim that it drifts more); corrected by Holm over 3 arms; ",
    ),
    "three methods, too few models": (
        {"methods": ("full_finetune", "lora", "dora", "ia3"), "seeds": (1,), "shares": {"dora": 0.5, "ia3": 1.5}}, {},
        "Of 3 methods at the end of training, 3 are undecided ((IA)3 54 % more, DoRA 52 % less, LoRA 33 % less; too few models",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_situation_has_its_sentence(name):
    study, changes, words = SITUATIONS[name]
    assert words in claims_said(study, **changes)


def test_where_no_model_has_learnt_that_comes_first_and_no_size_or_target_is_given():
    found = said(learnt=False, inference=False)
    assert found.startswith(
        "None of the 12 models has learnt its task; whether LoRA drifts less than full fine-tuning at the end of training cannot be tested (models that have "
        "not learnt their task say nothing of a method); the drift is"
    )
    assert "%" not in found


def test_tasks_that_point_different_ways_are_named():
    data = report_data(SMALL)
    ways = {"mrpc": 0.4, "sst2": -0.12}
    reductions = [
        r.model_copy(update={"reduction": ways[r.task]}) if r.layer is None and r.task in ways else r
        for r in data.results.reductions
    ]
    found = headline(data.results.model_copy(update={"reductions": reductions}), data.table)
    words = "; tasks point different ways, from 12 % more on SST-2 to 40 % less on MRPC (which may be chance; p = 0.62 for the claim that tasks differ); "
    assert words in found


def test_a_study_of_one_method_says_how_far_it_moved():
    data = report_data(replace(SMALL, methods=("full_finetune",)))
    alone = data.results.study.model_copy(update={"comparison_method": "full_finetune", "comparison_methods": []})
    found = headline(data.results.model_copy(update={"study": alone}), data.table)
    mean = data.primary["drift"].mean()
    assert found.startswith(f"Full fine-tuning moved by {mean:.2f} on average (1 - debiased CKA); the drift is largest")


def test_without_any_final_model_nothing_is_claimed():
    absent = tuple((task, m, seed) for task in SMALL.tasks for m in SMALL.methods for seed in SMALL.seeds)
    assert said(missing=absent, inference=False, random_change=False) == (
        "LoRA cannot be compared with full fine-tuning: no task has final models of both; no final model has a drift in every layer; "
        "12 of 12 planned models are missing."
    )


def test_without_the_table_nothing_is_said_of_layers():
    data = report_data(SMALL)
    found = headline(data.results, None)
    assert found.startswith("LoRA drifts 28 % less than")
    assert "layer" not in found


def test_at_equal_skill_comes_first_where_it_exists_and_the_end_beside_it(tmp_path):
    data = with_equal_skill(tmp_path, two_arms(("sst2", "mrpc"), ratio=0.7))
    found = headline(data.results, data.table)
    assert found.startswith("LoRA drifts 29 % less than full fine-tuning at equal skill (95 % interval ")
    assert "; at the end of training it drifts 28 % less (95 % interval" in found
    flipped = [
        t.model_copy(update=decided("rejected", 0.003)) if (t.hypothesis, t.task) == (LESS, ALL_TASKS) else t
        for t in data.results.tests
    ]
    more = [r.model_copy(update={"reduction": -0.31}) if r.task == ALL_TASKS else r for r in data.results.reductions]
    shortest = headlines(data.results.model_copy(update={"tests": flipped, "reductions": more}), data.table)[-2]
    assert "; at the end of training it drifts 31 % more (" in shortest
    assert shortest.endswith("p = 0.003 for the claim that it drifts more).")


def test_that_drift_at_equal_skill_is_not_known_is_said_where_it_was_asked_for(tmp_path):
    data = with_equal_skill(tmp_path, two_arms(("sst2", "mrpc"), ratio=0.7))
    without = [e.model_copy(update={"test": None, "missing": "No checkpoint."}) for e in data.results.equal_skill]
    found = headline(data.results.model_copy(update={"equal_skill": without}), data.table)
    assert found.startswith("LoRA drifts 28 % less than full fine-tuning at the end of training (")
    assert found.endswith(", and drift at equal skill is not known.")


@pytest.mark.parametrize(
    "name",
    ["one layer, one seed, long names", "twelve arms", "negative drift, missing runs", "nothing but negative drift"],
)
def test_a_p_never_stands_without_its_claim_and_shorter_headlines_lose_no_condition(name):
    data = odd_study(name)
    every = headlines(data.results, data.table)
    assert every[0] == headline(data.results, data.table)
    for found in every:
        assert not re.search(r"\b(nan|None)\b(?! of)|e-\d", found)
        for p in re.finditer(r"\bp (?:=|<|>|at (?:most|least)) ?[\d.]+", found):
            assert found[p.end() :].startswith(" for the claim "), found
        assert re.findall(r"not learnt| if the models have learnt| alone, ", found) or "not learnt" not in every[0]
    assert len(every[-1]) <= len(every[0])


def test_a_verdict_over_all_tasks_that_one_task_alone_shows_says_so():
    data = report_data(replace(SMALL, lora_share=0.5, noise=0.02))

    def headline_with(verdicts):
        tests = [
            t.model_copy(update={"verdict": verdicts[t.task]})
            if t.hypothesis == LESS and t.layer is None and t.task in verdicts
            else t
            for t in data.results.tests
        ]
        return headline(data.results.model_copy(update={"tests": tests}), data.table)

    assert "; by itself it is shown on MRPC only, of 2 tasks; " in headline_with(
        {"sst2": "undecided", "mrpc": "supported"}
    )
    assert "; no task shows it by itself; " in headline_with({"sst2": "undecided", "mrpc": "undecided"})
    assert "by itself" not in headline_with({"sst2": "supported", "mrpc": "supported"})
    assert "by itself" not in headline_with({"sst2": "not testable", "mrpc": "supported"})
