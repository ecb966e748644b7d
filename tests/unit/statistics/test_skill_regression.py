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


def test_estimate_and_error_are_those_of_the_sandwich_formula():
    g = np.random.default_rng(2)
    points = _points(g, runs=5, ratio=0.9, high=0.85)
    found = skill_regression(**points)
    d, s, m = (np.array(points[k], dtype=float) for k in ("drifts", "scores", "compared"))
    low, high = max(s[m == 0].min(), s[m == 1].min()), min(s[m == 0].max(), s[m == 1].max())
    kept = (s >= low) & (s <= high)
    d, s, m, runs = d[kept], s[kept], m[kept], np.array(points["runs"])[kept]
    x = np.column_stack([np.ones_like(s), s, s**2, m])
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ np.log(d)
    sums = np.array([(x * (np.log(d) - x @ beta)[:, None])[runs == r].sum(axis=0) for r in np.unique(runs)])
    n, groups = len(d), len(sums)
    covariance = bread @ sums.T @ sums @ bread * groups / (groups - 1) * (n - 1) / (n - 4)
    reach = np.log((1 - found.interval.low) / (1 - found.reduction))
    assert 1 - found.reduction == pytest.approx(np.exp(beta[-1]))
    assert reach == pytest.approx(2.306004 * np.sqrt(covariance[-1, -1]), rel=1e-5)  # Student's t with 10 - 2


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
