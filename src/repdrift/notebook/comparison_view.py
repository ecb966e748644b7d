"""A comparison in a notebook: its card, its tables and its figures, all from the record alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from repdrift.core.comparison_answers import above_noise_words, comparison_headline, most_moved_layer
from repdrift.core.comparison_words import how_sure, note_sentences, warnings_beside_notes
from repdrift.core.errors import DataError, UnknownNameError
from repdrift.core.output_words import outputs_answer
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.records.likeness import LikenessOf
from repdrift.core.shared_paths import shareable
from repdrift.core.words import counted, listed, sentence_case, short_number, task_title
from repdrift.notebook.cards import Card, card_html
from repdrift.notebook.shown_figure import FigureWords, ShownFigure, shown_figure
from repdrift.report import (
    compared_sites_figure,
    comparison_figure,
    directions_figure,
    grid_figure,
    likeness_figure,
    patching_figure,
    strips_figure,
    weights_figure,
)
from repdrift.report.figure_size import figure_size
from repdrift.report.rendering import Drawing

if TYPE_CHECKING:
    import pandas as pd

_MOST_MODELS = 8


def _likeness(result: Comparison, of: LikenessOf) -> Drawing | None:
    found = None if result.moved is None else result.moved.likeness
    return None if found is None else likeness_figure.likeness_drawing(found, of)


_DRAWINGS: Mapping[str, Callable[[Comparison], Drawing | None]] = {
    comparison_figure.FIGURE_NAME: comparison_figure.comparison_drawing,
    compared_sites_figure.FIGURE_NAME: compared_sites_figure.site_drawing,
    directions_figure.FIGURE_NAME: directions_figure.directions_drawing,
    grid_figure.FIGURE_NAME: grid_figure.grid_drawing,
    weights_figure.FIGURE_NAME: weights_figure.weights_drawing,
    weights_figure.INTRUDERS_NAME: weights_figure.intruders_drawing,
    **{name: partial(_likeness, of=of) for of, name in likeness_figure.FIGURE_NAMES.items()},
    patching_figure.FIGURE_NAME: patching_figure.patching_drawing,
    strips_figure.FIGURE_NAME: strips_figure.strip_drawing,
}


def comparison_card(result: Comparison) -> str:
    """Returns the card of a comparison as HTML: headline, cautions, a row for each model. Paths of this machine are shortened."""
    result = shareable(result).without_secrets()
    notes = note_sentences([*result.compared, *result.by_grid])
    cautions = [*result.headline, *notes, *warnings_beside_notes(result), *result.data_notes, *how_sure(result)]
    models = [*result.compared, *(model for model in result.models if model.status != "compared")]
    rows = [_row(model) for model in models[:_MOST_MODELS]]
    if len(models) > _MOST_MODELS:
        rows.append([f"and {counted(len(models) - _MOST_MODELS, 'more model')}: .to_pandas()", "", "", "", ""])
    return card_html(
        Card(
            title=f"Drift from {result.base} on {task_title(result.task)}, {counted(result.samples, 'sample')} "
            f"(1 - debiased CKA: 0 is unmoved, about 1 unrelated)",
            headline=comparison_headline(result),
            header=["model", "mean drift", "most in", "above noise", "outputs"],
            rows=rows,
            cautions=list(dict.fromkeys(cautions)),
            footer=f"Figures: {', '.join(figure_names(result)) or 'none'} (.plot). Tables: {', '.join(_tables(result))} (.to_pandas).",
        )
    )


def comparison_line(result: Comparison) -> str:
    """Returns the answer of a comparison in one line, where only text can be shown."""
    return f"<comparison: {comparison_headline(shareable(result).without_secrets())}>"


def _row(model: ComparedModel) -> list[str]:
    if model.status != "compared":
        return [model.name, "none", f"{model.status}: {model.reason or 'no reason is recorded'}", "", ""]
    most = most_moved_layer(model.layers)
    where = f"layer {most.layer}: {short_number(most.drift)}"
    if most.drift_low is not None and most.drift_high is not None:
        where += f" (95 % interval {short_number(most.drift_low)} to {short_number(most.drift_high)})"
    mean = "none" if model.mean_drift is None else short_number(model.mean_drift)
    outputs = outputs_answer(model.outputs) or "not measured"
    return [model.name, mean, where, above_noise_words(model), sentence_case(outputs)]


def figure_names(result: Comparison) -> list[str]:
    """The names of the figures that a comparison can give."""
    return [name for name, drawing in _DRAWINGS.items() if drawing(result) is not None]


def comparison_plot(result: Comparison, name: str, *, width: str, venue: str) -> ShownFigure:
    """Draws one figure of a comparison.

    Raises UnknownNameError for a name, width or venue that does not exist, DataError if this comparison does not hold what the figure shows.
    """
    if name not in _DRAWINGS:
        raise UnknownNameError.of("figure", name, _DRAWINGS)
    size = figure_size(width, venue)
    drawing = _DRAWINGS[name](result)
    if drawing is None:
        raise DataError(
            f"this comparison does not hold what the figure {name!r} shows; it was not measured. It can give {listed(figure_names(result))}."
        )
    words = FigureWords(sentence_case(name.replace("_", " ")), description=comparison_headline(shareable(result)))
    return shown_figure(drawing, words, size)


def comparison_table(result: Comparison, what: str) -> pd.DataFrame:
    """Returns one table of a comparison, as its file would have it. Raises UnknownNameError that lists the tables there are."""
    tables = _tables(result)
    if what not in tables:
        known = listed([repr(name) for name in tables])
        raise UnknownNameError(
            f"this comparison has no table {what!r}. It has {known}; others are there if they were measured (`repdrift compare --with all`)."
        )
    return tables[what]()


def _tables(result: Comparison) -> dict[str, Callable[[], pd.DataFrame]]:
    from repdrift.comparison.output import for_sharing, tidy_table
    from repdrift.comparison.outputs_output import has_outputs, outputs_table
    from repdrift.comparison.patching_output import patching_table
    from repdrift.comparison.what_moved import section_tables

    shared = for_sharing(result)
    found: dict[str, Callable[[], pd.DataFrame]] = {"drift": partial(tidy_table, shared)}
    if has_outputs(shared):
        found["outputs"] = partial(outputs_table, shared)
    if shared.patching:
        found["patching"] = partial(patching_table, shared)
    for name, table in section_tables(shared).items():
        found[name.rpartition(".")[0]] = table.copy
    return found
