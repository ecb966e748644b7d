"""Trials of a learning rate in words."""

import pytest

from repdrift.core.records.tuning import TuningTrial
from repdrift.core.tuning_words import trial_in_words


def trial(score, constant_score, *, metric="accuracy", low=None, high=None):
    return TuningTrial(
        key="k", learning_rate=1e-3, outcome="finished", metric=metric, score=score, low=low, high=high, constant_score=constant_score,
        n_train=70, n_held_out=30, steps=5, started="2026-01-05T12:00:00+00:00", wall_time_s=1.0, device="cpu", versions={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (trial(0.8, 0.6), "learning rate 0.001: accuracy 0.800"),
        (trial(0.6, 0.6), "learning rate 0.001: accuracy 0.600, no better than the best constant answer"),
        (trial(0.6, 0.6, low=0.5, high=0.7), "learning rate 0.001: accuracy 0.600 (95 % interval 0.500 to 0.700), no better than the best constant answer"),
        (trial(0.6, None), "learning rate 0.001: accuracy 0.600"),
        (trial(-2.5, -2.1, metric="loss"), "learning rate 0.001: loss 2.50, no better than the base model"),
        (trial(-1.5, -2.1, metric="loss"), "learning rate 0.001: loss 1.50"),
    ],
)  # fmt: skip
def test_a_trial_that_is_no_better_than_a_constant_answer_is_said(found, words):
    assert trial_in_words(found) == words
