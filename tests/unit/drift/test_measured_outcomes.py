"""Tables, arms, differences and flips of outcomes whose items are known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from repdrift.core.errors import SampleSetMismatchError
from repdrift.core.outcome_words import arms_table, not_there, outcome_answer, probes_table
from repdrift.core.records.outcomes import ITEM_COLUMNS, OUTCOME_COLUMNS, MissingOutcomes, OutcomeInfo, StudyOutcomes
from repdrift.core.records.study_info import RunStatus
from repdrift.drift.measured_outcomes.arm_differences import arm_differences
from repdrift.drift.measured_outcomes.arms import arm_outcomes
from repdrift.drift.measured_outcomes.flips import all_flips
from repdrift.drift.measured_outcomes.table import outcome_table
from repdrift.drift.measured_outcomes.whose_notes import NotesOfModels
from repdrift.statistics import mean_over_models, score_difference
from tests.unit.drift.study_on_disk import judged

METHODS = ["full_finetune", "lora"]


def items(
    values,
    *,
    method="lora",
    seed=1,
    outcome="accuracy",
    base=None,
    weights=None,
    groups=None,
    layer=None,
    inputs="task",
    step=0,
):
    n = len(values)
    return pd.DataFrame(
        {
            "task": "sst2", "method": method, "seed": seed, "step": step, "outcome": outcome, "inputs": inputs,
            "layer": pd.array([layer] * n, dtype="Int64"), "item": [str(i) for i in range(n)], "group": [""] * n if groups is None else groups,
            "value": np.asarray(values, dtype=float), "base_value": np.nan if base is None else np.asarray(base, dtype=float),
            "weight": np.ones(n) if weights is None else np.asarray(weights, dtype=float),
        }
    )[list(ITEM_COLUMNS)]  # fmt: skip


def status(seed, learnt=True, method="lora"):
    return RunStatus(task="sst2", method=method, seed=seed, step=0, status="ok", learnt=judged(learnt))


def test_a_row_is_the_weighted_mean_and_its_interval_is_paired_over_items():
    g = np.random.default_rng(0)
    base, weights = g.normal(3, 1, 50), g.integers(1, 40, 50)
    tuned = base + g.normal(0.2, 0.3, 50)
    table = outcome_table(items(tuned, outcome="forgetting", base=base, weights=weights), [status(1)], 0.95)
    assert list(table.columns) == list(OUTCOME_COLUMNS)
    row = table.iloc[0]
    assert row["value"] == pytest.approx(np.average(tuned, weights=weights))
    assert row["difference"] == pytest.approx(row["value"] - row["base_value"])
    assert row["low"] < row["difference"] < row["high"]
    assert row["high"] - row["low"] < 0.5, "pairing takes out what texts have in common"
    assert bool(row["learnt"])
    even = outcome_table(items(tuned, base=base), [], 0.95).iloc[0]
    expected = stats.t.interval(0.95, 49, loc=(tuned - base).mean(), scale=stats.sem(tuned - base))
    assert (even["low"], even["high"]) == pytest.approx(expected)
    assert pd.isna(even["learnt"])


def test_the_verdict_on_the_final_model_is_not_that_of_a_checkpoint():
    both = pd.concat([items([1.0, 0.0] * 10), items([1.0, 0.0] * 10, step=40)], ignore_index=True)
    final, checkpoint = outcome_table(both, [status(1)], 0.95)["learnt"]
    assert final
    assert pd.isna(checkpoint)


def test_a_model_that_is_its_base_differs_by_exactly_zero_and_the_note_says_why():
    same = np.random.default_rng(1).normal(size=30)
    row = outcome_table(items(same, base=same), [], 0.95).iloc[0]
    assert row["difference"] == 0.0
    assert pd.isna(row["low"]), "30 items that do not differ leave it open how many others would"
    assert row["note"].startswith("the two models have the same number for every item; no interval: none of 30 groups")


def test_a_score_without_spread_has_no_interval_of_no_width():
    for values, said in (([1.0] * 30, "all items have the same value"), ([1.0] * 28 + [0.0] * 2, "all items but 2")):
        row = outcome_table(items(values), [], 0.95).iloc[0]
        assert pd.isna(row["low"])
        assert said in row["note"]
        (arm,) = arm_outcomes(items(values), {}, 0.95)
        assert arm.low is None
        assert said in arm.note


def test_a_difference_that_is_the_same_for_every_item_has_no_interval_of_no_width():
    for wrong, said in ((30, "all items differ by the same"), (28, "all items but 2 differ by the same")):
        lost = items([0.0] * wrong + [1.0] * (30 - wrong), base=[1.0] * 30)
        row = outcome_table(lost, [], 0.95).iloc[0]
        assert row["difference"] == pytest.approx(-wrong / 30)
        assert pd.isna(row["low"])
        assert said in row["note"]
        (arm,) = arm_outcomes(lost, {}, 0.95)
        assert (arm.low, arm.interval) == (None, "")
        other = items([1.0] * 30, method="full_finetune", base=[1.0] * 30)
        (apart,) = arm_differences(pd.concat([lost, other], ignore_index=True), "full_finetune", METHODS, 0.95).found
        assert (apart.low, apart.interval) == (None, "")
        assert said in apart.note


def test_the_interval_of_a_share_ends_where_shares_end_and_that_of_a_loss_does_not():
    mostly = items([1.0] * 14 + [0.0] * 6 + [1.0] * 10)
    few = items([0.0] * 12 + [3.0] * 6, outcome="loss")
    for frame, ends in ((mostly, (None, 1.0)), (few, (None, None))):
        row = outcome_table(frame, [], 0.999999, {"accuracy"}).iloc[0]
        (arm,) = arm_outcomes(frame, {}, 0.999999, {"accuracy"})
        assert (arm.low, arm.high) == (row["low"], row["high"])
        assert (row["high"] == ends[1]) == (ends[1] is not None)
    assert row["high"] > 1


def test_whole_groups_are_left_out_and_fewer_than_ten_give_no_interval():
    values = np.repeat(np.random.default_rng(2).normal(size=12), 5)
    of_items = outcome_table(items(values, base=0 * values), [], 0.95).iloc[0]
    grouped = outcome_table(items(values, base=0 * values, groups=[f"g{i // 5}" for i in range(60)]), [], 0.95).iloc[0]
    assert grouped["n_groups"] == 12
    assert grouped["high"] - grouped["low"] > 1.8 * (of_items["high"] - of_items["low"])
    few = outcome_table(items(values, base=0 * values, groups=[f"g{i // 12}" for i in range(60)]), [], 0.95).iloc[0]
    assert pd.isna(few["low"])
    assert "5 groups" in few["note"]


def several(g, method, seeds, shift):
    return [
        items(g.normal(0, 1, 40) + shift + 0.3 * seed, method=method, seed=seed, outcome="loss", base=g.normal(size=40))
        for seed in seeds
    ]


def test_an_arm_is_the_mean_over_its_models_and_two_arms_are_paired():
    g = np.random.default_rng(3)
    runs = [*several(g, "full_finetune", (1, 2, 3), 2.5), *several(g, "lora", (1, 2, 3), 0.0)]
    frame = pd.concat(runs, ignore_index=True)
    first, second = arm_outcomes(frame, {("sst2", "lora", 2): False}, 0.95)
    values, base = (np.stack([run[name] for run in runs[:3]]) for name in ("value", "base_value"))
    expected = mean_over_models(values - base)
    assert (first.difference, first.low, first.high) == pytest.approx((expected.mean, *expected.interval))
    assert first.interval == "jackknife over models and items"
    assert second.note == "1 of 3 models have not learnt the task"
    (compared,) = arm_differences(frame, "full_finetune", METHODS, 0.95).found
    wanted = score_difference(np.stack([run["value"] for run in runs[3:]]), values)
    assert (compared.difference, compared.low, compared.high) == pytest.approx((wanted.difference, *wanted.interval))
    assert compared.high < 0, "LoRA has the lower loss here"


def test_arms_on_other_items_are_not_compared_and_runs_of_one_arm_never():
    one, fewer = items([1, 0] * 20, method="full_finetune"), items([1, 0] * 10, method="lora")
    frame = pd.concat([one, fewer], ignore_index=True)
    found = arm_differences(frame, "full_finetune", METHODS, 0.95)
    assert found.found == []
    assert found.notes == [
        "SST-2: LoRA and full fine-tuning were measured on other items (20 and 40), so their outcomes and flips are not compared."
    ]
    assert all_flips(frame, "full_finetune", METHODS) == []
    with pytest.raises(SampleSetMismatchError, match="lora, seeds 1 and 2: measured on other items"):
        arm_outcomes(pd.concat([fewer, items([1.0] * 21, seed=2)], ignore_index=True), {}, 0.95)


def test_flips_are_counted_between_arms_of_one_seed_and_from_a_base_that_answers():
    full = items([1] * 10 + [0] * 10, method="full_finetune", base=[1] * 20)
    lora = items([0] * 6 + [1] * 14, base=[1] * 20)
    found = {
        (f.method, f.against): f
        for f in all_flips(pd.concat([full, lora], ignore_index=True), "full_finetune", METHODS)
    }
    assert set(found) == {("full_finetune", "base"), ("lora", "base"), ("lora", "full_finetune")}
    between = found["lora", "full_finetune"]
    assert (between.right_to_wrong, between.wrong_to_right) == (6, 10)
    assert between.p == pytest.approx(stats.binomtest(6, 16).pvalue)
    assert (found["lora", "base"].right_to_wrong, found["lora", "base"].wrong_to_right) == (6, 0)
    other_seed = pd.concat([full, lora.assign(seed=2)], ignore_index=True)
    assert {f.against for f in all_flips(other_seed, "full_finetune", METHODS)} == {"base"}


def test_the_words_answer_first_and_name_what_is_not_there_once():
    g = np.random.default_rng(4)
    probes = [
        items(
            (g.random(40) < p).astype(float),
            outcome="probe",
            layer=layer,
            base=(g.random(40) < 0.5).astype(float),
            method=method,
        )
        for method in METHODS
        for layer, p in ((0, 0.5), (1, 0.99))
    ]
    frame = pd.concat(
        [*probes, items(g.normal(2, 0.1, 40), outcome="forgetting", base=np.ones(40), inputs="general_text")],
        ignore_index=True,
    )
    missing = [
        MissingOutcomes(task=t, method=m, seed=1, outcome="flips", reason="no head")
        for t in ("sst2", "mrpc")
        for m in METHODS
    ]
    found = StudyOutcomes(
        infos=[OutcomeInfo(name="forgetting", title="Forgetting", unit="nats per token", higher_is_better=False)],
        arms=arm_outcomes(frame, {}, 0.95), missing=missing,
    )  # fmt: skip
    answer = outcome_answer(found, 0.95)
    assert answer[0].startswith("SST-2: forgetting on general text (rise of the loss, in nats per token): LoRA +")
    assert "a probe reads the classes better off layer 1 than off the base model's" in answer[1]
    assert not_there(found) == ["Flips against the base model (SST-2 and MRPC): no head"]
    assert [row[0] for row in probes_table(found).rows] == ["0", "1"]
    assert len(arms_table(found).rows) == 1


def test_notes_name_the_models_that_they_are_about_unless_all_have_them():
    notes = NotesOfModels()
    for method in METHODS:
        for seed in (1, 2):
            own = ["Its own head is read."] if method == "full_finetune" else ["The base model's head reads it."]
            rare = ["One text has no token."] if (method, seed) == ("lora", 2) else []
            notes.add("outputs", "sst2", method, [*own, *rare, "General text: 42 documents."])
    notes.add("probes", "sst2", "lora", ["Five parts."])
    assert notes.sentences() == [
        "Full fine-tuning: Its own head is read.",
        "General text: 42 documents.",
        "LoRA: The base model's head reads it.",
        "LoRA (1 of 2 models): One text has no token.",
        "Five parts.",
    ]
    notes.add("outputs", "rte", "lora", ["General text: 42 documents."])
    assert "Full fine-tuning on SST-2: Its own head is read." in notes.sentences()


def test_arms_that_answer_every_item_alike_have_no_interval_of_no_width():
    right = pd.concat([items([1.0] * 30, method=method, seed=seed) for method in METHODS for seed in (1, 2, 3)])
    (found,) = arm_differences(right, "full_finetune", METHODS, 0.95).found
    assert (found.difference, found.low, found.high, found.interval) == (0.0, None, None, "")
    assert "none of 30 groups or items differs, and up to 9.5 % of others may" in found.note
