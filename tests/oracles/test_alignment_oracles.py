"""Shape distances and the similarity matrices' difference against scipy, brute force, closed forms and 40 digits."""

from itertools import permutations

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import torch

from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.similarity import measure
from repdrift.similarity.measures.procrustes import ShapeMetric
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming import PairedAccumulator
from repdrift.similarity.subspaces.alignment import unit_shape

SHAPES = [(40, 6), (12, 30)]
ROTATED = ("procrustes", "procrustes_angular", "shape_metric", "rsm_norm_difference")

both_shapes = pytest.mark.parametrize(("n", "p"), SHAPES)


def _pair(seed, n, p, q=None):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, p)) * np.linspace(0.3, 2, p) + g.normal(size=p)
    y = x @ g.normal(size=(p, q or p)) / np.sqrt(p) + 0.5 * g.normal(size=(n, q or p))
    return x, y, g


def _normed(x):
    x = x - x.mean(axis=0)
    return x / np.linalg.norm(x)


def _rotation(g, p):
    return np.linalg.qr(g.normal(size=(p, p)))[0]


def _distances_by_definition(x, y):
    """Procrustes by scipy's rotation; the shape metric's whitening and K / tr K with matrices written out."""
    a, b = _normed(x), _normed(y)
    width = max(a.shape[1], b.shape[1])
    padded = [np.pad(side, [(0, 0), (0, width - side.shape[1])]) for side in (a, b)]
    rotation, _ = scipy.linalg.orthogonal_procrustes(*padded)
    whitened = []
    for side in padded:
        variances, axes = np.linalg.eigh(side.T @ side)
        real = variances > 1e-12
        variances, axes = variances[real] / np.mean(variances[real]), axes[:, real]
        scaled = side * np.sqrt(real.sum())
        z = scaled @ (0.5 * axes @ axes.T + 0.5 * axes @ np.diag(variances**-0.5) @ axes.T)
        whitened.append(z / np.linalg.norm(z))
    return {
        "procrustes": np.linalg.norm(padded[0] @ rotation - padded[1]),
        "procrustes_angular": np.arccos(np.sum(padded[0] @ rotation * padded[1])),
        "shape_metric": np.arccos(scipy.linalg.svdvals(whitened[0].T @ whitened[1]).sum()),
        "rsm_norm_difference": np.linalg.norm(a @ a.T - b @ b.T),
    }


@pytest.mark.parametrize(("n", "p", "q"), [(40, 6, 6), (40, 6, 9), (12, 30, 30), (12, 30, 5), (12, 5, 30), (14, 9, 8)])
def test_distances_are_those_of_their_definitions(n, p, q):
    x, y, _ = _pair(p + q, n, p, q)
    for name, wanted in _distances_by_definition(x, y).items():
        assert measure(name)(x, y) == pytest.approx(wanted, rel=1e-10), name


def test_scipys_disparity_is_the_squared_sine_of_the_procrustes_angle():
    # scipy scales the turned side as well as it can, too: what then is left of norm 1 is the sine, not the distance.
    x, y, _ = _pair(1, 25, 4)
    disparity = scipy.spatial.procrustes(x, y)[2]
    assert np.sin(measure("procrustes_angular")(x, y)) ** 2 == pytest.approx(disparity, rel=1e-10)


@both_shapes
def test_distances_add_along_the_straight_way_between_two_representations(n, p):
    # A metric's triangle inequality is tight there; squares of distances, or a rotation not quite the best, break it.
    x, y, _ = _pair(2, n, p)
    a, b = _normed(x), _normed(y)
    a = a @ scipy.linalg.orthogonal_procrustes(a, b)[0]
    for t in (0.2, 0.5, 0.9):
        on_the_arc = (1 - t) * a + t * b
        of_similarities = np.column_stack([np.sqrt(1 - t) * a, np.sqrt(t) * b])
        for name, z in (("procrustes_angular", on_the_arc), ("rsm_norm_difference", of_similarities)):
            m = measure(name)
            assert m(x, z) + m(z, y) == pytest.approx(m(x, y), rel=1e-9), name
        m = measure("procrustes")
        assert m(x, y) < m(x, on_the_arc) + m(on_the_arc, y) < 1.1 * m(x, y)


def _known_pair(n, p, change, g, decades):
    """Two sides with the same left axes, of lengths s that fall by decades and of lengths s (1 + change e), turned apart."""
    k = min(n - 1, p)
    left = np.linalg.qr(np.column_stack([np.ones(n), g.normal(size=(n, k))]))[0][:, 1:]
    s, e = 10.0 ** -np.linspace(0, decades, k), np.linspace(-1, 1, k)
    x = left * s @ _rotation(g, p)[:k]
    y = left * (s * (1 + change * e)) @ _rotation(g, p)[:k]
    wide = s.astype(np.longdouble)
    changed = wide * (1 + np.longdouble(change) * e)
    return x, y, wide, changed


def _known_distances(s, t):
    """Expected values in extended precision: matrices that share axes commute, so that everything is elementwise."""

    def unit(v):
        return v / np.sqrt(np.sum(v * v))

    def halfway(v):
        return unit(v / np.sqrt(np.mean(v * v)) + 1)

    def angle(a, b):
        return 2 * np.arcsin(np.sqrt(np.sum((a - b) ** 2)) / 2)

    a, b = unit(s), unit(t)
    return {
        "procrustes": np.sqrt(np.sum((a - b) ** 2)),
        "procrustes_angular": angle(a, b),
        "shape_metric": angle(halfway(s), halfway(t)),
        "rsm_norm_difference": np.sqrt(np.sum((a * a - b * b) ** 2)),
    }


@pytest.mark.parametrize("change", [0.5, 0.05, 0.02, 1e-3, 1e-6, 1e-9])  # 0.05 and 0.02 lie on both sides of `_CLOSE`
@pytest.mark.parametrize("decades", [0.5, 6])
@pytest.mark.parametrize(("n", "p"), [*SHAPES, (60, 20)])
def test_a_change_of_known_size_keeps_its_digits_however_the_sides_are_turned(n, p, decades, change):
    x, y, s, t = _known_pair(n, p, change, np.random.default_rng(3), decades)
    for name, wanted in _known_distances(s, t).items():
        # What is whitened is known to an epsilon times the ratio of its longest and shortest axis.
        rounding = 3e-14 if decades < 1 else 1e-14 if name != "shape_metric" else 1e-10
        assert measure(name)(x, y) == pytest.approx(float(wanted), rel=1e-9, abs=rounding), name


def _procrustes_with_40_digits(x, y):
    with mpmath.workdps(40):
        sides = []
        for side in (x, y):
            m = mpmath.matrix(side.tolist())
            means = [mpmath.fsum(m[:, j]) / m.rows for j in range(m.cols)]
            for j in range(m.cols):
                for i in range(m.rows):
                    m[i, j] -= means[j]
            sides.append(m / mpmath.norm(m, 2) if m.cols == 1 else m / mpmath.mnorm(m, "f"))
        values = mpmath.svd_r(sides[0].T * sides[1], compute_uv=False)
        return float(mpmath.sqrt(2 - 2 * mpmath.fsum(values)))


@pytest.mark.parametrize(
    "case", ["plain", "offset features", "massive feature", "rank 2", "duplicated samples", "float16"]
)
@pytest.mark.parametrize(("n", "p"), [(14, 4), (5, 8)])
def test_a_drift_of_a_millionth_agrees_with_40_digits(case, n, p):
    g = np.random.default_rng(4)
    x, noise = g.normal(size=(n, p)), g.normal(size=(n, p))
    if case == "massive feature":
        x[:, 1], noise[:, 1] = 1e4 * x[:, 1] + 28_000, 1e4 * noise[:, 1]
    elif case == "rank 2":
        mix = g.normal(size=(2, p))
        x, noise = x[:, :2] @ mix, noise[:, :2] @ mix
    elif case == "duplicated samples":
        x[n // 2 :], noise[n // 2 :] = x[: n - n // 2], noise[: n - n // 2]
    y = x + 1e-6 * noise
    if case == "offset features":
        x, y = x + 1e4, y + 1e4
    elif case == "float16":
        x, y = torch.tensor(x).half(), torch.tensor(x * (1 + 1e-3 * noise)).half()
    wide = [v.double().numpy() if isinstance(v, torch.Tensor) else v for v in (x, y)]
    wanted = _procrustes_with_40_digits(*wide)
    assert 1e-8 < wanted < 5e-3
    assert measure("procrustes")(x, y) == pytest.approx(wanted, rel=1e-4)
    turned = wide[1] @ _rotation(g, p) if case != "offset features" else wide[1]  # turned offsets round to 1e-12
    assert measure("procrustes")(wide[0], turned) == pytest.approx(wanted, rel=1e-4)
    assert measure("procrustes_angular")(x, y) == pytest.approx(2 * np.arcsin(wanted / 2), rel=1e-4)


@pytest.mark.parametrize("name", ROTATED)
@pytest.mark.parametrize("case", ["plain", "massive feature", "rank 3", "duplicated samples", "offset features"])
@both_shapes
def test_what_is_only_turned_and_moved_is_at_distance_zero(name, case, n, p):
    g = np.random.default_rng(5)
    x = g.normal(size=(n, p))
    if case == "massive feature":
        x[:, 1] *= 1e4
    elif case == "rank 3":
        x = x[:, :3] @ g.normal(size=(3, p))
    elif case == "duplicated samples":
        x[n // 2 :] = x[: n // 2]
    y = 3 * (x @ _rotation(g, p))
    if case == "offset features":
        x, y = x + 1e4, y + 1e4
    # What is whitened is known to an epsilon times the ratio of its longest and shortest axis.
    assert measure(name)(x, y) < (1e-11 if case in ("massive feature", "offset features") else 1e-14 * n)
    assert measure(name)(x, x.copy()) < 1e-15


def _graded(n, p, decades, g):
    x = g.normal(size=(n, p))
    left, _, right = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return left * 10.0 ** -np.linspace(0, decades, min(n, p)) @ right


@pytest.mark.parametrize(("n", "p"), [(60, 20), (40, 90)])
def test_axes_that_shorten_by_twelve_decades_do_not_look_turned(n, p):
    # Singular vectors do not find the short ones: a rotation from them would leave 1e-9 and more.
    g = np.random.default_rng(14)
    x = _graded(n, p, 12, g)
    for name in ("procrustes", "procrustes_angular"):
        assert measure(name)(x, x.copy()) == 0
        assert measure(name)(x, x @ _rotation(g, p)) < 1e-13


@pytest.mark.parametrize(("n", "p"), [(60, 20), (40, 90)])
def test_a_drift_beside_a_massive_sample_keeps_its_digits(n, p):
    # All else is 1e-6 long and drifts by 1e-6: a rotation from singular vectors alone leaves five times as much.
    g = np.random.default_rng(15)
    x = g.normal(size=(n, p))
    x[n // 2] *= 1e6
    left, s, right = np.linalg.svd(x - x.mean(0), full_matrices=False)
    change = 1e-6 * np.linspace(-1, 1, len(s))
    wide = s.astype(np.longdouble)
    wanted = _known_distances(wide, wide * (1 + change.astype(np.longdouble)))
    y = (left * (s * (1 + change))) @ right @ _rotation(g, p)
    for name in ("procrustes", "procrustes_angular"):
        assert 1e-12 < wanted[name] < 1e-11
        assert measure(name)(x, y) == pytest.approx(float(wanted[name]), rel=0.01)


@pytest.mark.parametrize("n", [4, 20])
def test_the_best_order_of_features_is_that_of_brute_force(n):
    # n = 4 leaves room for negative sums of products, so that some distances exceed sqrt(2) for single features.
    g = np.random.default_rng(6)
    for p in (1, 2, 5):
        x, y = g.normal(size=(n, p)), g.normal(size=(n, p))
        a, b = _normed(x), _normed(y)
        brute = min(np.linalg.norm(a - b[:, order]) for order in permutations(range(p)))
        assert measure("procrustes_permutation")(x, y) == pytest.approx(brute, rel=1e-12)
    assert measure("procrustes_permutation")(x[:, :1], -x[:, :1]) == pytest.approx(2)


@both_shapes
def test_features_in_another_order_are_found_and_a_drift_of_them_keeps_its_digits(n, p):
    x, _, g = _pair(7, n, p)
    noise, order = g.normal(size=(n, p)), g.permutation(p)
    m = measure("procrustes_permutation")
    assert m(x, x[:, order]) < 1e-14
    y = x + 1e-6 * noise
    a, b = (_normed(side.astype(np.longdouble)) for side in (x, y))
    assert m(x, y[:, order] * 7) == pytest.approx(float(np.sqrt(np.sum((a - b) ** 2))), rel=1e-7)


def test_features_that_are_nearly_equal_stay_where_they_are():
    # Exchanging two features that differ by 1e-10 changes no product in float64; it would be a distance of 1e-10.
    x, _, g = _pair(8, 30, 6)
    x[:, 3] = x[:, 1] + 1e-10 * g.normal(size=30)
    x[:, 5] = x[:, 1] + 1e-10 * g.normal(size=30)
    assert measure("procrustes_permutation")(x, x.copy()) == 0


def test_whitening_leads_from_canonical_correlation_to_the_procrustes_angle():
    x, y, _ = _pair(9, 60, 5, 7)
    correlations = np.cos(scipy.linalg.subspace_angles(x - x.mean(0), y - y.mean(0)))
    assert ShapeMetric(1e-9)(x, y) == pytest.approx(np.arccos(correlations.sum() / np.sqrt(5 * 7)), rel=1e-7)
    assert ShapeMetric(1)(x, y) == pytest.approx(measure("procrustes_angular")(x, y), rel=1e-12)
    ends = sorted((ShapeMetric(1e-9)(x, y), ShapeMetric(1)(x, y)))
    assert ends[0] < measure("shape_metric")(x, y) < ends[1]
    for wrong in (0, -0.1, 1.1):
        with pytest.raises(ConfigError, match=f"got {wrong}"):
            ShapeMetric(wrong)
    side = Representation(x)
    near, far = ShapeMetric(0.2), ShapeMetric(0.9)  # what sides share must not be shared between alphas
    assert near(side, y) == near(x, y) != far(side, y) == far(x, y)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_axes_of_rounding_are_not_whitened(offset):
    # Rank 3 in 20 features: off by 1e6, what centring leaves of rounding is 1e-10 long and not an axis.
    g = np.random.default_rng(10)
    x, y = (g.normal(size=(40, 3)) for _ in range(2))
    turned = [side @ _rotation(g, 20)[:3] + offset for side in (x, y)]
    assert measure("shape_metric")(*turned) == pytest.approx(measure("shape_metric")(x, y), rel=1e-8)


def _streamed(x, y, product_dtype):
    sums = PairedAccumulator(product_dtype=product_dtype)
    sums.update(torch.tensor(x), [torch.tensor(y)])
    return sums.result()


def test_whitening_by_sums_is_refused_where_rounding_would_be_whitened():
    x, y, g = _pair(11, 70, 80)
    few, narrow = _streamed(x, y, torch.float64), _streamed(x, y, torch.float32)
    for name in ROTATED:
        assert measure(name).from_moments(few) == pytest.approx(measure(name)(x, y), rel=1e-9), name
    assert measure("shape_metric").from_moments(narrow) == pytest.approx(measure("shape_metric")(x, y), rel=1e-5)
    x[:, 0] *= 1e3  # the shortest of the others is now within the rounding of float32 sums
    assert measure("shape_metric").from_moments(_streamed(x, y, torch.float64)) == pytest.approx(
        measure("shape_metric")(x, y), rel=1e-6
    )
    with pytest.raises(DegenerateInputError, match="of 69 axes .* stream with float64 products"):
        measure("shape_metric").from_moments(_streamed(x, y, torch.float32))
    # Rank 3 but for the rounding of float32, which rows show to be axes and sums do not.
    low = [(g.normal(size=(70, 3)) @ g.normal(size=(3, 20))).astype(np.float32) for _ in range(2)]
    for kind in (torch.float32, torch.float64):
        with pytest.raises(DegenerateInputError, match="of 20 axes .* from the rows"):
            measure("shape_metric").from_moments(_streamed(*low, kind))


def test_features_that_never_vary_are_no_axes_of_sums():
    x, y, _ = _pair(13, 60, 6)
    x[:, 2], y[:, :2] = 7, 0
    assert measure("shape_metric").from_moments(_streamed(x, y, torch.float64)) == pytest.approx(
        measure("shape_metric")(x, y), rel=1e-9
    )


def test_distances_between_two_shapes_are_computed_once(monkeypatch):
    x, y, _ = _pair(12, 20, 5)
    calls = []
    svdvals = torch.linalg.svdvals
    monkeypatch.setattr(torch.linalg, "svdvals", lambda m: calls.append(1) or svdvals(m))
    sides = [Representation(x), Representation(y)]
    for name in ("procrustes", "procrustes_angular"):
        m = measure(name)
        prepared = [m.prepare(side) for side in sides]
        m.compare_all(prepared, prepared)
    assert len(calls) == 3  # xx, xy, yy
    assert sides[0].shared(unit_shape).permuted(torch.arange(20)).distance(sides[1].shared(unit_shape)) > 0
    assert len(calls) == 4
