"""Best-matching layers: planted moves are found, and ties are not told apart."""

import numpy as np
import pytest

from repdrift.similarity.layer_grids import LayerSide, sample_parts
from repdrift.similarity.layer_matches import match_layers

N, DEPTH = 40, 8


def _layers(seed=1, n=N, depth=DEPTH, p=60):
    """Layers that each add something to the one before, as a residual stream does."""
    g = np.random.default_rng(seed)
    x, found = g.normal(size=(n, p)), {}
    for layer in range(depth):
        x = 0.8 * x + 0.5 * np.tanh(x @ g.normal(size=(p, p)))
        found[layer] = x
    return found


def _noisy(layers, share, seed=2):
    g = np.random.default_rng(seed)
    return {layer: x + share * x.std() * g.normal(size=x.shape) for layer, x in layers.items()}


def _matches(base, tuned, **given):
    parts = sample_parts(len(next(iter(base.values()))), 1000)
    options = {"freedom": len(parts) - 1, "by_number": True} | given
    return match_layers(LayerSide(base, parts), LayerSide(tuned, parts), **options)


def _moved(matches):
    return {at.layer: (at.best, at.moved) for at in matches.of_tuned if at.moved}


def test_two_layers_that_changed_places_are_found_by_name():
    base = _layers()
    swapped = {layer: base[{3: 4, 4: 3}.get(layer, layer)] for layer in base}
    for tuned in (swapped, _noisy(swapped, 0.3)):
        matches = _matches(base, tuned)
        assert _moved(matches) == {3: (4, "down"), 4: (3, "up")}
        assert [at.best for at in matches.of_base] == [0, 1, 2, 4, 3, 5, 6, 7]


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_repeated_layer_moves_all_above_it_up(share):
    base = _layers()
    tuned = _noisy({layer: base[layer if layer < 4 else layer - 1] for layer in range(9)}, share)
    matches = _matches(base, tuned)
    assert _moved(matches) == {4: (3, "up"), 5: (4, "up"), 6: (5, "up"), 7: (6, "up")}
    last = matches.of_tuned[-1]
    assert (last.layer, last.best, last.own, last.moved) == (8, 7, None, None)
    if share == 0:  # both copies match base layer 3
        assert matches.of_base[3].as_good == (3, 4)


def test_a_removed_layer_moves_all_above_it_down():
    base = _layers()
    tuned = _noisy({layer: base[layer if layer < 4 else layer + 1] for layer in range(7)}, 0.3)
    assert _moved(_matches(base, tuned)) == {4: (5, "down"), 5: (6, "down"), 6: (7, "down")}


def test_no_move_is_claimed_of_an_identical_a_rotated_or_a_noisy_model():
    base = _layers()
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(60, 60)))[0]
    for tuned in (dict(base), base | {3: base[3] @ turn}, _noisy(base, 1.0), _noisy(base, 3.0)):
        assert _moved(_matches(base, tuned)) == {}
    assert all(at.as_good == (at.layer,) and at.value == 1 for at in _matches(base, dict(base)).of_tuned)


def test_layers_that_were_alike_before_are_no_move():
    g = np.random.default_rng(5)
    x = g.normal(size=(N, 30))
    base = {layer: x + 0.02 * g.normal(size=x.shape) for layer in range(4)}
    # By the drift alone, tuned layer 1 is surely nearer to base layer 2; yet base layer 1 itself was nearer still.
    tuned = dict(base) | {1: base[2] + 0.3 * g.normal(size=x.shape)}
    found = _matches(base, tuned).of_tuned[1]
    assert found.before > found.value
    assert found.moved is None


def test_flat_layers_are_as_good_as_each_other():
    wrongly = 0
    for seed in range(40):
        g = np.random.default_rng(seed)
        x = g.normal(size=(30, 20))
        base, tuned = ({layer: x + 0.3 * g.normal(size=x.shape) for layer in range(4)} for _ in range(2))
        matches = _matches(base, tuned)
        wrongly += any(len(at.as_good) < 4 for at in matches.of_tuned)
        assert _moved(matches) == {}
    assert wrongly <= 5  # 95 % for all layers together: 2 expected


def test_without_an_interval_nothing_is_told_apart():
    base = _layers()
    swapped = {layer: base[{3: 4, 4: 3}.get(layer, layer)] for layer in base}
    matches = _matches(base, swapped, freedom=None)
    assert _moved(matches) == {}
    assert matches.of_tuned[3].best == 4
    assert matches.of_tuned[3].as_good == tuple(range(8))
    assert matches.of_tuned[3].ahead > 0
    assert matches.of_tuned[3].ahead_low is None


def test_unrelated_models_have_best_matches_and_no_moves():
    base = _layers()
    swapped = {layer: base[{3: 4, 4: 3}.get(layer, layer)] for layer in base}
    matches = _matches(base, swapped, by_number=False)
    assert _moved(matches) == {}
    assert matches.of_tuned[3].as_good == (4,)


def test_a_constant_layer_and_a_single_layer():
    base = _layers(depth=3)
    matches = _matches(base, base | {1: np.ones((N, 5))})
    assert [at.layer for at in matches.of_tuned] == [0, 2]
    assert [at.layer for at in matches.of_base] == [0, 1, 2]
    assert matches.of_base[1].best in (0, 2)
    assert matches.of_base[1].own is None
    alone = _matches({0: base[0]}, {0: base[1]}).of_tuned[0]
    assert (alone.best, alone.as_good, alone.ahead, alone.moved) == (0, (0,), None, None)


def test_layer_numbers_are_those_of_the_models():
    base = _layers()
    some = {layer: base[layer] for layer in (1, 5, 7)}
    matches = _matches(some, {1: base[1], 5: base[7], 7: base[5]})
    assert _moved(matches) == {5: (7, "down"), 7: (5, "up")}
