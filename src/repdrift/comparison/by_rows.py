"""Comparison from pooled rows that are kept in memory: every measure, intervals, and all controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.comparison.base_model import BaseModel, extractor_for
from repdrift.comparison.control_samples import control_samples
from repdrift.comparison.file_precision import (
    adapter_notes,
    coarse_formats,
    float32_base,
    note_precision,
    note_quantisation,
    rounded_alike,
    run_rounded,
)
from repdrift.comparison.massive_features import with_standardised
from repdrift.comparison.measured import (
    Gap,
    Measured,
    missing_control,
    missing_run_rounding,
    reason_of,
    say_first_answer,
)
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.output_changes import OutputChanges
from repdrift.comparison.own_rows import OwnRows
from repdrift.comparison.row_measures import RowMeasures
from repdrift.comparison.sections import KeptRows, UnpairedRows
from repdrift.comparison.site_measures import SiteMeasures
from repdrift.comparison.site_rows import PlacedRows, extractor_with_sites, placed_rows
from repdrift.comparison.tuned_model import TunedModel, layer_count_fault
from repdrift.comparison.tuned_models import RunningModel, each_tuned_model
from repdrift.comparison.unpaired import layers_there
from repdrift.comparison.weight_changes import WeightChanges, changes_of, run_randomly_changed, with_weights
from repdrift.core.errors import DegenerateInputError, ModelError, RepdriftError
from repdrift.core.group_words import is_grouped, no_interval_because
from repdrift.core.process_group import world
from repdrift.core.progress import say
from repdrift.core.words import sentence_case, some_listed
from repdrift.drift.group_cautions import pull_words
from repdrift.extraction.pooling_choice import concrete
from repdrift.extraction.row_index import RowIndex
from repdrift.models import running_errors
from repdrift.tasks import SampleSet


def compare_by_rows(
    base: BaseModel,
    tuned_models: Sequence[TunedModel],
    samples: SampleSet,
    options: ComparisonOptions,
    outputs: OutputChanges | None = None,
    kept: KeptRows | None = None,
    no_grid: str | None = None,
) -> Measured:
    """Runs every model once over all samples, measures it, and then runs the controls on a part of the samples.

    outputs: reads what the models put out in the same runs, where it can. kept: is given the rows of all models, in the first process.
    no_grid: a sentence that says why the layer grid does not compare models whose layers have no counterparts; None: it does.

    A model that cannot be measured is in the result with the reason. Raises NonFiniteError, DataError or
    DegenerateInputError only for the base model's own representations.
    """
    measured = Measured("rows")
    with running_errors(f"the base model {base.source.ref!r} cannot be run"), base.without_adapters() as model:
        extractor = base.reader_of(extractor_for(model, options))
        measured.sites_left_out |= dict(extractor.chosen_sites.left_out)
        blocks_path, depth, token_budget = extractor.blocks.path, len(extractor.blocks), extractor.token_budget
        extractor.on_final = None if outputs is None else outputs.base_watcher()
        base_rows = placed_rows(extractor, samples, what="base model")
    if base.sinks is not None:
        base.sinks.share()
        measured.sinks = base.sinks_of(samples)
    del model, extractor
    measures: RowMeasures | None = None
    inside = SiteMeasures(measured)
    with world().together("base model, measured"):
        if base_rows is not None:
            asked = tuple(dict.fromkeys((*options.measures, *options.interval_measures)))
            names = with_standardised(asked, base_rows.stream)
            of_rows: dict[str, Any] = {
                "intervals": options.pooling != "tokens",
                "groups": samples.groups,
                "unit": samples.group_unit,
            }
            measures = RowMeasures(base_rows.stream, names, interval_for=options.interval_measures, **of_rows)
            inside = SiteMeasures.of(base_rows, names, measured, **of_rows)
    changes: dict[str, WeightChanges] = {}
    own = OwnRows(base, samples)
    for running in each_tuned_model(base, tuned_models, measured.failed.__setitem__):
        tuned = running.tuned
        say(f"running {tuned.name} ({tuned.kind}; weights: {running.weights})")
        measured.note(tuned.name, running.notes)
        try:
            with running_errors("it cannot be run"):
                rows, unpaired = _tuned_rows(base, running, depth, samples, outputs, no_grid, own)
            if unpaired is not None:
                measured.unpaired[tuned.name], measured.weights[tuned.name] = unpaired, running.weights
                _keep_unpaired(kept, tuned.name, base_rows, rows)
                del running
                continue
            with world().together(f"{tuned.name}, measured"):
                if measures is not None and rows is not None:
                    measured.layers[tuned.name] = measures.measure(tuned.name, rows.stream)
                    inside.measure(tuned.name, rows, asked=options.sites)
            _say_answer(tuned, measured, controls=options.controls)
            changes[tuned.name] = _weight_changes(base, running, blocks_path, measured)
        except RepdriftError as error:
            measured.failed[tuned.name] = str(error)
        else:
            measured.weights[tuned.name] = running.weights
        del running
    own.keep(kept, base_rows)
    _run_controls(base, measures, inside, changes, samples, token_budget, measured)
    measured.layers |= {name: with_weights(layers, changes[name]) for name, layers in measured.layers.items()}
    if measures is not None:
        _finish(measured, measures, samples, kept)
    return measured


def _finish(measured: Measured, measures: RowMeasures, samples: SampleSet, kept: KeptRows | None) -> None:
    """Adds what needs all models: drift between them, measures without a value, and what groups of samples do."""
    measured.between = measures.between()
    if kept is not None:
        kept.base, kept.tuned = measures.base, measures.tuned
        kept.random_change, kept.control_rows = measures.random_change, measures.control_rows
        kept.again = measures.again
    measured.undefined |= measures.undefined
    _note_groups(measured, measures, samples)


def _keep_unpaired(kept: KeptRows | None, name: str, base: PlacedRows | None, tuned: PlacedRows | None) -> None:
    if kept is not None and base is not None and tuned is not None:
        kept.unpaired[name] = UnpairedRows(base.stream, tuned.stream)


def _weight_changes(base: BaseModel, running: RunningModel, blocks_path: str, measured: Measured) -> WeightChanges:
    """The change of a tuned model's weights; what its files' formats change in its numbers is noted."""
    tuned = running.tuned
    changes = changes_of(base, tuned, running.backbone, blocks_path)
    measured.note(tuned.name, changes.notes)
    measured.coarse[tuned.name] = coarse_formats(running.backbone)
    note_quantisation(base.source, tuned, measured)
    if tuned.source.is_adapter:
        measured.note(tuned.name, adapter_notes(tuned.source))
    return changes


def _say_answer(tuned: TunedModel, measured: Measured, *, controls: bool) -> None:
    if tuned.name in measured.layers:
        notes = [*tuned.notes, *measured.model_notes.get(tuned.name, [])]
        say_first_answer(tuned.name, measured.layers[tuned.name], notes, controls=controls)


def _note_groups(measured: Measured, measures: RowMeasures, samples: SampleSet) -> None:
    """Says with every model that its samples come from groups too few or too uneven for an interval, or that their likeness pulls its drift."""
    groups = samples.groups
    if groups is None or not is_grouped(groups) or not measures.intervals:
        return
    reason = no_interval_because(groups, samples.group_unit)
    for name in measured.layers:
        if reason is not None:
            measured.note(name, [f"There is no interval over samples: {reason}."])
        elif said := pull_words(measures.pull.get(name, ()), samples.group_unit):
            measured.note(name, [sentence_case(said)])


def _tuned_rows(
    base: BaseModel,
    running: RunningModel,
    depth: int,
    samples: SampleSet,
    outputs: OutputChanges | None,
    no_grid: str | None,
    own: OwnRows,
) -> tuple[PlacedRows | None, str | None]:
    """Rows of a tuned model, and why its layers have no counterparts, or None; rows of its own tokens go to `own`. Raises ModelError if they have none and no grid compares them."""
    tuned, model = running.tuned, running.backbone
    if tuned.own is not None:
        own.read(running, tuned.own)
        return None, tuned.unpaired
    options = base.options if tuned.unpaired is None else layers_there(base.options, model)
    extractor = base.reader_of(extractor_with_sites(model, options))
    extractor.on_final = None if outputs is None else outputs.tuned_watcher(running)
    found = len(extractor.blocks)
    unpaired = tuned.unpaired or (None if found == depth else layer_count_fault(found, depth))
    if unpaired is not None and no_grid is not None:
        raise ModelError(f"{unpaired} {no_grid}")
    return placed_rows(extractor, samples, what=tuned.name), unpaired


def _run_controls(
    base: BaseModel,
    measures: RowMeasures | None,
    inside: SiteMeasures,
    changes: Mapping[str, WeightChanges],
    samples: SampleSet,
    token_budget: int,
    measured: Measured,
) -> None:
    """Runs the base model over the control samples: once as it is, then with a random change as large as each model's."""
    options = base.options
    chosen = control_samples(samples, options)
    part: Tensor = RowIndex(samples, concrete(options.pooling)).rows_of(chosen.indices)
    again: PlacedRows | None = None
    exact: PlacedRows | None = None
    if options.controls:
        measured.control_samples = len(chosen)
        # Other batches of the same samples: the difference between the two runs is the noise of extraction.
        other = options.model_copy(update={"token_budget": max(1, token_budget // 3)})
        with base.without_adapters() as model:
            again = placed_rows(
                base.reader_of(extractor_with_sites(model, other)), chosen.samples, what="base model, again"
            )
        del model
        exact = _float32_rows(base, chosen.samples, measured)
    if measures is not None:
        inside.base_layers(again, part, exact)
        measures.again, measures.control_rows = {} if again is None else again.stream, part
        single = None if exact is None else exact.stream
        try:
            measured.base_layers = measures.base_layers(None if again is None else again.stream, part, single)
        except DegenerateInputError as error:
            measured.notes.append(missing_control("The noise floor", error))
            measured.base_layers = measures.base_layers(None, part)
    if measured.coarse:
        with base.without_adapters() as model:
            note_precision(model, measured.coarse, measured, controls=base.options.controls)
        del model
        _run_rounded(base, measures, inside, chosen.samples, part, measured)
    measured.judge_noise()
    for name in [name for name in measured.weights if name not in measured.unpaired]:

        def rows_of(model: nn.Module, name: str = name) -> PlacedRows | None:
            extractor = base.reader_of(extractor_with_sites(model, options))
            return placed_rows(extractor, chosen.samples, what=f"random change as large as {name}")

        randomised = run_randomly_changed(base, name, changes[name], rows_of, measured.gaps.append)
        if measures is not None and randomised is not None:
            try:
                moved = randomised.stream
                measures.random_change[name], measures.control_rows = moved, part
                measured.layers[name] = measures.with_control(measured.layers[name], "random_change", moved, part)
                inside.with_control([name], "random_change", randomised, part)
            except DegenerateInputError as error:
                measured.gaps.append(Gap(name, "random change", reason_of(error)))


def _float32_rows(base: BaseModel, samples: SampleSet, measured: Measured) -> PlacedRows | None:
    """The base model's rows in float32, where the run is in a coarser format; None where it is not, or memory does not suffice."""
    exact = float32_base(base)
    if exact is None:
        return None
    base.make_room()
    try:
        extractor = base.reader_of(extractor_with_sites(exact.model, exact.options))
        return placed_rows(extractor, samples, what="base model, in float32")
    except (RepdriftError, torch.OutOfMemoryError) as error:
        measured.notes.append(missing_run_rounding(base.options.compute_dtype, error))
        return None
    finally:
        exact.free()


def _run_rounded(
    base: BaseModel,
    measures: RowMeasures | None,
    inside: SiteMeasures,
    samples: SampleSet,
    part: Tensor,
    measured: Measured,
) -> None:
    """Runs the base model with its weights rounded as those of each model are; once for all models that are rounded alike."""
    options = base.options
    for group in rounded_alike(measured.rounded) if options.controls else ():

        def rows_of(model: nn.Module, names: Sequence[str] = group.names) -> PlacedRows | None:
            what = f"base model, rounded like {some_listed(names)}"
            return placed_rows(base.reader_of(extractor_with_sites(model, options)), samples, what=what)

        rows = run_rounded(base, group, rows_of, measured.gaps.append)
        if measures is None or rows is None:
            continue
        try:
            for name in group.names:
                measured.layers[name] = measures.with_rounding(name, measured.layers[name], rows.stream, part)
            inside.with_control(group.names, "rounding", rows, part)
        except DegenerateInputError as error:
            measured.gaps += [Gap(name, "rounding", reason_of(error)) for name in group.names]
