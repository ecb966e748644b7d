"""The first lines of a comparison: for each model its drift, whether that is above noise, and what changes how it is read; for all a headline.

Terminal, summary and page take them from here.
"""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.layer_grid_words import grid_answer
from repdrift.core.output_words import outputs_answer, outputs_in_short
from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.shared_paths import shared_path
from repdrift.core.words import counted, layers_named, models_named, short_drift

_SINGLE_MODELS = (
    "These are single models: two seeds of one method differ too, so that their order says nothing of methods."
)


def comparison_headline(result: Comparison) -> str:
    """One or two sentences on all models: which drifts most, where, whether above noise, what it did to outputs; which could not be compared.

    What changes how the numbers are read stands in the cautions.
    """
    compared = result.compared
    if len(compared) > 1:
        return f"{_of_several(result)}{_others(result)}"
    if compared:
        return f"{compared[0].name} against {shared_path(result.base)}: {_in_short(compared[0])}.{_others(result)}"
    if len(result.by_grid) == 1:
        (model,) = result.by_grid
        return (
            f"{model.name} against {shared_path(result.base)}: no drift by layer, compared by the layer grid alone."
            f"{_grid_found(model)}{_others(result)}"
        )
    return f"No model has a drift by layer from {shared_path(result.base)}.{_others(result)}"


def _of_several(result: Comparison) -> str:
    compared = sorted(result.compared, key=mean_drift)
    least, most = compared[0], compared[-1]
    lead = f"Of {len(compared)} models against {shared_path(result.base)}, {most.name} drifts most"
    if all(at.above_noise is False for model in compared for at in model.layers):
        lead = f"None of {len(compared)} models against {shared_path(result.base)} drifts more than noise in any layer; the largest drift is that of {most.name}"
    return f"{lead}: {_in_short(most)}. {least.name} drifts least (mean drift {short_drift(mean_drift(least))}). {_SINGLE_MODELS}"


def _in_short(model: ComparedModel) -> str:
    """The answer on a model as clauses, with one on outputs."""
    outputs = outputs_in_short(model.outputs)
    return f"{drift_in_short(model.layers)}; {above_noise_words(model)}{f'; {outputs}' if outputs else ''}"


def _others(result: Comparison) -> str:
    """Sentences on models without a drift by layer, with a space before them; "" if there are none, or the headline is about the one."""
    said = ""
    by_grid = [model.name for model in result.by_grid]
    if by_grid and (result.compared or len(by_grid) > 1):
        said += f" {models_named(by_grid)} {_are(by_grid)} compared by the layer grid alone."
    if refused := [model.name for model in result.models if model.status == "not comparable"]:
        said += f" {models_named(refused)} could not be compared."
    return said


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def mean_drift(model: ComparedModel) -> float:
    """The mean drift over layers of a model that was compared layer by layer."""
    return sum(at.drift for at in model.layers) / len(model.layers)


def most_moved_layer(layers: Sequence[LayerDrift]) -> LayerDrift:
    """The layer with the largest drift; the first of several."""
    return max(layers, key=lambda at: at.drift)


def answer_line(model: ComparedModel) -> str:
    """One line on a model that was compared, without its name: drift, where most, above noise or not, what it did to outputs, the first
    caution."""
    return f"{_answer(model)}.{_first_caution(model)}"


def grid_line(model: ComparedModel) -> str:
    """One line on a model that only the layer grid compares, without its name: why, what the grid shows, and the first caution."""
    return f"no drift by layer, compared by the layer grid alone: {model.reason}{_grid_found(model)}{_first_caution(model)}"


def drift_in_short(layers: Sequence[LayerDrift]) -> str:
    """The drift of one model in a few words: its mean over layers, and where it is largest, with the interval."""
    mean = sum(at.drift for at in layers) / len(layers)
    most = most_moved_layer(layers)
    if all(short_drift(at.drift) == short_drift(0.0) for at in layers):
        # Where rounding moved it most is no answer.
        return "drift 0 in every layer" if len(layers) > 1 else f"drift 0 in layer {most.layer}"
    if len(layers) > 1 and all(at.drift == most.drift for at in layers):
        return f"drift {short_drift(mean)}, the same in every layer"
    beside = not_told_apart(layers)
    if beside and beside == len(layers) - 1:
        ends = f"{short_drift(min(at.drift for at in layers))} to {short_drift(most.drift)}"
        return f"mean drift {short_drift(mean)}, and no layer stands out ({ends}, with intervals that overlap)"
    where = f"layer {most.layer} ({short_drift(most.drift)}"
    if most.drift_low is not None and most.drift_high is not None:
        where += f", 95 % interval {short_drift(most.drift_low)} to {short_drift(most.drift_high)}"
        where += f", not told apart from {counted(beside, 'other layer')}" if beside else ""
    return f"mean drift {short_drift(mean)}, most in {where})"


def not_told_apart(layers: Sequence[LayerDrift]) -> int:
    """The number of layers whose interval reaches up to that of the layer with the largest drift; 0 without intervals."""
    most = most_moved_layer(layers)
    low = most.drift_low
    return sum(
        low is not None and at is not most and at.drift_high is not None and at.drift_high >= low for at in layers
    )


def above_noise_words(model: ComparedModel) -> str:
    """Says in which layers the drift of a model is above noise, as a clause."""
    above = [at.layer for at in model.layers if at.above_noise]
    unknown = [at.layer for at in model.layers if at.above_noise is None]
    if len(unknown) == len(model.layers):
        return "whether it is above noise is not known"
    if len(above) == len(model.layers):
        return "above noise in every layer" if len(above) > 1 else f"above noise in {layers_named(above)}"
    said = f"above noise in {layers_named(above)} only" if above else "above noise in no layer"
    return said + (f", not known in {layers_named(unknown)}" if unknown else "")


def _answer(model: ComparedModel) -> str:
    """The answer on a model as clauses, without a caution."""
    outputs = outputs_answer(model.outputs)
    return f"{drift_in_short(model.layers)}; {above_noise_words(model)}{f'; {outputs}' if outputs else ''}"


def _grid_found(model: ComparedModel) -> str:
    """The sentences of the layer grid, with a space before them; "" if there is no grid."""
    grid = None if model.moved is None else model.moved.grid
    return "" if grid is None else f" {' '.join(grid_answer(grid))}"


def _first_caution(model: ComparedModel) -> str:
    if not model.notes:
        return ""
    more = len(model.notes) - 1
    return f" Mind: {model.notes[0]}" + (f" ({counted(more, 'more caution')} below.)" if more else "")
