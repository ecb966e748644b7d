"""What an account says of models that came out otherwise when they were made again."""

import pytest
from studies.account.reproductions import not_made_again

from tests.unit.sharing.test_reproduction import model, reproduction


@pytest.mark.parametrize(
    ("changes", "came_out"),
    [
        ({}, "has accuracy 0.810 in place of 0.800"),
        ({"drift_again": [], "score_again": None}, "diverged"),
        ({"metric": None, "score_published": None, "score_again": None}, "has a mean drift of 0.310 in place of 0.300"),
    ],
)
def test_a_model_that_differs_is_named_with_what_came_of_it(changes, came_out):
    (sentence,) = not_made_again([reproduction(model("differs", **changes), model("like another seed"))])
    assert f"SST-2 comes out otherwise on another machine: seed 3, made again, {came_out}. The" in sentence
    assert "None" not in sentence


def test_a_model_that_has_learnt_only_once_is_named_though_its_numbers_are_like_another_seeds():
    once = model("like another seed", learnt_otherwise="It has learnt, that one has not.")
    (sentence,) = not_made_again([reproduction(model("same weights"), model("same numbers")), reproduction(once)])
    assert "; one of the two has not learnt its task." in sentence
