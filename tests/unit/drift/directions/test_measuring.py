"""Directions of a model, layer by layer, from planted rows: the right layer is named for the right kind of drift, and no other."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from repdrift.core.directions_words import directions_answer, directions_section
from repdrift.core.errors import ShapeError
from repdrift.core.worded_section import section_markdown
from repdrift.drift.directions.measuring import DirectionSettings, model_directions
from repdrift.drift.directions.tables import direction_rows, table_of

N, P = 120, 16


def rows(seed, n=N, p=P):
    return np.random.default_rng(seed).normal(size=(n, p)) * np.arange(1, p + 1) ** -0.5 + 2


def turn(size, p=P):
    a = np.random.default_rng(9).normal(size=(p, p))
    return expm(size * (a - a.T) / np.sqrt(p))


def about_mean(x, matrix):
    return x.mean(axis=0) + (x - x.mean(axis=0)) @ matrix


def measured(base, tuned, **settings):
    def layers(tables):
        return {layer: torch.tensor(table, dtype=torch.float32) for layer, table in enumerate(tables)}

    return model_directions(layers(base), layers(tuned), DirectionSettings(**settings))


@pytest.fixture(scope="module")
def planted():
    """Nothing in layer 0, noise in 1, a shift in 2, a rotation in 3, a scaling in 4, a stretch of single features in 5, a rotation about the origin in 6."""
    x = [rows(layer) for layer in range(7)]
    tuned = [
        x[0],
        x[1] + 0.1 * np.random.default_rng(50).normal(size=(N, P)),
        x[2] + np.linspace(-1, 1, P),
        about_mean(x[3], turn(0.4)),
        about_mean(x[4], 1.3 * np.eye(P)),
        about_mean(x[5], np.diag(np.where(np.arange(P) % 2, 1.5, 0.7))),
        x[6] @ turn(0.4),
    ]
    return measured(x, tuned)


def test_each_kind_is_named_in_its_layer_alone(planted):
    largest = {at.layer: max(at.shares, key=lambda share: share.share).kind for at in planted.layers if at.shares}
    assert largest == {1: "rest", 2: "shift", 3: "rotation", 4: "scaling", 5: "linear", 6: "shift"}
    answer = " ".join(directions_answer(planted))
    assert (
        "In layers 2, 6 most of the change of the representations is accounted for by a shift that all samples share (most in layer 2: 100 %"
        in answer
    )
    assert "in layer 3 most of the change of the representations is accounted for by a rotation" in answer
    assert "in layer 4 most of the change of the representations is accounted for by a scaling" in answer
    assert "in layer 5 most of the change of the representations is accounted for by another linear map" in answer
    assert "in layer 1 most of the change of the representations is accounted for by no linear map" in answer
    assert "In layer 6 a rotation about the origin accounts by itself for more than the shift does" in answer
    assert "scaling from the origin" not in answer


def test_shift_is_claimed_where_there_is_one_alone(planted):
    beyond = [at.layer for at in planted.layers if at.adjusted_pvalue is not None and at.adjusted_pvalue <= 0.05]
    assert beyond == [2, 6]
    assert "beyond chance in layers 2, 6 (p 0.0005 at most, corrected over layers)" in " ".join(
        directions_answer(planted)
    )
    at = planted.layers[2]
    assert at.shift_size == pytest.approx(np.linalg.norm(np.linspace(-1, 1, P)), rel=1e-5)
    assert (at.whole.carrying, at.centred) == (1, None)
    noise = planted.layers[1]
    assert noise.shift_squared < 3 * noise.shift_noise**2
    assert noise.centred.carrying > P / 2


def test_layer_that_did_not_move_is_missing_with_the_reason(planted):
    at = planted.layers[0]
    assert (at.shift, at.pvalue, at.whole, at.shares) == (None, None, None, [])
    assert at.relative_change == 0
    words = directions_section(planted)
    assert "Layer 0: The representations did not move, so that there is no direction." in words.left_out
    assert any("sees no shift, no rotation and no scaling" in note for note in words.notes)
    assert "| 0 | 0 |  |  |" in "\n".join(section_markdown(words))


def test_model_that_did_not_move_says_so_and_no_more():
    x = [rows(1)]
    found = measured(x, x)
    assert directions_answer(found) == ["The representations did not move, so that there is no direction."]
    assert not directions_section(found).tables
    assert found.smallest_pvalue is None


def test_layer_in_which_one_sample_alone_moved_has_shares_without_an_interval():
    x = rows(0)
    y = x.copy()
    y[3] += 2
    found = measured([x], [y])
    (at,) = found.layers
    assert sum(share.share for share in at.shares) == pytest.approx(1)
    assert all(share.low is None and share.high is None for share in at.shares)
    assert "Shares of the change have no interval: one sample alone moved." in at.missing
    assert at.adjusted_pvalue == 1
    assert "nan" not in " ".join(directions_answer(found))


def test_groups_are_flipped_and_left_out_whole():
    x, group = rows(3), np.repeat(np.arange(12), 10)
    shared = np.random.default_rng(4).normal(size=(12, P))[group]
    alone = measured([x], [x + shared])
    grouped = measured([x], [x + shared], groups=[f"g{k}" for k in group], unit="paragraph")
    assert alone.layers[0].adjusted_pvalue < 0.05  # taken as 120 samples, 12 draws look like a shift
    assert grouped.layers[0].adjusted_pvalue > 0.05
    assert grouped.layers[0].shift_noise > 2 * alone.layers[0].shift_noise
    assert grouped.n_groups == 12
    assert "signs of whole paragraphs" in directions_section(grouped).tables[0].caption


def test_few_samples_or_groups_have_no_interval_and_no_shares_and_say_why():
    few = measured([rows(5, n=6)], [rows(6, n=6)])
    at = few.layers[0]
    assert at.shift is not None
    assert at.shift_low is None
    assert at.shares == []
    assert any("an interval needs 10" in reason for reason in at.missing)
    assert any("takes 10 of them" in reason for reason in at.missing)
    assert few.smallest_pvalue == pytest.approx(2 / 2**6)
    one = measured([rows(5)], [rows(6)], groups=["a"] * N)
    assert one.layers[0].shift is None
    assert one.layers[0].pvalue is None
    assert any("all samples are of one group" in reason for reason in one.layers[0].missing)


def test_models_of_other_width_are_refused():
    with pytest.raises(ShapeError, match="16 and 8"):
        measured([rows(1)], [rows(1, p=8)])


def test_table_has_a_row_for_each_layer_and_missing_numbers_stay_missing(planted):
    table = table_of(direction_rows({"model": "m"}, planted))
    assert list(table["layer"]) == list(range(7))
    assert np.isnan(table.loc[0, "shift_share"])
    assert table.loc[2, "shift_share"] == pytest.approx(1)
    assert table["control_random_whole_carrying"].isna().all()
    kinds = [f"{kind}_share" for kind in ("shift", "rotation", "scaling", "linear", "rest")]
    np.testing.assert_allclose(table.loc[1:, kinds].sum(axis=1), 1)
