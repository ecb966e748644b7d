"""Sentences that the record, the summary, the figure and the page of a comparison share."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.group_words import LEAST_GROUPS, too_few_groups
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.words import counted, some_listed

_NO_CONTROLS = "No controls were run, so it is not known whether a drift is above noise, or above that of a random change of its size."


def note_sentences(models: Sequence[ComparedModel], *, mark: str = "") -> list[str]:
    """The notes on models, each with the names of the models that it concerns: `a and b: Its weights are ...`.

    mark: what stands behind each name.
    """
    holders: dict[str, list[str]] = {}
    for model in models:
        for note in model.notes:
            holders.setdefault(note, []).append(f"{model.name}{mark}")
    return [f"{some_listed(names)}: {note}" for note, names in holders.items()]


def warnings_beside_notes(result: Comparison) -> list[str]:
    """The warnings that stand neither in the headline nor beside a model's numbers."""
    said = {*result.headline, *note_sentences([*result.compared, *result.by_grid])}
    return [warning for warning in result.warnings if warning not in said]


def how_sure(result: Comparison) -> list[str]:
    """Sentences on the controls and intervals: on how many samples they rest, or that there are none and why."""
    found = [control_note(result) if result.control_samples else _NO_CONTROLS]
    if result.compared and not any(at.drift_low is not None for model in result.compared for at in model.layers):
        found.append(f"There are no intervals: {why_no_interval(result)}.")
    elif result.sample_groups is not None:
        found.append(f"Intervals: {interval_method(result)}, which are left out whole.")
    return found


def interval_method(result: Comparison) -> str:
    """The method of the intervals, with the groups that they are over: `jackknife over 31 paragraphs`."""
    if result.sample_groups is None:
        return "jackknife"
    return f"jackknife over {counted(result.sample_groups, result.sample_group_unit)}"


def why_no_interval(result: Comparison) -> str:
    """The reason, as a clause, why the drifts of a comparison have no interval."""
    if result.pooling == "tokens":
        return "tokens of one text are not independent"
    if result.accumulated == "moments":
        return "only sums were kept, and not the rows"
    if result.sample_groups is not None and result.sample_groups < LEAST_GROUPS:
        return too_few_groups(result.sample_groups, result.sample_group_unit)
    if result.no_group_interval is not None:
        return result.no_group_interval
    return f"{result.samples} samples are too few, or the drift is zero"


def control_note(result: Comparison) -> str:
    """Says on how many samples the controls that change or repeat the base model were measured."""
    rounded = any(at.rounding_drift is not None for model in result.compared for at in model.layers)
    what = "Noise floor, rounding and random change" if rounded else "Noise floor and random change"
    if result.control_samples == result.samples:
        return f"{what}: on all {result.samples} samples."
    where = f"on {result.control_samples} of the {result.samples} samples, drawn at random"
    has_intervals = any(at.noise_floor_high is not None for at in result.base_layers)
    return f"{what}: {where}." + (" comparison.json has their intervals." * has_intervals)
