"""The card of a comparison: of all its tuned models, or of one."""

from __future__ import annotations

import shlex

from repdrift.core.comparison_answers import answer_line, comparison_headline, grid_line
from repdrift.core.comparison_words import how_sure, note_sentences, warnings_beside_notes
from repdrift.core.errors import UnknownNameError
from repdrift.core.measure_words import drift_in_words
from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.words import markdown_text, number
from repdrift.report.page.comparison.methods import methods_text
from repdrift.sharing.cards.card_text import HOW_TO_READ, TITLE, bullets, card, cautions, made_with, table


def comparison_card(result: Comparison, name: str | None = None) -> str:
    """Returns the card. name: one model of the comparison; None for all. Raises UnknownNameError for a model that it does not have."""
    names = [model.name for model in result.models]
    if name is not None and name not in names:
        raise UnknownNameError.of("model of this comparison", name, names)
    models = [model for model in result.models if name in (None, model.name)]
    head = comparison_headline(result) if name is None or len(names) == 1 else _line(models[0])
    alone = len(models) == 1
    layers = [
        line
        for model in models
        if model.layers
        for line in (*([] if alone else [f"#### {markdown_text(model.name)}", ""]), *_layers(result, model), "")
    ]
    definition = drift_in_words(PRIMARY_MEASURE, result.measure_titles, result.distances)
    outputs = [] if alone else bullets(_line(model) for model in models)
    notes = [note for model in models for note in note_sentences([model])]
    return card(
        [
            TITLE, "",
            markdown_text(head), "",
            *outputs, "",
            *layers,
            markdown_text(HOW_TO_READ.format(definition=definition)), "",
            "### What was measured", "",
            markdown_text(methods_text(result)), "",
            *cautions([*result.headline, *notes, *warnings_beside_notes(result), *how_sure(result)]),
            *made_with(result.versions, [shlex.join(result.command)] if result.command else []),
        ]
    )  # fmt: skip


def _line(model: ComparedModel) -> str:
    if model.status == "compared":
        return f"{model.name}: {answer_line(model)}"
    if model.status == "compared by grid":
        return f"{model.name}: {grid_line(model)}"
    return f"{model.name} could not be compared: {model.reason}"


def _layers(result: Comparison, model: ComparedModel) -> list[str]:
    noise = {at.layer: at.noise_floor for at in result.base_layers}
    random = any(at.random_change_drift is not None for at in model.layers)
    floors = any(value is not None for value in noise.values())
    header = ["layer", "drift [95 % interval over samples]"]
    header += ["base model run twice (noise)"] if floors else []
    header += ["random change of the same size"] if random else []
    rows = [
        [
            str(at.layer),
            _with_interval(at),
            *([number(noise.get(at.layer))] if floors else []),
            *([number(at.random_change_drift)] if random else []),
        ]
        for at in model.layers
    ]
    absent = [
        words
        for words, there in (("the noise of extraction", floors), ("a random change of the same size", random))
        if not there
    ]
    return [*table(header, rows), *(["", f"Not measured: {' and '.join(absent)}."] if absent else [])]


def _with_interval(at: LayerDrift) -> str:
    if at.drift_low is None or at.drift_high is None:
        return f"{number(at.drift)} [no interval]"
    return f"{number(at.drift)} [{number(at.drift_low)}, {number(at.drift_high)}]"
