"""Drift at a score, the score at which methods are compared, and the test there."""

from itertools import combinations

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError
from repdrift.statistics import label_permutation_test
from repdrift.statistics.equal_skill import (
    common_score,
    drift_at_score,
    equal_skill_test,
    skill_path,
    strata_at_score,
)


def test_a_score_of_a_checkpoint_has_the_drift_of_that_checkpoint():
    path = skill_path([0.5, 0.7, 0.8], [0.1, 0.2, 0.4])
    assert [drift_at_score(path, s).drift for s in (0.5, 0.7, 0.8)] == [0.1, 0.2, 0.4]


def test_between_two_checkpoints_drift_lies_on_a_line():
    path = skill_path([0.6, 0.8], [0.1, 0.3])
    assert drift_at_score(path, 0.65).drift == pytest.approx(0.15)


def test_between_more_checkpoints_drift_lies_on_a_monotone_cubic():
    scores, drifts = [0.5, 0.6, 0.75, 0.8], [0.01, 0.05, 0.2, 0.4]
    path = skill_path(scores, drifts)
    for score in (0.52, 0.7, 0.79):
        assert drift_at_score(path, score).drift == pytest.approx(float(PchipInterpolator(scores, drifts)(score)))
    read = [drift_at_score(path, s).drift for s in np.linspace(0.5, 0.8, 50)]
    assert (np.diff(read) > 0).all()  # no overshoot, as a plain cubic has


def test_checkpoints_that_do_not_rise_are_pooled_to_their_means():
    path = skill_path([0.5, 0.7, 0.6, 0.8, 0.8], [0.1, 0.2, 0.3, 0.5, 0.7])
    assert path.scores == pytest.approx([0.5, 0.65, 0.8])
    assert path.drifts == pytest.approx([0.1, 0.25, 0.6])
    assert (path.best, path.n_checkpoints, path.left_out) == (0.8, 5, 0)


def test_a_run_that_overfits_is_cut_at_its_best_and_one_that_wavers_is_pooled():
    scores, drifts = [0.5, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]
    cut = skill_path(scores, drifts, tolerance=0.1)
    assert (cut.best, cut.left_out, drift_at_score(cut, 0.8).drift) == (0.8, 2, 0.2)
    pooled = skill_path(scores, drifts, tolerance=0.2)
    assert (pooled.best, pooled.left_out) == (pytest.approx(0.7), 0)
    assert drift_at_score(pooled, pooled.best).drift == pytest.approx(0.3)


def test_a_loss_is_a_score_with_its_sign_changed():
    by_loss = skill_path([3.0, 2.0, 1.5, 1.6], [0.1, 0.2, 0.3, 0.4], higher_is_better=False, tolerance=0.05)
    by_gain = skill_path([-3.0, -2.0, -1.5, -1.6], [0.1, 0.2, 0.3, 0.4], tolerance=0.05)
    assert by_loss.best == by_gain.best == -1.5
    assert drift_at_score(by_loss, -1.8).drift == drift_at_score(by_gain, -1.8).drift


def test_a_score_above_the_path_is_never_reached_and_one_below_its_start_is_not_known():
    path = skill_path([0.6, 0.8], [0.1, 0.3])
    assert (drift_at_score(path, 0.81).drift, drift_at_score(path, 0.81).crossing) == (None, "never")
    assert (drift_at_score(path, 0.5).drift, drift_at_score(path, 0.5).crossing) == (
        None,
        "before the first checkpoint",
    )


def test_a_base_model_that_can_answer_begins_the_path_with_drift_zero():
    path = skill_path([2.0, 1.0], [0.2, 0.4], higher_is_better=False, start=3.0)
    assert drift_at_score(path, -3.0).drift == 0.0
    assert 0 < drift_at_score(path, -2.5).drift < 0.2
    assert path.n_checkpoints == 2  # the base model is none of its checkpoints


def test_a_path_of_one_checkpoint_has_a_drift_at_its_own_score_alone():
    path = skill_path([0.7, 0.7], [0.1, 0.3])
    assert drift_at_score(path, 0.7).drift == pytest.approx(0.2)
    assert drift_at_score(path, 0.69).drift is None


@pytest.mark.parametrize(
    ("scores", "drifts", "more", "error"),
    [
        ([0.5], [0.1, 0.2], {}, ShapeError),
        ([], [], {}, ShapeError),
        ([0.5, np.nan], [0.1, 0.2], {}, NonFiniteError),
        ([0.5, 0.6], [0.1, np.inf], {}, NonFiniteError),
        ([0.5, 0.6], [0.1, 0.2], {"tolerance": -1.0}, ConfigError),
        ([0.5, 0.6], [0.1, 0.2], {"tolerance": np.nan}, ConfigError),
        ([0.5, 0.6], [0.1, 0.2], {"start": np.nan}, NonFiniteError),
    ],
)
def test_paths_that_cannot_be_are_refused(scores, drifts, more, error):
    with pytest.raises(error):
        skill_path(scores, drifts, **more)


def _paths(g, count, *, top=0.3, ratio=1.0, power=2.5, checkpoints=8, noise=0.012):
    """Runs whose drift follows from their skill, by one law for all of them. top: where their skill ends."""
    steps = np.geomspace(1, 250, checkpoints)
    found = []
    for _ in range(count):
        skill = top * np.exp(0.05 * g.normal()) * (1 - np.exp(-steps * np.exp(0.2 * g.normal()) / 60))
        drift = ratio * (skill / 0.3) ** power * np.exp(0.15 * g.normal() + 0.03 * g.normal(size=checkpoints))
        found.append(skill_path(0.5 + skill + noise * g.normal(size=checkpoints), drift, tolerance=2 * noise))
    return found


def test_the_common_score_is_the_largest_that_every_run_reaches():
    g = np.random.default_rng(0)
    reference, comparison = _paths(g, 3), _paths(g, 3, top=0.2)
    (found,) = strata_at_score(reference, comparison).values()
    assert found.score == common_score([*reference, *comparison]) == min(p.best for p in comparison)
    assert [3 + [p.best for p in comparison].index(found.score)] == list(found.limiting)
    assert all(at.drift is not None for _, at in found.entries)
    assert any(drift_at_score(p, np.nextafter(found.score, 1)).drift is None for p in comparison)


def test_runs_that_never_reach_a_given_score_are_told_and_left_out_of_the_test():
    g = np.random.default_rng(1)
    reference, comparison = _paths(g, 4), _paths(g, 4, top=0.27)
    score = sorted(p.best for p in comparison)[1]  # two of them end at it or below
    (found,) = strata_at_score(reference, comparison, scores={"all": score}).values()
    assert not found.chosen
    assert sum(at.crossing == "never" for at in found.comparison) == 1
    result = equal_skill_test({"all": found})
    assert (result.reference.size, result.comparison.size) == (4, 3)


def test_a_run_above_the_score_at_its_first_checkpoint_makes_the_comparison_impossible():
    early = skill_path([0.8, 0.9], [0.2, 0.3])
    late = [skill_path([0.5, 0.7], [0.1, 0.2]) for _ in range(2)]
    (found,) = strata_at_score([early, late[0]], [late[1]]).values()
    assert "first checkpoint" in found.missing
    with pytest.raises(ShapeError, match="first checkpoint"):
        equal_skill_test({"all": found})


def test_a_score_that_no_run_of_a_method_reaches_makes_the_comparison_impossible():
    ours, theirs = skill_path([0.5, 0.9], [0.1, 0.2]), skill_path([0.5, 0.7], [0.1, 0.2])
    (found,) = strata_at_score([ours], [theirs], scores={"all": 0.8}).values()
    assert "no run of one of the methods" in found.missing


def test_scores_of_an_unknown_stratum_and_strata_without_a_method_are_refused():
    path = skill_path([0.5, 0.7], [0.1, 0.2])
    with pytest.raises(ConfigError, match="'b'"):
        strata_at_score([path], [path], strata=["a", "a"], scores={"b": 0.6})
    with pytest.raises(ShapeError, match="1 paths of reference and 0 of comparison"):
        strata_at_score([path], [path], strata=["a", "b"])
    with pytest.raises(ShapeError):
        equal_skill_test({})


def test_the_test_is_the_permutation_test_of_log_drifts_at_the_score():
    g = np.random.default_rng(2)
    reference, comparison, strata = _paths(g, 6), _paths(g, 6, ratio=0.7), ["a", "a", "a", "b", "b", "b"] * 2
    at = strata_at_score(reference, comparison, strata=strata)
    result = equal_skill_test(at)
    drifts = [drift_at_score(p, at[s].score).drift for p, s in zip([*reference, *comparison], strata, strict=True)]
    again = label_permutation_test(np.log(drifts[6:]), np.log(drifts[:6]), strata=strata)
    assert result.less.pvalue == again.pvalue < 0.05
    assert result.less.smallest_pvalue == pytest.approx(1 / 400)
    assert result.logarithm
    means = [np.mean([np.mean(part[:3]), np.mean(part[3:])]) for part in (drifts[6:], drifts[:6])]
    assert result.reduction.estimate == pytest.approx(1 - means[0] / means[1])
    assert result.reduction.interval.low < result.reduction.estimate < result.reduction.interval.high


def test_a_drift_at_or_below_zero_is_compared_as_it_is():
    reference = [skill_path([0.5, 0.7], [0.1, d]) for d in (0.2, 0.3)]
    comparison = [skill_path([0.5, 0.7], [-0.01, d]) for d in (-0.001, 0.1)]
    result = equal_skill_test(strata_at_score(reference, comparison))
    assert not result.logarithm
    assert result.less.statistic == pytest.approx(0.0495 - 0.25)


@pytest.mark.parametrize("given", [None, 0.75])
def test_the_whole_procedure_is_exact_where_paths_could_change_their_labels(given):
    """The score is chosen anew for every labelling of six paths: 1 of 20 has p = 1/20, and no more."""
    g = np.random.default_rng(3)
    paths = [*_paths(g, 4), *_paths(g, 2, top=0.26)]
    pvalues = []
    for ours in combinations(range(6), 3):
        theirs = [i for i in range(6) if i not in ours]
        scores = None if given is None else {"all": given}
        at = strata_at_score([paths[i] for i in ours], [paths[i] for i in theirs], scores=scores)
        if at["all"].missing is None:
            pvalues.append(equal_skill_test(at).less.pvalue)
    assert len(pvalues) == 20
    assert all(sum(p <= alpha + 1e-9 for p in pvalues) <= alpha * 20 + 1e-9 for alpha in (0.05, 0.1, 0.25, 0.5))
    assert min(pvalues) == pytest.approx(
        0.05 if given is None else 0.1
    )  # a run that never reaches 0.75 leaves 3 against 2


def test_an_arm_that_only_learns_less_drifts_less_at_the_end_and_alike_at_equal_skill():
    g = np.random.default_rng(4)
    at_end, at_skill, studies = 0, 0, 150
    for _ in range(studies):
        reference, comparison = _paths(g, 5), _paths(g, 5, top=0.21)
        at_skill += equal_skill_test(strata_at_score(reference, comparison)).less.pvalue <= 0.05
        ends = [[np.log(p.drifts[-1]) for p in paths] for paths in (comparison, reference)]
        at_end += label_permutation_test(*ends).pvalue <= 0.05
    assert at_end > 0.95 * studies
    assert at_skill < 0.12 * studies  # 0.05 and four standard errors


def test_an_arm_that_drifts_less_at_equal_skill_is_found():
    g = np.random.default_rng(5)
    found = [
        equal_skill_test(strata_at_score(_paths(g, 5), _paths(g, 5, top=0.27, ratio=0.6))).less.pvalue <= 0.05
        for _ in range(40)
    ]
    assert np.mean(found) > 0.8
