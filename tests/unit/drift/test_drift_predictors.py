"""Which measure's drift goes with the score and with forgetting, over final models, within tasks and methods."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from repdrift.core.records.study_info import RunStatus
from repdrift.drift.inference.drift_predictors import drift_predictors
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.statistics import rank_correlation
from tests.unit.drift.drift_tables import plan_of
from tests.unit.drift.study_on_disk import judged

SEEDS = range(6)
METHODS = ("full_finetune", "lora")


def study(drifts, *, layers=2):
    """drifts: {measure: {(method, seed): mean over layers}}. Scores rise with the seed."""
    rows = [
        {"task": "t", "method": m, "seed": s, "step": 0, "layer": layer, "measure": name, "drift": value * (0.5 + layer), "value": value}
        for name, of_run in drifts.items()
        for (m, s), value in of_run.items()
        for layer in range(layers)
    ]  # fmt: skip
    statuses = [
        RunStatus(task="t", method=m, seed=s, step=0, status="ok", learnt=judged(True, 0.7 + 0.01 * s)) for m in METHODS for s in SEEDS
    ]  # fmt: skip
    return pd.DataFrame(rows), statuses


def outcomes_of(values, *, outcome="forgetting", inputs="general_text", step=0):
    return pd.DataFrame(
        [
            {"task": "t", "method": m, "seed": s, "step": step, "outcome": outcome, "inputs": inputs, "layer": pd.NA, "value": 3 + v, "difference": v}
            for (m, s), v in values.items()
        ]
    )  # fmt: skip


def by_seed(function, apart=0.0):
    """apart: how much the second method's values lie above the first one's."""
    return {(m, s): function(s) + apart * i for i, m in enumerate(METHODS) for s in SEEDS}


@pytest.fixture
def plan(tmp_path):
    return plan_of(tmp_path, ["t"], measures=("cka", "cosine"))


def test_the_measure_that_goes_with_the_score_is_found_within_methods(plan):
    g = np.random.default_rng(0)
    frame, statuses = study(
        {"cka": by_seed(lambda s: 0.1 + 0.01 * s, apart=0.3), "cosine": by_seed(lambda _: g.random())}
    )
    (found,) = drift_predictors(frame, statuses, None, plan)
    cka, cosine = found.correlations
    assert (found.outcome, found.n_units, found.groups) == ("score", 12, 2)
    assert cka.correlation == pytest.approx(1.0)
    assert cka.pvalue_max_t < 0.01
    assert "infinite" in cka.missing  # no interval where the order is the same without exception
    assert cosine.pvalue_max_t > 0.05
    assert found.sentence.startswith(
        "Models that differ more from their base by CKA, linear, debiased score higher: rank correlation 1.00"
    )
    means = [
        frame[frame.measure == "cosine"].groupby(["method", "seed"])["drift"].mean()[m, s]
        for m in METHODS
        for s in SEEDS
    ]
    alone = rank_correlation(
        means, [s for _ in METHODS for s in SEEDS], strata=[m for m in METHODS for _ in SEEDS], n_permutations=10
    )
    assert cosine.correlation == pytest.approx(alone.correlation)
    assert cosine.low == pytest.approx(alone.interval.low)


def test_a_difference_between_methods_makes_no_correlation(plan):
    g = np.random.default_rng(1)
    frame, statuses = study({"cka": by_seed(lambda _: 0.1 + 0.01 * g.random(), apart=1.0)})
    worse = [
        s.model_copy(update={"learnt": judged(True, 0.7 - 0.1 * (s.method == "lora") + 0.01 * g.random())})
        for s in statuses
    ]
    (found,) = drift_predictors(frame, worse, None, plan)
    assert abs(found.correlations[0].correlation) < 0.7
    assert found.sentence.startswith("No drift is shown to go with the score")


def test_a_loss_counts_as_a_score_with_its_sign_changed(plan):
    frame, statuses = study({"cka": by_seed(lambda s: 0.1 + 0.01 * s)})
    losses = [s.model_copy(update={"learnt": s.learnt.model_copy(update={"metric": "loss"})}) for s in statuses]
    (found,) = drift_predictors(frame, losses, None, plan)
    assert found.correlations[0].correlation == pytest.approx(-1.0)
    assert "score lower" in found.sentence


def test_forgetting_comes_from_the_outcomes_on_general_text_of_final_models(plan):
    frame, statuses = study({"cka": by_seed(lambda s: 0.1 + 0.01 * s)})
    table = pd.concat(
        [
            outcomes_of(by_seed(lambda s: -0.1 * s)),
            outcomes_of(by_seed(float), inputs="task"),
            outcomes_of(by_seed(float), step=5),
            outcomes_of(by_seed(float), outcome="output_kl", inputs="task"),
        ]
    )
    score, forgetting = drift_predictors(frame, statuses, table, plan)
    assert [c.measure for c in forgetting.correlations] == ["cka", "cosine", "output_kl"]
    assert forgetting.correlations[0].correlation == pytest.approx(-1.0)
    assert forgetting.correlations[2].correlation == pytest.approx(-1.0)
    assert "forget less" in forgetting.sentence
    assert score.outcome == "score"


def test_measures_without_a_value_for_every_model_say_so_and_weights_count(plan):
    values = by_seed(lambda s: 0.1 + 0.01 * s)
    part = {k: v for k, v in values.items() if k != ("lora", 3)}
    same = by_seed(lambda _: 0.2)
    frame, statuses = study(
        {"cka": values, "cosine": part, "weight_relative_change": values, "weight_stable_rank": same}
    )
    (found,) = drift_predictors(frame, statuses, None, plan)
    said = {c.measure: c.missing for c in found.correlations if c.correlation is None}
    assert said == {
        "cosine": "1 model without a value in every layer",
        "weight_stable_rank": "all equal in t, full fine-tuning and t, LoRA",
    }
    assert found.sentence.endswith(
        " Left out: cosine, raw (1 model without a value in every layer) and stable rank of dW, mean over the layer's changed matrices (all equal in t, full fine-tuning and t, LoRA)."
    )
    assert next(c for c in found.correlations if c.measure == "weight_relative_change").correlation == pytest.approx(
        1.0
    )
    still = {k: 0.0 if k[0] == "lora" else v for k, v in values.items()}
    (found,) = drift_predictors(*study({"cka": values, "cosine": still}), None, plan)
    assert "Left out: cosine, raw (all equal (exactly 0) in t, LoRA)." in found.sentence


def test_models_that_cannot_count_are_numbered_and_none_left_is_said(plan):
    frame, statuses = study({"cka": by_seed(lambda s: 0.1 + 0.01 * s)})
    alike = [s.model_copy(update={"learnt": judged(True, 0.8)}) if s.method == "lora" else s for s in statuses]
    (found,) = drift_predictors(frame, alike, None, plan)
    assert (found.n_units, found.n_left_out, found.groups) == (6, 6, 1)
    none = [s.model_copy(update={"learnt": judged(True, 0.8)}) for s in statuses]
    (nothing,) = drift_predictors(frame, none, None, plan)
    assert (
        nothing.missing
        == "no task has two models of one method that differ in the score (each task's primary one, more is better)"
    )
    old = [s.model_copy(update={"learnt": None}) for s in statuses]
    assert drift_predictors(frame, old, None, plan)[0].n_units == 0


def test_level_and_confidence_are_the_studys(plan):
    g = np.random.default_rng(3)
    frame, statuses = study({"cka": by_seed(lambda s: 0.1 + 0.01 * s + 0.02 * g.random())})
    wide, narrow = (
        drift_predictors(
            frame,
            statuses,
            None,
            replace(plan, alpha=alpha, sampling=SamplingOptions(replicates=0, confidence=confidence)),
        )[0]
        for alpha, confidence in ((0.49, 0.99), (1e-9, 0.5))
    )
    assert wide.correlations[0].low < narrow.correlations[0].low
    assert wide.sentence.startswith("Models that differ more")
    assert narrow.sentence.startswith("No drift is shown")


def test_what_is_lost_of_retrieval_is_an_outcome_of_its_own_and_less_is_a_loss(plan):
    frame, statuses = study({"cka": by_seed(lambda s: 0.1 + 0.01 * s), "cosine": by_seed(lambda s: -0.1 * s)})
    fallen = outcomes_of(by_seed(lambda s: -0.02 * s), outcome="retrieval", inputs="benchmark")
    score, lost = drift_predictors(frame, statuses, fallen, plan)
    assert (score.outcome, lost.outcome, lost.n_units) == ("score", "retrieval", 12)
    assert lost.correlations[0].correlation == pytest.approx(1.0)  # more drift, more lost
    assert "lose more of retrieval" in lost.sentence
    first = outcomes_of(by_seed(lambda s: -0.02 * s), outcome="retrieval_first", inputs="benchmark")
    assert [found.outcome for found in drift_predictors(frame, statuses, first, plan)] == ["score"]
