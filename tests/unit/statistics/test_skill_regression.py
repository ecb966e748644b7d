"""Log drift regressed on score and method, with errors clustered by run."""

import numpy as np
import pytest

from repdrift.core.errors import ShapeError
from repdrift.statistics.skill_regression import skill_regression


def _points(g, *, runs=4, tasks=("a",), ratio=1.0, spread=0.1, high=0.8):
    """Checkpoints of runs whose log drift is a parabola in the score. high: the best score of the comparison method."""
    rows = []
    for number, task in enumerate(tasks):
        for compared in (False, True):
            for run in range(runs):
                scores = np.linspace(0.6, high if compared else 0.85, 6) + 0.01 * g.normal(size=6)
                logs = number - 3 + 8 * scores - 3 * (scores - 0.7) ** 2 + spread * g.normal()
                rows += [
                    (np.exp(x) * (ratio if compared else 1), s, compared, f"{compared}{run}", task)
                    for x, s in zip(logs, scores, strict=True)
                ]
    drifts, scores, compared, names, strata = zip(*rows, strict=True)
    return {"drifts": drifts, "scores": scores, "compared": compared, "runs": names, "strata": strata}


def test_the_effect_is_found_whatever_the_scores_of_the_methods():
    g = np.random.default_rng(0)
    found = skill_regression(**_points(g, tasks=("a", "b"), ratio=0.7, high=0.75))
    assert found.reduction == pytest.approx(0.3, abs=0.1)
    assert found.interval.low < found.reduction < found.interval.high
    assert found.pvalue < 0.05
    assert found.n_runs == 16


def test_without_noise_the_effect_is_exact():
    g = np.random.default_rng(1)
    found = skill_regression(**_points(g, ratio=0.8, spread=1e-6))
    assert found.reduction == pytest.approx(0.2, abs=1e-5)


def test_estimate_and_error_are_those_of_the_jackknife_over_runs():
    g = np.random.default_rng(2)
    points = _points(g, runs=5, ratio=0.9, high=0.85)
    found = skill_regression(**points)
    d, s, m = (np.array(points[k], dtype=float) for k in ("drifts", "scores", "compared"))
    low, high = max(s[m == 0].min(), s[m == 1].min()), min(s[m == 0].max(), s[m == 1].max())
    kept = (s >= low) & (s <= high)
    d, s, m, runs = d[kept], s[kept], m[kept], np.array(points["runs"])[kept]
    x = np.column_stack([np.ones_like(s), s, s**2, m])
    beta = np.linalg.lstsq(x, np.log(d), rcond=None)[0][-1]
    without = [np.linalg.lstsq(x[runs != r], np.log(d[runs != r]), rcond=None)[0][-1] for r in np.unique(runs)]
    error = np.sqrt(9 / 10 * sum((value - beta) ** 2 for value in without))
    reach = np.log((1 - found.interval.low) / (1 - found.reduction))
    assert 1 - found.reduction == pytest.approx(np.exp(beta))
    assert reach == pytest.approx(2.306004 * error, rel=1e-5)  # Student's t with 10 - 2


def test_a_fit_that_one_run_holds_is_not_taken_for_a_sure_one():
    """One run of four drifts as much more as the reference, and few checkpoints are in reach of one another."""
    g = np.random.default_rng(5)
    points = _points(g, runs=3, ratio=0.7, spread=0.02, high=0.66)
    points["drifts"] = [d / 0.7 if r == "True2" else d for d, r in zip(points["drifts"], points["runs"], strict=True)]
    found = skill_regression(**points)
    assert found.missing is not None or found.interval.low < 0.3 < found.interval.high


def test_what_cannot_be_fitted_has_a_reason():
    g = np.random.default_rng(3)
    few = skill_regression(**_points(g, runs=2))
    assert few.reduction is None
    assert "too few" in few.missing
    apart = _points(g)
    apart["scores"] = [s + 1 if c else s for s, c in zip(apart["scores"], apart["compared"], strict=True)]
    assert "no range of scores" in skill_regression(**apart).missing
    still = _points(g)
    still["drifts"] = [0.0 if c else d for d, c in zip(still["drifts"], still["compared"], strict=True)]
    assert "no checkpoint with a drift above 0" in skill_regression(**still).missing


def test_lists_of_unequal_length_are_refused():
    points = _points(np.random.default_rng(4))
    with pytest.raises(ShapeError):
        skill_regression(**{**points, "runs": points["runs"][1:]})
