"""The files of a direct comparison: JSON with everything, a tidy table, and a summary to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from repdrift.comparison.layer_table import table_header, table_rows
from repdrift.comparison.outputs_output import has_outputs, outputs_section, outputs_table
from repdrift.comparison.page import between_means, page_of
from repdrift.comparison.patching_output import patching_section, patching_table
from repdrift.comparison.what_moved import model_sections, section_tables, whole_sections
from repdrift.core.atomic import storage_errors, write_together
from repdrift.core.comparison_answers import answer_line, grid_line
from repdrift.core.comparison_words import how_sure, interval_method, warnings_beside_notes
from repdrift.core.csv_table import csv_text
from repdrift.core.errors import DataError
from repdrift.core.gate_words import gate_section
from repdrift.core.hidden_secrets import environment_read_once
from repdrift.core.parquet_table import parquet_bytes
from repdrift.core.patching_words import patching_answer
from repdrift.core.records.comparison import (
    COMPARISON_FILE,
    COMPARISON_PAGE,
    COMPARISON_SUMMARY,
    COMPARISON_TABLE,
    ComparedModel,
    Comparison,
    LayerDrift,
)
from repdrift.core.records.output_changes import OUTPUTS_TABLE
from repdrift.core.records.patching import PATCHING_TABLE
from repdrift.core.records.results import DRIFT_COLUMNS, PRIMARY_MEASURE
from repdrift.core.records.sites import RESID_POST
from repdrift.core.shared_paths import shareable
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.worded_section import section_markdown
from repdrift.core.words import markdown_text, number
from repdrift.drift.chosen_measures import drift_is
from repdrift.drift.site_measurement import RELATIVE_SIZE
from repdrift.drift.site_sets import ADAPTER_SITE
from repdrift.similarity import measure

_LAYERS_SHOWN = 6
_SECTION_ENDINGS = (".parquet", ".csv", ".png", ".pdf", ".svg")
_OLDER_FIGURES = tuple(f"drift_by_layer.{kind}" for kind in ("png", "pdf"))
"""Those that older versions wrote for every comparison, and did not name in its record."""
_AS_WRITTEN = frozenset({"ref", "base", "data"})


@environment_read_once()
def write_comparison(
    result: Comparison,
    output_dir: Path,
    figures: Mapping[str, bytes] | None = None,
    *,
    page: bool = False,
) -> list[Path]:
    """Write COMPARISON_FILE, COMPARISON_TABLE, COMPARISON_SUMMARY and `figures` to `output_dir`, and COMPARISON_PAGE if `page`; returns their paths.

    figures: contents of files by name. No file takes its name before all are on the disk, the JSON file last. Paths of this machine that the user did not write are
    shortened, and in table, summary and page also those that he wrote. Files of an earlier comparison that this one does not have are deleted. Raises StorageError.
    """
    result = for_sharing(result).without_secrets()
    tables = {name: _table_bytes(name, table) for name, table in section_tables(result).items()}
    result = result.model_copy(
        update={"section_files": [*tables, *(figures or {})], "page": COMPARISON_PAGE if page else None}
    )
    shared = shareable(result)
    texts = {
        COMPARISON_FILE: result.file_text(),
        COMPARISON_TABLE: csv_text(tidy_table(result)),
        COMPARISON_SUMMARY: summary(shared),
    }
    if has_outputs(result):
        texts[OUTPUTS_TABLE] = csv_text(outputs_table(result))
    if result.patching:
        texts[PATCHING_TABLE] = csv_text(patching_table(result))
    files = {**{name: text.encode() for name, text in texts.items()}, **tables}
    if page:
        as_shared = {COMPARISON_FILE: shared.file_text().encode()}
        files[COMPARISON_PAGE] = page_of(shared, {**files, **as_shared})
    earlier = _earlier_files(output_dir)
    written = write_together(output_dir, {**files, **(figures or {})})
    for name in earlier - {path.name for path in written}:
        with storage_errors(output_dir / name):
            (output_dir / name).unlink(missing_ok=True)
    return written


def _table_bytes(name: str, table: pd.DataFrame) -> bytes:
    return parquet_bytes(table) if name.endswith(".parquet") else csv_text(table).encode()


def _earlier_files(output_dir: Path) -> set[str]:
    """Returns the names of tables of sections, of figures and of the page that an earlier comparison wrote to `output_dir`; other files of these names are not ours."""
    try:
        found = Comparison.read(output_dir / COMPARISON_FILE)
    except DataError:
        return set()
    named = found.section_files
    if not any(name.startswith("drift_by_layer.") for name in named):
        named = [*named, *_OLDER_FIGURES]
    files = {name for name in named if Path(name).name == name and Path(name).suffix in _SECTION_ENDINGS}
    return files | ({COMPARISON_PAGE} if found.page == COMPARISON_PAGE else set())


def for_sharing(result: Comparison) -> Comparison:
    """The comparison without paths of this machine, but for the names of models and data as the user wrote them."""
    return shareable(result, kept=_AS_WRITTEN)


def tidy_table(result: Comparison) -> pd.DataFrame:
    """One row per model, site, layer and measure, in the columns of the study's tidy table and `note`; `method` holds the model's name.

    note: the sentences that change how the model's numbers are to be read.
    """
    rows: list[dict[str, object]] = []
    for model in result.compared:
        common = {"task": result.task, "method": model.name, "step": 0, "note": " ".join(model.notes) or None}
        places = [(RESID_POST, model.layers), *((of.site, of.layers) for of in model.sites)]
        for site, layers in places:
            base = result.base_layers if site == RESID_POST else result.base_sites.get(site, [])
            floors = {at.layer: at.noise_floor for at in base}
            for at in layers:
                rows += _rows_of_place({**common, "site": site}, at, floors.get(at.layer), result)
        sizes = {"measure": RELATIVE_SIZE, "site": ADAPTER_SITE}
        rows += [{**common, **sizes, "layer": at.layer, "value": at.relative_size} for at in model.adapter_sizes]
    return pd.DataFrame(rows, columns=[*DRIFT_COLUMNS, "note"])


def _rows_of_place(
    common: Mapping[str, object], at: LayerDrift, floor: float | None, result: Comparison
) -> list[dict[str, object]]:
    """The rows of one model at one site and layer: each measure, the controls of changed weights, and the weights themselves."""
    common = {**common, "layer": at.layer, "n": at.rows}
    rows: list[dict[str, object]] = []
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
                "interval": None if at.drift_low is None else interval_method(result),
                "mispaired_value": None if at.mispaired_drift is None else 1 - at.mispaired_drift,
                "noise_floor": floor,
                "above_noise": at.above_noise,
            }
        if (further := at.intervals.get(name)) is not None:
            row |= {
                "drift_low": further.low,
                "drift_high": further.high,
                "interval": interval_method(result),
            }
        rows.append(row)
    for control, drift in (("cka_random_change", at.random_change_drift), ("cka_rounding", at.rounding_drift)):
        if drift is not None:
            rows.append({**common, "measure": control, "value": 1 - drift, "drift": drift})
    return rows + [{**common, "measure": name, "value": value} for name, value in at.weights.items()]


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
    """The comparison in Markdown: the answer for each model, what needs care, what was compared, then drift by layer."""
    data = [
        f"{result.samples} samples ({result.tokens} tokens) from {markdown_text(result.data)}",
        *map(markdown_text, result.data_notes),
    ]
    lines = [
        f"# Drift from {markdown_text(result.base)}",
        "",
        *(f"**{markdown_text(sentence)}**\n" for sentence in result.headline),
        *(f"- **{markdown_text(model.name)}**: {markdown_text(answer_line(model))}" for model in result.compared),
        *(f"- **{markdown_text(model.name)}**: {markdown_text(grid_line(model))}" for model in result.by_grid),
        *(f"- **{markdown_text(found.model)}**: {markdown_text(patching_answer(found))}" for found in result.patching),
        "",
        *(section_markdown(gate_section(result.gate)) if result.gate is not None else []),
        *(
            ["## Mind", "", *(f"- {markdown_text(w)}" for w in care), ""]
            if (care := warnings_beside_notes(result))
            else []
        ),
        "## What was compared",
        "",
        f"{'. '.join(text.rstrip('.') for text in data)}. Pooling `{result.pooling}`, computed in {result.compute_dtype}. Drift is 1 - debiased "
        "linear CKA: 0 is unmoved (but for rotation and scale), about 1 unrelated.",
        "",
        *([markdown_text(sinks_in_words(result.sinks)), ""] if result.sinks is not None else []),
        *(text for note in how_sure(result) for text in (markdown_text(note), "")),
    ]
    for model in result.compared:
        lines += [
            f"## {markdown_text(model.name)}",
            "",
            f"{model.kind}; weights: {markdown_text(model.weights or 'not known')}.",
            "",
        ]
        if model.notes:
            lines += ["Mind:", "", *(f"- {markdown_text(note)}" for note in model.notes), ""]
        header, rows = table_header(result, model), table_rows(result, model)
        judged = [{True: "yes", False: "no", None: ""}[at.above_noise] for at in model.layers]
        lines += [f"| {' | '.join([*header, 'above noise'])} |", "|---" * (len(header) + 1) + "|"]
        lines += [f"| {' | '.join([*row, above])} |" for row, above in zip(rows, judged, strict=True)]
        lines += ["", *_other_measures(model), *outputs_section(model)]
        lines += [line for words in model_sections(result, model) for line in section_markdown(words, level=3)]
    for model in result.by_grid:
        lines += [f"## {markdown_text(model.name)}", "", f"{model.kind}; compared by the layer grid alone.", ""]
        lines += ["Mind:", "", *(f"- {markdown_text(note)}" for note in model.notes), ""] if model.notes else []
        lines += outputs_section(model)
        lines += [line for words in model_sections(result, model) for line in section_markdown(words, level=3)]
    lines += patching_section(result)
    lines += [line for words in whole_sections(result) for line in section_markdown(words)]
    if means := between_means(result):
        lines += [
            "## Between the tuned models",
            "",
            "Mean over layers. Two models that differ only in their seed show how much drift chance makes: a smaller "
            "difference between methods is no finding.",
            "",
            *(f"- {markdown_text(a)}, {markdown_text(b)}: {number(mean)}" for (a, b), mean in means.items()),
            "",
        ]
    return "\n".join(lines)


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
