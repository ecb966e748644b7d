"""Laws of every registered measure at the edges: of float64, of what is defined, and of how small a drift may be."""

import math

import numpy as np
import pytest

from repdrift.core.errors import DegenerateInputError, NonFiniteError
from repdrift.similarity import measure, measures
from repdrift.similarity.invariances import TRANSLATION
from tests.laws.related_pairs import related_pair, saturated

REPRESENTATIONS = measures("representations")
SHAPES = {"more samples than features": (24, 7), "more features than samples": (14, 30)}

every_measure = pytest.mark.parametrize("name", REPRESENTATIONS)
both_shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def _nasty(n=12, p=3):
    """Representations at the edges of what float64 holds, and of what measures are defined for."""
    g = np.random.default_rng(12)
    x = g.normal(size=(n, p))
    constant_and = [
        np.column_stack([np.full(n, c), x[:, 1:] * s]) for c, s in ((1, 1e-30), (1, 1e-100), (1e300, 1e-300))
    ]
    massive, faint, odd = x.copy(), x * 1e300, np.tile(x[:1], (n, 1))
    massive[0] *= 1e6
    faint[1] = x[1] * 1e-300
    odd[3] = x[3]
    return {
        "constant and small": constant_and[0],
        "constant and tiny": constant_and[1],
        "constant and vanishing": constant_and[2],
        "massive sample": massive,
        "faint sample": faint,
        "odd sample": odd,
        "largest numbers": np.sign(x) * np.finfo(np.float64).max,
        "smallest numbers": np.round(50 * x) * 5e-324,
        "equally far apart": np.eye(n) + 0.3,
        "two values": (x > 0).astype(float),
        "line": np.outer(np.arange(n) - 4.0, [1.0, 2.0, 3.0]),
    }


NASTY = _nasty()


@every_measure
@pytest.mark.filterwarnings("error")
def test_at_the_edges_there_is_a_value_in_bounds_or_an_error_of_ours(name):
    m = measure(name)
    low, high = m.estimate_bounds or m.bounds
    for case, x in NASTY.items():
        unrelated = np.random.default_rng(13).normal(size=x.shape)
        for y in (x, x * -1e-3, x[::-1], unrelated, np.roll(x, 1, axis=1)):
            try:
                value = m(x, y)
            except (DegenerateInputError, NonFiniteError):
                continue
            assert math.isfinite(value), case
            assert low - 1e-9 <= value <= high + 1e-9, case
            if y is x and not m.held_out:
                assert value == pytest.approx(m.self_value, abs=1e-9), case


STEPPED = {
    "mutual_knn",
    "neighbour_jaccard",
    "rank_similarity",
    *(name for name in REPRESENTATIONS if name.startswith("rsa_") and not name.endswith("pearson")),
}
"""These count: a small enough change does not change them."""


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        (name, offset)
        for name in REPRESENTATIONS
        for offset in ([0.0, 1e4] if TRANSLATION in measure(name).invariances else [0.0])
        if name not in STEPPED
    ],
)
@both_shapes
def test_a_drift_of_a_millionth_is_not_drowned(name, offset, shape):
    # Half the change is a quarter of a similarity's drift, and half a distance: to first order, which is all there is here.
    m = measure(name)
    x, _, g = related_pair(11, shape)
    x += offset
    noise = g.normal(size=shape)
    change = 1e-3 if m.higher_is_similar else 1e-6
    if saturated(m, x, x + noise) or (m.held_out and shape[1] >= shape[0]):
        return
    whole, half = (m.drift(m(x, x + part * change * noise)) for part in (1, 0.5))
    assert whole / half == pytest.approx(4 if m.higher_is_similar else 2, rel=0.05)
    assert 1e-11 < whole < 1e-4
