"""Directions in which the models of a study moved, in words: the kind of change by method, seeds against each other, and the tokens that seeds agree on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, median

from repdrift.core.directions_words import (
    KIND_HEADS,
    KIND_WORDS,
    directions_notes,
    quoted,
    random_shift_words,
    share_of,
    shifted_as_at_random,
)
from repdrift.core.records.directions import (
    SHIFT_LEVEL,
    BesideRandomChange,
    LayerDirections,
    RunDirections,
    ShiftLikenessRecord,
    StudyDirections,
)
from repdrift.core.records.results import DriftResults
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import (
    counted,
    layers_named,
    listed,
    method_title,
    number,
    percent,
    sentence_case,
    short_number,
    task_title,
)

_TITLE = "In which directions the representations moved"
_TOKENS = 5


def study_directions_section(results: DriftResults) -> WordedSection | None:
    """The directions of a study in words and tables; None if it has none."""
    found = None if results.moved is None else results.moved.directions
    if found is None or not found.runs:
        return None
    cells = _cells(found.runs)
    missing = dict.fromkeys(run.found.tokens_missing for run in found.runs if run.found.tokens_missing)
    return WordedSection(
        name="directions",
        title=_TITLE,
        answer=[*_kinds(cells), *_seeds(found), *_tokens(cells)],
        tables=[_layer_table(cells), _share_table(cells), _likeness_table(found), _token_table(cells)],
        notes=directions_notes(found.runs[0].found),
        left_out=[
            *found.left_out,
            *(f"No tokens are read from the shifts: {reason.rstrip('.')}." for reason in missing),
        ],
    )


Cells = dict[tuple[str, str], list[RunDirections]]
"""The runs of each task and method."""


def _cells(runs: Sequence[RunDirections]) -> Cells:
    found: Cells = {}
    for run in runs:
        found.setdefault((run.task, run.method), []).append(run)
    return found


def _layers(runs: Iterable[RunDirections]) -> list[LayerDirections]:
    return [at for run in runs for at in run.found.layers if at.shares]


def _kinds(cells: Cells) -> list[str]:
    said: list[str] = []
    for method in dict.fromkeys(method for _, method in cells):
        runs = [run for (_, of), found in cells.items() if of == method for run in found]
        layers = _layers(runs)
        if not layers:
            said.append(f"{method_title(method)}: no layer has shares of the change.")
            continue
        means = {kind: fmean(share_of(at, kind).share for at in layers) for kind in KIND_WORDS}
        largest = max(means, key=lambda kind: means[kind])
        others = [f"{percent(means[kind])} to {words}" for kind, words in KIND_WORDS.items() if kind != largest]
        said.append(
            f"{method_title(method)}: on average over layers, {percent(means[largest])} of the change of the representations goes to {KIND_WORDS[largest]}, {listed(others)} "
            f"({counted(len(runs), 'model')})."
        )
        beyond = sum(1 for at in layers if at.adjusted_pvalue is not None and at.adjusted_pvalue <= SHIFT_LEVEL)
        said += _random_shift(method, runs)
        said.append(
            f"{method_title(method)}: a shift that all samples share is beyond chance in {beyond} of {len(layers)} layers of these models."
        )
    return said


def _random_shift(method: str, runs: Sequence[RunDirections]) -> list[str]:
    """The caution about a random change, once for all runs of a method: each layer with the number of runs in which it holds."""
    with_control = [run for run in runs if any(at.beside_random is not None for at in run.found.layers)]
    alike = [at for run in with_control for at in shifted_as_at_random(run.found.layers)]
    if not alike:
        return []
    times: dict[int, int] = {}
    for at in alike:
        times[at.layer] = times.get(at.layer, 0) + 1
    counts = sorted(set(times.values()), reverse=True)
    models = len(with_control)
    parts = [
        f"{layers_named([layer for layer, count in times.items() if count == of])} ({of} of {models})" for of in counts
    ]
    parts[0] = parts[0].replace(f" of {models})", f" of the {counted(models, 'model')} with this control)")
    sentence = random_shift_words(listed(parts), alike)
    return [f"{method_title(method)}: {sentence[0].lower()}{sentence[1:]}"]


def _seeds(found: StudyDirections) -> list[str]:
    said: list[str] = []
    for method in dict.fromkeys(pair.method for pair in found.likeness):
        pairs = [pair for pair in found.likeness if pair.method == method and pair.cosine is not None]
        if not pairs:
            continue
        beyond = sum(1 for pair in pairs if _beyond(pair))
        middle = median(pair.cosine for pair in pairs if pair.cosine is not None)
        chance = median(pair.chance for pair in pairs if pair.chance is not None)
        said.append(
            f"{method_title(method)}: the shifts of two seeds are alike beyond chance in {beyond} of {len(pairs)} pairs of models and layers "
            f"(median cosine {short_number(middle)}; 5 % of unrelated directions exceed {short_number(chance)} in size)."
        )
    return said


def _beyond(pair: ShiftLikenessRecord) -> bool:
    return pair.cosine is not None and pair.chance is not None and pair.cosine > pair.chance


def _named(layers: Sequence[LayerDirections]) -> dict[str, int]:
    """Raised tokens that are beyond chance in one layer, with the number of runs that name them, most first."""
    counts: dict[str, int] = {}
    for at in layers:
        for token in at.tokens.top if at.tokens is not None else ():
            if token.beyond_chance:
                counts[token.token] = counts.get(token.token, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _by_layer(runs: Sequence[RunDirections]) -> dict[int, list[LayerDirections]]:
    found: dict[int, list[LayerDirections]] = {}
    for run in runs:
        for at in run.found.layers:
            found.setdefault(at.layer, []).append(at)
    return found


def _tokens(cells: Cells) -> list[str]:
    said: list[str] = []
    for (task, method), runs in cells.items():
        agreed = {
            layer: [token for token, count in _named(layers).items() if count == len(runs)]
            for layer, layers in _by_layer(runs).items()
        }
        named = {layer: tokens for layer, tokens in agreed.items() if tokens}
        if named:
            layer = max(named, key=lambda layer: (len(named[layer]), layer))
            every = f"in all {len(runs)} seeds" if len(runs) > 1 else "in its one seed"
            said.append(
                f"{task_title(task)}, {method_title(method)}: in layer {layer} the shift points toward {listed([quoted(t) for t in named[layer][:_TOKENS]])} "
                f"more than any random direction of its size does, {every}."
            )
    read = any(at.tokens is not None for runs in cells.values() for run in runs for at in run.found.layers)
    if read and not said:
        return [
            "In no task and method do the shifts of all seeds point toward a token more than random directions of their size do."
        ]
    return said


def _mean(values: Iterable[float | None]) -> str:
    """The mean of the values that there are, with their range where there are several."""
    there = [value for value in values if value is not None]
    if len(there) < 2:
        return number(there[0]) if there else ""
    return f"{number(fmean(there))} ({number(min(there))} to {number(max(there))})"


def _layer_table(cells: Cells) -> CaptionedTable:
    rows = [
        [
            task_title(task),
            method_title(method),
            str(layer),
            _mean(at.relative_change for at in layers),
            _mean(at.relative_shift for at in layers),
            f"{sum(1 for at in layers if at.adjusted_pvalue is not None and at.adjusted_pvalue <= SHIFT_LEVEL)} of {len(layers)}",
            listed([str(at.whole.carrying) for at in layers if at.whole is not None])
            if any(at.whole for at in layers)
            else "",
            _random(layers, "random_whole"),
            _mean(of.own_shift_share for of in _beside(layers)),
            _mean(of.random_shift_share for of in _beside(layers)),
        ]
        for (task, method), runs in cells.items()
        for layer, layers in _by_layer(runs).items()
    ]
    return CaptionedTable(
        title="The shift that all samples share, and the number of directions",
        caption="Means over seeds, and their range. Change: size of the differences over that of the base model's rows. Shift: in spreads of the base model's samples, without its "
        "noise. Beyond chance: seeds whose shift is, corrected over layers. Directions: the fewest that carry 90 % of the squared differences, for each seed; beside them those "
        "of a random change of the weights of the same size, and the share of a shift in the change of both, over the seeds that have the control.",
        header=[
            "task",
            "method",
            "layer",
            "change",
            "shift",
            "beyond chance",
            "directions",
            "random change",
            "share of shift",
            "random change",
        ],
        rows=rows,
    )


def _beside(layers: Sequence[LayerDirections]) -> list[BesideRandomChange]:
    return [at.beside_random for at in layers if at.beside_random is not None]


def _random(layers: Sequence[LayerDirections], name: str) -> str:
    counts = [getattr(of, name) for of in _beside(layers)]
    return listed([str(count.carrying) for count in counts if count is not None]) if any(counts) else ""


def _share_table(cells: Cells) -> CaptionedTable:
    rows = [
        [
            task_title(task),
            method_title(method),
            str(layer),
            *(percent(fmean(share_of(at, kind).share for at in layers)) for kind in KIND_WORDS),
            percent(_mean_of_known(at.rotation_alone for at in layers)),
            percent(_mean_of_known(at.scaling_alone for at in layers)),
        ]
        for (task, method), runs in cells.items()
        for layer, every in _by_layer(runs).items()
        if (layers := [at for at in every if at.shares])
    ]
    return CaptionedTable(
        title="The kind of map that accounts for the change",
        caption="Means over seeds of shares of the squared differences, on held-out samples. Each map is added to those on its left; one below 0 meets new samples worse than "
        "without it. Alone: a rotation about the origin, or a scaling from it, without a shift.",
        header=["task", "method", "layer", *KIND_HEADS.values(), "rotation alone", "scaling alone"],
        rows=rows,
    )


def _mean_of_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _likeness_table(found: StudyDirections) -> CaptionedTable:
    rows = [
        [
            task_title(pair.task),
            method_title(pair.method),
            f"{pair.seed}, {pair.other_seed}",
            str(pair.layer),
            number(pair.cosine),
            number(pair.unbiased_cosine, missing=""),
            "" if pair.low is None or pair.high is None else f"{number(pair.low)} to {number(pair.high)}",
            number(pair.chance, missing=""),
            "" if pair.missing is None else sentence_case(pair.missing),
        ]
        for pair in found.likeness
    ]
    return CaptionedTable(
        title="Seeds: do they shift the samples in the same direction?",
        caption="Cosine between the mean differences of two seeds. Without noise: the same from pairs of different samples alone, with its interval over samples; it may leave -1 to 1. "
        "Chance: the size that 5 % of the cosines of unrelated directions exceed, where these scatter as the differences do.",
        header=["task", "method", "seeds", "layer", "cosine", "without noise", "interval", "chance", "missing"],
        rows=rows,
    )


def _token_table(cells: Cells) -> CaptionedTable:
    rows = [
        [
            task_title(task),
            method_title(method),
            str(layer),
            ", ".join(
                f"{quoted(token)} ({count} of {len(runs)})" for token, count in list(_named(layers).items())[:_TOKENS]
            ),
        ]
        for (task, method), runs in cells.items()
        for layer, layers in _by_layer(runs).items()
        if _named(layers)
    ]
    return CaptionedTable(
        title="Tokens that the shift points toward",
        caption="Tokens that the base model's unembedding reads from the shift beyond any random direction of its size, with the seeds that name them. direction_tokens.parquet has all.",
        header=["task", "method", "layer", "tokens"],
        rows=rows,
    )
