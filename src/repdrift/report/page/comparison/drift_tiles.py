"""Tiles on drift: how large it is, whether it is above noise, and how it stands to a random change as large."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repdrift.core.comparison_answers import above_noise_words, drift_in_short, mean_drift
from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.words import counted, models_named, sentence_case, short_number, times
from repdrift.report.page.contents import Tile, Verdict

_MODELS_LISTED = 12


def drift_tile(result: Comparison) -> Tile:
    """The mean drift over layers: one model's, or the smallest and the largest."""
    models = ranked(result)
    if not models:
        return Tile("drift", "Mean drift over layers", "none", "not measured", "open", _no_drift(result))
    most = models[0]
    if len(models) == 1:
        label, value, who = "Mean drift over layers", short_number(mean_drift(most)), ""
    else:
        label = f"Mean drift of {len(models)} models"
        value, who = value_range([mean_drift(model) for model in models]), f"{most.name} drifts most: "
    at = max(most.layers, key=lambda layer: layer.drift)
    chip = "one layer" if len(most.layers) == 1 else f"most in layer {at.layer}"
    details = by_model(models, lambda model: f"{drift_in_short(model.layers)}.")
    return Tile(
        "drift", label, value, chip, "plain", f"{sentence_case(f'{who}{drift_in_short(most.layers)}')}.", details
    )


def noise_tile(result: Comparison) -> Tile:
    """The layers, or the models, whose drift is above noise."""
    models = ranked(result)
    judged = {model.name: [at.above_noise for at in model.layers] for model in models}
    if not any(above is not None for of_model in judged.values() for above in of_model):
        why = "No model has a drift by layer." if not models else "No noise floor is at hand, so it is not known."
        return Tile("noise", "Above noise", "none", "not known", "open", why)
    if len(models) == 1:
        layers = judged[models[0].name]
        n, whole, noun = layers.count(True), len(layers), "layers"
        line = f"{sentence_case(above_noise_words(models[0]))}."
    else:
        n, whole, noun = sum(all(layers) for layers in judged.values()), len(models), "models"
        others = [name for name, layers in judged.items() if not all(layers)]
        line = "In every layer of every model." if not others else f"Not in every layer of {models_named(others)}."
    unknown = any(above is None for layers in judged.values() for above in layers)
    chip, verdict = _noise_chip(n == whole, nothing=not any(any(layers) for layers in judged.values()), unknown=unknown)
    return Tile(
        "noise",
        "Above noise",
        f"{n} of {counted(whole, noun[:-1])}",
        chip,
        verdict,
        line,
        [*_floor(result), *by_model(models, lambda model: f"{above_noise_words(model)}.")],
    )


def _noise_chip(every: bool, *, nothing: bool, unknown: bool) -> tuple[str, Verdict]:
    if every:
        return "yes", "yes"
    if unknown:
        return "not known everywhere", "open"
    return ("no", "no") if nothing else ("in part", "open")


def _floor(result: Comparison) -> list[str]:
    floors = [at for at in result.base_layers if at.noise_floor is not None]
    if not floors:
        return []
    largest = max(floors, key=lambda at: at.noise_floor or 0.0)
    high = max((at.noise_floor_high for at in floors if at.noise_floor_high is not None), default=None)
    said = f"The base model, run twice with other batches, differs from itself by a drift of at most {short_number(largest.noise_floor or 0.0)} (layer {largest.layer})"
    said += "" if high is None else f"; the upper end of its 95 % interval is at most {short_number(high)}"
    found = [f"{said}."]
    if any(at.rounding_drift is not None for model in result.compared for at in model.layers):
        found.append(
            "Where the weights of a tuned model were rounded, its drift must also be above that of the base model rounded alike."
        )
    return found


def random_change_tile(result: Comparison) -> Tile:
    """The drift beside that of the base model after random changes of every matrix, as large as training's."""
    label = "Against a random change as large"
    models = [model for model in ranked(result) if _pairs(model)]
    if not models:
        line = "No random change was made, so it is not known whether training moved the model more than chance would."
        return Tile("random", label, "none", "not measured", "open", line)
    ratios = {model.name: ratio for model in models if (ratio := _ratio(model)) is not None}
    verdicts = {model.name: _against_random(model) for model in models}
    found = set(verdicts.values())
    chip: str
    verdict: Verdict
    if found == {"more"}:
        chip, verdict = "more", "yes"
    elif found == {"less"}:
        chip, verdict = "less", "no"
    else:
        chip, verdict = "not in every layer", "open"
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
        _random_details(result, models, verdicts),
    )


def _random_details(result: Comparison, models: Sequence[ComparedModel], verdicts: dict[str, str]) -> list[str]:
    words = {
        "more": "more than the random change in every layer",
        "less": "less than the random change in every layer",
        "either": "not told apart from the random change in every layer, or more in some and less in others",
    }
    ratio = {model.name: _ratio(model) for model in models}
    said = [
        "Compared layer by layer: `more` where the intervals of both do not overlap; where one has none, by the values alone.",
    ]
    if result.control_samples is not None and result.control_samples != result.samples:
        said.append(f"The random change is over {result.control_samples} samples, the drift over all {result.samples}.")
    return [
        *said,
        *by_model(
            models,
            lambda model: (
                f"{words[verdicts[model.name]]}{'' if ratio[model.name] is None else f'; {times(ratio[model.name] or 0.0)} times as much on average'}."
            ),
        ),
    ]


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
    """`more`, `less`, or `either`, over all layers."""
    found: set[str] = set()
    for at, value in _pairs(model):
        low = at.drift if at.drift_low is None else at.drift_low
        high = at.drift if at.drift_high is None else at.drift_high
        random_low = value if at.random_change_low is None else at.random_change_low
        random_high = value if at.random_change_high is None else at.random_change_high
        found.add("more" if low > random_high else "less" if high < random_low else "either")
    return found.pop() if len(found) == 1 else "either"


def ranked(result: Comparison) -> list[ComparedModel]:
    """The models that were compared layer by layer, the largest mean drift first."""
    return sorted(result.compared, key=mean_drift, reverse=True)


def value_range(values: Sequence[float]) -> str:
    """The smallest and the largest of some values in short: `0.12 to 0.34`, or one where they read alike."""
    low, high = short_number(min(values)), short_number(max(values))
    return low if low == high else f"{low} to {high}"


def by_model(models: Sequence[ComparedModel], said: Callable[[ComparedModel], str]) -> list[str]:
    """A sentence for each of the first models, with its name; a last one says where the others stand."""
    if len(models) == 1:
        return []
    lines = [f"{model.name}: {said(model)}" for model in models[:_MODELS_LISTED]]
    more = len(models) - len(lines)
    return [*lines, *([f"{counted(more, 'more model')}: see the table of models."] if more else [])]


def _no_drift(result: Comparison) -> str:
    if result.by_grid:
        return f"{models_named([model.name for model in result.by_grid])}: compared by the layer grid alone."
    return "No model could be compared layer by layer."
