"""Tiles on drift: how large it is, and whether it is above noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repdrift.core.comparison_answers import (
    above_noise_words,
    drift_in_short,
    mean_drift,
    most_moved_layer,
    not_told_apart,
)
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.words import counted, models_named, sentence_case, short_number
from repdrift.report.page.contents import NOT_KNOWN, Tile, Verdict

_MODELS_LISTED = 12


def drift_tile(result: Comparison) -> Tile:
    """The mean drift over layers: one model's, or the smallest and the largest."""
    models = ranked(result)
    if not models:
        return Tile("drift", "Mean drift over layers", NOT_KNOWN, "not measured", "open", _no_drift(result))
    most = models[0]
    if len(models) == 1:
        label, value = "Mean drift over layers", short_number(mean_drift(most))
        line = sentence_case(drift_in_short(most.layers))
    else:
        label = f"Mean drift of {len(models)} models"
        value = value_range([mean_drift(model) for model in models])
        line = f"{most.name} drifts most: {drift_in_short(most.layers)}"
    chip = f"most in layer {most_moved_layer(most.layers).layer}"
    if len(most.layers) == 1:
        chip = "one layer"
    elif not_told_apart(most.layers) == len(most.layers) - 1:
        chip = "no layer stands out"
    details = by_model(models, lambda model: f"{drift_in_short(model.layers)}.")
    return Tile("drift", label, value, chip, "plain", f"{line}.", details)


def noise_tile(result: Comparison) -> Tile:
    """The layers, or the models, whose drift is above noise."""
    models = ranked(result)
    judged = {model.name: [at.above_noise for at in model.layers] for model in models}
    if not any(above is not None for of_model in judged.values() for above in of_model):
        why = "No model has a drift by layer." if not models else "No noise floor is at hand, so it is not known."
        return Tile("noise", "Above noise", NOT_KNOWN, "not measured", "open", why)
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
