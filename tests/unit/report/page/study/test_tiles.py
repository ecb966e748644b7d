from dataclasses import replace

import pytest

from repdrift.core.records.outcomes import ArmDifference, ArmOutcome, MissingOutcomes, OutcomeInfo, StudyOutcomes
from repdrift.report.page.study.tiles import study_tiles
from tests.unit.report.synthetic_results import Synthetic, report_data

SMALL = Synthetic(tasks=("mrpc", "sst2"), layers=3, lora_share=0.5, noise=0.02)
TWELVE = ("full_finetune", "lora", "dora", "rslora", "pissa", "ia3", "biases", "layer_norm", "prefix_tuning", "prompt_tuning", "p_tuning", "mine")  # fmt: skip


def tiles(data=None, **study):
    return {tile.name: tile for tile in study_tiles(data or report_data(replace(SMALL, **study)))}


def outcome(task, method, name, value, difference=None, low=None, high=None):
    return ArmOutcome(
        task=task, method=method, outcome=name, inputs="general_text" if name == "forgetting" else "task", seeds=[1, 2, 3], value=value,
        base_value=None if difference is None else value - difference, difference=difference, low=low, high=high,
        interval="jackknife over models and items" if low is not None else "", n=100, n_groups=100,
    )  # fmt: skip


def difference(task, name, value, low, high):
    return ArmDifference(
        task=task, method="lora", reference="full_finetune", outcome=name, inputs="general_text" if name == "forgetting" else "task",
        seeds=[1, 2, 3], reference_seeds=[1, 2, 3], difference=value, low=low, high=high, interval="jackknife over models and items", n=100, n_groups=100,
    )  # fmt: skip


def with_outcomes(arms=(), differences=(), missing=(), **study):
    data = report_data(replace(SMALL, **study))
    infos = [
        OutcomeInfo(name="forgetting", title="forgetting", unit="nats per token", higher_is_better=False),
        OutcomeInfo(name="accuracy", title="accuracy", unit="share of rows", higher_is_better=True),
    ]
    found = StudyOutcomes(infos=infos, arms=list(arms), differences=list(differences), missing=list(missing), flips=[])
    return replace(data, results=data.results.model_copy(update={"outcomes": found}))


def test_every_tile_has_a_value_a_verdict_and_one_line():
    found = tiles()
    assert list(found) == ["drift", "reduction", "score", "forgetting", "learnt", "controls"]
    for tile in found.values():
        assert tile.value
        assert tile.chip
        assert tile.line.endswith(".")
        assert len(tile.value) < 30


def test_drift_is_the_mean_over_tasks_layers_and_models():
    data = report_data(SMALL)
    rows = data.primary.groupby(["method", "task"])["drift"].mean().groupby("method").mean()
    tile = tiles(data)["drift"]
    assert tile.value == f"{rows['full_finetune']:.2f} / {rows['lora']:.2f}"
    assert (tile.label, tile.chip, tile.verdict) == (
        "Mean drift, full fine-tuning / LoRA",
        "more than noise and seeds",
        "yes",
    )
    assert "exceeds the drift between two seeds of one method in 12 of 12 places" in tile.line


def test_drift_that_two_seeds_of_one_method_also_reach_is_not_praised():
    data = report_data(SMALL)
    controls = [
        c.model_copy(update={"drift": 0.9}) if c.name == "seed_ceiling" and c.layer == 0 else c
        for c in data.results.controls
    ]
    tile = tiles(replace(data, results=data.results.model_copy(update={"controls": controls})))["drift"]
    assert (tile.chip, tile.verdict) == ("not above seeds everywhere", "open")
    assert "in 8 of 12 places" in tile.line


def test_a_method_without_models_on_a_task_does_not_change_the_tasks_of_the_others_unseen():
    data = report_data(replace(SMALL, missing=tuple(("sst2", "lora", seed) for seed in (42, 123, 456))))
    rows = data.primary[data.primary["task"] == "mrpc"].groupby("method")["drift"].mean()
    tile = tiles(data)["drift"]
    assert tile.value == f"{rows['full_finetune']:.2f} / {rows['lora']:.2f}"
    assert "(MRPC alone, where every method has models)" in tile.line
    assert any("LoRA (3 of 6 models)" in line and "SST-2 missing" in line for line in tile.details)


def test_the_reduction_has_its_interval_and_what_it_is_over():
    tile = tiles()["reduction"]
    assert (tile.value, tile.chip, tile.verdict) == ("50 % less", "less", "yes")
    assert "95 % interval 41 to 57 % less" in tile.line
    assert (
        "over models and samples. By task: MRPC 50 % less, SST-2 49 % less. Does the difference exceed the drift between two seeds of one method? No."
        in tile.line
    )
    assert any(
        line.startswith("Does LoRA drift less than full fine-tuning at the end of training? Yes.") and "p = " in line
        for line in tile.details
    )


@pytest.mark.parametrize(("share", "value", "verdict"), [(1.5, "51 % more", "no"), (3.0, "3.0 times as much", "no")])
def test_more_drift_is_called_more(share, value, verdict):
    tile = tiles(lora_share=share)["reduction"]
    assert (tile.value, tile.verdict) == (value, verdict)


def test_over_models_at_chance_nothing_is_good():
    for study in ({"learnt": False, "inference": False}, {"learnt": None}):
        found = tiles(**study)
        assert not [tile for tile in found.values() if tile.verdict == "yes"], study
    at_chance = tiles(learnt=False, inference=False)
    assert at_chance["reduction"].value == "not tested"
    assert (at_chance["learnt"].value, at_chance["learnt"].verdict) == ("0 of 12", "no")


def test_one_model_at_chance_is_counted_and_takes_the_praise_from_drift_and_score():
    found = tiles(inference=False, not_learnt=(("mrpc", "lora", 42),))
    assert (found["learnt"].value, found["learnt"].verdict) == ("11 of 12", "no")
    assert found["drift"].verdict == "open"
    assert "on SST-2 alone" in found["reduction"].line


def test_twelve_methods_are_counted_and_every_one_stands_in_the_details():
    found = tiles(methods=TWELVE, shares=dict.fromkeys(TWELVE[2:], 0.6))
    assert found["drift"].value.count(" to ") == 1
    assert found["reduction"].value in {f"{n} of 11 less" for n in range(12)}
    for name in ("LoRA", "DoRA", "mine"):
        assert any(line.startswith(f"{name}:") for line in found["drift"].details)
        assert any(name in line for line in found["reduction"].details)
    assert all(len(tile.line) < 200 for tile in found.values())


def test_a_score_surely_below_the_reference_is_worse_and_one_that_may_be_alike_is_not():
    worse = tiles(
        with_outcomes(
            differences=[
                difference("mrpc", "accuracy", -0.1, -0.15, -0.05),
                difference("sst2", "accuracy", 0.0, -0.1, 0.1),
            ]
        )
    )["score"]
    assert (worse.chip, worse.verdict) == ("worse in 1 of 2", "no")
    arms = [outcome("mrpc", method, "accuracy", 0.8) for method in ("full_finetune", "lora")]
    alike = tiles(with_outcomes(arms, [difference("mrpc", "accuracy", 0.0, -0.1, 0.1)]))["score"]
    assert (alike.chip, alike.verdict) == ("no difference shown", "plain")
    assert any("LoRA minus full fine-tuning" in line for line in alike.details)
    assert tiles()["score"].chip == "not tested"


def test_forgetting_is_the_rise_of_the_loss_and_less_of_it_is_good():
    arms = [
        outcome("mrpc", "full_finetune", "forgetting", 3.0, 0.3, 0.2, 0.4),
        outcome("mrpc", "lora", "forgetting", 2.8, 0.1, 0.05, 0.2),
    ]
    tile = tiles(with_outcomes(arms, [difference("mrpc", "forgetting", -0.2, -0.3, -0.1)]))["forgetting"]
    assert (tile.value, tile.chip, tile.verdict) == ("+0.30 / +0.10", "less in 1 of 1", "yes")
    assert tile.line == "Rise of the loss in nats per token, mean over models on MRPC."
    assert len(tile.details) == 2


def test_an_encoder_without_a_loss_shows_what_was_lost_of_retrieval_and_a_fall_is_a_loss():
    arms = [
        outcome("mrpc", "full_finetune", "retrieval", 0.5, -0.25, -0.3, -0.2),
        outcome("mrpc", "lora", "retrieval", 0.65, -0.1, -0.15, -0.05),
    ]
    tile = tiles(with_outcomes(arms, [difference("mrpc", "retrieval", 0.15, 0.1, 0.2)]))["forgetting"]
    assert tile.label == "Retrieval, tuned against base, full fine-tuning / LoRA"
    assert (tile.value, tile.chip, tile.verdict) == ("-0.25 / -0.10", "loses less in 1 of 1", "yes")
    assert (
        tile.line
        == "Change of the reciprocal rank of the right passage, mean over models on MRPC. The base model has 0.750."
    )
    more = tiles(with_outcomes(arms, [difference("mrpc", "retrieval", -0.15, -0.2, -0.1)]))["forgetting"]
    assert (more.chip, more.verdict) == ("loses more in 1 of 1", "no")
    alone = tiles(with_outcomes(arms))["forgetting"]
    assert (alone.chip, alone.verdict) == ("forgets", "no")
    both = [*arms, outcome("mrpc", "lora", "forgetting", 2.8, 0.1, 0.05, 0.2)]
    assert tiles(with_outcomes(both))["forgetting"].label == "Forgetting on general text"


def test_forgetting_that_was_not_measured_says_why():
    assert list(tiles()["forgetting"].details) == ["No outcome was measured; `repdrift evaluate` measures them."]
    why = [
        MissingOutcomes(
            task="mrpc",
            method="lora",
            seed=1,
            step=0,
            outcome="forgetting",
            reason="the base model has no head",
        )
    ]
    tile = tiles(with_outcomes(missing=why))["forgetting"]
    assert (tile.value, tile.verdict) == ("not known", "open")
    assert "the base model has no head" in tile.details[0]


def test_failed_checks_are_named_and_all_stand_in_the_details():
    tile = tiles(identity=False)["controls"]
    assert (tile.value, tile.chip, tile.verdict) == ("0 of 2", "1 failed", "no")
    assert tile.line == "Failed: first layer drifts little. 1 could not be made."
    assert len(tile.details) == 2


def test_drift_within_the_noise_is_no_good_verdict():
    tile = tiles(negative_below=3)["drift"]
    assert (tile.chip, tile.verdict) == ("not more than noise", "no")


def test_missing_models_are_counted():
    found = tiles(missing=(("sst2", "lora", 42),))
    assert found["learnt"].value == "11 of 11"
    assert "1 planned model is missing." in found["learnt"].line
