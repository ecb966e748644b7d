"""The record on the samples that moved in one model: from shares at every place to lists of samples and groups beside the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from repdrift.core.records.sample_moves import (
    AtPlace,
    GroupMoves,
    MovedSample,
    PlaceMoves,
    SampleMoves,
)
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.drift.sample_drift import PlaceShares, least_drift
from repdrift.drift.sample_groupings import Grouping, Groupings, distinct_tests
from repdrift.similarity.kernels.sample_shares import RowParts
from repdrift.statistics.group_ratio import LEAST_MEMBERS, GroupRatio, group_ratio
from repdrift.statistics.multiplicity import holm
from repdrift.statistics.standing_out import times_expected

Floats = NDArray[np.float64]

MOST_LISTED = 20
LEAST_LISTED = 5


@dataclass(frozen=True)
class SampleView:
    """Facts about n samples, in order. ids: unique names. The others are None where they are not known or not to be shown.

    lengths: in tokens. unit: a group in one word.
    """

    ids: Sequence[str]
    groups: Sequence[str] | None = None
    labels: Sequence[str | None] | None = None
    lengths: Sequence[int] | None = None
    texts: Sequence[str] | None = None

    def moved(self, index: int, **numbers: float | list[AtPlace] | None) -> MovedSample:
        """The record on sample `index`, with its numbers."""
        return MovedSample(
            sample=self.ids[index],
            group=None if self.groups is None else self.groups[index],
            label=None if self.labels is None else self.labels[index],
            length=None if self.lengths is None else int(self.lengths[index]),
            text=None if self.texts is None else self.texts[index],
            **numbers,  # pyright: ignore[reportArgumentType]
        )


@dataclass(frozen=True, eq=False)
class ModelShares:
    """Shares of one model's samples at every place.

    random: by place, contributions of the samples `random_rows` after a random change of the weights; empty where it was not run. freedom: degrees of freedom of
    the parts of samples that are left out.
    """

    places: Sequence[PlaceShares]
    random: Mapping[SiteLayer, RowParts] = field(default_factory=dict[SiteLayer, RowParts])
    random_rows: NDArray[np.int64] | None = None
    freedom: float | None = None

    @property
    def stream(self) -> list[PlaceShares]:
        """The places of the residual stream."""
        return [at for at in self.places if at.place.site == RESID_POST] or list(self.places)

    def mean_share(self) -> Floats:
        """Each sample's part of the mean drift over layers, (n,)."""
        return np.mean([at.parts.share for at in self.stream], axis=0)

    def mean_own_drift(self) -> Floats:
        """Each sample's shares by its weights over all layers, (n,); NaN without weight."""
        weight = np.sum([at.parts.weight for at in self.stream], axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(weight > 0, np.sum([at.parts.share for at in self.stream], axis=0) / weight, np.nan)

    def times_expected(self) -> Floats:
        """Each sample's moves over all layers by those of samples of its weight, (n,); NaN without weight."""
        moved = np.sum([at.moves.share for at in self.stream], axis=0)
        floor = max(least_drift(at.noise) for at in self.stream)
        return times_expected(moved, np.sum([at.moves.base_weight for at in self.stream], axis=0), floor=floor)

    def moving(self) -> list[PlaceShares]:
        """The places of the residual stream whose drift is above noise."""
        return [at for at in self.stream if at.drift > least_drift(at.noise)]


def sample_moves(
    shares: ModelShares,
    view: SampleView,
    found: Groupings,
    notes: Sequence[str] = (),
    *,
    every_share: bool = False,
) -> SampleMoves:
    """The record on one model. notes: sentences of the caller's, that stand before those on groups. every_share: keep those of all samples."""
    by_place, overall = grouped_moves(shares, found.groups)
    n, share = len(view.ids), shares.mean_share()
    own, standing, expected = shares.mean_own_drift(), standing_at(shares.places, n), shares.times_expected()
    cosines = [at.cosine_change for at in shares.stream if at.cosine_change is not None]
    cosine = np.mean(cosines, axis=0) if cosines and len(cosines) == len(shares.stream) else np.full(n, np.nan)
    mean = float(share.mean())

    def record(index: int) -> MovedSample:
        return view.moved(
            index,
            share=float(share[index]),
            times=float(share[index]) / mean if mean > 0 else 0.0,
            times_expected=_number(expected[index]),
            own_drift=_number(own[index]),
            cosine_change=_number(cosine[index]),
            stands_out=standing[index],
        )

    order = most_first(expected)
    least = [int(i) for i in order[MOST_LISTED:][::-1][:LEAST_LISTED]]
    return SampleMoves(
        samples=n,
        places=[
            _place(at, view.ids, groups, every_share=every_share)
            for at, groups in zip(shares.places, by_place, strict=True)
        ],
        most=[record(int(i)) for i in order[:MOST_LISTED]],
        least=[record(i) for i in least],
        groups=overall,
        notes=[*notes, *found.notes],
    )


def most_first(values: Floats) -> NDArray[np.intp]:
    """Returns the samples with a number, the largest first; one without (NaN) has no place in the order."""
    there = np.flatnonzero(~np.isnan(values))
    return there[np.argsort(-values[there], kind="stable")]


def grouped_moves(shares: ModelShares, groups: Sequence[Grouping]) -> tuple[list[list[GroupMoves]], list[GroupMoves]]:
    """Groups beside the rest at every place, and over all layers whose drift is above noise.

    p-values are corrected over all groups, layers and their mean, and those of other sites over all groups and these (Holm), so that other sites change
    nothing about layers. There are none where the drift is not above noise. A group and its complement are one test.
    """
    moving = shares.moving()
    blocks: list[list[GroupRatio]] = []
    for at in shares.places:
        is_above = at.drift > least_drift(at.noise)
        blocks.append([_ratio(at.parts.share, at.without, group, shares.freedom) for group in groups if is_above])
    over_all = [ratio for group in groups if (ratio := group_shares(shares, group)) is not None]
    in_stream = [at.place.site == RESID_POST for at in shares.places]
    none: list[GroupRatio] = []
    of_stream = [block if stream else none for block, stream in zip(blocks, in_stream, strict=True)]
    of_sites = [none if stream else block for block, stream in zip(blocks, in_stream, strict=True)]
    tests = distinct_tests(groups)
    families = [_adjusted([*of_stream, over_all], tests), _adjusted([*of_sites, none], tests)]
    adjusted = [families[0 if stream else 1][number] for number, stream in enumerate([*in_stream, True])]
    random = [random_ratios([at.place], shares, groups) for at in shares.places]
    of_all = random_ratios([at.place for at in moving], shares, groups)
    found = [
        [_group(*of) for of in zip(groups, ratios, ps, control, strict=True)] if ratios else []
        for ratios, ps, control in zip([*blocks, over_all], adjusted, [*random, of_all], strict=True)
    ]
    return found[:-1], found[-1]


def _ratio(share: Floats, without: Floats | None, group: Grouping, freedom: float | None) -> GroupRatio:
    return group_ratio(share, group.member, without, freedom=freedom)


def _adjusted(blocks: Sequence[Sequence[GroupRatio]], tests: Sequence[int]) -> list[list[float | None]]:
    """Holm's p of every ratio, over all blocks; ratios of one block with the same test number are one test."""
    by_test = {
        (number, test): ratio.pvalue
        for number, block in enumerate(blocks)
        for test, ratio in zip(tests, block, strict=False)
        if ratio.pvalue is not None
    }
    corrected = dict(zip(by_test, holm(list(by_test.values())).tolist(), strict=True)) if by_test else {}
    return [[corrected.get((number, test)) for test in tests] for number in range(len(blocks))]


def random_ratios(places: Sequence[SiteLayer], shares: ModelShares, groups: Sequence[Grouping]) -> list[float | None]:
    """Ratios after a random change of the weights, over the samples that it was measured on; None where it is missing at one of the places."""
    rows = shares.random_rows
    known = [shares.random[place] for place in places if place in shares.random]
    if rows is None or not known or len(known) < len(places):
        return [None] * len(groups)
    total = np.sum([parts.share for parts in known], axis=0)
    found: list[float | None] = []
    for group in groups:
        inside = group.member[rows]
        enough = min(inside.sum(), (~inside).sum()) >= LEAST_MEMBERS
        found.append(group_ratio(total, inside).ratio if enough else None)
    return found


def _group(group: Grouping, ratio: GroupRatio, adjusted: float | None, random: float | None) -> GroupMoves:
    interval = ratio.interval
    return GroupMoves(
        by=group.by,
        column=group.column,
        value=group.value,
        n=int(group.member.sum()),
        ratio=ratio.ratio,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        p=ratio.pvalue,
        p_adjusted=adjusted,
        random_ratio=random,
        note=ratio.missing,
    )


def _place(at: PlaceShares, ids: Sequence[str], groups: list[GroupMoves], *, every_share: bool) -> PlaceMoves:
    order = np.argsort(-at.parts.share, kind="stable")
    named = [ids[int(i)] for i in order if at.stands_out[i]]
    running = np.cumsum(at.parts.share[order])
    return PlaceMoves(
        site=at.place.site,
        layer=at.place.layer,
        drift=at.drift,
        half=int(np.searchsorted(running, at.drift / 2)) + 1 if at.drift > 0 else 0,
        noise=at.noise,
        named=named,
        groups=groups,
        shares=at.parts.share.tolist() if every_share else [],
        own_drifts=[_number(own) for own in at.parts.own_drift] if every_share else [],
        cosine_changes=[_number(c) for c in at.cosine_change] if every_share and at.cosine_change is not None else [],
    )


def group_shares(shares: ModelShares, group: Grouping) -> GroupRatio | None:
    """A group beside the rest over the layers whose drift is above noise; None if there is no such layer."""
    moving = shares.moving()
    if not moving:
        return None
    lefts = [at.without for at in moving]
    left = None if any(of is None for of in lefts) else np.sum([of for of in lefts if of is not None], axis=0)
    return _ratio(np.sum([at.parts.share for at in moving], axis=0), left, group, shares.freedom)


def standing_at(places: Sequence[PlaceShares], n: int) -> list[list[AtPlace]]:
    """For each sample the places at which it stands out."""
    return [
        [AtPlace(site=at.place.site, layer=at.place.layer) for at in places if at.stands_out[index]]
        for index in range(n)
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
