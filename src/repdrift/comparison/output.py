"""The files of a direct comparison: JSON with everything, a tidy table, and a summary to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from repdrift.comparison.massive_features import STANDARDISED
from repdrift.core.atomic import write_together
from repdrift.core.records.comparison import (
    COMPARISON_FILE,
    COMPARISON_SUMMARY,
    COMPARISON_TABLE,
    ComparedModel,
    Comparison,
)
from repdrift.core.records.results import DRIFT_COLUMNS, PRIMARY_MEASURE
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.words import number
from repdrift.drift.chosen_measures import drift_is
from repdrift.similarity import measure

_LAYERS_SHOWN = 6


def write_comparison(result: Comparison, output_dir: Path) -> list[Path]:
    """Write COMPARISON_FILE, COMPARISON_TABLE and COMPARISON_SUMMARY to `output_dir`; returns their paths.

    None takes its name before all are on the disk, the JSON file last. Raises StorageError.
    """
    texts = {
        COMPARISON_FILE: result.model_dump_json(indent=2) + "\n",
        COMPARISON_TABLE: tidy_table(result).to_csv(index=False),
        COMPARISON_SUMMARY: summary(result),
    }
    return write_together(output_dir, {name: text.encode() for name, text in texts.items()})


def tidy_table(result: Comparison) -> pd.DataFrame:
    """One row per model, layer and measure, in the columns of the study's tidy table; `method` holds the model's name."""
    floors = {layer.layer: layer.noise_floor for layer in result.base_layers}
    rows: list[dict[str, object]] = []
    for model in result.compared:
        for at in model.layers:
            common = {"task": result.task, "method": model.name, "step": 0, "layer": at.layer, "n": at.rows}
            for name, value in at.values.items():
                row = {
                    **common,
                    "measure": name,
                    "value": value,
                    "drift": None if value is None else measure(name).drift(value),
                }
                if name == PRIMARY_MEASURE:
                    row |= {
                        "drift_low": at.drift_low,
                        "drift_high": at.drift_high,
                        "mispaired_value": None if at.mispaired_drift is None else 1 - at.mispaired_drift,
                        "noise_floor": floors.get(at.layer),
                        "above_noise": at.above_noise,
                    }
                rows.append(row)
            if at.random_change_drift is not None:
                random = {
                    "measure": "cka_random_change",
                    "value": 1 - at.random_change_drift,
                    "drift": at.random_change_drift,
                }
                rows.append({**common, **random})
            rows += [{**common, "measure": name, "value": value} for name, value in at.weights.items()]
    return pd.DataFrame(rows, columns=list(DRIFT_COLUMNS))


@dataclass(frozen=True)
class ByMeasure:
    """Drift of one model under every measure but the primary one: a row for each measure, a value for each layer."""

    layers: list[int]
    """All layers; if there are many, some of them, with the first and the last."""
    rows: list[tuple[str, str, list[float | None]]]
    """Name, what drift is under it, and the drifts; None where there is no value."""


def by_measure(model: ComparedModel) -> ByMeasure:
    """The drifts of a compared model, in the order of the measures."""
    count = min(_LAYERS_SHOWN, len(model.layers))
    places = sorted({round(i * (len(model.layers) - 1) / max(1, count - 1)) for i in range(count)})
    shown = [model.layers[place] for place in places]
    rows: list[tuple[str, str, list[float | None]]] = []
    for name in model.layers[0].values:
        if name != PRIMARY_MEASURE:
            values = [at.values[name] for at in shown]
            drifts = [None if value is None else measure(name).drift(value) for value in values]
            rows.append((name, drift_is(name), drifts))
    return ByMeasure([at.layer for at in shown], rows)


def summary(result: Comparison) -> str:
    """The comparison in Markdown: what was compared, drift by layer beside the controls, and the cautions."""
    lines = [
        f"# Drift from {_plain(result.base)}",
        "",
        f"{result.samples} samples ({result.tokens} tokens) from {_plain(result.data)}; pooling `{result.pooling}`, computed in "
        f"{result.compute_dtype}. Drift is 1 - debiased linear CKA: 0 is unmoved (but for rotation and scale), about 1 unrelated.",
        "",
        *(f"**{_plain(sentence)}**\n" for sentence in result.headline),
        *([_plain(sinks_in_words(result.sinks)), ""] if result.sinks is not None else []),
        *([control_note(result), ""] if result.control_samples else []),
    ]
    for model in result.compared:
        lines += [f"## {_plain(model.name)}", "", f"{model.kind}; weights: {model.weights}.", ""]
        standardised = standardised_drifts(result, model)
        heads = ["layer", "drift", "95 % interval", *(["standardised"] if standardised else [])]
        heads += ["noise floor", "random change of that size", "mispaired", "weights moved"]
        lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        floors = {layer.layer: layer.noise_floor for layer in result.base_layers}
        for at in model.layers:
            interval = "" if at.drift_low is None else f"{number(at.drift_low)} to {number(at.drift_high)}"
            cells = (
                *([standardised[at.layer]] if standardised else []),
                floors.get(at.layer),
                at.random_change_drift,
                at.mispaired_drift,
                at.weights.get("weight_relative_change"),
            )
            lines.append(f"| {at.layer} | {number(at.drift)} | {interval} | " + " | ".join(map(_cell, cells)) + " |")
        lines += ["", *_other_measures(model)]
    refused = [m for m in result.models if m.status != "compared"]
    if refused:
        lines += ["## Not compared", "", *(f"- {_plain(m.name)}: {_plain(m.reason or '')}" for m in refused), ""]
    if result.between:
        lines += [
            "## Between the tuned models",
            "",
            "Mean over layers. Two models that differ only in their seed show how much drift chance makes: a smaller "
            "difference between methods is no finding.",
        ]
        pairs: dict[tuple[str, str], list[float]] = {}
        for pair in result.between:
            pairs.setdefault((pair.first, pair.second), []).append(pair.drift)
        lines += ["", *(f"- {_plain(a)}, {_plain(b)}: {number(sum(d) / len(d))}" for (a, b), d in pairs.items()), ""]
    rest = [warning for warning in result.warnings if warning not in result.headline]
    if rest:
        lines += ["## Mind", "", *(f"- {_plain(warning)}" for warning in rest), ""]
    return "\n".join(lines)


def standardised_drifts(result: Comparison, model: ComparedModel) -> dict[int, float | None]:
    """Drift by CKA of standardised features, by layer, to stand beside the drift; empty unless the headline calls for it."""
    if not result.headline or not any(at.values.get(STANDARDISED) is not None for at in model.layers):
        return {}
    values = {at.layer: at.values.get(STANDARDISED) for at in model.layers}
    return {layer: None if value is None else 1 - value for layer, value in values.items()}


def control_note(result: Comparison) -> str:
    """Says on how many samples the noise floor and the random change were measured."""
    if result.control_samples == result.samples:
        return f"Noise floor and random change: on all {result.samples} samples."
    where = f"on {result.control_samples} of the {result.samples} samples, drawn at random"
    has_intervals = any(at.noise_floor_high is not None for at in result.base_layers)
    return f"Noise floor and random change: {where}." + (" comparison.json has their intervals." * has_intervals)


def _other_measures(model: ComparedModel) -> list[str]:
    found = by_measure(model)
    if not found.rows:
        return []
    some = " Some of the layers; drift.csv has all." if len(found.layers) < len(model.layers) else ""
    return [
        f"Drift under the other measures, by layer. Their scales differ: compare along a row.{some}",
        "",
        "| measure | drift is | " + " | ".join(f"layer {layer}" for layer in found.layers) + " |",
        "|---|---|" + "---|" * len(found.layers),
        *(f"| {name} | {drift_is} | " + " | ".join(map(_cell, drifts)) + " |" for name, drift_is, drifts in found.rows),
        "",
    ]


def _cell(value: float | None) -> str:
    return number(value, missing="")


def _plain(text: str) -> str:
    """Escapes a name from outside, so that it cannot be read as markup."""
    for mark in "\\`*_{}[]<>|#":
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())
