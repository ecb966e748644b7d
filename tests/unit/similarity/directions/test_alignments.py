"""Shares of drift on planted maps, against float64 numpy, scipy and scikit-learn; and how many directions differences have."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm, polar
from sklearn.linear_model import Ridge

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.directions import alignments
from repdrift.similarity.directions.alignments import KINDS, alignment_shares
from repdrift.similarity.directions.counts import direction_counts
from repdrift.similarity.directions.differences import differences
from repdrift.similarity.uncertainty.sample_groups import group_parts


def rows(n, p, seed, offset=0.0):
    """Rows whose features fall off in size, as those of models do."""
    return np.random.default_rng(seed).normal(size=(n, p)) * np.arange(1, p + 1) ** -0.7 + offset


def shares(x, y, groups=None):
    found = alignment_shares(differences(x, y, groups))
    return {share.kind: share.share for share in found.shares}, found


def rotation(p, size, seed=0):
    a = np.random.default_rng(seed).normal(size=(p, p))
    return expm(size * (a - a.T) / np.sqrt(p))


def about_mean(x, matrix):
    mean = x.mean(axis=0)
    return mean + (x - mean) @ matrix


SHAPES = [(200, 24), (60, 90)]


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_planted_shift_is_all_shift(n, p):
    x = rows(n, p, 1, 3)
    found, _ = shares(x, x + np.random.default_rng(2).normal(size=p))
    assert found["shift"] == pytest.approx(1, abs=1e-9)
    assert all(abs(found[kind]) < 1e-6 for kind in KINDS[1:])


@pytest.mark.parametrize("size", [0.01, 0.3, 3])
def test_planted_rotation_is_all_rotation(size):
    x = rows(200, 24, 3, 3)
    found, whole = shares(x, about_mean(x, rotation(24, size)))
    assert found["rotation"] == pytest.approx(1, abs=0.03)
    assert all(abs(found[kind]) < 0.02 for kind in ("shift", "scaling", "linear", "rest"))
    assert whole.scale == pytest.approx(1, abs=0.01)


def test_rotation_of_fewer_samples_than_features_is_found_where_the_samples_are():
    x = rows(60, 90, 4)
    found, _ = shares(x, about_mean(x, rotation(90, 3)))
    assert 0.8 < found["rotation"] < 1
    assert abs(found["scaling"]) < 0.02
    assert found["rest"] < 0.2


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_planted_scaling_is_all_scaling(n, p):
    x = rows(n, p, 5, 3)
    found, whole = shares(x, about_mean(x, 1.3 * np.eye(p)))
    assert found["scaling"] == pytest.approx(1, abs=0.06)
    assert abs(found["rotation"]) < 1e-6
    assert whole.scale == pytest.approx(1.3)


def test_stretch_of_some_features_is_another_linear_map():
    x = rows(300, 20, 6, 3)
    found, _ = shares(x, about_mean(x, np.diag(np.where(np.arange(20) % 2, 1.5, 0.7))))
    assert found["linear"] == pytest.approx(1, abs=0.05)
    assert abs(found["rotation"]) < 0.02


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_noise_is_all_rest_and_nothing_is_claimed(n, p):
    x = rows(n, p, 7, 3)
    found, whole = shares(x, x + 0.1 * rows(n, p, 8))
    assert found["rest"] == pytest.approx(1, abs=0.06)
    assert all(abs(found[kind]) < 0.06 for kind in KINDS[:-1])
    assert found["shift"] < 0  # the mean of the fitted samples' noise is noise for the others
    assert abs(whole.rotation_alone) < 0.02
    assert abs(whole.scaling_alone) < 0.02


def test_scaling_or_rotation_about_the_origin_is_named_by_what_it_does_alone():
    x = rows(200, 24, 9, 3)
    scaled, turned = shares(x, 1.1 * x), shares(x, x @ rotation(24, 0.3))
    assert scaled[0]["shift"] > 0.9  # it moves the large mean
    assert scaled[1].scaling_alone == pytest.approx(1, abs=1e-6)
    assert turned[0]["shift"] > 0.9
    assert turned[1].rotation_alone == pytest.approx(1, abs=1e-3)
    assert abs(scaled[1].rotation_alone) < 0.01
    assert abs(turned[1].scaling_alone) < 0.1


def test_shares_add_up_to_1_and_intervals_hold_them():
    x = rows(100, 12, 10, 1)
    found, whole = shares(x, 0.2 + 1.1 * x @ rotation(12, 0.2) + 0.1 * rows(100, 12, 11))
    assert sum(found.values()) == pytest.approx(1)
    for share in whole.shares:
        assert share.interval is not None
        assert share.interval.low < share.share < share.interval.high


@pytest.mark.parametrize(("n", "p", "grouped"), [(48, 6, False), (30, 40, False), (60, 8, True)])
def test_shares_agree_with_the_maps_written_out(n, p, grouped):
    x = rows(n, p, 12, 2)
    y = 0.1 + 1.2 * x @ rotation(p, 0.3) + 0.2 * rows(n, p, 13) @ np.diag(np.arange(p) / p)
    groups = [int(i**0.8) for i in range(n)] if grouped else list(range(n))
    found, whole = shares(x, y, groups)
    labels = group_parts(groups, 5, seed=0)
    parts = []
    for fold in range(5):
        held, fit = labels == fold, labels != fold
        assert {groups[i] for i in np.flatnonzero(held)}.isdisjoint(groups[i] for i in np.flatnonzero(fit))
        mx, my = x[fit].mean(axis=0), y[fit].mean(axis=0)
        xc, yc, xh, yh = x[fit] - mx, y[fit] - my, x[held] - mx, y[held] - my
        unit = np.square(xc).sum() / min(xc.shape)
        turns = [np.eye(p), *(polar(xc.T @ yc + t * unit * np.eye(p))[0] for t in (1.0, 1e-2, 1e-4))]
        parts.append((x[held], y[held], xc, yc, xh, yh, turns))

    def others_best(errors):
        table = np.array(errors)
        return [int((table.sum(axis=0) - table[fold]).argmin()) for fold in range(5)]

    turned = others_best([[np.square(yh - xh @ q).sum() for q in qs] for *_, xh, yh, qs in parts])
    totals, linear, chains = np.zeros(5), [], []
    for (x0, y0, xc, yc, xh, yh, qs), number in zip(parts, turned, strict=True):
        q = qs[number]
        c = np.sum(xc @ q * yc) / np.square(xc).sum()
        # the mean square of one direction, among as many as the smaller side of the products has
        unit = np.square(xc).sum() / (min(p, len(xc)))
        maps = [np.zeros_like(xh)]
        for t in (1e1, 1.0, 1e-1, 1e-2, 1e-4):
            ridge = Ridge(alpha=t * unit, fit_intercept=False).fit(xc, yc - c * xc @ q)
            maps.append(ridge.predict(xh).reshape(xh.shape))
        left = yh - c * xh @ q
        linear.append([np.square(left - m).sum() for m in maps])
        chains.append([np.square(r).sum() for r in (y0 - x0, yh - xh, yh - xh @ q, left)])
    for chain, errors, number in zip(chains, linear, others_best(linear), strict=True):
        totals += [*chain, errors[number]]
    expected = [*(totals[:-1] - totals[1:]), totals[-1]] / totals[0]
    np.testing.assert_allclose([found[kind] for kind in KINDS], expected, atol=1e-8)
    assert whole.folds == 5


def test_held_rotation_is_the_best_orthogonal_matrix_for_its_strength():
    g = np.random.default_rng(14)
    x, y, t = g.normal(size=(9, 5)), g.normal(size=(9, 5)), 0.7

    def cost(q):
        return np.square(x @ q - y).sum() + t * np.square(q - np.eye(5)).sum()

    best = polar(x.T @ y + t * np.eye(5))[0]
    assert all(cost(best) <= cost(best @ rotation(5, size, seed)) for seed in range(20) for size in (0.01, 1))


def test_wide_rows_are_turned_in_their_leading_directions(monkeypatch):
    monkeypatch.setattr(alignments, "ROTATED", 10)
    x = rows(150, 40, 15)
    x[:, 8:] *= 1e-3
    turn = np.eye(40)
    turn[:8, :8] = rotation(8, 1)
    state = torch.random.get_rng_state()
    found, whole = shares(x, about_mean(x, turn))
    assert whole.directions == 10
    assert found["rotation"] == pytest.approx(1, abs=0.03)
    assert torch.equal(state, torch.random.get_rng_state())


def test_nothing_moved_or_too_few_samples_has_no_shares():
    x = rows(20, 5, 16)
    with pytest.raises(DegenerateInputError, match="nothing moved"):
        alignment_shares(differences(x, x))
    with pytest.raises(DegenerateInputError, match="nothing moved"):
        alignment_shares(differences(x.astype(np.float32), np.nextafter(x.astype(np.float32), np.float32(9))))
    with pytest.raises(DegenerateInputError, match="got 9"):
        alignment_shares(differences(x[:9], x[:9] + 1))
    with pytest.raises(DegenerateInputError, match="got 4"):
        alignment_shares(differences(x, x + 1, [i % 4 for i in range(20)]))


def test_base_rows_that_are_all_equal_have_a_shift_and_a_rest():
    x = np.ones((20, 5))
    found, _ = shares(x, x + 2 + 0.1 * rows(20, 5, 17))
    assert found["shift"] > 0.9
    assert found["rotation"] == found["scaling"] == found["linear"] == 0


@pytest.mark.parametrize(("n", "p"), [(40, 12), (12, 40)])
def test_directions_are_counted_as_by_singular_values(n, p):
    x, d = rows(n, p, 18), rows(n, p, 19) + 50.0
    found = direction_counts(differences(x, x + d))
    for count, table in ((found.whole, d), (found.centred, d - d.mean(axis=0))):
        assert count is not None
        variances = np.square(np.linalg.svd(table, compute_uv=False))
        held = np.cumsum(variances) / variances.sum()
        assert count.carrying == int(np.searchsorted(held, 0.9) + 1)
        assert count.participation_ratio == pytest.approx(variances.sum() ** 2 / np.square(variances).sum())
        assert count.top_share == pytest.approx(variances[0] / variances.sum())
    assert found.whole is not None
    assert found.whole.carrying == 1


def test_one_shift_has_one_direction_and_none_beside_it():
    x = rows(30, 6, 20).astype(np.float32)
    found = direction_counts(differences(x, x + np.float32(0.7)))
    assert found.centred is None
    assert found.whole is not None
    assert (found.whole.carrying, found.whole.most) == (1, 6)
    nothing = direction_counts(differences(x, x))
    assert (nothing.whole, nothing.centred) == (None, None)
