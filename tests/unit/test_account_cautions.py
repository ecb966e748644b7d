"""What keeps a reader of the reference account from believing too much: each caution held to the committed results, and gone where its cause is gone."""

from dataclasses import replace
from pathlib import Path

import pytest
from studies.account.answers import short_answers
from studies.account.brief import brief
from studies.account.cells import reduction_cell
from studies.account.committed_results import results_of
from studies.account.facts import NOT_LEARNT, StudyFacts
from studies.account.outcome_tables import retrieval_losses, retrieval_table, scores_lower
from studies.account.rates_tables import order_in_words, order_of_means, rate_caution, rates_table
from studies.account.tables import at_smallest_p, lowest_layer_table, other_measures_table, settings_in_words
from studies.account.weight_tables import contrasts_table, intruders_answer, intruders_table

from repdrift.core.records.claims import Interval
from repdrift.core.records.results import ALL_TASKS

REFERENCE = Path(__file__).parents[2] / "docs" / "studies" / "reference"
FULL = "full_finetune"


def facts_of(folder):
    with results_of(REFERENCE / folder) as file:
        return StudyFacts.read(file)


@pytest.fixture(scope="module")
def study():
    return facts_of("results")


@pytest.fixture(scope="module")
def rates():
    return facts_of("rates")


def changed(facts, **update):
    return replace(facts, data=replace(facts.data, results=facts.data.results.model_copy(update=update)))


def row(text, beginning):
    return next(line for line in text.splitlines() if line.startswith(beginning))


def line(text, question, task):
    """The answer to a question for a task, as it stands below the question."""
    of_question = text.partition(f"**{question}")[2].partition("\n\n**")[0]
    return next(each for each in of_question.splitlines() if each.startswith(f"- {task}: "))


def answers(study, rates, again=None):
    return short_answers(study, dict.fromkeys(study.begun, study), rates, again)


def test_how_much_the_choice_of_a_rate_alone_could_be_is_said_with_its_interval(study, rates):
    said = rate_caution(study, rates, "sst2")
    found = rates.equal_skill("sst2", "full_high")
    assert found.reduction < 0
    assert f"at accuracy {found.scores[0].score:.3f} the chosen rate drifts {-100 * found.reduction:.1f} % more" in said
    assert f"over {study.choice('sst2', FULL).best.n_held_out} held-out rows" in said
    assert rate_caution(study, None, "sst2") == rate_caution(study, rates, "mrpc") == ""


def test_a_rate_that_is_surely_worse_is_no_reason_for_caution(study, rates):
    tuning = study.data.results.tuning
    worse = [
        c.model_copy(
            update={"trials": [t.model_copy(update={"score": 0.5}) if t.learning_rate == 3e-5 else t for t in c.trials]}
        )
        for c in tuning.choices
    ]
    assert rate_caution(changed(study, tuning=tuning.model_copy(update={"choices": worse})), rates, "sst2") == ""


def test_drift_and_forgetting_are_said_to_rise_with_the_rate_only_where_both_do(rates):
    losses = retrieval_losses(rates, "sst2")
    assert losses["full_low"] < losses["full_middle"] < losses["full_high"]
    assert losses["lora_high"] < losses["lora_middle"]
    said = order_in_words(rates, "sst2")
    assert said.startswith("with the rate both rise for full fine-tuning, and not so throughout for LoRA")


def test_an_arm_is_marked_where_a_number_rests_on_a_model_that_has_not_learnt(study):
    failed = {
        (r.task, r.method) for r in study.data.results.runs if r.step == 0 and r.learnt and r.learnt.learnt is False
    }
    assert failed == {("mrpc", "lora_r64"), ("mrpc", "last_two_layers")}
    for task in study.begun:
        for arm in study.study.methods:
            assert study.name(task, arm).endswith(NOT_LEARNT) == ((task, arm) in failed)
            for text in (lowest_layer_table(study, task), retrieval_table(study, task), intruders_table(study, task)):
                assert f"| {study.name(task, arm)} |" in text or arm == FULL
    assert study.name(ALL_TASKS, "lora_r64") == "lora_r64", "claims over all tasks leave the task out"
    assert f"| lora_r64{NOT_LEARNT} |" in contrasts_table(study), "contrasts of weights do not"


def test_a_difference_at_equal_skill_is_marked_by_its_own_size_and_not_by_that_at_the_end(study, rates):
    found, seeds = study.equal_skill("sst2", "dora_r8"), study.between_seeds("sst2", "dora_r8")
    at_the_end, _ = study.beside_seeds("sst2", "dora_r8")
    assert found.reference_drift - found.comparison_drift < seeds < at_the_end
    asked = "Which arms drift less at the same score"
    of_task, of_all = (line(answers(study, rates), asked, task) for task in ("SST-2", "All tasks"))
    assert "dora_r8 12 %†" in of_task
    assert "last_two_layers 59 % (4 of 6 layers cannot move)" in of_task
    assert "lora_r8 9.8 %†" in of_all, "over all tasks where it is so on one"


def test_the_target_is_answered_by_other_measures_too(study, rates):
    text = other_measures_table(study, ALL_TASKS)
    found = next(
        r for r in study.data.results.other_measures
        if (r.comparison, r.task, r.measure, r.layer) == ("lora_r8", ALL_TASKS, "cosine_centered", None)
    )  # fmt: skip
    assert found.reduction > study.study.target_reduction
    assert f"{100 * found.reduction:.0f} % (" in row(text, "| lora_r8 |").split("|")[5]
    asked = line(answers(study, rates), "At least 20 % less by another measure", "All tasks")
    assert "by cosine, centred: lora_r8 24 %" in asked
    assert "lora_r64" not in asked, "it does not reach the target by any"


def test_intruders_are_told_by_matrices_that_both_changed_and_where_they_are(study):
    said = intruders_answer(study, ALL_TASKS)
    more, _, rest = said.partition("; not shown to have more: ")
    assert "last_two_layers" in more
    assert "dora_r8" in rest
    assert "dora_r8" not in more
    assert row(intruders_table(study, "sst2"), "| full fine-tuning |").split("|")[3].strip() == "other 10 %"


def test_forgetting_is_read_beside_scores_and_the_falls_at_rates_as_good(study, rates):
    assert scores_lower(study, "sst2", "dora_r8")
    assert not scores_lower(study, "sst2", "lora_r8")
    asked = line(answers(study, rates), "Whose retrieval score falls less", "SST-2")
    assert f"(by {retrieval_losses(rates, 'sst2')['full_middle']:.2f} at the rate 3e-05" in asked
    assert "dora_r8 (by 0.33 at a lower score)" in asked
    told = [line(answers(study, rates), "Does more drift go with", task) for task in ("SST-2", "All tasks")]
    assert (
        f"among the arms of this study the means have rank correlation {order_of_means(study, 'sst2'):.2f}" in told[0]
    )
    assert "by CKA, linear, debiased" in told[1], "the measure of the claims comes first"


def test_a_verdict_that_was_another_when_it_was_trained_again_says_so(study, rates):
    again = {"sst2": facts_of("again/sst2")}
    asked = line(answers(study, rates, again), "At least 20 % less, at the same score", "SST-2")
    assert "lora_r8_query_value (undecided when it was trained again)" in asked
    assert "trained again" not in answers(study, rates, {"sst2": study})


def test_the_smallest_p_of_a_small_design_is_named(study):
    assert at_smallest_p(facts_of("decoder"), "sst2") == ["less drift at the end of training (lora_r16)"]
    found = at_smallest_p(study, ALL_TASKS)
    assert found == ["less drift at the end of training (last_two_layers)"], "the one arm that is compared on one task"


def test_rows_and_steps_stand_beside_the_arms(study):
    trained = next(t for t in study.data.results.trained if t.task == "sst2")
    said = settings_in_words(study, "sst2")
    assert said.startswith(
        f"{trained.n_train:,} training rows, 3 epochs, {trained.hyperparameters['steps']} steps of 16 rows"
    )
    assert said.endswith("drift is measured on 750 of them.")
    assert settings_in_words(changed(study, trained=[]), "sst2") == ""


def test_reductions_below_minus_one_are_told_as_multiples(rates):
    interval = Interval(over="models", low=-18.0, high=-4.1, method="Welch")
    assert reduction_cell(-9.0, interval) == "10 times as much (5.1 to 19 times as much)"
    assert reduction_cell(-0.5, None) == "-50 % (no interval)"
    assert "none: a run of the two is not surely better" in row(rates_table(rates, "sst2"), "| lora_low |")


def test_the_short_answers_say_what_the_tests_say_with_the_arms_that_these_are_of(study, rates):
    said = brief(study, dict.fromkeys(study.begun, study), rates)
    less, target, places, forgotten, intruders, of_rates = said[1:]
    skill = {arm: study.equal_skill(ALL_TASKS, arm) for arm in study.compared}
    whole = [arm for arm, found in skill.items() if found.test.verdict == "supported" and arm != "last_two_layers"]
    assert whole == ["lora_r8", "lora_r8_query_value", "dora_r8"]
    assert less.startswith("At the same score lora_r8, lora_r8_query_value and dora_r8 drift 9.8 to 11 % less")
    assert "alike within a factor of 1.25" in less
    assert f"by {-100 * rates.equal_skill('sst2', 'full_high').reduction:.1f} %" in less
    assert "last_two_layers (on SST-2 alone) drifts 59 % less, and 4 of 6 layers of it cannot move" in less
    assert less.endswith("whether lora_r64 (on SST-2 alone) drifts less is not shown.")
    for arm in study.compared:
        side = target.partition(" and contradicted for ")[study.target(ALL_TASKS, arm).verdict == "rejected" and 2]
        assert arm in side
    assert "by cosine, centred and cosine, raw, which were not tested" in target
    assert places.startswith("In the lowest layer lora_r8_query_value drifts more")
    assert "is not shown among seeds" in forgotten
    assert "not shown to have more: dora_r8" in intruders
    assert "of full fine-tuning from 0.28 to 0.43" in of_rates


def test_claims_that_turn_out_otherwise_are_said_otherwise(study, rates):
    """Every verdict turned round: nothing is said to be less, alike or contradicted any more."""
    turned = {
        "supported": "undecided",
        "rejected": "supported",
        "undecided": "undecided",
        "not testable": "not testable",
    }
    tests = [t.model_copy(update={"verdict": turned[t.verdict]}) for t in study.data.results.tests]
    skill = [
        e.model_copy(update={"test": e.test and e.test.model_copy(update={"verdict": turned[e.test.verdict]})})
        for e in study.data.results.equal_skill
    ]
    other = changed(study, tests=tests, equal_skill=skill)
    said = brief(other, dict.fromkeys(study.begun, other), None)
    assert said[1].startswith(
        "Whether lora_r8, lora_r64 (on SST-2 alone), lora_r8_query_value, dora_r8 and last_two_layers"
    )
    assert "alike" not in said[1]
    assert "contradicted" not in said[2]
    assert "is reached by lora_r8" in said[2]
    assert said[3].startswith("In the lowest layer no arm is shown to drift more")


def test_a_study_of_one_task_has_no_short_answers(rates):
    assert brief(rates, {"sst2": rates}, None) == []
