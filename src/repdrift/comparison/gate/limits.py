"""Limits of a gate, as a user writes them: of the drift by layer, of its mean over layers, and of outcomes."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from repdrift.comparison.options import ComparisonOptions
from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ON_TASK, Inputs
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.records.sites import RESID_POST, SITES
from repdrift.core.words import layer_ranges, listed
from repdrift.drift.chosen_measures import require_measures
from repdrift.similarity import measure

_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")
_MEAN, _ALL = "mean", "all"


@dataclass(frozen=True)
class GateOutcome:
    """An outcome that can have a limit. More of it is worse.

    name: on the command line. outcome: in the record. title: in a sentence. is_share: it lies between 0 and 1. turned: the record has its
    complement.
    """

    name: str
    outcome: str
    inputs: Inputs
    title: str
    unit: str
    is_share: bool = False
    turned: bool = False


GATED_OUTCOMES = {
    found.name: found
    for found in (
        GateOutcome("forgetting", "forgetting", ON_GENERAL_TEXT, "forgetting on general text", "nats per token"),
        GateOutcome("loss", "forgetting", ON_TASK, "rise of the loss on these texts", "nats per token"),
        GateOutcome("output_kl", "output_kl", ON_TASK, "KL divergence of outputs", "nats per token"),
        GateOutcome("output_js", "output_js", ON_TASK, "JS divergence of outputs", "nats per token"),
        GateOutcome(
            "other_token", "top1_agreement", ON_TASK, "places with another first token", "share", is_share=True, turned=True
        ),
        GateOutcome("disagreement", "disagreement", ON_TASK, "texts with another class", "share", is_share=True),
    )
}  # fmt: skip
"""Outcomes by their names on the command line."""


@dataclass(frozen=True)
class Gate:
    """Limits with the numbers that they hold for. A gate without any limit does not exist: `Gate.of` raises.

    fail_above: limit of the drift; None: the drift is not gated. sites: where it is gated; the residual stream alone if none is named. layers: the gated layers; None: all that were compared. by_layer: whether
    each of them is held to the limit by itself. mean: whether their mean is. outcomes: limits by the name of the outcome.
    """

    fail_above: float | None
    measure: str = PRIMARY_MEASURE
    layers: tuple[int, ...] | None = None
    by_layer: bool = True
    mean: bool = False
    outcomes: tuple[tuple[str, float], ...] = ()
    sites: tuple[str, ...] = (RESID_POST,)

    @classmethod
    def of(
        cls,
        fail_above: float | None = None,
        *,
        layers: str | None = None,
        measure_name: str | None = None,
        outcomes: Sequence[str] = (),
        sites: Sequence[str] = (),
        compared_layers: Collection[int] | None = None,
    ) -> Gate:
        """Reads a gate from texts. Raises ConfigError that lists every fault.

        layers: `all`, `mean`, numbers and ranges, with commas (`0-5,8`; `mean,0-5`). outcomes: NAME=LIMIT. sites: names, each text with commas between them. compared_layers: the layers
        that are compared, where they are named; a gated layer must be among them.
        """
        faults: list[str] = []
        name = PRIMARY_MEASURE if measure_name is None else measure_name
        if fail_above is None:
            given = [
                o
                for o, v in (
                    ("--fail-layers", layers),
                    ("--fail-measure", measure_name),
                    ("--fail-site", sites or None),
                )
                if v is not None
            ]
            if given:
                faults.append(f"{listed(given)} without --fail-above: give the limit too, such as --fail-above 0.3")
            elif not outcomes:
                faults.append("a gate needs a limit: give --fail-above, such as --fail-above 0.3, or --fail-outcome")
        chosen, named_sites = _Layers(), (RESID_POST,)
        try:
            named_sites = _sites(sites)
        except (ConfigError, UnknownNameError) as error:
            faults.append(str(error))
        try:
            require_measures([name])
            if fail_above is not None:
                _require_limit(fail_above, _most(name), "--fail-above", f"a drift by {name}")
            chosen = _layers(layers, compared_layers)
        except (ConfigError, UnknownNameError) as error:
            faults.append(str(error))
        limits: dict[str, float] = {}
        for text in outcomes:
            try:
                outcome, limit = _outcome(text)
                if outcome in limits:
                    raise ConfigError(f"--fail-outcome: {outcome} has two limits; give one")
                limits[outcome] = limit
            except (ConfigError, UnknownNameError) as error:
                faults.append(str(error))
        if faults:
            raise ConfigError("; ".join(faults))
        return cls(fail_above, name, chosen.numbers, chosen.by_layer, chosen.mean, tuple(limits.items()), named_sites)


def gate_options(gate: Gate) -> dict[str, object]:
    """Returns the options of the command line that `Gate.of` reads as this gate, by their fields; only what differs from a gate that names a limit alone."""
    parts = [_MEAN] if gate.mean else []
    if gate.by_layer and gate.layers is None and gate.mean:
        parts.append(_ALL)
    if gate.layers is not None:
        parts.append(layer_ranges(gate.layers).replace(" to ", "-").replace(", ", ","))
    return {
        "fail_above": gate.fail_above,
        "fail_layers": ",".join(parts) or None,
        "fail_measure": None if gate.measure == PRIMARY_MEASURE else gate.measure,
        "fail_site": [] if gate.sites == (RESID_POST,) else list(gate.sites),
        "fail_outcome": [f"{name}={limit!r}" for name, limit in gate.outcomes],
    }


def require_judgeable(gate: Gate, options: ComparisonOptions) -> None:
    """Raises ConfigError if it is known before anything is run that the gate could not be judged; lists every reason."""
    faults: list[str] = []
    if gate.fail_above is not None:
        if options.pooling == "tokens":
            faults.append(
                "--fail-above needs an interval, and with --pooling tokens there is none, since tokens of one text are not independent: pool them, such as by --pooling mean"
            )
        if options.accumulate == "moments":
            faults.append("--fail-above needs an interval, which sums do not give: leave out --accumulate moments")
    if gate.fail_above is not None and (absent := [s for s in gate.sites if s not in (RESID_POST, *options.sites)]):
        faults.append(
            f"--fail-site {listed(absent)}: not measured: give {listed([f'--site {site}' for site in absent])} too"
        )
    if gate.outcomes and not options.outputs:
        faults.append("--fail-outcome needs outputs, which --no-outputs leaves out")
    general = [name for name, _ in gate.outcomes if GATED_OUTCOMES[name].inputs == ON_GENERAL_TEXT]
    if general and options.outputs and options.general_text is None:
        faults.append(
            f"--fail-outcome {general[0]} is measured on general text: give --general-text packaged, or a file"
        )
    if faults:
        raise ConfigError("; ".join(faults))


def _sites(texts: Sequence[str]) -> tuple[str, ...]:
    """Reads `--fail-site`. Raises UnknownNameError for a site that there is not, ConfigError for one that has no drift."""
    names = list(dict.fromkeys(part.strip() for text in texts for part in text.split(",")))
    for name in names:
        if name not in SITES:
            raise UnknownNameError.of("site", name, SITES)
        if name == "adapter_out":
            raise ConfigError("--fail-site: adapter_out has a size and no drift, so that it cannot be gated")
    return tuple(site for site in SITES if site in names) or (RESID_POST,)


@dataclass(frozen=True)
class _Layers:
    numbers: tuple[int, ...] | None = None
    by_layer: bool = True
    mean: bool = False


def _layers(text: str | None, compared: Collection[int] | None) -> _Layers:
    """Reads `--fail-layers`. `mean` alone is the mean over all layers; beside numbers it is the mean over them, and each is gated too."""
    if text is None:
        return _Layers()
    numbers: set[int] = set()
    words: set[str] = set()
    for part in (part.strip() for part in text.split(",")):
        found = _RANGE.fullmatch(part)
        if part in (_MEAN, _ALL):
            words.add(part)
        elif found is None or (found[2] and int(found[2]) < int(found[1])):
            raise ConfigError(
                f"--fail-layers: expected all, mean, layer numbers or ranges such as 0-5,8; got {part!r}. Layer 0 is the first block"
            )
        else:
            numbers |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
    if numbers and _ALL in words:
        raise ConfigError("--fail-layers: all and numbers exclude each other; give one of them")
    if compared is not None and (absent := numbers - set(compared)):
        raise ConfigError(
            f"--fail-layers: {layer_ranges(absent)} not among the layers that --layer names ({layer_ranges(compared)})"
        )
    return _Layers(tuple(sorted(numbers)) or None, bool(numbers) or _ALL in words, _MEAN in words)


def _outcome(text: str) -> tuple[str, float]:
    name, sign, limit = text.partition("=")
    if not (name and sign and limit):
        raise ConfigError(f"--fail-outcome: expected NAME=LIMIT, such as forgetting=0.05; got {text!r}")
    if name not in GATED_OUTCOMES:
        raise UnknownNameError.of("outcome", name, GATED_OUTCOMES)
    try:
        value = float(limit)
    except ValueError as error:
        raise ConfigError(f"--fail-outcome: {name} needs a number as its limit; got {limit!r}") from error
    outcome = GATED_OUTCOMES[name]
    _require_limit(value, 1.0 if outcome.is_share else math.inf, f"--fail-outcome {name}", f"{outcome.title},")
    return name, value


def _require_limit(limit: float, most: float, option: str, of: str) -> None:
    """Raises ConfigError for a limit that nothing can exceed, or that everything does: such a gate would never judge."""
    if not math.isfinite(limit) or limit < 0:
        raise ConfigError(f"{option}: expected a number from 0, got {limit}")
    if limit >= most:
        hint = f" For {limit:g} % write {limit / 100:g}." if 1 < limit <= 100 else ""
        raise ConfigError(f"{option}: {of} is {most:g} at most, so a limit of {limit:g} never fails.{hint}")


def _most(name: str) -> float:
    """The largest drift by a measure; infinite for a distance without an end."""
    chosen = measure(name)
    low, high = chosen.bounds
    return chosen.self_value - low if chosen.higher_is_similar else high
