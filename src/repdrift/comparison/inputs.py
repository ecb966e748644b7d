"""Inputs of a comparison, checked before anything is run: the models, the samples, the options, the output folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from repdrift.comparison.nothing_compared import NothingComparedError
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.own_tokens import OwnReading, RowsBy
from repdrift.comparison.tokenizers import SharedSamples
from repdrift.comparison.tuned_model import TunedModel, depth_fault, kind_notes, unique_names, unrelated_fault
from repdrift.comparison.unpaired import refused_for
from repdrift.core.errors import ConfigError, DataError, ModelError, RepdriftError, UnknownNameError
from repdrift.core.hidden_secrets import remember_all
from repdrift.core.progress import say
from repdrift.core.quoted_examples import without_examples
from repdrift.core.records.representation_set import PoolingChoice
from repdrift.core.validation import validation_faults
from repdrift.extraction.pooling_choice import resolved_pooling
from repdrift.models import (
    Kind,
    ModelSource,
    Stack,
    length_limit_of_config,
    load_config,
    loader_errors,
    resolve_model,
    source_notes,
)
from repdrift.tasks import (
    FileFormat,
    OwnFile,
    Rows,
    SampleSet,
    TaskSpec,
    build_sample_set,
    load_rows,
    read_own_file,
    task,
)
from repdrift.tasks import tasks as known_tasks
from repdrift.tasks.data_table import example
from repdrift.tasks.word_tokens import WordTokens, require_offsets, word_tokens

_HUB_DATA = "A data set of the hub is first written to a folder: datasets.load_dataset(NAME).save_to_disk(FOLDER)."


@dataclass(frozen=True)
class ComparisonInputs:
    """Inputs of a comparison: the base model, the tuned models, and the samples that all of them read."""

    base: ModelSource
    tuned: list[TunedModel]
    samples: SampleSet


def comparison_inputs(
    base: str,
    tuned: Sequence[str],
    *,
    data: str,
    data_dir: str | None,
    text_columns: Sequence[str] | None,
    id_column: str | None,
    group_column: str | None = None,
    sample_columns: Sequence[str] = (),
    file_format: FileFormat,
    samples: int | None,
    max_length: int | None,
    revision: str | None,
    as_kind: Kind | None = None,
    stack: Stack | None = None,
    no_grid: str | None = None,
    own_tokenizer: RowsBy | None = None,
    pooling: PoolingChoice = "auto",
    sample_texts: bool = True,
) -> ComparisonInputs:
    """Finds the models, reads the data and tokenises the samples; no weights are loaded.

    as_kind: what to take from a tuned model's folder that holds both an adapter and a full model. stack: which half of an
    encoder-decoder is compared. no_grid: a sentence that says why the layer grid does not compare models whose layers cannot be paired; None: it does.
    own_tokenizer: what a row is of a model that reads the texts with a tokenizer of its own; None: such a model is refused. pooling: as chosen, for such
    a model. sample_texts: whether notes may quote the data.
    A tuned model that cannot be found or read, or tokenises the texts differently, is marked
    as refused with the reason, and so is one whose layers cannot be paired if `no_grid` says so; tokenizers that differ in settings alone are taken as one. Raises ModelError if all of them
    are refused, or if the base model is an adapter or cannot be found. Raises ConfigError, DataError or UnknownNameError
    for data that cannot be used.
    """
    remember_all([str(given) for given in (base, *tuned, data, data_dir)])
    if not tuned:
        raise ConfigError("name at least one tuned model to compare with the base model")
    if as_kind not in (None, *get_args(Kind)):
        raise ConfigError(f"as_kind (--as) should be {' or '.join(get_args(Kind))}, got {as_kind!r}")
    base_source = resolve_model(base, revision=revision, prefer="model")
    if base_source.is_adapter:
        raise ModelError(
            f"{base} is a PEFT adapter: the first model must be a full one, the base; adapters come after it"
        )
    data_read = _read(data, data_dir, text_columns, id_column, group_column, sample_columns, file_format)
    spec, rows = data_read.spec, data_read.rows
    notes = rows.notes if sample_texts else tuple(map(without_examples, rows.notes))
    limit = length_limit_of_config(load_config(base_source), stack)

    def read(tokenizer: Any, longest: int) -> SampleSet:
        return build_sample_set(
            spec, rows.rows, tokenizer, max_length=longest, n_samples=samples, source=rows.source, notes=notes, limit=limit
        )  # fmt: skip

    shared = SharedSamples(base_source, read, limit, max_length)
    maxima: dict[str, int | None] = {}

    def words_of(chosen: SampleSet) -> list[WordTokens]:
        numbers = chosen.row_numbers or range(1, len(chosen) + 1)
        return [
            word_tokens(rows.rows[number - 1], spec, chosen.tokenizer, ids)
            for number, ids in zip(numbers, chosen.input_ids, strict=True)
        ]

    def own(source: ModelSource, tokenizer: Any) -> OwnReading | None:
        if own_tokenizer is None:
            return None
        config_of = base_source if source.is_adapter else source
        if own_tokenizer == "word":
            require_offsets(tokenizer)
        read_by_it = shared.own_samples(tokenizer, length_limit_of_config(load_config(config_of), stack))
        return OwnReading(read_by_it, own_tokenizer, resolved_pooling(pooling, config_of, stack), words_of)

    tuned_models = [
        refused_for(model, no_grid) if no_grid is not None else model
        for model in (
            _tuned_model(name, ref, as_kind, base_source, shared, maxima, own)
            for name, ref in zip(unique_names(list(tuned)), tuned, strict=True)
        )
    ]
    shared.shorten(maxima)
    found = shared.samples
    say(f"{spec.name}: {len(found)} samples, {sum(found.lengths)} tokens, from {rows.source}. {' '.join(found.notes)}")
    if all(model.refused for model in tuned_models):
        raise NothingComparedError(
            "none of the models can be compared with the base", [(m.name, m.refused or "") for m in tuned_models]
        )
    return ComparisonInputs(base_source, tuned_models, shared.samples)


def comparison_options(given: dict[str, Any]) -> ComparisonOptions:
    """Checks the options. Raises ConfigError naming every fault."""
    try:
        return ComparisonOptions.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(validation_faults(error, ComparisonOptions))
        raise ConfigError(f"comparison options: {faults}") from error


def _read(
    data: str,
    data_dir: str | None,
    text_columns: Sequence[str] | None,
    id_column: str | None,
    group_column: str | None,
    sample_columns: Sequence[str],
    file_format: FileFormat,
) -> OwnFile:
    if not data.strip():
        raise DataError(
            "the name of the data is empty; give a file, a folder (. is the working folder) or a built-in task"
        )
    path = Path(data).expanduser()
    try:
        is_there = path.exists()
    except OSError as error:  # a text in place of a path: the name is too long
        raise DataError(
            f"{example(data)} is no file and no task ({error.strerror}); write texts to a file, one on each line"
        ) from error
    if data not in known_tasks() and is_there:
        if data_dir is not None:
            raise ConfigError(
                f"a data folder is for built-in tasks; {data!r} is a {'folder' if path.is_dir() else 'file'} of your own"
            )
        return read_own_file(
            path,
            text_columns=text_columns,
            id_column=id_column,
            group_column=group_column,
            sample_columns=sample_columns,
            file_format=file_format,
        )
    if (path.suffix or path.name != data) and data not in known_tasks():
        raise DataError(
            f"data file {data} does not exist; give a file, the folder of a data set, or a built-in task: {', '.join(known_tasks())}. "
            f"{_HUB_DATA}"
        )
    if data not in known_tasks():
        raise UnknownNameError(
            f"{UnknownNameError.of('task', data, known_tasks())} Nor is there a file or folder {data}. {_HUB_DATA}"
        )
    if text_columns or id_column or group_column or sample_columns or file_format != FileFormat():
        raise ConfigError(f"columns and formats are named for a file of your own; {data!r} is a built-in task")
    spec = task(data)
    return OwnFile(spec, _labelled_if_possible(spec, data_dir))


def _labelled_if_possible(spec: TaskSpec, data_dir: str | None) -> Rows:
    """The validation rows, with classes where they are there: results tell samples by them, and no model reads them."""
    if spec.kind == "classification":
        try:
            return load_rows(spec, "validation", data_dir=data_dir)
        except DataError:  # rows without labels, or nothing at all, which is said below
            pass
    return load_rows(spec, "validation", data_dir=data_dir, labelled=False)


def _tuned_model(
    name: str,
    ref: str,
    as_kind: Kind | None,
    base: ModelSource,
    shared: SharedSamples,
    maxima: dict[str, int | None],
    own: Callable[[ModelSource, Any], OwnReading | None],
) -> TunedModel:
    """Looks at one tuned model. Whatever is wrong with it is its own `refused`: the others are compared.

    maxima: gets the most tokens that its tokenizer names, if it reads the samples as the base model's does. own: how a model reads the texts
    with a tokenizer of its own; None: it may not.
    """
    source = ModelSource(ref, Path(ref).expanduser())
    notes: list[str] = []
    unpaired: str | None = None
    reading: OwnReading | None = None
    try:
        with loader_errors(f"{ref} cannot be read as a model"):
            source = resolve_model(ref, as_kind=as_kind)
            notes = source_notes(source)
            if source.choice and source.is_adapter:
                notes.append("To compare the full model in its folder, use --as model.")
            if not source.is_adapter:
                notes += kind_notes(base, source)
            unrelated = unrelated_fault(base, source)
            unpaired = unrelated or depth_fault(base, source)
            check = shared.check(source)
            refused, maxima[name] = check.refused, check.maximum
            if unrelated is not None and not check.is_known:
                refused = f"{unrelated} Nor has it a tokenizer that tells how it reads the texts. Compare it with the model that it was tuned from."
            notes += check.notes
            if check.tokenizer is not None and (reading := own(source, check.tokenizer)) is not None:
                refused, maxima[name] = None, None
                unpaired = unpaired or "it has another tokenizer: its rows are those of its own tokens."
                notes.insert(
                    0,
                    f"It read the texts with a tokenizer of its own (--own-tokenizer {reading.by}): it saw other tokens than the base model did, and what the two put out is not compared token by token.",
                )
    except RepdriftError as error:
        refused = str(error)
    return TunedModel(name, source, refused, tuple(notes), unpaired, reading)
