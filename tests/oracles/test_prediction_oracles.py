"""Measures of predictions against scipy, torch, arithmetic of 60 digits, and closed forms."""

import mpmath
import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr, softmax
from scipy.stats import binomtest
from scipy.stats import t as student_t

from repdrift.core.errors import NonFiniteError
from repdrift.similarity import measure
from repdrift.similarity.measures import predictions


def _logits(seed, shape=(30, 5), size=3.0):
    g = np.random.default_rng(seed)
    x = size * g.normal(size=shape)
    return x, x + size * g.normal(size=shape)


def _by_sample(name, x, y):
    p, q = softmax(x, axis=1), softmax(y, axis=1)
    if name == "kl_divergence":
        return rel_entr(p, q).sum(axis=1)
    return np.array([jensenshannon(a, b, base=2) ** 2 for a, b in zip(p, q, strict=True)])


@pytest.mark.parametrize("classes", [2, 5, 60])
@pytest.mark.parametrize("name", ["kl_divergence", "jensen_shannon"])
def test_divergences_and_their_intervals_are_those_of_scipy(name, classes):
    x, y = _logits(1, (30, classes))
    expected = _by_sample(name, x, y)
    m = measure(name)
    assert m(x, y) == pytest.approx(expected.mean(), rel=1e-10)
    reach = student_t(29).ppf(0.95) * np.std(expected, ddof=1) / np.sqrt(30)
    assert m.interval(m.prepare(x), m.prepare(y), confidence=0.9) == pytest.approx(
        (expected.mean() - reach, expected.mean() + reach), rel=1e-10
    )


def test_kl_is_that_of_torch_with_the_base_first():
    x, y = (torch.tensor(v) for v in _logits(2))
    expected = torch.nn.functional.kl_div(
        y.log_softmax(dim=1), x.log_softmax(dim=1), log_target=True, reduction="batchmean"
    )
    assert measure("kl_divergence")(x, y) == pytest.approx(float(expected), rel=1e-12)


def _in_sixty_digits(name, x, y):
    """The mean divergence from the definition, of logits as they were given."""
    with mpmath.workdps(60):
        total = mpmath.mpf(0)
        for row_x, row_y in zip(x.tolist(), y.tolist(), strict=True):
            p, q = ([mpmath.exp(v - max(row)) for v in row] for row in (row_x, row_y))
            p, q = ([v / mpmath.fsum(w) for v in w] for w in (p, q))
            if name == "kl_divergence":
                total += mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(p, q, strict=True))
            else:
                total += mpmath.fsum(
                    (a * mpmath.log(2 * a / (a + b)) + b * mpmath.log(2 * b / (a + b))) / mpmath.log(4)
                    for a, b in zip(p, q, strict=True)
                )
        return float(total / len(x))


# A change of 1e-6 is a divergence of about 1e-13; the one of 0.02 lies on both sides of the switch of formulas.
ACCURACY = [(1e-6, 1e-9), (1e-3, 1e-12), (3e-3, 1e-12), (0.02, 2e-12), (1.0, 1e-13), (40, 1e-13)]


@pytest.mark.parametrize("name", ["kl_divergence", "jensen_shannon"])
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize(("change", "accuracy"), ACCURACY)
def test_divergences_of_any_size_agree_with_sixty_digits(name, offset, change, accuracy):
    g = np.random.default_rng(3)
    x = 3 * g.normal(size=(12, 5)) + offset
    y = x + change * g.normal(size=(12, 5)) + 2 * offset
    x[0], y[0] = x[0] * [1, 1, 1, 1, 30], y[0] * [1, 1, 1, 1, 30]  # one sample is quite sure
    exact = _in_sixty_digits(name, x, y)
    assert measure(name)(x, y) == pytest.approx(exact, rel=accuracy, abs=0)
    if change == 1e-6:
        assert 1e-14 < exact < 1e-11


def test_a_small_change_of_logits_has_half_its_variance_as_divergence():
    # To second order KL = Var_p(change) / 2, and Jensen-Shannon a quarter of that (in nats).
    x, _ = _logits(4)
    change = 1e-5 * np.random.default_rng(5).normal(size=x.shape)
    p = softmax(x, axis=1)
    variance = (p * change**2).sum(axis=1) - (p * change).sum(axis=1) ** 2
    assert measure("kl_divergence")(x, x + change) == pytest.approx(np.mean(variance) / 2, rel=1e-4, abs=0)
    assert measure("jensen_shannon")(x, x + change) == pytest.approx(np.mean(variance) / 8 / np.log(2), rel=1e-4, abs=0)


def test_two_coins_have_the_divergence_of_coins():
    a, b = 0.3, 0.8
    x, y = (np.tile(np.log([v, 1 - v]), (4, 1)) for v in (a, b))
    assert measure("kl_divergence")(x, y) == pytest.approx(
        a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b)), rel=1e-14
    )

    def entropy(v):
        return -v * np.log2(v) - (1 - v) * np.log2(1 - v)

    middle = entropy((a + b) / 2) - (entropy(a) + entropy(b)) / 2
    assert measure("jensen_shannon")(x, y) == pytest.approx(middle, rel=1e-13)


@pytest.mark.parametrize("name", ["kl_divergence", "jensen_shannon"])
def test_predictions_in_pieces_are_predictions_at_once(name, monkeypatch):
    x, y = _logits(6)
    whole = measure(name)(x, y)
    for piece in (1, 35):
        monkeypatch.setattr(predictions, "_PIECE", piece)
        assert measure(name)(x, y) == whole


def test_logits_that_float64_cannot_take_apart_are_an_error_and_not_a_nan():
    x, _ = _logits(7)
    x[3, 0], x[3, 1] = 1.7e308, -1.7e308
    for name in ("kl_divergence", "jensen_shannon"):
        with pytest.raises(NonFiniteError, match="sample 3: its logits are too far apart"):
            measure(name)(x, x)
    assert measure("disagreement")(x, x) == 0
    far = 8e307 * np.where(np.arange(150).reshape(30, 5) % 2, 1, -1)  # each gap is a number, their sum is not
    with pytest.raises(NonFiniteError, match="sample 0: its logits are too far apart"):
        measure("kl_divergence")(far, -far)


def test_the_interval_of_the_largest_divergences_is_finite():
    far = 1e299 * np.where(np.arange(150).reshape(30, 5) % 2, 1, -1) * np.linspace(1, 2, 30)[:, None]
    m = measure("kl_divergence")
    one, other = (m.interval(m.prepare(v), m.prepare(-v)) for v in (far, far * 1e-290))
    assert one.low < m(far, -far) < one.high
    assert one.low == pytest.approx(other.low * 1e290, rel=1e-6)


def test_a_class_that_is_never_predicted_is_a_class_all_the_same():
    x, y = _logits(9)
    for name in ("disagreement", "jensen_shannon", "kl_divergence"):
        m = measure(name)
        with_one_more = m(*(np.pad(v - 5, [(0, 0), (0, 1)]) for v in (x, y)))
        assert not m.ignores_zero_features
        assert with_one_more != m(x, y)


@pytest.mark.parametrize("hits", [0, 1, 17, 39, 40])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_disagreement_is_counted_and_has_the_interval_of_wilson(hits, confidence):
    x, _ = _logits(8, (40, 6))
    y = x.copy()
    y[:hits] = np.roll(x[:hits], 1, axis=1)
    m = measure("disagreement")
    assert m(x, y) == np.mean(x.argmax(axis=1) != y.argmax(axis=1)) == hits / 40
    expected = binomtest(hits, 40).proportion_ci(confidence, method="wilson")
    found = m.interval(m.prepare(x), m.prepare(y), confidence)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= found.low <= hits / 40 <= found.high <= 1


def test_a_tie_agrees_with_the_same_tie_only():
    x = np.array([[2.0, 2, 1], [2, 2, 1], [2, 2, 1], [1, 2, 2], [0, 0, 0], [3, 0, 0]])
    y = np.array([[5.0, 5, 0], [2, 1, 1], [1, 2, 1], [2, 2, 1], [7, 7, 7], [1, -1, -1]])
    assert measure("disagreement")(x, y) == pytest.approx(3 / 6)
    order = [2, 0, 1]  # whichever class is written first
    assert measure("disagreement")(x[:, order], y[:, order]) == pytest.approx(3 / 6)
    low = torch.tensor([[100.0, 100.1]] * 4)  # one number in 16 bits
    assert measure("disagreement")(low, low.bfloat16()) == 1
    assert measure("disagreement")(low, low) == 0
