"""The table of models: one row each, with what unfolds below it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

import pandas as pd

from repdrift.core.comparison_answers import above_noise_words, most_moved_layer
from repdrift.core.output_words import outputs_answer
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.words import sentence_case
from repdrift.report.page.comparison.other_tiles import largest_weight_change, outputs_column
from repdrift.report.page.contents import RunTable

_COLUMNS = {
    "arm": "model",
    "kind": "kind",
    "status": "status",
    "mean_drift": "mean drift",
    "largest_layer": "most in layer",
    "largest_drift": "drift there",
    "noise": "above noise",
    "weights_moved": "weights of a block moved, at most",
    "outputs": "outputs",
    "cautions": "cautions",
    "reason": "reason",
}


def model_table(result: Comparison) -> RunTable:
    """Returns the table of all models, also of those that could not be compared. Columns without any value are left out."""
    heading, outputs = outputs_column(result)
    rows = pd.DataFrame([_row(model) | {"outputs": outputs.get(model.name)} for model in result.models])
    rows = rows.reindex(columns=list(_COLUMNS))
    kept = {
        name: title
        for name, title in {**_COLUMNS, "outputs": heading}.items()
        if (rows[name].notna() & rows[name].ne("")).any()
    }
    return RunTable(rows, kept, details=[_details(result, model) for model in result.models])


def _row(model: ComparedModel) -> dict[str, object]:
    row: dict[str, object] = {
        "arm": model.name,
        "kind": model.kind,
        "status": model.status,
        "cautions": len(model.notes),
        "reason": _first_clause(model.reason or ""),
    }
    if model.layers:
        most, weights = most_moved_layer(model.layers), largest_weight_change(model)
        row |= {
            "mean_drift": model.mean_drift,
            "largest_layer": most.layer,
            "largest_drift": most.drift,
            "noise": above_noise_words(model)
            .removeprefix("above noise ")
            .removeprefix("whether it is above noise is "),
            "weights_moved": None if weights is None else weights[1],
        }
    return row


def _first_clause(reason: str) -> str:
    """The beginning of a reason, which stands whole below the row."""
    for end in (": ", ". "):
        reason = reason.partition(end)[0]
    return reason.rstrip(".")


def _details(result: Comparison, model: ComparedModel) -> Mapping[str, str]:
    found = {
        "Cautions": " ".join(model.notes),
        "Reason": model.reason or "",
        "Outputs": _outputs(model),
        "Given as": model.ref,
        "Weights run": model.weights or "",
        "SHA-256 of the weights": model.weights_digest or "",
        "SHA-256 of the settings": json.dumps(model.settings, ensure_ascii=False) if model.settings else "",
        "Sites without a drift": " ".join(f"{site}: {why}" for site, why in model.sites_left_out.items()),
        "Command for this model alone": command_line(_command_of(result, model)),
    }
    return {heading: text for heading, text in found.items() if text}


def _outputs(model: ComparedModel) -> str:
    if model.outputs is None:
        return ""
    answer = f"{sentence_case(outputs_answer(model.outputs))}." if model.outputs.changes else ""
    return " ".join([answer, *model.outputs.notes, *model.outputs.left_out]).strip()


def command_line(words: list[str]) -> str:
    """Returns the words of a command as one line for a shell; "" for none."""
    return shlex.join(words)


def _command_of(result: Comparison, model: ComparedModel) -> list[str]:
    """The words of the command for one model; none where its place in the command is not known."""
    start, end = 3, 3 + len(result.models)
    if len(result.command) <= end or result.command[end] != "--data":
        return []
    place = result.models.index(model)
    return [*result.command[:start], result.command[start + place], *result.command[end:]]
