"""Planted changes of samples: those that moved lead the list and are named, their group is found, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from repdrift.core.records.sites import SiteLayer
from repdrift.core.sample_words import samples_section
from repdrift.drift.sample_drift import SampleSplit, bulk_moves, noise_of, place_shares
from repdrift.drift.sample_groupings import Groupings, distinct_tests, groupings
from repdrift.drift.sample_moves import ModelShares, SampleView, grouped_moves, most_first, sample_moves
from repdrift.similarity import Representation
from repdrift.similarity.kernels.sample_shares import RowParts, SampleShares
from repdrift.statistics.group_ratio import group_ratio

N, P = 200, 48
MOVED = np.arange(0, N, 10)


def base_rows(n: int = N, p: int = P) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.normal(size=(n, p)) * np.arange(1, p + 1) ** -0.5 + 2


def trained_rows(x: np.ndarray, seed: int = 1) -> np.ndarray:
    """All samples moved as training moves them: a linear change of all."""
    generator = np.random.default_rng(seed)
    return x @ (np.eye(x.shape[1]) + 0.2 * generator.normal(size=(x.shape[1],) * 2) / np.sqrt(x.shape[1]))


def planted(x: np.ndarray, moved: np.ndarray = MOVED) -> np.ndarray:
    """As `trained_rows`, with the rows of some samples replaced by their mirror images about the mean."""
    y = trained_rows(x)
    y[moved] = 2 * y.mean(axis=0) - y[moved]
    return y


def by_chance(x: np.ndarray) -> RowParts:
    sides = Representation(x), Representation(trained_rows(x, 9))
    return bulk_moves(*sides, SampleShares(*sides).parts())


def measured(x: np.ndarray, y: np.ndarray, layers: int = 1, **options: float) -> ModelShares:
    split = SampleSplit(labels=np.random.default_rng(0).permutation(np.arange(len(x)) % 40))
    random = by_chance(x)
    return ModelShares(
        [
            place_shares(
                SiteLayer("resid_post", layer),
                Representation(x),
                Representation(y),
                split,
                by_chance=random,
                tests=layers,
                **options,
            )
            for layer in range(layers)
        ]  # pyright: ignore[reportArgumentType]
    )


def topics(moved: np.ndarray = MOVED, n: int = N) -> Groupings:
    cells = ["odd" if i in moved else ("plain", "other")[i % 2] for i in range(n)]
    return groupings(columns={"topic": cells}, lengths=[5 + i % 9 for i in range(n)])


def test_twenty_moved_samples_lead_the_list_are_named_and_their_group_is_found() -> None:
    x = base_rows()
    moves = sample_moves(measured(x, planted(x)), SampleView([f"s{i}" for i in range(N)]), topics())
    expected = {f"s{i}" for i in MOVED}
    assert {sample.sample for sample in moves.most} == expected
    assert set(moves.places[0].named) <= expected
    assert len(moves.places[0].named) >= 18
    assert sum(sample.times for sample in moves.most) > 4 * len(MOVED)
    found = [g for g in moves.groups if (g.p_adjusted or 1) < 0.05 and (g.ratio or 0) > 1]
    assert [(g.column, g.value) for g in found] == [("topic", "odd")]
    words = samples_section(moves)
    assert any("samples stand out" in line for line in words.answer)
    assert any("topic 'odd' (20)" in line.lower() for line in words.answer)
    assert not any("length" in line for line in words.answer)


@pytest.mark.parametrize("change", ["rotation", "scaling", "translation", "none", "training"])
def test_a_change_of_all_samples_names_no_sample_and_no_group(change: str) -> None:
    x = base_rows()
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(P, P)))[0]
    y = {
        "rotation": x @ rotation,
        "scaling": 5 * x,
        "translation": x + 3,
        "none": x.copy(),
        "training": trained_rows(x),
    }[change]
    for dtype in (np.float64, np.float32):
        shares = measured(x.astype(dtype), y.astype(dtype), layers=2)
        moves = sample_moves(shares, SampleView([str(i) for i in range(N)]), topics())
        assert [at.named for at in moves.places] == [[], []]
        assert not [g for g in moves.groups if (g.p_adjusted or 1) < 0.05]
        if change != "training":
            assert moves.groups == []
        assert all(at.drift == pytest.approx(0, abs=1e-9) for at in moves.places) == (change != "training")


def test_samples_whose_change_is_within_the_noise_of_the_base_model_are_not_named() -> None:
    x = base_rows()
    y = x.copy()
    y[MOVED] += 1e-2 * np.random.default_rng(0).normal(size=(len(MOVED), P))
    again = x + 5e-2 * np.random.default_rng(1).normal(size=x.shape)
    noise = noise_of(Representation(x), Representation(again))
    assert measured(x, y).places[0].stands_out.sum() >= 10
    assert not measured(x, y, noise=noise).places[0].stands_out.any()
    assert grouped_moves(measured(x, y, noise=noise), topics().groups) == ([[]], [])


def test_a_layer_alone_in_which_samples_moved_is_named() -> None:
    x = base_rows()
    split = SampleSplit(labels=np.arange(N) % 40)
    sides = [(trained_rows(x, seed), layer) for layer, seed in enumerate((5, 6))] + [(planted(x), 2)]
    shares = ModelShares(
        [
            place_shares(SiteLayer("resid_post", at), Representation(x), Representation(y), split, tests=3)
            for y, at in sides
        ]
    )
    moves = sample_moves(shares, SampleView([str(i) for i in range(N)]), topics())
    assert [bool(at.named) for at in moves.places] == [False, False, True]
    assert {place.layer for sample in moves.most for place in sample.stands_out} == {2}


def test_other_sites_change_nothing_that_is_said_of_layers() -> None:
    x = base_rows()
    y = trained_rows(x)
    y[MOVED[:4]] = 1.5 * y.mean(axis=0) - 0.5 * y[MOVED[:4]]
    split = SampleSplit(labels=np.arange(N) % 40)
    layers = [place_shares(SiteLayer("resid_post", at), Representation(x), Representation(y), split) for at in (0, 1)]
    inside = [place_shares(SiteLayer("mlp_out", at), Representation(x), Representation(y), split) for at in (0, 1)]
    alone, of_all = grouped_moves(ModelShares(layers), topics().groups)
    beside, of_all_too = grouped_moves(ModelShares([*layers, *inside]), topics().groups)
    assert of_all[0].p_adjusted is not None
    assert of_all_too == of_all
    assert beside[:2] == alone
    tests = len(set(distinct_tests(topics().groups)))
    for groups, places in ((alone[0], 3), (beside[2], 2)):  # two layers and their mean; two places
        smallest = min((group.p, group.p_adjusted) for group in groups)
        assert smallest[1] == pytest.approx(tests * places * smallest[0])


def test_shares_of_tokens_add_up_by_sample_and_no_sample_is_named() -> None:
    x = base_rows(60)
    tokens = np.array([1, 2, 3] * 10)
    split = SampleSplit(tokens, np.arange(30) % 10)
    at = place_shares(SiteLayer("resid_post", 0), Representation(x), Representation(trained_rows(x)), split)
    assert at.parts.share.shape == (30,)
    assert at.without is not None
    assert at.without.shape == (10, 30)
    assert np.isnan(at.without[3, 3])
    assert at.drift == pytest.approx(float(at.parts.share.sum()))
    assert not at.stands_out.any()
    assert at.cosine_change is None


@pytest.mark.parametrize("n", [4, 5, 8])
def test_a_handful_of_samples_has_shares_and_nothing_said_of_them(n: int) -> None:
    x = base_rows(n, 6)
    split = SampleSplit(labels=np.arange(n)) if n > 4 else SampleSplit()
    at = place_shares(SiteLayer("resid_post", 0), Representation(x), Representation(trained_rows(x)), split)
    moves = sample_moves(ModelShares([at]), SampleView([str(i) for i in range(n)]), topics(np.array([0]), n))
    assert sum(sample.share for sample in moves.most) == pytest.approx(at.drift)
    assert moves.least == []
    assert not [g for g in moves.groups if g.p is not None and g.n < 5]
    assert "fewer than 20" in " ".join(samples_section(moves).answer)


def test_groups_of_equal_samples_are_told_apart_no_more_often_than_the_level() -> None:
    """The jackknife over shares, which depend on each other, holds its level: 200 studies of a group that is drawn at random."""
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        x = generator.normal(size=(80, 20)) * np.arange(1, 21) ** -0.5
        y = x @ (np.eye(20) + 0.3 * generator.normal(size=(20, 20)) / np.sqrt(20))
        split = SampleSplit(labels=generator.permutation(np.arange(80) % 40))
        at = place_shares(SiteLayer("resid_post", 0), Representation(x), Representation(y), split, noise=2.0)
        member = np.zeros(80, dtype=bool)
        member[generator.permutation(80)[:25]] = True
        p = group_ratio(at.parts.share, member, at.without).pvalue
        hits += p is not None and p < 0.05
    assert hits <= 20  # 10 expected; 20 or more have a chance of 0.003


def test_groups_are_made_of_labels_lengths_and_columns() -> None:
    found = groupings(
        labels=["a", None, "b", "a"] * 10,
        lengths=list(range(40)),
        columns={
            "year": [str(1990 + i) for i in range(40)],
            "name": [f"n{i}" for i in range(40)],
            "alike": ["x"] * 40,
        },
        answers={"accuracy": [i % 3 == 0 for i in range(40)]},
    )
    said = [(g.by, g.column, g.value, int(g.member.sum())) for g in found.groups]
    assert said == [
        ("label", None, "a", 20),
        ("label", None, "b", 10),
        ("label", None, "(no value)", 10),
        ("length", None, "short (0 to 13 tokens)", 14),
        ("length", None, "middle (14 to 26 tokens)", 13),
        ("length", None, "long (27 to 39 tokens)", 13),
        ("column", "year", "lower (1990 to 2003)", 14),
        ("column", "year", "middle (2004 to 2016)", 13),
        ("column", "year", "upper (2017 to 2029)", 13),
        ("answer", "accuracy", "right", 14),
        ("answer", "accuracy", "wrong", 26),
    ]
    assert found.notes == ["Samples are not grouped by column 'name': it has 40 different values, and 20 are the most."]
    assert distinct_tests(found.groups) == [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 6]
    assert groupings(lengths=[7] * 10).groups == []


def test_cell_that_reads_as_no_value_is_told_from_a_cell_without_one() -> None:
    found = groupings(columns={"topic": ["(no value)", None, "a", "a"] * 5})
    assert [(g.value, int(g.member.sum())) for g in found.groups] == [("(no value)", 5), ("a", 10), ("((no value))", 5)]


def test_a_sample_a_million_times_as_long_as_the_others_is_not_named_for_that() -> None:
    x = base_rows()
    y = trained_rows(x)
    x[3] *= 1e6
    y[3] = x[3]
    at = place_shares(SiteLayer("resid_post", 0), Representation(x), Representation(y))
    assert not at.stands_out.any()


def test_a_sample_without_a_number_is_neither_among_the_most_nor_the_least():
    values = np.array([2.0, np.nan, 0.5, np.inf, 1.0])
    assert most_first(values).tolist() == [3, 0, 4, 2]
