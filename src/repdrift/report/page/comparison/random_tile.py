"""The tile that sets drift beside that of the base model after random changes of every matrix, as large as training's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.words import sentence_case, short_number, times
from repdrift.report.page.comparison.drift_tiles import by_model, ranked
from repdrift.report.page.contents import NOT_KNOWN, Tile, Verdict

_BESIDE_RANDOM = {
    "more": "more than the random change in every layer",
    "less": "less than the random change in every layer",
    "alike": "not told apart from the random change in any layer",
    "varies": "more than the random change in some layers, and less or not told apart in others",
    "never more": "less than the random change in some layers, and not told apart in others",
}


def random_change_tile(result: Comparison) -> Tile:
    """The drift beside that of the base model after random changes of every matrix, as large as training's."""
    label = "Against a random change as large"
    models = [model for model in ranked(result) if _pairs(model)]
    if not models:
        line = "No random change was made, so it is not known whether training moved the model more than chance would."
        return Tile("random", label, NOT_KNOWN, "not measured", "open", line)
    ratios = {model.name: ratio for model in models if (ratio := _ratio(model)) is not None}
    verdicts = {model.name: _against_random(model) for model in models}
    has_intervals = all(
        at.drift_low is not None and at.random_change_low is not None for model in models for at, _ in _pairs(model)
    )
    chip, verdict = _chip(set(verdicts.values()), has_intervals=has_intervals)
    most = models[0]
    pairs = _pairs(most)
    random = sum(pair[1] for pair in pairs) / len(pairs)
    drift = sum(at.drift for at, _ in pairs) / len(pairs)
    who = "The model" if len(models) == 1 else most.name
    line = f"{who} drifted by {short_number(drift)} on average; a random change of every matrix, as large as training's, moves the base model by {short_number(random)}."
    return Tile(
        "random",
        label,
        _ratio_range(list(ratios.values())),
        chip,
        verdict,
        line,
        _details(result, models, verdicts),
    )


def _chip(found: set[str], *, has_intervals: bool) -> tuple[str, Verdict]:
    """found: the verdicts of all models, by `_BESIDE_RANDOM`."""
    if len(found) > 1:
        return "differs by model", "open"
    if not has_intervals:
        return "no interval", "open"
    chips: dict[str, tuple[str, Verdict]] = {
        "more": ("more", "yes"),
        "less": ("less", "no"),
        "alike": ("not told apart", "open"),
        "varies": ("varies by layer", "open"),
        "never more": ("nowhere more", "no"),
    }
    return chips[found.pop()]


def _details(result: Comparison, models: Sequence[ComparedModel], verdicts: Mapping[str, str]) -> list[str]:
    said = [
        "Compared layer by layer: the drift is more, or less, where its interval and that of the random change do not overlap; where one has none, its value counts.",
    ]
    if result.control_samples is not None and result.control_samples != result.samples:
        said.append(f"The random change is over {result.control_samples} samples, the drift over all {result.samples}.")

    def of(model: ComparedModel) -> str:
        ratio = _ratio(model)
        times_as_much = "" if ratio is None else f"; {times(ratio)} times as much on average"
        return f"{_BESIDE_RANDOM[verdicts[model.name]]}{times_as_much}."

    return [*said, *([sentence_case(of(models[0]))] if len(models) == 1 else by_model(models, of))]


def _pairs(model: ComparedModel) -> list[tuple[LayerDrift, float]]:
    return [(at, at.random_change_drift) for at in model.layers if at.random_change_drift is not None]


def _ratio(model: ComparedModel) -> float | None:
    """Mean drift by that of the random change, over the layers that have both; None unless both are above 0."""
    pairs = _pairs(model)
    drift, random = sum(at.drift for at, _ in pairs), sum(value for _, value in pairs)
    return drift / random if drift > 0 and random > 0 else None


def _ratio_range(ratios: Sequence[float]) -> str:
    if not ratios:
        return "none"
    low, high = times(min(ratios)), times(max(ratios))
    return f"{low} times" if low == high else f"{low} to {high} times"


def _against_random(model: ComparedModel) -> str:
    """The verdict on all layers of a model, by `_BESIDE_RANDOM`."""
    found: set[str] = set()
    for at, value in _pairs(model):
        low = at.drift if at.drift_low is None else at.drift_low
        high = at.drift if at.drift_high is None else at.drift_high
        random_low = value if at.random_change_low is None else at.random_change_low
        random_high = value if at.random_change_high is None else at.random_change_high
        found.add("more" if low > random_high else "less" if high < random_low else "alike")
    if len(found) == 1:
        return found.pop()
    return "varies" if "more" in found else "never more"
