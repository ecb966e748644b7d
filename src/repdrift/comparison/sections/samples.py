"""Section: which samples moved, with their labels and texts, and which groups of samples moved more than the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.comparison.sections import ComparisonSection, KeptRows, SectionFound, SectionInputs, register
from repdrift.core.errors import DegenerateInputError
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.records.sample_moves import SAMPLES_TABLE, SampleList, SampleMoves
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.core.sample_words import samples_section, strips_section
from repdrift.core.worded_section import WordedSection
from repdrift.core.words import counted
from repdrift.drift.sample_drift import (
    MOST_SAMPLE_ROWS,
    PlaceShares,
    SampleSplit,
    bulk_moves,
    noise_of,
    place_shares,
)
from repdrift.drift.sample_frame import sample_frame
from repdrift.drift.sample_groupings import Groupings, groupings
from repdrift.drift.sample_intervals import SamplingOptions, draws_of
from repdrift.drift.sample_moves import ModelShares, SampleView, sample_moves
from repdrift.drift.sample_units import SampleUnits
from repdrift.similarity import Representation
from repdrift.similarity.kernels.sample_shares import RowParts, SampleShares
from repdrift.tasks import SampleSet

if TYPE_CHECKING:
    from repdrift.report.rendering import Drawing

_SUMS_ONLY = "only sums of the representations were kept; `--accumulate rows` keeps the rows, sample by sample"


def measure(inputs: SectionInputs) -> SectionFound:
    """Measures every model. One that gives all samples the same representation at a layer is left out with the reason."""
    kept, samples = inputs.rows, inputs.samples
    if kept is None:
        return SectionFound(left_out=dict.fromkeys((tuned.name for tuned in inputs.tuned), _SUMS_ONLY))
    n_rows = next(iter(kept.base.values())).shape[0]
    if n_rows > MOST_SAMPLE_ROWS:
        reason = f"{n_rows} rows are more than {MOST_SAMPLE_ROWS}, for which every pair of them is compared; take fewer samples (--samples)"
        return SectionFound(left_out=dict.fromkeys((tuned.name for tuned in inputs.tuned), reason))
    draws = draws_of(
        len(samples), samples.groups, samples.fingerprint, SamplingOptions(replicates=0), unit=samples.group_unit
    )
    by_token = np.array(samples.pooled_lengths) if n_rows != len(samples) else None
    split = SampleSplit(by_token, draws.groups)
    view, found = sample_view(samples, texts=inputs.options.sample_texts), groups_of(samples)
    noise = _noise(kept, by_token)
    by_model: dict[str, SampleMoves] = {}
    left_out: dict[str, str] = {}
    for tuned in inputs.tuned:
        rows = kept.tuned[tuned.name]
        random, by_chance, part = _random(kept, tuned.name) if by_token is None else ({}, {}, None)
        try:
            places = [
                place_shares(
                    SiteLayer(RESID_POST, layer),
                    Representation(base),
                    Representation(rows[layer]),
                    split,
                    noise=noise.get(layer),
                    by_chance=by_chance.get(SiteLayer(RESID_POST, layer)),
                    tests=len(kept.base),
                )
                for layer, base in kept.base.items()
            ]
        except DegenerateInputError as error:
            left_out[tuned.name] = str(error)
            continue
        shares = ModelShares(places, random, part, draws.units.freedom)
        notes = _notes(inputs, draws.units, places)
        by_model[tuned.name] = sample_moves(shares, view, found, notes, every_share=True)
    whole = SampleList(
        sample_ids=list(view.ids),
        groups=list(view.groups or []),
        labels=list(view.labels or []),
        lengths=list(view.lengths or []),
    )
    return SectionFound(by_model, whole if by_model else None, left_out)


def sample_view(samples: SampleSet, *, texts: bool) -> SampleView:
    """Returns what is known of the samples. texts: whether theirs are shown."""
    facts = samples.facts
    return SampleView(
        samples.sample_ids,
        samples.groups,
        None if facts is None else facts.labels,
        samples.real_lengths,
        None if facts is None or not texts else facts.texts,
    )


def groups_of(samples: SampleSet) -> Groupings:
    """Groups by label, length, and the columns that the user named."""
    facts = samples.facts
    return groupings(
        labels=None if facts is None else facts.labels,
        lengths=samples.real_lengths,
        columns=None if facts is None else facts.columns,
    )


def _noise(kept: KeptRows, by_token: np.ndarray | None) -> dict[int, float]:
    """By layer, the largest own drift of a sample, or row, between two runs of the base model; empty without that control."""
    part = kept.control_rows
    found: dict[int, float] = {}
    for layer, again in kept.again.items():
        if part is None or by_token is not None:  # rows of the control are not known to be whole samples
            continue
        try:
            found[layer] = noise_of(Representation(kept.base[layer][part]), Representation(again))
        except DegenerateInputError:
            continue  # the comparison says that the noise floor is missing
    return found


def _random(
    kept: KeptRows, name: str
) -> tuple[dict[SiteLayer, RowParts], dict[SiteLayer, RowParts], NDArray[np.int64] | None]:
    """Shares of the control samples after a random change of the weights, their moves beside the bulk, and which samples they are."""
    part, rows = kept.control_rows, kept.random_change.get(name)
    shares: dict[SiteLayer, RowParts] = {}
    moves: dict[SiteLayer, RowParts] = {}
    if part is None or rows is None:
        return shares, moves, None
    try:
        for layer, changed in rows.items():
            sides = Representation(kept.base[layer][part]), Representation(changed)
            place = SiteLayer(RESID_POST, layer)
            shares[place] = SampleShares(*sides).parts()
            moves[place] = bulk_moves(*sides, shares[place])
    except DegenerateInputError:
        return {}, {}, None
    return shares, moves, part.numpy()


def _notes(inputs: SectionInputs, units: SampleUnits, places: list[PlaceShares]) -> list[str]:
    samples = inputs.samples
    found: list[str] = []
    if units.missing is not None:
        found.append(f"Groups have no interval: {units.missing}.")
    elif units.n_groups is not None:
        found.append(f"Intervals leave out whole {units.unit}s, of {counted(units.n_groups, units.unit)}.")
    if inputs.options.pooling == "tokens":
        found.append(
            "A sample's share is the sum over its tokens; no single sample is said to stand out, since tokens of one text go together."
        )
    if any(at.noise is None for at in places):
        found.append(
            "Samples were not held against the noise of a second run of the base model, which was not made or not by sample."
        )
    if not inputs.options.sample_texts:
        found.append("Texts are left out, as was asked for.")
    elif samples.facts is None:
        found.append("The texts of the samples are not known here, so that samples have their ids alone.")
    return found


def tables(result: Comparison) -> dict[str, pd.DataFrame]:
    """One row per model, layer and sample."""
    listed = None if result.moved is None else result.moved.samples
    if listed is None:
        return {}
    frames: list[pd.DataFrame] = []
    for model in result.compared:
        moves = None if model.moved is None else model.moved.samples
        for at in [] if moves is None else moves.places:
            named = set(at.named)
            run = {
                "task": result.task,
                "method": model.name,
                "seed": None,
                "step": 0,
                "site": at.site,
                "layer": at.layer,
            }
            numbers = {
                "share": at.shares,
                "own_drift": at.own_drifts,
                "cosine_change": at.cosine_changes,
                "stands_out": [name in named for name in listed.sample_ids],
            }
            facts = {"group": listed.groups, "label": listed.labels, "length": listed.lengths}
            frames.append(sample_frame(run, listed.sample_ids, facts, numbers))
    return {SAMPLES_TABLE: pd.concat(frames, ignore_index=True)} if frames else {}


def worded(result: Comparison, model: ComparedModel) -> WordedSection | None:
    """The samples of one model in words."""
    moves = None if model.moved is None else model.moved.samples
    strips = [] if model.outputs is None else model.outputs.strips
    return strips_section(strips) if moves is None else samples_section(moves, result.sample_group_unit, strips)


def drawings(result: Comparison) -> dict[str, Drawing | None]:
    """Texts with shaded tokens, of language models; nothing where texts are not shown."""
    from repdrift.report.strips_figure import FIGURE_NAME, strip_drawing

    return {FIGURE_NAME: strip_drawing(result)}


register(
    ComparisonSection("samples", 30, by_default=True, measure=measure, tables=tables, worded=worded, drawings=drawings)
)
