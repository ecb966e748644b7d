"""Pairs of texts that belong together, such as a question and the paragraph with its answer: read, chosen and tokenised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.reading import stands_there
from repdrift.core.words import counted
from repdrift.tasks import (
    Documents,
    Row,
    Rows,
    SampleSet,
    TaskSpec,
    choose_rows,
    document_samples,
    load_rows,
    read_own_file,
    task,
    tasks,
)

LEAST_PASSAGES = 10
"""With fewer, the right one is found by chance too often for the score to say much."""

TextPooling = Literal["mean", "cls", "last"]


class RetrievalOptions(BaseModel):
    """Says what is to be found among what, and how a text becomes one vector."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(
        min_length=1,
        description="A file or folder whose rows are pairs, or a task of questions with their paragraphs, such as squad_v2 (its validation rows).",
    )
    text_columns: tuple[str, str] | None = Field(
        default=None, description="The columns of the query and of the passage that it should find; null finds them."
    )
    pairs: int = Field(default=300, ge=0, description="Pairs at most, chosen by the hash of their ids; 0 means all.")
    pooling: TextPooling = Field(
        default="mean",
        description="How the final hidden states of a text become its vector: as the base model was made for.",
    )
    max_length: int = Field(default=256, ge=1, description="Tokens of a query or passage at most.")


@dataclass(frozen=True)
class TextPairs:
    """Queries and the passages that they should find. ids, partners: of n pairs; `partners[i]` is the number of the passage of query i.

    queries: n samples. passages: m samples, each a text of its own. also_right: by query, the passages that stand beside an equal query.
    notes: sentences on how they were read.
    """

    ids: Sequence[str]
    queries: SampleSet
    passages: SampleSet
    partners: Sequence[int]
    also_right: Sequence[frozenset[int]]
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> list[str]:
        """The passage of each pair: queries on one passage are no independent draws."""
        return [self.passages.sample_ids[number] for number in self.partners]


def file_of(options: RetrievalOptions) -> Path | None:
    """The file or folder that `source` names; None if it names a task."""
    path = Path(options.source).expanduser()
    if options.source in tasks() and not stands_there(path):
        return None
    return path


def read_pairs(options: RetrievalOptions, tokenizer: Any) -> TextPairs:
    """Reads the pairs and makes model inputs of them.

    Raises DataError if nothing can be read or fewer than 10 different passages are there, ConfigError if a task's rows are no such pairs.
    """
    spec, rows = _rows(options)
    query, passage = spec.text_columns
    chosen = choose_rows(spec, rows.rows, options.pairs, source=rows.source)
    texts = list(dict.fromkeys(str(row[passage]) for row in chosen))
    if len(texts) < LEAST_PASSAGES:
        raise DataError(
            f"retrieval: {rows.source} has {counted(len(texts), 'different passage')} in column {passage!r} among {counted(len(chosen), 'pair')}; "
            f"at least {LEAST_PASSAGES} are needed, or finding the right one says little"
        )
    number = {text: at for at, text in enumerate(texts)}
    beside: dict[str, set[int]] = {}
    for row in chosen:
        beside.setdefault(str(row[query]), set()).add(number[str(row[passage])])
    ids = [str(row[spec.id_column]) if spec.id_column else f"pair {at + 1}" for at, row in enumerate(chosen)]
    queries = _samples("queries", ids, [str(row[query]) for row in chosen], rows.source, tokenizer, options.max_length)
    names = [f"passage {at + 1}" for at in range(len(texts))]
    passages = _samples("passages", names, texts, rows.source, tokenizer, options.max_length)
    cut = [
        f"{counted(samples.truncated_samples, *words)} of {len(samples)} cut at {counted(options.max_length, 'token')}."
        for words, samples in ((("query", "queries"), queries), (("passage",), passages))
        if samples.truncated_samples
    ]
    said = f"{counted(len(ids), 'query looks', 'queries look')} for {counted(len(texts), 'passage')} of {rows.source}."
    return TextPairs(
        ids=ids,
        queries=queries,
        passages=passages,
        partners=[number[str(row[passage])] for row in chosen],
        also_right=[frozenset(beside[str(row[query])]) for row in chosen],
        notes=(said, *cut),
    )


def _rows(options: RetrievalOptions) -> tuple[TaskSpec, Rows]:
    path = file_of(options)
    if path is None:
        spec = task(options.source)
        if spec.kind != "extractive_qa":
            raise ConfigError(
                f"retrieval: the texts of a row of task {options.source!r} need not belong together; name a task of questions with their "
                "paragraphs (squad_v2), or a file whose rows are pairs"
            )
        return spec, load_rows(spec, "validation", labelled=False)
    found = read_own_file(
        path,
        text_columns=options.text_columns,
        how_to_name="Name both: retrieval: {source: ..., text_columns: [query, passage]}.",
    )
    if len(found.spec.text_columns) != 2:
        raise DataError(
            f"retrieval: {path}: a pair is two texts, and one column was found ({', '.join(found.spec.text_columns)}). "
            "Name both: retrieval: {source: ..., text_columns: [query, passage]}."
        )
    return found.spec, found.rows


def _samples(
    what: str, ids: Sequence[str], texts: Sequence[str], source: str, tokenizer: Any, max_length: int
) -> SampleSet:
    rows: list[Row] = [{"id": name, "text": text} for name, text in zip(ids, texts, strict=True)]
    spec = TaskSpec(
        name=what, kind="classification", text_columns=("text",), label_column=None, id_column="id", title=what
    )
    return replace(document_samples(Documents(spec, Rows(rows, source)), tokenizer, max_length=max_length), task=what)
