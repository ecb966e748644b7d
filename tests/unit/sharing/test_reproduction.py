"""The verdict on a model that was made again, and the sentences about it."""

import numpy as np
import pytest

from repdrift.core.records.reproduction import Expected, ReproducedModel, Reproduction
from repdrift.core.records.run import Learnt
from repdrift.core.reproduction_words import reproduction_answer, reproduction_markdown, reproduction_rows
from repdrift.sharing.reproduction.made_again import learnt_otherwise, verdict
from repdrift.sharing.reproduction.reproduction_cautions import learnt_only_once
from repdrift.statistics.prediction import prediction_interval

DRIFT, SCORE = Expected(low=0.2, high=0.4), Expected(low=0.75, high=0.85)


def judged(again, score, *, expected=(DRIFT, SCORE), same_weights=False, published=(0.1, 0.5), unknown=()):
    said, reason = verdict(
        (published, again), (0.8, score), expected, metric="accuracy", same_weights=same_weights, unknown=unknown
    )
    assert bool(reason) == (said in ("differs", "not judged")), "a bad verdict has its reason"
    return said


@pytest.mark.parametrize(
    ("again", "score", "expected"),
    [
        ((0.1, 0.5), 0.8, "same numbers"),
        ((0.10001, 0.50001), 0.80001, "same numbers"),
        ((0.1, 0.51), 0.8, "like another seed"),
        ((0.1, 0.5), 0.81, "like another seed"),
        ((0.3, 0.6), 0.8, "differs"),
        ((0.05, 0.3), 0.8, "differs"),
        ((0.1, 0.91), 0.8, "differs"),
        ((0.1, 0.51), 0.7, "differs"),
    ],
)
def test_a_model_is_judged_by_its_mean_drift_and_its_score(again, score, expected):
    assert judged(again, score) == expected


def test_a_model_that_was_an_outlier_among_its_seeds_is_made_again_as_one():
    assert judged((0.3, 0.72), 0.8, published=(0.3, 0.71)) == "like another seed"
    assert judged((0.3, 0.95), 0.8, published=(0.3, 0.71)) == "differs"


def test_with_equal_weights_the_spread_of_seeds_is_no_yardstick():
    assert judged((0.1, 0.5), 0.8, same_weights=True) == "same weights"
    assert judged((0.10004, 0.50004), 0.8, same_weights=True) == "same weights", "another order of sums"
    assert judged((0.1, 0.52), 0.8, same_weights=True) == "differs", "measured otherwise, or changed"
    assert judged((0.1, 0.5), 0.81, same_weights=True) == "differs"


def test_without_a_spread_only_equal_numbers_are_judged():
    assert judged((0.1, 0.5), 0.8, expected=(None, None)) == "same numbers"
    assert judged((0.1, 0.6), 0.8, expected=(None, None)) == "not judged"
    assert judged((0.1, 0.6), 0.8, expected=(DRIFT, None)) == "like another seed", "the score is equal as printed"
    assert judged((0.1, 0.6), 0.81, expected=(DRIFT, None)) == "not judged"
    assert judged((0.1, 0.6), None) == "not judged", "a score that was published and was not found again"
    assert judged((0.1, 0.9), 0.81, expected=(DRIFT, None)) == "differs"  # one number that is off is enough


def test_where_the_results_do_not_tell_what_was_done_only_equal_numbers_show_that_it_was_the_same():
    assert judged((0.1, 0.5), 0.8, unknown=["the samples"]) == "same numbers"
    assert judged((0.1, 0.51), 0.8, unknown=["the samples"]) == "not judged"


@pytest.mark.parametrize("spread", [0.005, 0.015])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_faithful_models_with_scores_of_few_rows_seldom_differ(seeds, spread):
    """Accuracies over 277 rows are multiples of 1/277, so that seeds are often equal by chance: the promise is 5 % for all numbers together."""
    rng, rows, confidence = np.random.default_rng(3), 277, 1 - 0.05 / 2
    draws = np.round(rng.normal(0.6, spread, size=(4_000, seeds + 1)) * rows) / rows
    off = 0
    for row in draws:
        low, high = prediction_interval(row[:seeds], confidence=confidence, least_spread=np.sqrt(0.5) / rows)
        off += not Expected(low=low, high=high).allows(row[seeds], row[0])
    assert off / len(draws) <= (1 - confidence) + 3 * np.sqrt(0.025 * 0.975 / len(draws))


def test_a_drift_that_rounding_left_of_none_is_none():
    assert judged((2e-16, 0.5), 0.8, published=(0.0, 0.5)) == "same numbers"


def model(verdict, **changes):
    values = {
        "task": "sst2", "method": "lora", "seed": 3, "learning_rate": 1e-4, "steps": 10, "layers": [0, 1], "drift_published": [0.1, 0.5],
        "drift_again": [0.1, 0.52], "metric": "accuracy", "score_published": 0.8, "score_again": 0.81, "same_weights": False,
        "reason": "Why." if verdict in ("differs", "not judged") else "", "published_models": 5, "expected_drift": DRIFT, "expected_score": SCORE, "verdict": verdict, "processor_published": None,
        "processor_again": "P", "versions_published": {}, "published_started": "2026-01-01T00:00:00+00:00", "wall_time_s": 1.0,
    }  # fmt: skip
    return ReproducedModel(**(values | changes))


def reproduction(*models, random_seed=7, tasks=()):
    return Reproduction(
        created="2026-01-01T00:00:00+00:00", study="a|b", model="m", results_sha256="0", measure="cka", measure_title="CKA", random_seed=random_seed,
        models_to_draw_from=30, tasks=list(tasks), confidence=0.95, models=list(models), versions={}, cautions=["Mind *this*."],
    )  # fmt: skip


def test_the_answer_counts_the_models_by_verdict_and_says_how_they_were_chosen():
    (sentence,) = reproduction_answer(reproduction(model("differs"), model("same weights"), model("differs")))
    assert sentence.startswith("3 models of the study a|b (m), drawn at random from 30 (random seed 7),")
    assert "1 has the same weights, byte for byte" in sentence
    assert "2 differ by more than another seed of the arm would" in sentence
    assert (
        "drawn at random from 30 of SST-2 (" in reproduction_answer(reproduction(model("differs"), tasks=["sst2"]))[0]
    )
    assert ", named," in reproduction_answer(reproduction(model("differs"), random_seed=None))[0]


def test_the_file_has_every_number_and_caution_and_names_are_escaped():
    text = reproduction_markdown(reproduction(model("like another seed")))
    assert "a\\|b" in text
    assert "Mind \\*this\\*." in text
    assert "0.300, 0.310" in text
    assert "farthest apart in layer 1, 0.500 published and 0.520 again" in text


def test_a_model_that_was_found_and_not_trained_is_no_model_that_was_trained_again():
    (sentence,) = reproduction_answer(reproduction(model("same weights"), model("same weights", trained_now=False)))
    assert "measured again, 1 of them trained by this command and 1 found trained in its folder: 2 have" in sentence
    assert "trained and measured" not in sentence


def learnt(verdict):
    words = f"accuracy 0.8: learnt {verdict}."
    return Learnt(
        metric="accuracy", score=0.8, constant_answer="'a' for every row", constant_score=0.5, difference=0.3, low=None, high=None, n_items=9,
        n_groups=9, learnt=verdict, sentence=words,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("published", "again", "words"),
    [
        (True, False, "The published model has learnt its task, and made again: accuracy 0.8: learnt False."),
        (False, True, "The published model has not learnt its task, and made again: accuracy 0.8: learnt True."),
        (True, True, ""),
        (False, False, ""),
        (True, None, ""),
        (None, False, ""),
    ],
)
def test_a_model_that_has_learnt_only_once_is_named(published, again, words):
    assert learnt_otherwise(learnt(published), learnt(again)) == words
    assert not learnt_otherwise(None, learnt(again))
    assert not learnt_otherwise(learnt(published), None)


@pytest.mark.parametrize("verdict", ["differs", "like another seed"])
def test_that_a_model_has_learnt_only_once_stands_with_its_verdict_and_as_a_caution(verdict):
    one = model(verdict, learnt_otherwise="Made again it has not learnt.")
    assert reproduction_rows(reproduction(one))[0][-1] == f"{verdict}; one has learnt, one has not"
    assert any("Made again it has not learnt." in said for said in learnt_only_once([one]))


def test_a_training_that_diverged_has_no_drift():
    found = reproduction(model("differs", drift_again=[], score_again=None))
    assert reproduction_rows(found)[0][2] == "0.300, diverged"
    assert "farthest apart" not in reproduction_markdown(found)


def test_what_is_missing_is_said_to_be_missing():
    nothing = {"metric": None, "score_published": None, "score_again": None, "expected_score": None}
    (row,) = reproduction_rows(reproduction(model("not judged", expected_drift=None, **nothing)))
    assert row[3:6] == ["not known", "none", "not known"]
