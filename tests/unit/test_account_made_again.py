"""What an account says of models that came out otherwise when they were made again."""

import pytest
from studies.account.reproductions import not_made_again

from tests.unit.sharing.test_reproduction import model, reproduction


@pytest.mark.parametrize(
    ("changes", "came_out"),
    [
        ({}, "seed 3 (accuracy 0.810 in place of 0.800)"),
        ({"drift_again": [], "score_again": None}, "seed 3 diverged"),
        (
            {"metric": None, "score_published": None, "score_again": None},
            "seed 3 (mean drift 0.310 in place of 0.300)",
        ),
    ],
)
def test_a_model_that_differs_is_named_with_what_came_of_it(changes, came_out):
    (sentence,) = not_made_again([reproduction(model("differs", **changes), model("like another seed"))])
    assert (
        f"SST-2 comes out otherwise on another machine. Of 2 trainings made again, 1 did: {came_out}. The" in sentence
    )
    assert "None" not in sentence


def test_a_model_that_has_learnt_only_once_is_named_though_its_numbers_are_like_another_seeds():
    once = model("like another seed", learnt_otherwise="It has learnt, that one has not.")
    (sentence,) = not_made_again([reproduction(model("same weights"), model("same numbers")), reproduction(once)])
    assert "Of 3 trainings made again, 1 did: seed 3 (accuracy 0.810 in place of 0.800, and one of the two has not learnt its task)." in sentence  # fmt: skip


def test_the_models_of_an_arm_are_counted_together_over_all_records_and_arms_apart():
    first = reproduction(model("differs", seed=1), model("like another seed", seed=2), model("differs", task="mrpc"))
    found = not_made_again([first, reproduction(model("differs", seed=4), model("same numbers", method="dora"))])
    assert [sentence.count(" in place of ") for sentence in found] == [2, 1]
    assert "Of 3 trainings made again, 2 did: seed 1 (" in found[0]
    assert "and seed 4 (" in found[0]
