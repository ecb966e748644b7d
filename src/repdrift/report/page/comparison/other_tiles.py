"""Tiles beside drift: what tuning did to outputs, what moved in the weights, and which controls are at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repdrift.core.output_words import (
    TABLE_HEADER,
    forgetting_title,
    outputs_answer,
    outputs_in_short,
    outputs_notes,
    outputs_rows,
)
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ON_TASK
from repdrift.core.records.output_changes import OutputChange
from repdrift.core.records.what_moved import SECTIONS
from repdrift.core.worded_section import WordedSection
from repdrift.core.words import listed, number, percent, sentence_case, short_number, some_listed
from repdrift.report.page.comparison.drift_tiles import by_model, ranked, value_range
from repdrift.report.page.contents import NOT_KNOWN, Tile, Verdict

_TOLD_BY = (("forgetting", ON_GENERAL_TEXT), ("forgetting", ON_TASK), ("disagreement", ON_TASK))
"""Outcomes that tell most of outputs, the first that was measured first."""


def outputs_tile(result: Comparison) -> Tile:
    """The change of outputs: forgetting on general text, else the loss on these texts, else classes that changed."""
    models = [*ranked(result), *result.by_grid]
    found = _told_by(models)
    if not found:
        return Tile("outputs", "Outputs", NOT_KNOWN, "not measured", "open", *_outputs_missing(models))
    first = next(iter(found.values()))
    is_loss = first.outcome == "forgetting"
    label = forgetting_title(first.inputs) if is_loss else "Classes that changed"
    values = [change.difference if is_loss else change.value for change in found.values()]
    known = [value for value in values if value is not None]
    if is_loss:
        value = f"{_signed_range(known)} nats" if known else NOT_KNOWN
    else:
        low, high = percent(min(known)), percent(max(known))
        value = low if low == high else f"{low} to {high}"
    chip, verdict = _outputs_chip(list(found.values()), is_loss=is_loss)
    focus = next(model for model in models if model.name in found)
    answer = outputs_in_short(focus.outputs)
    line = f"{sentence_case(answer) if len(models) == 1 else f'{focus.name}: {answer}'}."
    with_outputs = [model for model in models if model.name in found]
    details = by_model(with_outputs, lambda model: f"{outputs_in_short(model.outputs)}.")
    return Tile(
        "outputs", label, value, chip, verdict, line, [*details, *_output_rows(focus), *_missing_of(models, found)]
    )


def outputs_column(result: Comparison) -> tuple[str, dict[str, float | None]]:
    """The outcome that tells most of outputs, for a table: its heading with the unit, and the number of each model that has one."""
    found = _told_by([*result.compared, *result.by_grid])
    if not found:
        return "outputs", {}
    first = next(iter(found.values()))
    if first.outcome == "disagreement":
        return "share of texts in another class", {name: change.value for name, change in found.items()}
    heading = "forgetting (nats)" if first.inputs == ON_GENERAL_TEXT else "rise of the loss (nats)"
    return heading, {name: change.difference for name, change in found.items()}


def _told_by(models: Sequence[ComparedModel]) -> dict[str, OutputChange]:
    """The outcome that tells most, by model; empty where no model has one."""
    for outcome, inputs in _TOLD_BY:
        found = {
            model.name: change
            for model in models
            for change in ([] if model.outputs is None else model.outputs.changes)
            if (change.outcome, change.inputs) == (outcome, inputs)
        }
        if found:
            return found
    return {}


def _outputs_missing(models: Sequence[ComparedModel]) -> tuple[str, list[str]]:
    reasons = list(
        dict.fromkeys(line for model in models if model.outputs is not None for line in model.outputs.left_out)
    )
    if not reasons:
        return "Outputs were not measured.", []
    return "Outputs were not compared; the reasons are below.", reasons


def _missing_of(models: Sequence[ComparedModel], found: Mapping[str, OutputChange]) -> list[str]:
    missing = [model for model in models if model.name not in found]
    return [f"{model.name}: {outputs_answer(model.outputs) or 'outputs were not measured'}." for model in missing]


def _outputs_chip(changes: Sequence[OutputChange], *, is_loss: bool) -> tuple[str, Verdict]:
    if not is_loss:
        return ("changed", "plain") if any(change.value for change in changes) else ("same", "plain")
    said = {_direction(change) for change in changes}
    if len(said) > 1:
        return "differs by model", "open"
    return {"worse": ("worse", "no"), "better": ("better", "yes")}.get(said.pop(), ("not known", "open"))  # type: ignore[return-value]


def _direction(change: OutputChange) -> str:
    if change.low is None or change.high is None or change.low <= 0 <= change.high:
        return "not known"
    return "worse" if change.low > 0 else "better"


def _signed_range(values: Sequence[float]) -> str:
    low, high = _signed(min(values)), _signed(max(values))
    return low if low == high else f"{low} to {high}"


def _signed(value: float) -> str:
    text = short_number(value)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def _output_rows(model: ComparedModel) -> list[str]:
    """The numbers of one model's outputs as sentences, with what changes how they are read."""
    if model.outputs is None:
        return []
    lines: list[str] = []
    for outcome, texts, *cells in outputs_rows(model.outputs):
        numbers = ", ".join(f"{head} {cell}" for head, cell in zip(TABLE_HEADER[2:], cells, strict=True) if cell)
        lines.append(f"{model.name}, {outcome}, on {texts}: {numbers}.")
    return [*lines, *outputs_notes(model.outputs)]


def moved_tile(result: Comparison, sections: Mapping[str, Sequence[WordedSection]]) -> Tile:
    """The largest change of a layer's weights, and what each section on what moved answers first on the model that drifts most."""
    moved = {model.name: found for model in ranked(result) if (found := largest_weight_change(model)) is not None}
    said = [
        f"{section.title}, {model.name}: {section.answer[0]}"
        for model in [*ranked(result), *result.by_grid][:1]
        for section in sections.get(model.name, ())
        if section.answer and section.name in SECTIONS
    ]
    label = "Most moved block, all its weights joined"
    if not moved:
        return Tile("moved", label, NOT_KNOWN, "not measured", "open", "The weights were not compared.", said)
    values = [change for _, change in moved.values()]
    low, high = percent(min(values)), percent(max(values))
    name, (layer, change) = max(moved.items(), key=lambda item: item[1][1])
    where = f"layer {layer}"
    who = "" if len(moved) == 1 else f" of {name}"
    line = f"The weights of {where}{who}, joined, moved most: by {percent(change)} of their norm. Single matrices, and weights outside the blocks, may have moved more."
    return Tile("moved", label, low if low == high else f"{low} to {high}", f"most in {where}", "plain", line, said)


def largest_weight_change(model: ComparedModel) -> tuple[int, float] | None:
    """The layer whose weights moved most, and by which share of their norm; None where they were not compared."""
    found = [
        (at.layer, at.weights["weight_relative_change"])
        for at in model.layers
        if "weight_relative_change" in at.weights
    ]
    return max(found, key=lambda pair: pair[1], default=None)


def controls_tile(result: Comparison, notes: Sequence[str]) -> Tile:
    """The controls that are at hand. notes: sentences on how they were made."""
    layers = [at for model in result.compared for at in model.layers]
    there = {
        "the base model run twice": any(at.noise_floor is not None for at in result.base_layers),
        "a random change as large": any(at.random_change_drift is not None for at in layers),
        "mispaired samples": any(at.mispaired_drift is not None for at in layers),
        "intervals over samples": any(at.drift_low is not None for at in layers),
    }
    missing = [name for name, is_there in there.items() if not is_there]
    n = len(there) - len(missing)
    chip, verdict = _controls_chip(n, len(there))
    line = (
        "All are at hand: base model run twice, random change, mispaired samples, intervals."
        if not missing
        else f"Missing: {listed(missing)}."
    )
    return Tile("controls", "Controls", f"{n} of {len(there)}", chip, verdict, line, [*_mispaired(result), *notes])


def _controls_chip(count: int, whole: int) -> tuple[str, Verdict]:
    if count == whole:
        return "complete", "yes"
    return ("none", "no") if not count else ("incomplete", "open")


def _mispaired(result: Comparison) -> list[str]:
    found = [at.mispaired_drift for model in result.compared for at in model.layers if at.mispaired_drift is not None]
    if not found:
        return []
    as_far = [
        f"{model.name} in layer {at.layer} ({number(at.drift)})"
        for model in result.compared
        for at in model.layers
        if at.mispaired_drift is not None and at.drift >= at.mispaired_drift
    ]
    said = [
        f"Between samples that do not belong together the drift is {value_range(found)}, about as far as it can be."
    ]
    if as_far:
        said.append(f"As far as that: {some_listed(as_far)}.")
    return said
