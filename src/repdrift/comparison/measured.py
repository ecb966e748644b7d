"""Numbers of all models of a comparison, before they are put together into its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from repdrift.core.errors import DegenerateInputError, RepdriftError
from repdrift.core.progress import say
from repdrift.core.records.comparison import BaseLayer, BetweenModels, LayerDrift
from repdrift.core.words import short_number, some_listed
from repdrift.drift.chosen_measures import Reasons


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
    failed: dict[str, str] = field(default_factory=dict)
    """By model: why it could not be measured."""
    between: list[BetweenModels] = field(default_factory=list)
    undefined: dict[tuple[str, str], Reasons] = field(default_factory=dict)
    """By model and measure: the layers at which it has no value, each with the reason."""
    notes: list[str] = field(default_factory=list)
    """Sentences that say what is missing of all models, and why."""
    gaps: list[Gap] = field(default_factory=list)
    """Parts that are missing of models that were compared: `gap_sentences` puts them into words."""
    model_notes: dict[str, list[str]] = field(default_factory=dict)
    """By model: sentences that change how its numbers are to be read, found while it was loaded and run."""
    control_samples: int | None = None
    """Number of samples behind noise floor and random change; None: no controls."""

    def note(self, name: str, sentences: Iterable[str]) -> None:
        """Keeps sentences on the model `name`, each once."""
        kept = self.model_notes.setdefault(name, [])
        kept += [sentence for sentence in dict.fromkeys(sentences) if sentence not in kept]

    def judge_noise(self) -> None:
        """Tells for every layer of every model whether its drift is above the noise of extraction."""
        limits = {
            at.layer: at.noise_floor if at.noise_floor_high is None else at.noise_floor_high for at in self.base_layers
        }
        for name, layers in self.layers.items():
            self.layers[name] = [at.model_copy(update={"above_noise": _above(at, limits)}) for at in layers]


def gap_sentences(gaps: Sequence[Gap]) -> list[str]:
    """One sentence for each part and reason, with the names of all models of which it is missing."""
    holders: dict[tuple[str, str], list[str]] = {}
    for gap in gaps:
        holders.setdefault((gap.part, gap.reason), []).append(gap.model)
    found: list[str] = []
    for (part, reason), names in holders.items():
        who = some_listed(names) if len(names) < 3 else f"{len(names)} models ({some_listed(names)})"
        if part == "weights":
            found.append(
                f"The weights of {who} were not compared, and no random change of their size was made: {reason}"
            )
        elif part == "random change":
            found.append(f"The control of a random change as large as that of {who} is missing: {reason}")
        else:
            found.append(f"The control of rounding is missing for {who}, so nothing is said about noise: {reason}")
    return found


def reason_of(error: RepdriftError) -> str:
    """The reason why a control is missing, with the next step where there is one."""
    more = " Take more samples for the controls (--control-samples)." if isinstance(error, DegenerateInputError) else ""
    return f"{error}{'.' if more else ''}{more}"


def missing_control(control: str, error: RepdriftError) -> str:
    """A sentence that a control is missing, with the reason. control: its name, with an article."""
    return f"{control} is missing: {reason_of(error)}"


def say_first_answer(name: str, layers: Sequence[LayerDrift], *, controls: bool) -> None:
    """Prints the drift of one model as soon as it is known, before the controls have run."""
    most = max(layers, key=lambda at: at.drift)
    where = f"layer {most.layer} ({short_number(most.drift)}"
    if most.drift_low is not None and most.drift_high is not None:
        where += f", 95 % interval {short_number(most.drift_low)} to {short_number(most.drift_high)}"
    mean = sum(at.drift for at in layers) / len(layers)
    follows = "; the controls follow" if controls else ""
    say(f"{name}: mean drift {short_number(mean)}, most in {where}){follows}")


def _above(at: LayerDrift, limits: dict[int, float | None]) -> bool | None:
    limit = limits.get(at.layer)
    return None if limit is None else bool(at.drift > limit)
