"""General text: documents that have nothing to do with a task, on which forgetting is measured. One document is one unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from repdrift.core.errors import DataError, RepdriftError, UnknownNameError
from repdrift.core.fingerprint import config_sha256, files_sha256, unchanged_file_sha256
from repdrift.core.length_limit import LengthLimit
from repdrift.core.reading import files_below, reading_errors, stands_there
from repdrift.core.words import counted
from repdrift.tasks.data_files import Row
from repdrift.tasks.data_table import Column, DataTable, example
from repdrift.tasks.encoding import Encoded, described_row, encode_row, length_notes, token_ids
from repdrift.tasks.own_file import read_own_file
from repdrift.tasks.sample_set import SampleSet, choose_rows, unknown_tokens_note
from repdrift.tasks.sources import Rows, hub_table, rows_of_table
from repdrift.tasks.spec import FileFormat, TaskSpec

GENERAL_WORDS = "general text"
GENERAL_TEXT = "general_text"
"""Name of the sample set of general text."""
PACKAGED_TEXT = "packaged"
"""A source of this name means the documents that the package ships."""
DEFAULT_DOCUMENTS = 200
LEAST_DOCUMENTS = 10
"""Fewer documents give values without an interval."""

_PACKAGED_FILE = Path(__file__).parent / "samples" / GENERAL_TEXT / "documents.jsonl"
_HUB_SPLITS = ("test", "validation", "train")
_USUAL_COLUMN = "text"


@dataclass(frozen=True)
class Documents:
    """General text as it was read. spec: names the columns; it has no labels. rows: one for each document, with the source in words."""

    spec: TaskSpec
    rows: Rows


def read_documents(
    source: str | None = None,
    *,
    text_column: str | None = None,
    id_column: str | None = None,
    file_format: FileFormat = FileFormat(),  # noqa: B008 (frozen)
    documents: int | None = DEFAULT_DOCUMENTS,
) -> Documents:
    """Reads general text; nothing is tokenised yet.

    source: a file, the folder of a saved data set, a data set of the Hugging Face hub as OWNER/NAME or OWNER/NAME:CONFIGURATION (its test
    split, else validation, else train), or `packaged`; None means `packaged`. text_column: None: found from the file, on the hub `text`.
    documents: at most so many, chosen by the hash of their ids; None or 0 takes all.
    Raises DataError if nothing is there or no document has a text; UnknownNameError for a column that is not there.
    """
    try:
        return _read(source, text_column, id_column, file_format, documents)
    except (DataError, UnknownNameError) as error:
        if GENERAL_WORDS in str(error):
            raise
        raise type(error)(f"{GENERAL_WORDS}: {error}") from error


def _read(
    source: str | None, text_column: str | None, id_column: str | None, file_format: FileFormat, documents: int | None
) -> Documents:
    if source is None or source == PACKAGED_TEXT:
        found = read_own_file(_PACKAGED_FILE, text_columns=["text"], id_column="id")
        read = Documents(found.spec, Rows(found.rows.rows, "general text that the package ships"))
    elif not source.strip():
        raise DataError(f"the name of the general text is empty; give {_SOURCES}")
    elif _is_there(source):
        columns = [text_column] if text_column is not None else None
        found = read_own_file(
            Path(source).expanduser(),
            text_columns=columns,
            id_column=id_column,
            file_format=file_format,
            how_to_name=_ONE_COLUMN,
        )
        if len(found.spec.text_columns) > 1:
            raise DataError(
                f"{source}: a document is one text, and two columns hold texts ({', '.join(found.spec.text_columns)}). {_ONE_COLUMN}"
            )
        read = Documents(found.spec, found.rows)
    else:
        read = _from_hub(source, text_column or _USUAL_COLUMN, id_column)
    spec = replace(read.spec, name=GENERAL_TEXT, title="general text")
    rows = _each_text_once(spec, read.rows)
    return Documents(spec, replace(rows, rows=choose_rows(spec, rows.rows, documents, source=rows.source)))


def source_sha256(source: str) -> str | None:
    """The SHA-256 of the files that `read_documents` reads of this source; of a data set of the hub, of its name alone. None: it is not there."""
    path = _PACKAGED_FILE if source == PACKAGED_TEXT else Path(source).expanduser()
    try:
        is_there = source == PACKAGED_TEXT or _is_there(source)
        if not is_there:
            return config_sha256({"hub": source})
        with reading_errors(path):
            return files_sha256(path, files_below(path)) if path.is_dir() else unchanged_file_sha256(path)
    except RepdriftError:
        return None  # who reads it says what is wrong


def document_samples(
    documents: Documents, tokenizer: Any, *, max_length: int, limit: LengthLimit | None = None
) -> SampleSet:
    """Tokenises the documents, each cut to `max_length` tokens; how many were cut is counted and in the notes.

    limit: the model's, for notes on long documents. Raises DataError naming a document of which the tokenizer makes no token.
    """
    spec, rows = documents.spec, documents.rows
    found: list[Encoded] = []
    for number, row in enumerate(rows.rows):
        try:
            found.append(encode_row(row, spec, tokenizer, max_length=max_length))
        except DataError as error:
            raise DataError(f"general text ({rows.source}), {described_row(row, number, spec)}: {error}") from error
    cut = sum(e.truncated for e in found)
    has_types = all(e.token_type_ids is not None for e in found)
    notes = [
        *rows.notes,
        *([f"{counted(cut, 'document')} of {len(found)} cut at {max_length} tokens."] if cut else []),
        *few_documents_note(len(found)),
        *length_notes([len(e.input_ids) for e in found], 0, tokenizer, limit or LengthLimit()),
    ]
    samples = SampleSet(
        task=GENERAL_TEXT,
        sample_ids=tuple(_id(spec, row, number) for number, row in enumerate(rows.rows)),
        input_ids=tuple(e.input_ids for e in found),
        token_type_ids=tuple(e.token_type_ids or token_ids(()) for e in found) if has_types else None,
        truncated_samples=cut,
        source=rows.source,
        notes=tuple(notes),
        row_numbers=tuple(range(1, len(found) + 1)),
        tokenizer=tokenizer,
    )
    unknown = [f"General text: {note}" for note in unknown_tokens_note(samples, tokenizer)]
    return replace(samples, notes=(*samples.notes, *unknown))


def few_documents_note(count: int) -> list[str]:
    """Says so if there are too few documents for an interval."""
    if count >= LEAST_DOCUMENTS:
        return []
    few = "one document" if count == 1 else f"{count} documents"
    return [
        f"General text is {few}, fewer than {LEAST_DOCUMENTS}: its values have no interval, and say little of other text."
    ]


def _each_text_once(spec: TaskSpec, rows: Rows) -> Rows:
    """The documents without those whose text stood before: a repeated text is no further unit, and would make intervals too narrow."""
    (column,) = spec.text_columns
    first: dict[str, Row] = {}
    for row in rows.rows:
        first.setdefault(str(row[column]), row)
    repeated = len(rows.rows) - len(first)
    if not repeated:
        return rows
    verb = "repeats an earlier one and is" if repeated == 1 else "repeat an earlier one and are"
    note = f"{counted(repeated, 'document')} of {len(rows.rows)} {verb} left out."
    return replace(rows, rows=list(first.values()), notes=(*rows.notes, note))


_ONE_COLUMN = (
    "Name one with `general_text: {source: ..., text_column: ...}` in a study, or give a file that has the texts alone."
)
_SOURCES = (
    "a file of texts, the folder of a saved data set, a data set of the hub (OWNER/NAME:CONFIGURATION), or "
    f"{PACKAGED_TEXT!r} for the documents that the package ships"
)


def _is_there(source: str) -> bool:
    try:
        path = Path(source).expanduser()
        there = stands_there(path)
    except (OSError, RuntimeError) as error:  # a text in place of a path, or a home that nobody has
        raise DataError(f"general text {example(source)} is no file; give {_SOURCES}") from error
    named = source.partition(":")[0]
    is_path = path.is_absolute() or source.startswith((".", "~")) or bool(path.suffix) or named.count("/") > 1
    if not there and is_path:
        raise DataError(f"general text {example(source)} does not exist; give {_SOURCES}")
    return there


def _from_hub(source: str, text_column: str, id_column: str | None) -> Documents:
    repository, _, configuration = source.partition(":")
    spec = TaskSpec(
        name=GENERAL_TEXT,
        kind="classification",
        text_columns=(text_column,),
        label_column=None,
        id_column=id_column,
        title="general text",
        hub=(repository, configuration or None),
    )
    tried: list[str] = []
    for split in _HUB_SPLITS:
        try:
            table = hub_table(repository, configuration or None, split, spec.columns)
        except DataError as error:
            tried.append(f"{split}: {error}")
            continue
        named = f"Hugging Face hub: {source}, {split}"
        rows = rows_of_table(_with_text(table, text_column), spec, named, labelled=False, grouped=False)
        return Documents(spec, replace(rows, notes=()))
    raise DataError(
        f"general text {example(source)} is no file or folder, and as a data set of the hub it cannot be read. {'; '.join(tried)}. "
        f"Give {_SOURCES}."
    )


def _with_text(table: DataTable, text_column: str) -> DataTable:
    """The rows of a table that have a text: data sets of running text keep an empty row between paragraphs."""
    texts = table.columns[text_column].values
    kept = [i for i, text in enumerate(texts) if not (isinstance(text, str) and not text.strip())]
    if not kept:
        raise DataError(
            f"general text {table.where} has no row with a text in its column {text_column!r}; give {_SOURCES}"
        )
    columns = {name: Column(lambda c=column: [c.values[i] for i in kept]) for name, column in table.columns.items()}
    return replace(table, columns=columns, numbers=[table.numbers[i] for i in kept])


def _id(spec: TaskSpec, row: Row, index: int) -> str:
    return str(row[spec.id_column]) if spec.id_column else str(index)
