"""Outcomes that were measured before something was edited are never set beside those that were measured after it."""

import json

import pytest

from repdrift.core.errors import SampleSetMismatchError
from repdrift.core.records.outcomes import RunOutcomes
from repdrift.drift import analyze
from repdrift.study.config import parse_study
from repdrift.study.drift_plan import drift_plan
from repdrift.study.evaluation_stage import evaluate_runs
from repdrift.study.extraction_stage import extract_runs
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import planned_runs
from repdrift.study.status import study_status
from repdrift.study.training_stage import train_runs
from tests.tiny_models import sentence

OPTIONS = {"epochs": 1, "batch_size": 8, "max_length": 16, "learning_rate": 0.02}


def study(root, model, *, task=None, **changes):
    task = {
        "name": "tone", "kind": "classification", "train": str(root / "rows.jsonl"), "validation": str(root / "validation.jsonl"), "text_columns": ["t"],
        "label_column": "y", "label_names": ["no", "yes"],
    } | (task or {})  # fmt: skip
    content = {
        "name": "tiny", "model": str(model), "tasks": [task], "methods": ["full_finetune", "lora"], "seeds": [1], "results_dir": str(root / "results"),
        "base_dir": str(root / "base"), "analysis": {"replicates": 0}, "training": {"all": OPTIONS}, "general_text": str(root / "general.txt"),
    }  # fmt: skip
    return StudyInputs(parse_study(content | changes, where="tiny"))


def write(root, *, flipped=0, general=0):
    for name, wrong in (("rows", 0), ("validation", flipped)):
        rows = [
            {"t": sentence(i, 5), "y": ("yes", "no")[(i + (i < wrong)) % 2], "who": f"person {i // 2}"}
            for i in range(24)
        ]
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "general.txt").write_text("".join(sentence(general + i, 6) + "\n" for i in range(12)))


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny_language_model):
    root = tmp_path_factory.mktemp("stale")
    write(root)
    inputs = study(root, tiny_language_model)
    train_runs(inputs, planned_runs(inputs.config))
    extract_runs(inputs, planned_runs(inputs.config))
    return root


@pytest.mark.parametrize(
    ("edited", "changes", "said"),
    [
        ({"general": 50}, {"outcomes": {"outputs": {"compute_dtype": "bfloat16"}}}, "outputs.json was measured with other general text and options than"),
        ({"flipped": 6}, {"outcomes": ["probes"]}, "probes.json was measured with other classes of samples than"),
        ({"flipped": 6}, {"outcomes": ["task_scores"]}, "task_scores.json was measured with other evaluation rows"),
        ({}, {"task": {"group_column": "who"}}, "outputs.json was measured with other groups of samples than"),
    ],
)  # fmt: skip
def test_two_arms_measured_before_and_after_a_change_are_refused(root, tiny_language_model, edited, changes, said):
    write(root)
    before = study(root, tiny_language_model)
    evaluate_runs(before, planned_runs(before.config))
    write(root, **edited)
    after = study(root, tiny_language_model, **changes)
    evaluate_runs(after, planned_runs(after.config, methods=["lora"]))
    with pytest.raises(SampleSetMismatchError) as error:
        analyze(drift_plan(after.config, "tiny.yaml"), root / "out")
    assert said in str(error.value)
    assert str(error.value).endswith("evaluate --config tiny.yaml --task tone --method full_finetune --seed 1")
    evaluate_runs(after, planned_runs(after.config))
    found, _ = analyze(drift_plan(after.config, "tiny.yaml"), root / "out")
    assert found.outcomes is not None
    assert found.outcomes.arms


def test_groups_that_were_named_later_are_those_of_every_interval(root, tiny_language_model):
    write(root)
    alone, grouped = (
        study(root, tiny_language_model, task=task, methods=["lora"], extraction={"samples": 24})
        for task in ({}, {"group_column": "who"})
    )
    n_groups = {}
    for inputs in (alone, grouped):
        evaluate_runs(inputs, planned_runs(inputs.config))
        found, _ = analyze(drift_plan(inputs.config, "tiny.yaml"), root / "out")
        assert found.outcomes is not None
        n_groups[inputs is grouped] = {arm.outcome: arm.n_groups for arm in found.outcomes.arms if arm.inputs == "task"}
    assert set(n_groups[False].values()) == {24}
    assert set(n_groups[True].values()) == {12}


def test_checkpoints_that_were_measured_are_brought_up_to_date_with_the_final_model(root, tiny_language_model):
    write(root)
    training = {"all": OPTIONS | {"checkpoint_every": 2}}

    def inputs():
        return study(root, tiny_language_model, methods=["lora"], seeds=[3], training=training, outcomes=["outputs"])

    runs = planned_runs(inputs().config)
    train_runs(inputs(), runs)
    extract_runs(inputs(), runs, checkpoint="all")
    assert [done.step for done in evaluate_runs(inputs(), runs)] == [0], (
        "a checkpoint that nobody asked for costs nothing"
    )
    assert [done.step for done in evaluate_runs(inputs(), runs, checkpoint="2")] == [2]
    write(root, general=50)
    evaluated = evaluate_runs(inputs(), runs)
    assert [(done.step, done.measured_now) for done in evaluated] == [(0, ("outputs",)), (2, ("outputs",))]
    analyze(drift_plan(inputs().config, "tiny.yaml"), root / "out")


def test_models_of_one_arm_with_other_row_limits_are_refused_in_words(root, tiny_language_model):
    write(root)
    inputs = study(root, tiny_language_model, seeds=[1, 2], outcomes=["task_scores"])
    train_runs(inputs, planned_runs(inputs.config))
    extract_runs(inputs, planned_runs(inputs.config))
    evaluate_runs(inputs, planned_runs(inputs.config))
    fewer = study(
        root, tiny_language_model, seeds=[1, 2], outcomes=["task_scores"], training={"all": OPTIONS | {"max_validation_samples": 8}}
    )  # fmt: skip
    evaluate_runs(fewer, planned_runs(fewer.config, methods=["lora"], seeds=[2]))
    with pytest.raises(SampleSetMismatchError, match=r"lora, seeds 1 and 2: measured on other items \(24 and 8\)"):
        analyze(drift_plan(fewer.config, "tiny.yaml"), root / "out")


@pytest.mark.parametrize(
    ("edited", "changes", "what"),
    [
        ({"general": 50}, {}, "general text"),
        ({}, {"general_text": False}, "general text"),
        ({}, {"outcomes": {"outputs": {"compute_dtype": "bfloat16"}}}, "options"),
    ],
)
def test_status_and_analysis_tell_that_the_study_was_changed_since(root, tiny_language_model, edited, changes, what):
    write(root)
    before = study(root, tiny_language_model)
    evaluate_runs(before, planned_runs(before.config))
    assert {p.outcomes for p in study_status(before.config)} == {"finished"}
    write(root, **edited)
    after = study(root, tiny_language_model, **changes)
    assert {p.outcomes for p in study_status(after.config)} == {"outdated"}
    with pytest.raises(SampleSetMismatchError) as error:
        analyze(drift_plan(after.config, "tiny.yaml"), root / "out")
    assert f"outputs.json was measured with other {what} than the study has now" in str(error.value)
    evaluate_runs(after, planned_runs(after.config))
    assert {p.outcomes for p in study_status(after.config)} == {"finished"}


def test_a_record_that_does_not_know_is_taken_and_brought_up_to_date(root, tiny_language_model):
    write(root)
    inputs = study(root, tiny_language_model, methods=["lora"], outcomes={"outputs": {"token_budget": 64}})
    (done,) = evaluate_runs(inputs, planned_runs(inputs.config))
    path = done.folder / "outputs.json"
    record = RunOutcomes.read(path)
    record.model_copy(update={"made_from": {}}).write(path)
    assert {p.outcomes for p in study_status(inputs.config)} == {"finished"}, "of an older version"
    (root / "general.txt").write_text((root / "general.txt").read_text() + "\n")
    assert (
        evaluate_runs(study(root, tiny_language_model, methods=["lora"]), planned_runs(inputs.config))[0].measured_now
        == ()
    )
    assert RunOutcomes.read(path).made_from.keys() == {"options", "general text"}
    (root / "general.txt").unlink()
    assert {p.outcomes for p in study_status(inputs.config)} == {"finished"}, "text that is not there says nothing"
    write(root)
