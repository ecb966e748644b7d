"""Numbers of all models of a comparison, before they are put together into its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from repdrift.core.comparison_answers import drift_in_short
from repdrift.core.errors import DegenerateInputError, RepdriftError
from repdrift.core.progress import say
from repdrift.core.records.comparison import BaseLayer, BetweenModels, LayerDrift
from repdrift.core.records.sink_tokens import SinkSummary
from repdrift.core.records.site_drift import AdapterSize, AttentionOrMlp
from repdrift.core.words import models_named
from repdrift.drift.chosen_measures import Reasons
from repdrift.drift.control_conditions import ZERO_DRIFT


@dataclass(frozen=True)
class MeasureValue:
    """The value of a measure, or the reason why it has none."""

    value: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Gap:
    """A part that is missing of one model that was compared, and why."""

    model: str
    part: Literal["weights", "random change", "rounding"]
    reason: str


@dataclass
class Measured:
    """Results that are filled in model by model; plain values, so that one process can send them to the others."""

    accumulated: Literal["rows", "moments"]
    base_layers: list[BaseLayer] = field(default_factory=list)
    layers: dict[str, list[LayerDrift]] = field(default_factory=dict)
    """By model."""
    weights: dict[str, str] = field(default_factory=dict)
    """By model, in words: whose weights it ran on."""
    unpaired: dict[str, str] = field(default_factory=dict)
    """By model whose layers have no counterparts: the reason. It has no drift by layer; the layer grid compares it."""
    failed: dict[str, str] = field(default_factory=dict)
    """By model: why it could not be measured."""
    sites: dict[str, dict[str, list[LayerDrift]]] = field(default_factory=dict)
    """By model and site: drift at sites other than the residual stream."""
    base_sites: dict[str, list[BaseLayer]] = field(default_factory=dict)
    """By site: the base model there."""
    sites_left_out: dict[str, str] = field(default_factory=dict)
    """By site: the reason why it has no drift for any model."""
    model_sites_left_out: dict[str, dict[str, str]] = field(default_factory=dict)
    """By model and site: the reason why it has no drift there."""
    attention_or_mlp: dict[str, AttentionOrMlp] = field(default_factory=dict)
    """By model: drift of what attention adds against that of what the MLP adds."""
    adapter_sizes: dict[str, list[AdapterSize]] = field(default_factory=dict)
    """By model: the size of the adapter's own branch by layer."""
    between: list[BetweenModels] = field(default_factory=list)
    undefined: dict[tuple[str, str], Reasons] = field(default_factory=dict)
    """By model and measure: the layers at which it has no value, each with the reason."""
    notes: list[str] = field(default_factory=list)
    """Sentences that say what is missing of all models, and why."""
    gaps: list[Gap] = field(default_factory=list)
    """Parts that are missing of models that were compared: `gap_sentences` puts them into words."""
    model_notes: dict[str, list[str]] = field(default_factory=dict)
    """By model: sentences that change how its numbers are to be read, found while it was loaded and run."""
    coarse: dict[str, dict[str, str]] = field(default_factory=dict)
    """By model: the parameters that hold numbers of a coarser format than float32, with the format."""
    rounded: dict[str, dict[str, str]] = field(default_factory=dict)
    """By model: the parameters, with the format, whose values were rounded to it and the base model's were not."""
    not_repeatable: set[str] = field(default_factory=set)
    """Models whose weights were quantised otherwise than the base model's, which no control here can repeat."""
    alike: dict[str, str] = field(default_factory=dict)
    """By model: the format coarser than float32 that holds most weights of both the base model and this one."""
    control_samples: int | None = None
    """Number of samples behind noise floor and random change; None: no controls."""
    sinks: SinkSummary | None = None
    """The tokens that the pooling leaves out; None if it leaves none out."""

    def note(self, name: str, sentences: Iterable[str]) -> None:
        """Keeps sentences on the model `name`, each once."""
        kept = self.model_notes.setdefault(name, [])
        kept += [sentence for sentence in dict.fromkeys(sentences) if sentence not in kept]

    def judge_noise(self) -> None:
        """Tells for every layer and site of every model whether its drift is above the noise of extraction and the rounding of its files."""
        for name, layers in self.layers.items():
            is_rounded = bool(self.rounded.get(name)) or name in self.not_repeatable
            self.layers[name] = _judged(layers, self.base_layers, is_rounded=is_rounded)
            for site, at_site in self.sites.get(name, {}).items():
                self.sites[name][site] = _judged(at_site, self.base_sites.get(site, []), is_rounded=is_rounded)


def _judged(layers: Sequence[LayerDrift], base: Sequence[BaseLayer], *, is_rounded: bool) -> list[LayerDrift]:
    floors = {at.layer: at.noise_floor if at.noise_floor_high is None else at.noise_floor_high for at in base}
    return [
        at.model_copy(update={"above_noise": _above(at, floors.get(at.layer), is_rounded=is_rounded)}) for at in layers
    ]


def gap_sentences(gaps: Sequence[Gap]) -> list[str]:
    """One sentence for each part and reason, with the names of all models of which it is missing."""
    holders: dict[tuple[str, str], list[str]] = {}
    for gap in gaps:
        holders.setdefault((gap.part, gap.reason), []).append(gap.model)
    found: list[str] = []
    for (part, reason), names in holders.items():
        if part == "weights":
            found.append(
                f"The weights of {models_named(names)} were not compared, and no random change of their size was made: {reason}"
            )
        elif part == "random change":
            found.append(
                f"The control of a random change as large as that of {models_named(names)} is missing: {reason}"
            )
        else:
            found.append(
                f"The control of rounding is missing for {models_named(names)}, so it is not known whether their drift is above noise: {reason}"
            )
    return found


def alike_sentences(alike: Mapping[str, str]) -> list[str]:
    """One sentence for each format that holds the weights of the base model and of tuned ones. alike: the format by model."""
    return [
        f"The weights of the base model and of {models_named([name for name in alike if alike[name] == held])} are held in {held}: what training left alone "
        "is equal in both, and what it moved is rounded, which is part of the models as they are stored."
        for held in dict.fromkeys(alike.values())
    ]


def reason_of(error: RepdriftError) -> str:
    """The reason why a control is missing, with the next step where there is one."""
    more = " Take more samples for the controls (--control-samples)." if isinstance(error, DegenerateInputError) else ""
    return f"{error}{'.' if more else ''}{more}"


def missing_control(control: str, error: RepdriftError) -> str:
    """A sentence that a control is missing, with the reason. control: its name, with an article."""
    return f"{control} is missing: {reason_of(error)}"


def missing_run_rounding(compute_dtype: str, error: Exception) -> str:
    """A sentence that the noise floor lacks the rounding of the run itself."""
    return (
        f"The noise floor has no rounding of the run in {compute_dtype} in it, since the base model could not be run in float32 beside it: "
        f"{str(error).splitlines()[0]}"
    )


def say_first_answer(name: str, layers: Sequence[LayerDrift], notes: Sequence[str], *, controls: bool) -> None:
    """Prints the drift of one model as soon as it is known, before the controls have run, and what changes how it is read."""
    follows = "; the controls follow" if controls else ""
    say(f"{name}: {drift_in_short(layers)}{follows}")
    for note in notes:
        say(f"  mind: {note}")


def _above(at: LayerDrift, floor: float | None, *, is_rounded: bool) -> bool | None:
    if floor is None:
        return None
    floor = max(floor, ZERO_DRIFT)  # equal rows may differ in the last bits of float64
    if not is_rounded:
        return bool(at.drift > floor)
    if at.rounding_drift is None or at.control_drift is None:
        return None
    # Small drifts of two causes add up: so this is the drift of a model that training moved by as much as rounding did.
    rounding = abs(at.rounding_drift)
    limit = rounding + max(rounding, at.rounding_high or 0.0)
    return bool(at.drift > floor and at.control_drift > limit)
