"""What an analysis says where models have not learnt their task."""

import numpy as np
import pytest

from repdrift.core.hypotheses import ALIKE, INTERACTION, LESS, TARGET
from repdrift.core.learnt_words import JudgedModel, learnt_cautions
from repdrift.core.records.study_info import RunStatus
from repdrift.drift import analyze
from repdrift.drift.inference import draw_conclusions
from tests.unit.drift.drift_tables import found_test, plan_of, table_of
from tests.unit.drift.study_on_disk import Study, judged, write_set

TASKS, METHODS, SEEDS = ["a", "b", "c"], ["full_finetune", "lora"], [1, 2, 3]
_P_FIELDS = (
    "pvalue",
    "opposite_pvalue",
    "smallest_pvalue",
    "deciding_pvalue",
    "smallest_deciding_pvalue",
    "pvalue_holm",
    "pvalue_max_t",
)


def _statuses(failed):
    """failed: (task, method, seed) of the models that have not learnt."""
    return [
        RunStatus(task=t, method=m, seed=s, step=0, status="ok", learnt=judged((t, m, s) not in failed))
        for t in TASKS for m in METHODS for s in SEEDS
    ]  # fmt: skip


def _concluded(tmp_path, failed, share=None):
    """LoRA drifts 0.4 times as much as full fine-tuning; share: otherwise, by task."""
    shares = dict.fromkeys(TASKS, 0.4) | (share or {})
    drifts = {
        (t, m): [[(shares[t] if m == "lora" else 1) * (0.3 + 0.1 * layer + 0.01 * s) for layer in range(3)] for s in SEEDS]
        for t in TASKS for m in METHODS
    }  # fmt: skip
    plan = plan_of(tmp_path, TASKS, equivalence_margin=1.25)
    return draw_conclusions(table_of(drifts), plan, statuses=_statuses(failed))


EVERY_TASK = {(task, "lora", 1) for task in TASKS}


def test_models_at_chance_leave_no_claim_about_methods(tmp_path):
    found = _concluded(tmp_path, EVERY_TASK)
    claims = [t for t in found.tests if t.hypothesis in (LESS, TARGET, ALIKE, INTERACTION)]
    assert len(claims) > 15
    assert {t.verdict for t in claims} == {"not testable"}
    assert all(getattr(t, name) is None for t in claims for name in _P_FIELDS)
    assert all(t.paired is t.correction is t.exact is None for t in claims)
    assert found.clusters == []
    assert len(found.mixed_models) == 1
    assert found.mixed_models[0].reduction is None
    assert found.mixed_models[0].missing is not None
    assert "not learnt" in found.mixed_models[0].missing


def test_numbers_stay_and_the_sentence_says_why(tmp_path):
    found = _concluded(tmp_path, EVERY_TASK)
    test = found_test(found.tests, LESS)
    assert test.estimate == pytest.approx(0.6)
    assert test.sentence.startswith(
        "Whether LoRA drifts less over all tasks at the end of training is not testable as a property of the method: 3 models have not learnt the task "
        "(a, LoRA, seed 1; b, LoRA, seed 1; c, LoRA, seed 1), and a model that learnt less drifts less, whatever the method. These models: 60 % less"
    )
    (overall,) = [r for r in found.reductions if r.task == "all" and r.layer is None]
    assert overall.reduction == pytest.approx(0.6)
    assert any("not learnt" in note for note in overall.notes)


def test_claims_over_all_tasks_rest_on_the_tasks_that_every_model_learnt(tmp_path):
    without = _concluded(tmp_path, {("b", "full_finetune", 2)}, share={"b": 3.0})
    whole = found_test(without.tests, LESS)
    assert whole.estimate == pytest.approx(0.6), "task b, where LoRA drifts more, is left out whole"
    assert whole.verdict == "supported"
    assert whole.n_units == 12
    assert "over 2 of 3 tasks (a and c)" in whole.sentence
    assert found_test(without.tests, LESS, "b").verdict == "not testable"
    assert found_test(without.tests, LESS, "a").verdict != "not testable"
    by_layer = [t for t in without.tests if t.hypothesis == LESS and t.layer is not None]
    assert {t.n_units for t in by_layer} == {12}
    assert {tuple(r.tasks) for r in without.reductions if r.task == "all"} == {("a", "c")}
    assert any("rest on a and c alone" in warning for warning in without.warnings)


def test_models_that_all_learnt_change_nothing(tmp_path):
    learnt = _concluded(tmp_path, set())
    assert found_test(learnt.tests, LESS).verdict == "supported"
    assert not any("learnt" in text for text in [*learnt.warnings, *(t.sentence for t in learnt.tests)])


def test_missing_verdict_is_not_known_and_never_learnt():
    models = [JudgedModel("sst2", "lora", 1, None), JudgedModel("sst2", "lora", 2, judged(None))]
    few, older = learnt_cautions(models)
    assert "It is not known whether 1 of 2 trained models learnt the task, since too few rows" in few
    assert "SST-2, LoRA, seed 2 (accuracy 0.800 against 0.500)" in few
    assert "since the files do not say, as those of older versions: SST-2, LoRA, seed 1." in older


def test_models_that_have_not_learnt_are_named_with_their_scores():
    models = [JudgedModel("rte", "lora", s, judged(False, 0.5 + 0.01 * s, 0.53)) for s in (1, 2)]
    (said,) = learnt_cautions([*models, JudgedModel("rte", "lora", 3, judged(True))])
    assert said.startswith("2 of 3 trained models have not learnt their task")
    assert "RTE, LoRA, seeds 1 and 2 (accuracy 0.510 to 0.520 against 0.530)" in said
    assert learnt_cautions([JudgedModel("rte", "lora", 3, judged(True))]) == []


def test_summary_names_them_before_its_answer(tmp_path):
    study = Study(tmp_path, tasks=("mrpc",), seeds=(1, 2))
    g = np.random.default_rng(8)
    tensors = [g.normal(size=(40, 12)) for _ in range(3)]
    write_set(study.folder("mrpc", "lora", 2), "mrpc", "lora", 2, tensors, run_learnt=judged(False, 0.5))
    results, _ = analyze(study.plan(measures=("cka",)), tmp_path / "out")
    summary = (tmp_path / "out" / "drift_analysis_summary.md").read_text()
    first = summary.splitlines()[2]
    assert first.startswith("> 1 of 4 trained models has not learnt its task")
    assert results.warnings[0].startswith("1 of 4 trained models has not learnt its task")
    assert (
        "Whether LoRA drifts less over all tasks at the end of training is not testable as a property of the method"
        in summary
    )
    assert "| MRPC | LoRA | 2 | 0 | ok | no | accuracy 0.800 |" in summary
    assert results.runs[-1].learnt == judged(False, 0.5)


def test_models_of_one_score_have_no_range_of_it():
    models = [JudgedModel("sst2", "lora", seed, judged(None, 1.0)) for seed in (1, 2)]
    (said,) = learnt_cautions(models)
    assert "(accuracy 1.000 against 0.500)" in said
