from dataclasses import replace

import pytest

from repdrift.report.answer import answer, details
from tests.unit.report.synthetic_results import Synthetic, report_data

TWO = {"tasks": ("mrpc", "sst2"), "layers": 3}


def points(**study):
    """The answer by the start of its question."""
    found = answer(report_data(Synthetic(**{**TWO, **study})))
    return {point.question.split(" than")[0].split("?")[0]: point for point in found}


def test_a_clear_difference_is_said_with_its_size_and_bound():
    found = points(lora_share=0.5, noise=0.02)
    assert list(found) == [
        "Does LoRA drift less", "By how much", "Are they alike", "Is it the same on all tasks", "Is the drift more",
        "Is the difference of the methods more", "Is it more", "Is the target of 20 % less met", "What could this design have shown at all",
    ]  # fmt: skip
    assert found["Does LoRA drift less"].state == "yes"
    size = found["By how much"]
    assert size.short == "50 % less."
    assert "with 95 % confidence the reduction is at least 4" in size.text
    assert found["Is the target of 20 % less met"].short == "Yes."


def test_more_drift_is_not_called_a_reduction():
    found = points(lora_share=1.5, noise=0.02)
    assert found["Does LoRA drift less"].short == "No."
    assert "% more." in found["By how much"].short
    assert found["By how much"].state == "no"
    assert "In 3 of 3 layers it drifts more." in found["By how much"].text


def test_a_difference_that_two_seeds_reach_too_is_not_a_finding():
    seeds = points(lora_share=0.98, noise=0.02)["Is the difference of the methods more"]
    assert (seeds.short, seeds.state) == ("No.", "no")
    assert "is not a finding" in seeds.text


def test_a_difference_that_two_seeds_reach_on_one_task_is_a_finding_on_the_other_only():
    data = report_data(Synthetic(lora_share=0.4, noise=0.01, **TWO))
    controls = [
        c.model_copy(update={"drift": 5.0}) if c.name == "seed_ceiling" and c.task == "sst2" else c
        for c in data.results.controls
    ]
    wide = replace(data, results=data.results.model_copy(update={"controls": controls}))
    point = next(p for p in answer(wide) if "two seeds" in p.question)
    assert point.short == "On MRPC only."
    assert point.state == "open"


def test_tasks_without_two_seeds_are_named_and_not_counted():
    missing = tuple(("sst2", method, seed) for method in ("full_finetune", "lora") for seed in (123, 456))
    seeds = points(lora_share=0.4, missing=missing)["Is the difference of the methods more"]
    assert "Not known on SST-2." in seeds.text
    assert "sst2 0" not in seeds.text


def test_one_seed_cannot_tell_seeds_from_methods_nor_reach_significance():
    found = points(seeds=(1,))
    assert found["Is the difference of the methods more"].short == "Not known."
    assert found["What could this design have shown at all"].short == "Nothing."
    assert "however large the difference" in found["What could this design have shown at all"].text
    assert "too few" in found["By how much"].text


def test_correction_over_many_layers_can_be_out_of_reach_alone():
    design = points(tasks=("mrpc",), layers=3, inference=False)["What could this design have shown at all"]
    assert design.short == "Part of it."
    assert "over all tasks (6 trained models): 0.05; in a layer, corrected for 3 by Holm: 0.15" in design.text
    assert "significant in a layer, corrected for 3 by Holm, however" in design.text


def test_max_t_can_reach_what_the_design_can():
    design = points(tasks=("mrpc",), layers=3)["What could this design have shown at all"]
    assert design.short == "Significance is in reach."
    assert "in a layer, corrected for 3 by max-T: 0.05." in design.text


def test_the_size_has_every_interval_with_what_it_is_over():
    text = points(lora_share=0.5, noise=0.02)["By how much"].text
    assert "Two-sided 95 % interval: 41 to" in text
    for over in (
        "over models and samples;",
        "over trained models, for these samples;",
        "over samples, for these trained models.",
    ):
        assert over in text
    assert "There is no" not in text


def test_an_interval_that_is_not_there_is_missing_with_its_reason():
    text = points(seeds=(1,))["By how much"].text
    assert (
        "over samples, for these trained models. There is none over models and samples (no interval over models:"
        in text
    )
    assert "There is no two-sided interval." in points(inference=False)["By how much"].text


def with_verdict(hypothesis, verdict):
    """The point of that hypothesis over all tasks if it had that verdict."""
    data = report_data(Synthetic(**TWO))
    tests = [t.model_copy(update={"verdict": verdict}) if t.hypothesis == hypothesis else t for t in data.results.tests]
    found = answer(replace(data, results=data.results.model_copy(update={"tests": tests})))
    return {point.question: point for point in found}


@pytest.mark.parametrize(
    ("verdict", "alike", "same"),
    [
        ("supported", ("Yes.", "yes"), ("No.", "no")),
        ("rejected", ("No.", "no"), ("Yes.", "yes")),
        ("undecided", ("Undecided.", "open"), ("No difference shown.", "open")),
        ("not testable", ("Cannot be tested.", "open"), ("Cannot be tested.", "open")),
    ],
)
def test_a_difference_that_is_not_shown_is_not_called_sameness(verdict, alike, same):
    point = with_verdict("methods_equivalent", verdict)["Are they alike?"]
    assert (point.short, point.state) == alike
    point = with_verdict("method_task_interaction", verdict)["Is it the same on all tasks?"]
    assert (point.short, point.state) == same


def test_questions_that_the_analysis_did_not_ask_are_left_out():
    assert not {"Are they alike", "Is it the same on all tasks"} & set(points(inference=False))
    assert "Is it more" not in points(random_change=False)


def test_a_random_change_that_drifts_as_much_is_said():
    data = report_data(Synthetic(**TWO))
    controls = [
        c.model_copy(update={"drift": 5.0}) if c.name == "random_change" and c.method == "lora" else c
        for c in data.results.controls
        if not (c.name == "random_change" and c.method == "full_finetune" and c.task == "sst2")
    ]
    changed = replace(data, results=data.results.model_copy(update={"controls": controls}))
    point = next(p for p in answer(changed) if "random change" in p.question)
    assert (point.short, point.state) == ("In part.", "open")
    assert "LoRA on MRPC" in point.text
    assert "against 5.0" in point.text
    assert "Not known for full fine-tuning on SST-2." in point.text
    assert "the drift shows the size of the change, and not what was learnt" in point.text


@pytest.mark.parametrize("method", ["lora", "full_finetune"])
def test_without_both_methods_nothing_is_said_about_their_difference(method):
    found = points(methods=(method,))
    assert list(found)[1:] == ["Is the drift more", "Is it more"]
    assert found["Does LoRA drift less"].short == "Not known."
    assert found["Is the drift more"].short == "Yes."


def test_noise_that_was_not_measured_is_not_called_small():
    noise = points(identity=False)["Is the drift more"]
    assert (noise.short, noise.state) == ("Not known.", "open")


def test_drift_below_the_noise_is_counted():
    noise = points(negative_below=1)["Is the drift more"]
    assert (noise.short, noise.state) == ("In part.", "open")
    assert noise.text.startswith("24 of 36 measured drifts")


def test_no_ratio_is_made_of_a_reference_that_does_not_drift():
    size = points(negative_below=3)["By how much"]
    assert (size.short, size.state) == ("Not defined.", "open")


AT_CHANCE = tuple((task, "lora", 42) for task in ("mrpc", "sst2"))


def test_models_at_chance_never_give_a_yes():
    found = points(lora_share=0.1, noise=0.02, inference=False, not_learnt=AT_CHANCE)
    first = found["Does LoRA drift less"]
    assert (first.short, first.state) == ("Cannot be tested.", "open")
    assert "not testable as a property of the method: 2 models have not learnt the task" in first.text
    size = found["By how much"]
    assert size.state == "open"
    assert "% less, in models that have not all learnt." in size.short
    for question in ("Is the target of 20 % less met", "Is the difference of the methods more"):
        assert (found[question].short, found[question].state) == ("Cannot be tested.", "open")


def test_task_with_a_model_at_chance_is_left_out_of_the_answer():
    found = points(lora_share=0.1, noise=0.02, inference=False, not_learnt=AT_CHANCE[:1])
    assert "over 1 of 2 tasks (SST-2)" in found["Does LoRA drift less"].text
    assert "on average over 1 task and 3 layers" in found["By how much"].text
    assert "MRPC" not in found["Is the difference of the methods more"].text


def test_answer_over_files_that_do_not_say_is_conditional():
    found = points(lora_share=0.5, noise=0.02, learnt=None)
    first = found["Does LoRA drift less"]
    assert (first.short, first.state) == ("Yes, if the models have learnt their tasks.", "open")
    assert points(lora_share=1.5, noise=0.02, learnt=None)["Does LoRA drift less"].short.startswith("No, if the models")


SEVERAL = {
    "methods": ("full_finetune", "dora", "lora", "lora_r64"), "shares": {"dora": 1.6, "lora_r64": 0.98}, "lora_share": 0.4,
    "noise": 0.02, "method_words": {"lora_r64": "LoRA, rank 64"},
}  # fmt: skip


def test_every_arm_has_one_line_in_the_order_of_the_study():
    found = answer(report_data(Synthetic(**TWO, **SEVERAL)))
    assert [p.question for p in found[:3]] == [
        f"Does {name} drift less than full fine-tuning at the end of training?" for name in ("DoRA", "LoRA", "lora_r64")
    ]
    more, less, _ = found[:3]
    assert (more.short, more.state) == ("No.", "no")
    assert "% more (95 % interval" in more.text
    assert "for the opposite claim, corrected by Holm over 3 arms" in more.text
    assert less.short == "Yes."
    assert less.text.startswith("60 % less")
    assert "p = 0.0075, corrected by Holm over 3 arms; that it drifts at least 20 % less is supported." in less.text
    (random,) = [p for p in found if "random" in p.question]
    assert random.text.startswith("Mean drift, against")
    assert [p.question for p in found[3:]] == [
        "Is the drift more than the noise of extraction?", "Is it more than a random change of the same size?"
    ]  # fmt: skip


def test_details_have_every_question_of_each_arm_with_limits_after_correction():
    found = details(report_data(Synthetic(**TWO, **SEVERAL)))
    assert [title for title, _ in found] == [
        f"{name} against full fine-tuning" for name in ("DoRA", "LoRA", "lora_r64")
    ]
    questions = [[p.question.split("?")[0] for p in points] for _, points in found]
    assert questions[0][1:3] == ["By how much", "Are they alike"]
    assert "Is the drift more than the noise of extraction" not in questions[1]
    design = found[1][1][-1].text
    assert "over all tasks (12 trained models, corrected by Holm over 3 arms): 0.0075" in design
    assert "in a single task: 0.15" in design
    assert "in a layer, corrected for 3 by max-T and Holm over 3 arms: 0.0075" in design
    assert details(report_data(Synthetic(**TWO))) == []


def test_an_arm_that_is_not_there_has_no_verdict():
    missing = tuple((task, "dora", seed) for task in TWO["tasks"] for seed in (42, 123, 456))
    point = answer(report_data(Synthetic(**TWO, **SEVERAL, missing=missing)))[0]
    assert (point.short, point.state) == ("Not known.", "open")
    assert point.text == "No task has final models of it and of full fine-tuning."


def test_the_reference_alone_has_nothing_to_be_compared_with():
    data = report_data(Synthetic(methods=("full_finetune",), **TWO))
    study = data.results.study.model_copy(update={"comparison_method": "full_finetune", "comparison_methods": []})
    first = answer(replace(data, results=data.results.model_copy(update={"study": study})))[0]
    assert first.short == "There is nothing to compare."
    assert "Full fine-tuning is the only method" in first.text


def test_many_numbers_against_a_random_change_are_counted():
    data = report_data(Synthetic(tasks=("mrpc", "sst2", "rte"), layers=2, **SEVERAL))
    controls = [
        c.model_copy(update={"drift": 5.0}) if (c.name, c.method, c.task) == ("random_change", "lora", "rte") else c
        for c in data.results.controls
    ]
    point = answer(replace(data, results=data.results.model_copy(update={"controls": controls})))[-1]
    assert "for 11 of 12 pairs of method and task. Not for LoRA on RTE" in point.text
    assert (point.short, point.state) == ("In part.", "open")
