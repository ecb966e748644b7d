"""Samples over the final models of one method: do the seeds agree on which moved, and which groups moved more than the rest in all of them?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr  # pyright: ignore[reportMissingTypeStubs]

from repdrift.core.confidence import jackknife_error, student_quantile
from repdrift.core.group_words import LEAST_GROUPS, is_grouped
from repdrift.core.records.sample_moves import GroupOverModels, MethodSamples, SampleAgreement
from repdrift.drift.sample_groupings import Grouping, distinct_tests
from repdrift.drift.sample_moves import ModelShares, SampleView, group_shares, most_first, random_ratios, standing_at
from repdrift.statistics.group_ratio import GroupRatio
from repdrift.statistics.multiplicity import holm
from repdrift.statistics.rank_agreement import rank_agreement

Floats = NDArray[np.float64]
_ANSWERS = ("right", "wrong")
_ANSWERS_TEST = -1
"""The number of the test of right beside wrong answers, which is one for both sides; others are counted from 0."""
_LEVEL = 0.975


class SeedShares(NamedTuple):
    """Shares of one final model, with what its random change moved, (n,); None where that was not run."""

    seed: int
    shares: ModelShares
    random: Floats | None = None


def agreement(method: str, models: Sequence[SeedShares], view: SampleView, unit: str) -> SampleAgreement:
    """Kendall's W of the models on how far samples moved beside those of their weight; over means of groups where samples come in groups.

    Where samples lie in the base model makes all changes alike to some degree. So where a random change of the weights was run for every model, how far
    samples moved is taken beside how far that moved them.
    """
    random = [model for model in models if model.random is not None]
    is_beside = len(random) == len(models)
    values = np.array([_beside_random(model) if is_beside else _order(model.shares) for model in models])
    groups = view.groups if is_grouped(view.groups) else None
    common = {"method": method, "models": len(models), "unit": "sample" if groups is None else unit}
    if groups is not None:
        names = list(dict.fromkeys(groups))
        members = [np.array([group == name for group in groups]) for name in names]
        values = np.array([[row[member].mean() for member in members] for row in values])
        if len(names) < LEAST_GROUPS:
            return SampleAgreement(
                **common, note=f"the samples come from {len(names)} {unit}s, and {LEAST_GROUPS} are needed"
            )
    if len(models) < 2:
        return SampleAgreement(**common, note="one model, and two are needed")
    found = rank_agreement(values)
    if found is None:
        return SampleAgreement(**common, note="in one model all samples moved alike")
    return SampleAgreement(
        **common,
        w=found.w,
        correlation=found.correlation,
        p=found.pvalue,
        units=found.units,
        random_models=len(random),
        random_correlation=float(np.mean([_with_random(model) for model in random])) if random else None,
    )


def groups_over_models(
    by_method: dict[str, Sequence[SeedShares]],
    groups: Sequence[Grouping],
    answers: Mapping[str, Sequence[Sequence[Grouping]]] | None = None,
) -> list[GroupOverModels]:
    """Groups beside the rest in the models of every method, corrected over all groups and methods (Holm).

    answers: by method, for each of its models groups of its own by what it answers right. They are set beside the rest where every model has
    right and wrong ones.
    """
    found: list[GroupOverModels] = []
    tests: list[tuple[str, int]] = []
    for method, models in by_method.items():
        for group, test in zip(groups, distinct_tests(groups), strict=True):
            record = _group(
                method,
                [group_shares(model.shares, group) for model in models],
                group,
                _at_random(models, [group] * len(models)),
            )
            if record is not None:
                found.append(record)
                tests.append((method, test))
        own = (answers or {}).get(method, ())
        if len(own) != len(models) or any(len(of) != len(_ANSWERS) for of in own):
            continue
        for side in zip(*own, strict=True):
            ratios = [group_shares(model.shares, of) for model, of in zip(models, side, strict=True)]
            record = _group(method, ratios, side[0], _at_random(models, side))
            if record is not None:
                sizes = [int(of.member.sum()) for of in side]
                found.append(record.model_copy(update={"n": round(sum(sizes) / len(sizes))}))
                tests.append((method, _ANSWERS_TEST))
    known = {test: record.p for test, record in zip(tests, found, strict=True) if record.p is not None}
    corrected = dict(zip(known, holm(list(known.values())).tolist(), strict=True)) if known else {}
    return [
        record.model_copy(update={"p_adjusted": corrected.get(test) if record.p is not None else None})
        for record, test in zip(found, tests, strict=True)
    ]


def method_samples(method: str, models: Sequence[SeedShares], view: SampleView, *, most: int) -> MethodSamples:
    """The samples that moved most in the models of one method, by the mean of `times_expected`, on the log scale."""
    n = len(view.ids)
    expected = np.array([model.shares.times_expected() for model in models])
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.exp(np.log(expected).mean(axis=0))
    order = most_first(mean)
    share = np.mean([model.shares.mean_share() for model in models], axis=0)
    own = np.mean([model.shares.mean_own_drift() for model in models], axis=0)
    whole = float(share.mean())
    named = [[bool(at) for at in standing_at(model.shares.places, n)] for model in models]
    return MethodSamples(
        method=method,
        most=[
            view.moved(
                int(i),
                share=float(share[i]),
                times=float(share[i]) / whole if whole > 0 else 0.0,
                times_expected=float(mean[i]) if np.isfinite(mean[i]) else None,
                own_drift=float(own[i]) if np.isfinite(own[i]) else None,
            )
            for i in order[:most]
        ],
        in_all=[view.ids[int(i)] for i in order if all(of[int(i)] for of in named)],
    )


def _order(shares: ModelShares) -> Floats:
    """The moves of samples, (n,), for putting them in an order; the middle of all for samples without a number."""
    return _with_middle(shares.times_expected())


def _beside_random(model: SeedShares) -> Floats:
    """The logarithm of how far samples moved by how far the random change moved them: (n,); the middle of all for samples without a number."""
    assert model.random is not None  # noqa: S101  asked for above
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(model.shares.times_expected()) - np.log(model.random)
    return _with_middle(found)


def _with_middle(values: Floats) -> Floats:
    there = np.isfinite(values)
    return np.where(there, values, np.median(values[there]) if there.any() else 0.0)


def _with_random(model: SeedShares) -> float:
    assert model.random is not None  # noqa: S101  asked for above
    found = rank_agreement(np.array([_order(model.shares), _with_middle(model.random)]), draws=1)
    return float("nan") if found is None else found.correlation


def _at_random(models: Sequence[SeedShares], groups: Sequence[Grouping]) -> list[float]:
    """The ratios of a group after a random change of the weights, of the models that have it. groups: the group in each model."""
    found = [
        random_ratios([at.place for at in model.shares.moving()], model.shares, [group])[0]
        for model, group in zip(models, groups, strict=True)
    ]
    return [ratio for ratio in found if ratio is not None]


def _group(
    method: str, ratios: Sequence[GroupRatio | None], group: Grouping, random: Sequence[float] = ()
) -> GroupOverModels | None:
    there = [ratio for ratio in ratios if ratio is not None and ratio.ratio is not None]
    if not there or len(there) < len(ratios):
        return None
    logs = np.log([ratio.ratio for ratio in there if ratio.ratio is not None])
    mean, m = float(logs.mean()), len(logs)
    numbers: dict[str, float] = {}
    pvalues: list[float] = []
    if m > 1 and (error := float(logs.std(ddof=1)) / m**0.5) > 0:
        reach = student_quantile(_LEVEL, m - 1) * error
        numbers |= {"low": float(np.exp(mean - reach)), "high": float(np.exp(mean + reach))}
        pvalues.append(float(2 * stdtr(m - 1, -abs(mean) / error)))
    without = [ratio.logs for ratio in there if ratio.logs is not None]
    if len(without) == m:
        error, freedom = jackknife_error(np.mean(without, axis=0)), min(ratio.freedom for ratio in there)
        reach = student_quantile(_LEVEL, freedom) * error
        numbers |= {"samples_low": float(np.exp(mean - reach)), "samples_high": float(np.exp(mean + reach))}
        pvalues.append(float(2 * stdtr(freedom, -abs(mean) / error)) if error > 0 else 1.0)
    tested = len(pvalues) == (2 if m > 1 else 1)
    return GroupOverModels(
        method=method,
        by=group.by,
        column=group.column,
        value=group.value,
        n=int(group.member.sum()),
        models=m,
        ratio=float(np.exp(mean)),
        p=max(pvalues) if tested else None,
        random_ratio=float(np.exp(np.mean(np.log(random)))) if random else None,
        random_models=len(random),
        note=next((ratio.missing for ratio in there if ratio.missing), ""),
        **numbers,
    )
