"""The screen at the end of `compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repdrift.core.comparison_answers import mean_drift, most_moved_layer
from repdrift.core.comparison_words import note_sentences
from repdrift.core.records.comparison import COMPARISON_SUMMARY, ComparedModel, Comparison
from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ON_TASK, Inputs
from repdrift.core.records.output_changes import OutputChange
from repdrift.core.sink_words import sinks_in_short
from repdrift.core.words import percent, short_drift, signed_digits
from repdrift.report.glance.cautions import Caution, Kind, kind_of
from repdrift.report.glance.comparison_headline import headlines
from repdrift.report.glance.ending import Ending, ending_lines
from repdrift.report.glance.screen import Screen
from repdrift.report.glance.small_table import GlanceRow, GlanceTable

_HEADS = ("drift", "most in layer", "above noise", "other class", "loss", "forgetting")
_OPTIONAL = ("forgetting", "loss", "above noise")
"""Heads that a narrow screen does without, the last one first: the headline says it too."""
_LOSSES = {"loss": "on these texts", "forgetting": "on general text"}


def comparison_glance(result: Comparison, places: Mapping[str, str], screen: Screen) -> list[str]:
    """Returns the lines, 25 at most. places: what lies where, such as `summary` and its path, in the order to look."""
    ending = Ending(
        headlines=headlines(result),
        tables=[_table(result, result.models), _table(result, _by_drift(result.models))],
        cautions=[caution for caution in comparison_cautions(result) if caution.kind != Kind.ONE_FEATURE],
        places=places,
        all_cautions_in=COMPARISON_SUMMARY,
        first=result.headline,
    )
    return ending_lines(ending, screen)


def comparison_cautions(result: Comparison) -> list[Caution]:
    """Returns every caution of a comparison, the most serious first: from its models, its controls and its warnings."""
    headline = set(result.headline)
    found = [Caution(Kind.ONE_FEATURE if said in headline else kind_of(said), said) for said in _sentences(result)]
    if result.compared and not result.control_samples:
        text = "No controls were run, so it is not known whether a drift is above noise, or above that of a random change of its size."
        found.append(Caution(Kind.NO_CONTROL, text))
    return sorted(found, key=lambda caution: caution.kind)


def _sentences(result: Comparison) -> list[str]:
    """The cautions of a comparison, each once."""
    notes = note_sentences([model for model in result.models if model.status != "not comparable"])
    return list(dict.fromkeys([*result.headline, *result.warnings, *notes]))


def _by_drift(models: Sequence[ComparedModel]) -> list[ComparedModel]:
    """The models of which most is asked first: those without a drift, then those that drift most."""
    return sorted(models, key=lambda model: -float("inf") if not model.layers else -(model.mean_drift or 0.0))


def _table(result: Comparison, models: Sequence[ComparedModel]) -> GlanceTable:
    layers = [at.layer for at in result.base_layers]
    rows = [_row(model, layers) for model in models]
    kept = [place for place in range(len(_HEADS)) if place == 0 or any(row.numbers[place] for row in rows)]
    return GlanceTable(
        name_heads=["model"],
        heads=[_HEADS[place] for place in kept],
        rows=[GlanceRow(row.names, [row.numbers[place] for place in kept], row.drifts) for row in rows],
        layers=layers if result.compared else [],
        optional=[head for head in _OPTIONAL if head in [_HEADS[place] for place in kept]],
        notes=_notes(result, rows, [_HEADS[place] for place in kept]),
    )


def _notes(result: Comparison, rows: Sequence[GlanceRow], heads: Sequence[str]) -> list[str]:
    losses = [f"{head} {where}" for head, where in _LOSSES.items() if head in heads]
    rises = [f"rise of the loss in nats a token: {', '.join(losses)}"] if losses else []
    said = ["[ ]: 95 % interval over samples"] if any("[" in n for row in rows for n in row.numbers) else []
    sinks = "" if result.sinks is None else sinks_in_short([result.sinks])
    return [*said, *rises, *([sinks] if sinks else [])]


def _row(model: ComparedModel, layers: Sequence[int]) -> GlanceRow:
    if not model.layers:
        return GlanceRow([model.name], ["grid alone" if model.status == "compared by grid" else "none", *[""] * 5], [])
    at = most_moved_layer(model.layers)
    ends = (
        ""
        if at.drift_low is None or at.drift_high is None
        else f" [{short_drift(at.drift_low)}, {short_drift(at.drift_high)}]"
    )
    known = [each.above_noise for each in model.layers if each.above_noise is not None]
    classes = _change(model, "disagreement", ON_TASK)
    drifts = {each.layer: each.drift for each in model.layers}
    numbers = [
        short_drift(mean_drift(model)),
        f"{at.layer}: {short_drift(at.drift)}{ends}",
        f"{sum(known)} of {len(model.layers)}" if known else "",
        "" if classes is None else percent(classes.value),
        _rise(_change(model, "forgetting", ON_TASK)),
        _rise(_change(model, "forgetting", ON_GENERAL_TEXT)),
    ]
    return GlanceRow([model.name], numbers, [drifts.get(layer) for layer in layers])


def _change(model: ComparedModel, outcome: str, inputs: Inputs) -> OutputChange | None:
    changes = [] if model.outputs is None else model.outputs.changes
    return next((change for change in changes if (change.outcome, change.inputs) == (outcome, inputs)), None)


def _rise(change: OutputChange | None) -> str:
    """The rise of a loss in nats, with its interval."""
    if change is None or change.difference is None:
        return ""
    ends = (
        ""
        if change.low is None or change.high is None
        else f" [{signed_digits(change.low)}, {signed_digits(change.high)}]"
    )
    return f"{signed_digits(change.difference)}{ends}"
