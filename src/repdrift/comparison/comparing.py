"""Comparison of a base model with models tuned from it: measured, put together, written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repdrift.comparison.base_model import BaseModel, extractor_for
from repdrift.comparison.by_moments import compare_by_moments
from repdrift.comparison.by_rows import compare_by_rows
from repdrift.comparison.cautions import cautions
from repdrift.comparison.command import comparison_command
from repdrift.comparison.gate import Gate, gate_options, gate_result, judge, require_judgeable
from repdrift.comparison.hidden_texts import without_texts
from repdrift.comparison.inputs import comparison_inputs, comparison_options
from repdrift.comparison.massive_features import massive_headline
from repdrift.comparison.measured import Measured, alike_sentences, gap_sentences
from repdrift.comparison.nothing_compared import NothingComparedError
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.output import for_sharing, write_comparison
from repdrift.comparison.output_changes import OutputChanges
from repdrift.comparison.patching import patch_models
from repdrift.comparison.sections import KeptRows, SectionInputs
from repdrift.comparison.tuned_model import TunedModel
from repdrift.comparison.unpaired import may_keep_rows, refused_for
from repdrift.comparison.what_moved import chosen_sections, no_grid_because, section_drawings, with_sections
from repdrift.core.atomic import require_writable
from repdrift.core.comparison_words import note_sentences
from repdrift.core.errors import ModelError
from repdrift.core.group_words import is_grouped, no_interval_because
from repdrift.core.process_group import world
from repdrift.core.records.base import library_versions
from repdrift.core.records.comparison import ComparedModel, Comparison, SiteLayers
from repdrift.core.records.patching import Patching
from repdrift.core.records.what_moved import ComparisonMoved
from repdrift.core.sink_words import sink_cautions
from repdrift.drift.chosen_measures import without_value
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.pooling_choice import resolved_pooling
from repdrift.models import (
    ASSUMED_WIDTH,
    Kind,
    ModelSource,
    settings_digests,
    source_notes,
    tokenizer_digests,
    width_of,
)
from repdrift.similarity import measure
from repdrift.tasks import DEFAULT_SAMPLES, FileFormat, SampleSet

if TYPE_CHECKING:
    from repdrift.report.rendering import FigureFormat

_ROWS_LIMIT_BYTES = 1 << 30
"""Limit for the pooled rows of all models together. Beyond it, rows are kept only if moments would take at least as much."""


def compare(
    base: str,
    tuned: Sequence[str] | str,
    *,
    data: str,
    data_dir: str | None = None,
    text_columns: Sequence[str] | None = None,
    id_column: str | None = None,
    group_column: str | None = None,
    sample_columns: Sequence[str] | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    samples: int | None = DEFAULT_SAMPLES,
    max_length: int | None = None,
    revision: str | None = None,
    as_kind: Kind | None = None,
    output_dir: str | Path | None = None,
    page: bool = True,
    figures: FigureFormat | None = None,
    gate: Gate | None = None,
    **options: Any,
) -> Comparison:
    """Measures how far tuned models have drifted from their base model, layer by layer, with the controls.

    base, tuned: folders, hub ids or `packaged:NAME`; tuned: full models or PEFT adapters. data: a built-in task, a file
    (txt, csv, tsv, json, jsonl, parquet, Arrow) or the folder of a saved data set. separator, encoding, header: how a text file is
    written (None: found from the file). samples: the most samples to take (None: all). max_length: the most tokens of a sample
    (None: what the base model takes, at most 512). group_column: names the group of each row, such as its paragraph; intervals leave out
    whole groups. sample_columns: facts by which samples are grouped in results. as_kind: "adapter" or "model", what to take from a tuned model's folder
    that holds both (None: the adapter, and it is said). output_dir: where to write JSON, table, summary, figures and, if
    `page`, the page that is read in a browser; None: nothing is written. figures: formats and width of the figures (None: PNG and PDF, as wide as a page). gate: limits to hold the result to; its verdict stands in the result. options: the fields of `repdrift.comparison.ComparisonOptions`, such as pooling="tokens",
    layers=(0, 5), compute_dtype="bfloat16", controls=False.
    A tuned model that cannot be compared is in the result with the reason. Raises ModelError if that holds for all of
    them, or the base model cannot be loaded; ConfigError for a wrong option or a gate that could not be judged; DataError for data that cannot be used.
    """
    chosen = comparison_options(options)
    if gate is not None:
        require_judgeable(gate, chosen)
    inputs = comparison_inputs(
        base, [tuned] if isinstance(tuned, str) else list(tuned), data=data, data_dir=data_dir,
        text_columns=text_columns, id_column=id_column, group_column=group_column, sample_columns=sample_columns or (),
        file_format=FileFormat(separator, encoding, header), samples=samples, max_length=max_length, revision=revision, as_kind=as_kind, stack=chosen.stack,
        no_grid=no_grid_because(chosen, keeps_rows=may_keep_rows(chosen)), own_tokenizer=chosen.own_tokenizer, pooling=chosen.pooling, sample_texts=chosen.sample_texts,
    )  # fmt: skip
    folder = Path(output_dir) if output_dir is not None and world().is_first else None
    if folder is not None:
        require_writable(folder)
    words = comparison_command(base, [tuned] if isinstance(tuned, str) else tuned, {
        "data": data, "data_dir": data_dir, "text_column": list(text_columns or ()), "id_column": id_column, "group_column": group_column,
        "sample_column": list(sample_columns or ()), "separator": separator, "encoding": encoding, "header": header,
        "samples": None if samples == DEFAULT_SAMPLES else samples or 0, "max_length": max_length, "revision": revision, "as": as_kind,
    }, chosen, {} if gate is None else gate_options(gate))  # fmt: skip
    result = compare_models(inputs.base, inputs.tuned, inputs.samples, chosen).model_copy(update={"command": words})
    if not result.compared and not result.by_grid:
        raise NothingComparedError(
            "none of the models could be compared", [(model.name, model.reason or "") for model in result.models]
        )
    if gate is not None:
        result = result.model_copy(update={"gate": gate_result(judge(for_sharing(result), gate))})
    if folder is not None:
        write_outputs(result, folder, page=page, figures=figures)
    return result


def compare_models(
    base: ModelSource, tuned_models: Sequence[TunedModel], samples: SampleSet, options: ComparisonOptions
) -> Comparison:
    """Measures the drift of every tuned model from `base` on `samples`, layer by layer, with the controls.

    A model that cannot be compared is in the result with the reason, and the others are compared. Under `torchrun` the
    processes share the samples, and every process returns the same result.
    Raises ModelError if the base model cannot be loaded. For the base model's own representations, raises NonFiniteError
    naming layer and sample, DataError if a sample is longer than the model takes, and DegenerateInputError if a layer
    gives all samples the same representation.
    """
    clock = time.perf_counter()
    base_digest, on_base = base.weights_digest(), [f"On the base model: {note}" for note in source_notes(base)]
    base_settings = {**settings_digests(base), **tokenizer_digests(base)}
    settings = {tuned.name: _settings_of(tuned) for tuned in tuned_models}
    able = [tuned for tuned in tuned_models if tuned.refused is None]
    options = options.model_copy(update={"pooling": resolved_pooling(options.pooling, base, options.stack)})
    outputs = OutputChanges(base, samples, options) if options.outputs and able else None
    loaded = BaseModel(base, options)
    extractor = extractor_for(loaded.model, options)
    if options.patch_layers is not None:  # a wrong one is an error before anything is run
        extractor.blocks.select(list(options.patch_layers), model_name=type(extractor.backbone).__name__)
    keeps_rows = _keeps_rows(options, extractor, samples, len(able))
    no_grid = no_grid_because(options, keeps_rows=keeps_rows)
    if no_grid is not None:
        tuned_models = [refused_for(tuned, no_grid) for tuned in tuned_models]
        able = [tuned for tuned in tuned_models if tuned.refused is None]
    blocks_path = extractor.blocks.path
    del extractor
    kept = KeptRows() if keeps_rows and chosen_sections(options) else None
    if keeps_rows:
        if outputs is not None:
            outputs.read_in_passing(loaded.make_room)
        measured = compare_by_rows(loaded, able, samples, options, outputs, kept, no_grid)
    else:
        measured = compare_by_moments(loaded, able, samples, options)
    measured = world().from_first(measured)
    models = [_record(tuned, measured, settings.get(tuned.name, {})) for tuned in tuned_models]
    loaded.free()  # models with their heads are loaded in its place
    if outputs is not None:
        by_name = {t.name: outputs.of(t) for t in able if t.name not in measured.failed and t.own is None}
        models = [model.model_copy(update={"outputs": by_name.get(model.name)}) for model in models]
    there = [tuned for tuned in able if tuned.name not in measured.failed]
    paired, unpaired = ([t for t in there if (t.name in measured.unpaired) == by_grid] for by_grid in (False, True))
    patching: list[Patching] = []
    if options.patch:
        patching = patch_models(base, paired, samples, options)
    seen = SectionInputs(base, paired, samples, options, kept, blocks_path, unpaired=unpaired)
    models, moved = with_sections(models, seen)
    models = [_without_grid(model, moved) if model.status == "compared by grid" else model for model in models]
    compared = [model for model in models if model.status == "compared"]
    headline = massive_headline(measured.base_layers, compared, options.pooling)
    used = _measures_of(compared)
    result = Comparison(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        base=base.ref,
        base_revision=base.revision,
        base_digest=base_digest,
        base_settings=base_settings,
        data=samples.source,
        data_notes=[*samples.notes, *(outputs.notes if outputs is not None else [])],
        task=samples.task,
        samples=len(samples),
        control_samples=measured.control_samples,
        tokens=sum(samples.lengths),
        sample_groups=len(set(samples.groups)) if samples.groups is not None and is_grouped(samples.groups) else None,
        sample_group_unit=samples.group_unit,
        no_group_interval=no_interval_because(samples.groups, samples.group_unit),
        truncated_samples=samples.truncated_samples,
        sample_set_fingerprint=samples.fingerprint,
        pooling=options.pooling,
        sinks=measured.sinks,
        compute_dtype=options.compute_dtype,
        accumulated=measured.accumulated,
        base_layers=measured.base_layers,
        base_sites=measured.base_sites,
        sites_left_out=measured.sites_left_out,
        models=models,
        between=measured.between,
        patching=patching,
        moved=moved,
        headline=headline,
        warnings=[
            *on_base,
            *headline,
            *note_sentences([model for model in models if model.status != "not comparable"]),
            *cautions(models, samples),
            *(sink_cautions(measured.sinks) if measured.sinks is not None else []),
            *gap_sentences(measured.gaps),
            *alike_sentences(measured.alike),
            *measured.notes,
            *_without_value(measured),
        ],
        measure_titles={name: measure(name).title for name in used},
        distances=[name for name in used if not measure(name).higher_is_similar],
        wall_time_s=round(time.perf_counter() - clock, 2),
    ).without_secrets()
    return result if options.sample_texts else without_texts(result)


def write_outputs(
    result: Comparison, output_dir: Path, *, page: bool = True, figures: FigureFormat | None = None
) -> list[Path]:
    """Writes JSON, table, summary, figures and the page, all or none. Returns the paths.

    figures: their formats and width; None: PNG and PDF, as wide as a page. Raises StorageError.
    """
    from repdrift.report import compared_sites_figure, comparison_figure, patching_figure
    from repdrift.report.rendering import FigureFormat

    shared = for_sharing(result)
    drawings = {
        comparison_figure.FIGURE_NAME: comparison_figure.comparison_drawing(shared),
        patching_figure.FIGURE_NAME: patching_figure.patching_drawing(shared),
        compared_sites_figure.FIGURE_NAME: compared_sites_figure.site_drawing(shared),
        **section_drawings(shared),
    }
    return write_comparison(result, output_dir, (figures or FigureFormat()).files(drawings), page=page)


def _keeps_rows(
    options: ComparisonOptions, extractor: RepresentationExtractor, samples: SampleSet, n_tuned: int
) -> bool:
    if options.accumulate != "auto":
        return options.accumulate == "rows"
    if options.pooling == "tokens":
        return False
    width = width_of(getattr(extractor.backbone, "config", None)) or ASSUMED_WIDTH
    kept = 2 + n_tuned  # the base model, a part of it again, and every tuned model for the drift between them
    rows = 4 * len(samples) * width * len(extractor.places) * kept
    moments = 8 * width * width * len(extractor.places) * (1 + 2 * n_tuned)
    return rows <= max(_ROWS_LIMIT_BYTES, moments)


def _measures_of(models: Sequence[ComparedModel]) -> list[str]:
    """The names of all measures that a model has a value of, at any site."""
    places = [at for model in models for layers in (model.layers, *(s.layers for s in model.sites)) for at in layers]
    return list(dict.fromkeys(name for at in places for name in at.values))


def _without_value(measured: Measured) -> list[str]:
    there = {key: reasons for key, reasons in measured.undefined.items() if key[0] not in measured.failed}
    return without_value(there, [at.layer for at in measured.base_layers], preposition="for")


def _without_grid(model: ComparedModel, moved: ComparisonMoved | None) -> ComparedModel:
    """The model, not comparable if the grid, which was all that could compare it, has no numbers of it."""
    if model.moved is not None and model.moved.grid is not None:
        return model
    reasons = {} if model.moved is None else model.moved.left_out
    why = reasons.get("grid") or ({} if moved is None else moved.left_out).get("grid")
    return model.model_copy(
        update={"status": "not comparable", "reason": f"{model.reason} The layer grid has no numbers either: {why}"}
    )


def _settings_of(tuned: TunedModel) -> dict[str, str]:
    try:
        return settings_digests(tuned.source) if tuned.refused is None else {}
    except ModelError:  # it fails to load for the same reason, and the others are compared
        return {}


def _record(tuned: TunedModel, measured: Measured, settings: dict[str, str]) -> ComparedModel:
    reason = tuned.refused or measured.failed.get(tuned.name)
    layers = measured.layers.get(tuned.name, [])
    notes = [*tuned.notes, *measured.model_notes.get(tuned.name, [])]
    digest: str | None = None
    status: Literal["compared", "compared by grid", "not comparable"] = (
        "compared" if reason is None else "not comparable"
    )
    if reason is None and tuned.name in measured.unpaired:
        status = "compared by grid"
    if reason is None:
        try:
            digest = tuned.source.weights_digest()
        except ModelError as error:  # hours of work are not lost by it
            notes.append(
                f"Its weight files could not be read after it was run, so the result does not name them by a digest: {error}"
            )
    return ComparedModel(
        name=tuned.name,
        ref=tuned.source.ref,
        kind=tuned.kind,
        status=status,
        reason=reason if status == "not comparable" else measured.unpaired.get(tuned.name),
        weights=measured.weights.get(tuned.name),
        weights_digest=digest,
        settings=settings if digest is not None else {},
        layers=layers,
        mean_drift=sum(layer.drift for layer in layers) / len(layers) if layers else None,
        sites=[
            SiteLayers(site=site, layers=at_site, mean_drift=sum(at.drift for at in at_site) / len(at_site))
            for site, at_site in measured.sites.get(tuned.name, {}).items()
        ],
        attention_or_mlp=measured.attention_or_mlp.get(tuned.name),
        adapter_sizes=measured.adapter_sizes.get(tuned.name, []),
        sites_left_out=measured.model_sites_left_out.get(tuned.name, {}),
        notes=list(dict.fromkeys(notes)),
    )
