"""Methods compared where their runs have the same score, and the reasons why some cannot be."""

import numpy as np
import pytest

from repdrift.core.equal_skill_words import different_scores, skill_notes, where_compared
from repdrift.core.errors import ConfigError
from repdrift.core.records.study_info import RunStatus
from repdrift.drift.inference import draw_conclusions
from repdrift.drift.inference.equal_skill import equal_skill_claims
from repdrift.statistics import label_permutation_test
from tests.unit.drift.drift_tables import plan_of
from tests.unit.drift.skill_studies import CONSTANT, STEPS, law, learning, run_of, study_of, two_arms
from tests.unit.drift.study_on_disk import judged


def claims(tmp_path, runs, **changes):
    table, statuses = study_of(runs)
    tasks = list(dict.fromkeys(table["task"]))
    return {e.task: e for e in equal_skill_claims(table, statuses, plan_of(tmp_path, tasks, **changes))}


def test_an_arm_that_only_learns_less_drifts_less_at_the_end_and_not_at_equal_skill(tmp_path):
    table, statuses = study_of(two_arms(("a", "b")))
    found = draw_conclusions(table, plan_of(tmp_path, ["a", "b"]), statuses=statuses)
    (at_end,) = [
        t for t in found.tests if t.task == "all" and t.layer is None and t.hypothesis == "comparison_drifts_less"
    ]
    assert at_end.verdict == "supported"
    assert at_end.estimate > 0.25
    at_skill = {e.task: e for e in found.equal_skill}["all"]
    assert abs(at_skill.reduction) < 0.08
    assert at_skill.test.verdict == "undecided"
    assert at_skill.sentence.startswith("Whether LoRA drifts less at equal skill over all tasks is undecided (p = ")


def test_an_arm_that_drifts_less_for_the_same_score_is_found(tmp_path):
    found = claims(tmp_path, two_arms(("a", "b"), ratio=0.7))["all"]
    assert found.reduction == pytest.approx(0.3, abs=0.05)
    assert found.interval.low < found.reduction < found.interval.high
    assert found.test.verdict == "supported"
    assert found.test.smallest_pvalue == pytest.approx(1 / 400)
    assert found.second_opinion.agrees
    assert found.second_opinion.reduction == pytest.approx(0.3, abs=0.08)
    assert "(the best that every run reaches)" in found.sentence


def test_the_drift_at_the_common_score_is_that_of_the_law(tmp_path):
    found = claims(tmp_path, two_arms(tops=(0.85, 0.75)))["t"]
    (score,) = found.scores
    assert score.score == pytest.approx(min(run.best for run in found.runs))
    assert len(score.limiting) == 1
    assert score.limiting[0].startswith("LoRA, seed")
    assert [run.drift for run in found.runs] == pytest.approx([law(score.score)] * 6, rel=0.12)
    drifts = [np.log([r.drift for r in found.runs if r.method == m]) for m in ("lora", "full_finetune")]
    assert found.test.pvalue == label_permutation_test(*drifts).pvalue
    assert (found.test.test, found.test.n_units) == ("label permutation of log drift", 6)


def test_a_loss_is_compared_where_it_is_as_low_in_every_run(tmp_path):
    def lost(scores):
        return [3.0 - 2 * (s - 0.5) for s in scores]

    runs = []
    for method, top in (("full_finetune", 0.85), ("lora", 0.75)):
        for seed in (1, 2, 3):
            scores, drifts = learning(top + 0.003 * seed)
            learnt = judged(True, lost(scores)[-1], 3.0).model_copy(update={"metric": "loss"})
            runs.append(run_of("t", method, seed, lost(scores), drifts, metric="loss", learnt=learnt))
    found = claims(tmp_path, runs)["t"]
    (score,) = found.scores
    assert not score.higher_is_better
    assert score.score == pytest.approx(max(run.best for run in found.runs))  # the worst of the best losses
    assert abs(found.reduction) < 0.05
    named = claims(tmp_path, runs, equal_skill_score={"t": 2.7})["t"]
    assert named.scores[0].score == 2.7
    assert {run.crossing for run in named.runs} == {"reached"}


def test_runs_that_never_reach_a_named_score_are_named_and_make_the_comparison_conditional(tmp_path):
    runs = two_arms(tops=(0.85, 0.78), seeds=(1, 2, 3, 4))
    scores, drifts = learning(0.65)
    runs[-1] = run_of("t", "lora", 4, scores, drifts)
    table, statuses = study_of(runs)
    found = draw_conclusions(table, plan_of(tmp_path, ["t"], equal_skill_score={"t": 0.75}), statuses=statuses)
    of_task = found.equal_skill[0]
    assert [(r.method, r.seed) for r in of_task.runs if r.crossing == "never"] == [("lora", 4)]
    assert of_task.test.n_units == 7
    assert "without 1 run that never reaches it" in of_task.sentence
    (said,) = of_task.conditions
    assert "1 of 8 runs never reaches accuracy 0.750 and is left out (LoRA, seed 4)" in said
    assert said in found.warnings


def test_a_run_that_learnt_nothing_leaves_no_score_to_compare_at(tmp_path):
    runs = two_arms()
    runs[-1] = run_of(
        "t", "lora", 3, [0.5, 0.5, 0.51, 0.5, 0.52], [0.0, 0.01, 0.02, 0.02, 0.03], learnt=judged(False, 0.52)
    )
    found = claims(tmp_path, runs)
    assert found["t"].test is None
    assert "LoRA, seed 3: no more" in found["t"].missing
    assert "not surely better than the best constant answer (0.500)" in found["all"].missing
    named = claims(tmp_path, runs, equal_skill_score={"t": 0.7})["t"]
    assert named.test is not None
    assert [r.seed for r in named.runs if r.crossing == "never"] == [3]


def test_a_named_score_at_chance_is_refused(tmp_path):
    assert (
        "the score named in the study is accuracy 0.510"
        in claims(tmp_path, two_arms(), equal_skill_score={"t": 0.51})["t"].missing
    )


def test_a_named_score_that_no_run_of_a_method_reaches_is_refused(tmp_path):
    assert (
        claims(tmp_path, two_arms(), equal_skill_score={"t": 0.8})["t"].missing
        == "On t no run of LoRA reaches accuracy 0.800; the best has 0.758."
    )


def test_a_score_of_a_task_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="'mrpc', which the study does not have"):
        plan_of(tmp_path, ["t"], equal_skill_score={"mrpc": 0.8})


def test_runs_without_checkpoints_say_which_key_makes_them(tmp_path):
    table, statuses = study_of([run_of("t", m, s, [0.8], [0.3]) for m in ("full_finetune", "lora") for s in (1, 2, 3)])
    (found,) = equal_skill_claims(table, statuses, plan_of(tmp_path, ["t"]))
    assert found.task == "all"
    assert found.missing.startswith("No run has a checkpoint beside the final model: set training.all.checkpoints")
    assert equal_skill_claims(table, statuses, plan_of(tmp_path, ["t"], equal_skill=False)) == []


def test_one_run_without_checkpoints_is_named(tmp_path):
    runs = two_arms()
    runs[0] = run_of("t", "full_finetune", 1, [0.85], [0.3])
    assert "1 run of 6 (full fine-tuning, seed 1) of t has no checkpoint" in claims(tmp_path, runs)["t"].missing


def test_checkpoints_without_scores_are_named(tmp_path):
    runs = two_arms()
    scores, drifts = learning(0.8)
    runs[4] = run_of("t", "lora", 2, [None, *scores[1:]], drifts)
    assert (
        "Checkpoints of LoRA, seed 2 on t have no accuracy noted: run `repdrift extract --checkpoint all`"
        in claims(tmp_path, runs)["t"].missing
    )


def test_checkpoints_whose_score_is_no_number_are_not_to_be_extracted_again(tmp_path):
    runs = two_arms()
    rows, statuses = runs[4]
    first = statuses[0].model_copy(update={"metrics": {"accuracy": None}})  # as a file has NaN
    runs[4] = rows, [RunStatus.model_validate_json(first.model_dump_json()), *statuses[1:]]
    said = claims(tmp_path, runs)["t"].missing
    assert "Checkpoints of LoRA, seed 2 on t have a accuracy" not in said
    assert "on t have no finite accuracy: training went astray there" in said
    assert "extract" not in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_items": 750}, "were scored on different rows (400 and 750 of them)"),
        ({"constant_score": 0.6}, "were scored on different rows, so"),
        ({"metric": "f1"}, "other primary scores: accuracy and f1"),
    ],
)
def test_scores_of_other_rows_or_kinds_are_never_compared(tmp_path, change, said):
    runs = two_arms()
    scores, drifts = learning(0.8)
    runs[4] = run_of("t", "lora", 2, scores, drifts, learnt=judged(True).model_copy(update=change))
    assert said in claims(tmp_path, runs)["t"].missing


def test_files_of_older_versions_say_what_is_missing(tmp_path):
    table, statuses = study_of(two_arms())
    old = [s.model_copy(update={"learnt": None}) for s in statuses]
    found = equal_skill_claims(table, old, plan_of(tmp_path, ["t"]))
    assert "not noted for every run" in found[0].missing
    unplaced = [s.model_copy(update={"trained_steps": None}) for s in statuses]
    known = equal_skill_claims(table, statuses, plan_of(tmp_path, ["t"]))[0]
    assert equal_skill_claims(table, unplaced, plan_of(tmp_path, ["t"]))[0].reduction == known.reduction


def test_a_first_checkpoint_above_the_score_is_named_and_refused(tmp_path):
    runs = two_arms(tops=(0.85, 0.7))
    runs[0] = run_of("t", "full_finetune", 1, [0.8, 0.85], [0.2, 0.3], steps=(100, 250))
    missing = claims(tmp_path, runs)["t"].missing
    assert "full fine-tuning, seed 1 was better than accuracy 0.7" in missing
    assert "save earlier checkpoints" in missing


def test_the_base_models_own_loss_begins_the_path(tmp_path):
    """A first checkpoint that is better than the common loss: with the base's loss the drift there is known."""
    runs = []
    for method, losses in (("full_finetune", [2.0, 1.5]), ("lora", [2.6, 2.4])):
        for seed in (1, 2, 3):
            learnt = judged(True, losses[-1], 3.0).model_copy(update={"metric": "loss"})
            rows, statuses = run_of(
                "t", method, seed, losses, [0.1, 0.2 + 0.01 * seed], metric="loss", learnt=learnt, steps=(100, 250)
            )
            with_base = [s.model_copy(update={"metrics": {**s.metrics, "base_loss": 3.0}}) for s in statuses]
            runs.append((rows, with_base))
    found = claims(tmp_path, runs)["t"]
    assert found.scores[0].score == pytest.approx(2.4)
    assert all(0 < r.drift < 0.1 for r in found.runs if r.method == "full_finetune")


def test_the_kept_checkpoint_stands_at_its_own_step_and_counts_once(tmp_path):
    runs = two_arms()
    kept = []
    for rows, statuses in runs:
        final = statuses[-1]
        copies = [{**row, "step": 80} for row in rows if row["step"] == 0]
        others = [row for row in rows if row["step"] != 80]
        status = [s for s in statuses if s.step not in (0, 80)]
        same = final.model_copy(update={"step": 80, "trained_steps": 80, "learnt": None})
        kept.append(([*others, *copies], [*status, same, final.model_copy(update={"trained_steps": 80})]))
    found = claims(tmp_path, kept)["t"]
    assert {run.n_checkpoints for run in found.runs} == {len(STEPS) - 1}


def test_several_arms_are_corrected_by_holm(tmp_path):
    runs = [
        *two_arms(("a", "b"), ratio=0.7),
        *two_arms(("a", "b"), ratio=0.7, methods=("full_finetune", "dora"))[3:6],
        *two_arms(("a", "b"), ratio=0.7, methods=("full_finetune", "dora"))[9:],
    ]
    table, statuses = study_of(runs)
    plan = plan_of(tmp_path, ["a", "b"], methods=["full_finetune", "lora", "dora"], comparison_methods=("lora", "dora"))
    found = equal_skill_claims(table, statuses, plan)
    tests = [e.test for e in found if e.task == "all"]
    assert [e.comparison for e in found if e.task == "all"] == ["lora", "dora"]
    assert all(t.n_arms == 2 and t.correction == "Holm" for t in tests)
    assert min(t.deciding_pvalue for t in tests) == pytest.approx(2 * min(t.pvalue for t in tests))


def test_a_task_that_cannot_be_compared_leaves_the_others(tmp_path):
    runs = [
        *two_arms(("a",), ratio=0.7),
        *(run_of("b", m, s, [0.8], [0.3]) for m in ("full_finetune", "lora") for s in (1, 2, 3)),
    ]
    found = claims(tmp_path, runs)
    assert found["b"].test is None
    assert found["all"].tasks == ["a"]
    assert "over 1 of 2 tasks (a)" in found["all"].sentence


def test_one_model_of_each_method_can_be_read_and_not_tested(tmp_path):
    found = claims(tmp_path, two_arms(seeds=(1,)))["t"]
    assert found.test.verdict == "not testable"
    assert found.interval is None
    assert found.reduction is not None


def test_a_drift_that_is_interpolated_from_before_a_run_had_learnt_is_named(tmp_path):
    runs = two_arms()
    runs[1] = run_of("t", "full_finetune", 2, [0.5, 0.52, 0.85], [0.0, 0.01, 0.1])
    found = claims(tmp_path, runs)["t"]
    (said,) = found.conditions
    assert "the drift of 1 of 6 runs (full fine-tuning, seed 2) is interpolated from a checkpoint at which" in said
    assert "training.all.checkpoint_every" in said
    assert claims(tmp_path, two_arms())["t"].conditions == []


def test_rounding_is_no_drift_at_equal_skill(tmp_path):
    full = [run_of("t", "full_finetune", s, learning(0.8 + 0.001 * s)[0], [1e-16 * s] * 5) for s in (1, 2, 3)]
    lora = [run_of("t", "lora", s, learning(0.8)[0], [1e-17 * s] * 5) for s in (1, 2, 3)]
    found = claims(tmp_path, full + lora)["t"]
    assert found.test is None
    assert "the mean drift of full fine-tuning at accuracy 0.799 is not above 0, but for rounding" in found.missing
    moved = [run_of("t", "full_finetune", s, *learning(0.8 + 0.001 * s)) for s in (1, 2, 3)]
    still = claims(tmp_path, moved + lora)["t"]
    assert (still.test.test, still.test.pvalue) == ("label permutation of drift", 0.05)
    assert "tested on drift itself" in still.sentence


def test_what_is_tested_is_said_where_it_is_another_number_than_the_reduction(tmp_path):
    runs = []
    for seed in range(1, 7):
        for method, ratio in (("full_finetune", 1.0), ("lora", 0.3 if seed < 6 else 5.0)):
            scores, drifts = learning(0.8, ratio=ratio)
            runs.append(run_of("t", method, seed, scores, drifts))
    found = claims(tmp_path, runs)["t"]
    assert found.reduction == pytest.approx(1 - (5 * 0.3 + 5) / 6)
    factor = 1 - (0.3**5 * 5) ** (1 / 6)
    assert f"by the geometric mean over models and tasks, which is tested, {100 * factor:.0f} % less" in found.sentence


def test_scores_without_an_interval_leave_open_whether_models_are_better_than_chance(tmp_path):
    unknown = judged(None, 0.6)
    runs = [run_of("t", m, s, *learning(0.6), learnt=unknown) for m in ("full_finetune", "lora") for s in (1, 2, 3)]
    found = claims(tmp_path, runs)["t"]
    assert found.scores[0].tolerance is None
    (said,) = [said for said in found.conditions if "not known" in said]
    assert said.startswith(
        "t: how far scores differ by chance is not known, because no final model has an interval of its gain over the best constant answer (400 scored rows)."
    )
    assert where_compared(found.scores[0]).endswith("how far scores differ by chance is not known.")


def test_arms_at_other_scores_are_not_to_be_compared_with_each_other(tmp_path):
    runs = two_arms(("a",)) + [run_of("a", "prefix", s, *learning(0.66)) for s in (1, 2, 3)]
    table, statuses = study_of(runs)
    methods = ["full_finetune", "lora", "prefix"]
    plan = plan_of(tmp_path, ["a"], methods=methods, comparison_methods=methods[1:])
    found = draw_conclusions(table, plan, statuses=statuses)
    (said,) = [w for w in found.warnings if "must not be compared with each other" in w]
    assert "(LoRA: accuracy 0.755; prefix: accuracy 0.660)" in said
    notes = skill_notes(found.equal_skill, several=True)
    assert [note.split(":")[0] for note in notes if "the best that every run reaches" in note] == [
        "LoRA on a",
        "prefix on a",
    ]
    assert said in notes
    one = draw_conclusions(
        table,
        plan_of(tmp_path, ["a"], methods=methods, comparison_methods=methods[1:], equal_skill_score={"a": 0.65}),
        statuses=statuses,
    )
    assert not any("must not be compared with each other" in w for w in one.warnings)


def test_a_loss_is_held_against_the_base_model_and_no_constant_answer(tmp_path):
    def of_loss(top):
        scores, drifts = learning(top)
        losses = [3.0 - 2 * (s - 0.5) for s in scores]
        learnt = judged(True, losses[-1], 3.0).model_copy(update={"metric": "loss"})
        return losses, drifts, learnt

    runs = []
    for method, top in (("full_finetune", 0.85), ("lora", 0.75)):
        for seed in (1, 2, 3):
            losses, drifts, learnt = of_loss(top)
            runs.append(run_of("t", method, seed, losses, drifts, metric="loss", learnt=learnt))
    said = where_compared(claims(tmp_path, runs)["t"].scores[0])
    assert "; the base model has 3.00, and scores differ by chance by about 0.050." in said
    refused = claims(tmp_path, runs, equal_skill_score={"t": 2.99})["t"].missing
    assert "is loss 2.99, not surely better than the base model (3.00)" in refused


def test_arms_that_are_compared_on_other_tasks_are_not_to_be_compared_over_all(tmp_path):
    runs = two_arms(("a", "b")) + [run_of("a", "prefix", s, *learning(0.75)) for s in (1, 2, 3)]
    runs += [run_of("b", "prefix", s, [0.8], [0.3]) for s in (1, 2, 3)]
    table, statuses = study_of(runs)
    methods = ["full_finetune", "lora", "prefix"]
    found = equal_skill_claims(
        table, statuses, plan_of(tmp_path, ["a", "b"], methods=methods, comparison_methods=methods[1:])
    )
    said = different_scores(found)
    assert any(
        w.startswith(
            "Over all tasks, reductions at equal skill are of other tasks for one method than for another (LoRA: a and b; prefix: a)"
        )
        for w in said
    )


def test_runs_that_limit_a_comparison_are_named_by_method(tmp_path):
    runs = two_arms(tops=(0.85, 0.75), seeds=(1, 2))
    flat = [
        run_of("t", "lora", s, [0.4, 0.41, 0.42, 0.43, 0.44], [0.1] * 5, learnt=judged(False, 0.44)) for s in (1, 2, 3)
    ]
    said = claims(tmp_path, runs[:2] + flat)["t"].missing
    assert "the best score that every run reaches (LoRA, seeds 1, 2 and 3: no more) is accuracy 0.440" in said


def test_models_that_collapsed_to_the_constant_answer_do_not_make_scores_look_sharper(tmp_path):
    collapsed = judged(False, CONSTANT).model_copy(update={"difference": 0.0, "low": 0.0, "high": 0.0})
    runs = []
    for seed in (1, 2, 3):
        scores, drifts = learning(0.8 + 0.005 * seed)
        runs.append(
            run_of(
                "t", "full_finetune", seed, [*scores, CONSTANT], [*drifts, 0.9], steps=(*STEPS, 1000), learnt=collapsed
            )
        )
        runs.append(run_of("t", "lora", seed, *learning(0.8 + 0.003 * seed)))
    found = claims(tmp_path, runs)["t"]
    assert found.scores[0].tolerance == pytest.approx(0.05)
    assert [run.left_out for run in found.runs] == [1, 1, 1, 0, 0, 0]
