import pytest

from repdrift.planning.reach import design_reach, study_reach


def test_reach_is_the_share_of_the_most_extreme_arrangement():
    single, together, layers = design_reach(4, 3, alpha=0.05, n_layers=24)
    assert (single.smallest_pvalue, single.only_just, single.reachable) == (1 / 20, True, True)
    assert (single.enough, single.roomy, single.roomy_pvalue) == (3, 4, 1 / 70)
    assert together.smallest_pvalue == pytest.approx(20**-4, abs=0)
    assert (together.enough, together.roomy) == (2, 2)
    assert layers.smallest_pvalue == pytest.approx(24 * 20**-4, abs=0)
    assert layers.enough_pvalue == pytest.approx(24 * 6**-4, abs=0)
    assert [r.scope for r in design_reach(1, 3, alpha=0.05)] == ["task"]
    assert design_reach(1, 2, alpha=0.05, n_layers=24)[1].smallest_pvalue == 1, "a p is at most 1"
    assert not design_reach(1, 2, alpha=0.05)[0].reachable


def test_a_study_is_set_beside_designs_of_one_to_eight_seeds():
    found = study_reach("x", ["a", "b"], ["full_finetune", "lora"], 10, alpha=0.05, n_layers=None)
    assert list(found.by_seeds) == [*range(1, 9), 10]
    assert found.reach == design_reach(2, 10, alpha=0.05)
    printed = found.to_json()
    assert (printed["seeds"], printed["n_layers"], len(printed["reach"])) == (10, None, 2)
    assert printed["smallest_pvalue_by_seeds"]["3"] == {"task": 1 / 20, "tasks": pytest.approx(1 / 400)}


def test_arms_are_corrected_for_by_holm_in_every_scope():
    alone, together = (design_reach(2, 3, alpha=0.05, n_layers=4, n_arms=arms) for arms in (1, 3))
    assert [r.smallest_pvalue for r in together] == [3 * r.smallest_pvalue for r in alone]
    assert [r.enough for r in together] == [4, 2 + 1, 3]
    assert (alone[0].only_just, together[0].reachable) == (True, False)
