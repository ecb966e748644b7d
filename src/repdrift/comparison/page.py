"""The page of a comparison: the record and its sections in words, as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from repdrift.comparison.layer_table import table_header, table_rows
from repdrift.comparison.what_moved import model_sections, whole_sections
from repdrift.core.output_words import TABLE_HEADER, outputs_answer, outputs_notes, outputs_rows
from repdrift.core.patching_words import TABLE_HEADER as PATCHING_HEADER
from repdrift.core.patching_words import how_patched, patching_answer, patching_rows
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import number


def page_of(result: Comparison, files: Mapping[str, bytes]) -> bytes:
    """Returns the page as HTML. result: with paths as other people may see them. files: tables that the page gives as downloads, by name."""
    # Imported here, so that a comparison without a page does not load the charting library.
    from repdrift.report.page import page_html
    from repdrift.report.page.comparison import comparison_page

    sections = {
        model.name: [*_numbers(result, model), *model_sections(result, model)]
        for model in result.models
        if model.status != "not comparable"
    }
    return page_html(comparison_page(result, sections, [*whole_sections(result), *_between(result)], files)).encode()


def _numbers(result: Comparison, model: ComparedModel) -> list[WordedSection]:
    """Drift by layer, outputs and patching of one model, as sections."""
    found: list[WordedSection] = []
    if model.layers:
        header = [*table_header(result, model), "above noise"]
        judged = [{True: "yes", False: "no", None: "not known"}[at.above_noise] for at in model.layers]
        rows = [[*row, above] for row, above in zip(table_rows(result, model), judged, strict=True)]
        caption = "Drift is 1 - debiased linear CKA. An empty cell has no number."
        table = CaptionedTable("Drift by layer beside the controls", caption, header, rows)
        found.append(WordedSection("layers", "Drift by layer", tables=[table], notes=model.notes))
    if model.outputs is not None:
        rows = outputs_rows(model.outputs)
        tables = [CaptionedTable("Outputs beside the base model's", "", TABLE_HEADER, rows)] if rows else []
        answer = [f"{outputs_answer(model.outputs)}."] if rows else []
        found.append(WordedSection("outputs", "Outputs", answer, tables, notes=outputs_notes(model.outputs)))
    return [*found, *_patching(result, model)]


def _patching(result: Comparison, model: ComparedModel) -> list[WordedSection]:
    found = next((each for each in result.patching if each.model == model.name), None)
    if found is None:
        return []
    tables = [CaptionedTable("Share of the output change, by layer", "", PATCHING_HEADER, patching_rows(found))]
    title = "Which layers the output change goes through"
    return [
        WordedSection(
            "patching",
            title,
            [patching_answer(found)],
            tables if found.layers else [],
            notes=how_patched(result),
        )
    ]


def _between(result: Comparison) -> list[WordedSection]:
    """Drift between tuned models, as a section; none where there is one model only."""
    means = between_means(result)
    if not means:
        return []
    caption = "Mean over layers. Two models that differ only in their seed show how much drift chance makes: a smaller difference between methods is no finding."
    rows = [[first, second, number(mean)] for (first, second), mean in means.items()]
    table = CaptionedTable("Mean drift of each pair", caption, ("model", "other model", "mean drift"), rows)
    return [WordedSection("between", "Between the tuned models", tables=[table])]


def between_means(result: Comparison) -> dict[tuple[str, str], float]:
    """The drift of each pair of tuned models, a mean over layers."""
    pairs: dict[tuple[str, str], list[float]] = {}
    for pair in result.between:
        pairs.setdefault((pair.first, pair.second), []).append(pair.drift)
    return {names: fmean(drifts) for names, drifts in pairs.items()}
