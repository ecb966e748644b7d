"""Finds the rows of a task: in the user's file, in a data folder, or on the hub; or takes the packaged sample."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import DataError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.reading import reading_errors, stands_there, why_absent
from repdrift.tasks.checked_rows import checked_rows, wanted_columns
from repdrift.tasks.data_files import SUFFIXES, Row, read_table
from repdrift.tasks.data_table import Column, DataTable, require_rows
from repdrift.tasks.spec import Split, TaskSpec

DATA_VARIABLE = "REPDRIFT_DATA"
PACKAGED_SAMPLE = "sample"
"""A `data_dir` of this name means the small sample that the package ships (the demo uses it)."""
_SAMPLE_ROOT = Path(__file__).parent / "samples"


@dataclass(frozen=True)
class Rows:
    """The rows of one split, and in plain words where they were read.

    notes: sentences on how they were read: what was used as text, rows left out, an example of the first. group_column: a column of the
    rows that names their groups and is nothing else. fact_columns: those that hold facts about samples and are nothing else. Neither is part of the
    fingerprint, since no model reads them.
    """

    rows: Sequence[Row]
    source: str
    notes: tuple[str, ...] = ()
    group_column: str | None = None
    fact_columns: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 over the rows in their order."""
        if self.group_column is None and not self.fact_columns:
            return config_sha256({"rows": list(self.rows)})
        apart = {self.group_column, *self.fact_columns}
        read = [{name: cell for name, cell in row.items() if name not in apart} for row in self.rows]
        return config_sha256({"rows": read})


def load_rows(spec: TaskSpec, split: Split, *, data_dir: str | Path | None = None, labelled: bool = True) -> Rows:
    """Read one split of a task from the first source that has it.

    The sources are, in this order: the task's own file; a data folder with `<task>/<split>.parquet|jsonl|csv`; the Hugging
    Face hub or its cache. The data folder is `data_dir` or, if that is None, the one that REPDRIFT_DATA names.
    `data_dir="sample"` takes the packaged sample and nothing else. labelled: whether the label column must be there.
    Raises DataError that lists the sources tried if none has the split.
    """
    if split in spec.files:
        path = spec.files[split]
        return _read(path, spec, split, f"{'folder' if path.is_dir() else 'file'} {path}", labelled=labelled)
    if str(data_dir) == PACKAGED_SAMPLE:
        return _packaged(spec, split, labelled=labelled)
    if spec.files:
        raise DataError(
            f"task {spec.name!r} has no {split} file: name it with `repdrift train --train-data FILE`, or with `{split}: FILE` in "
            "the task's entry of the study"
        )
    tried: list[str] = []
    folder = data_dir if data_dir is not None else os.environ.get(DATA_VARIABLE)
    if folder is not None:
        given_by = "data folder" if data_dir is not None else f"${DATA_VARIABLE}"
        if not str(folder).strip():
            raise DataError(f"the {given_by} is empty; name a folder (. is the working folder), or leave it out")
        with reading_errors(Path(folder)):
            if not Path(folder).is_dir():
                found = "is a file; expected a folder" if Path(folder).is_file() else why_absent(Path(folder))
                raise DataError(f"{given_by} {folder} {found}")
        candidates = [Path(folder) / (spec.folder or spec.name) / f"{split}{suffix}" for suffix in SUFFIXES]
        for path in candidates:
            if stands_there(path):  # also a broken link: the next source would be other data without a word
                return _read(path, spec, split, f"{given_by}: {path}", labelled=labelled)
        tried.append(f"{candidates[0].with_suffix('')}{{{','.join(SUFFIXES)}}}")
    if spec.hub is not None:
        try:
            return _from_hub(spec, split, labelled=labelled)
        except DataError as error:
            tried.append(str(error))
    raise DataError(
        f"no {split} data for task {spec.name!r}. Looked in: {'; '.join(tried) or 'nowhere'}. "
        f"Give --data-dir or {DATA_VARIABLE} (a folder with {spec.folder or spec.name}/{split}.parquet, .jsonl or .csv), "
        f"or --data-dir {PACKAGED_SAMPLE} for the small packaged sample of a built-in task."
    )


def _packaged(spec: TaskSpec, split: Split, *, labelled: bool) -> Rows:
    path = _SAMPLE_ROOT / (spec.folder or spec.name) / f"{split}.jsonl"
    if not path.is_file():
        packaged = sorted(p.name for p in _SAMPLE_ROOT.iterdir() if p.is_dir())
        raise DataError(f"the package ships no sample for task {spec.name!r}, only for {', '.join(packaged)}")
    return _read(path, spec, split, f"packaged sample ({spec.name}, {split})", labelled=labelled)


def _read(path: Path, spec: TaskSpec, split: Split, source: str, *, labelled: bool) -> Rows:
    named = [c for c in spec.columns if labelled or c != spec.label_column]
    if split == "validation" and spec.group_column is not None and spec.group_column not in named:
        named.append(spec.group_column)
    if split == "validation":
        named += [name for name in spec.sample_columns if name not in named]
    table = read_table(path, split=split, file_format=spec.file_format, named=named)
    return rows_of_table(table, spec, source, labelled=labelled, grouped=split == "validation")


def rows_of_table(table: DataTable, spec: TaskSpec, source: str, *, labelled: bool, grouped: bool) -> Rows:
    """Returns the checked rows of a table. labelled, grouped: whether the column of the label, and that of the groups, must be there."""
    rows, notes = checked_rows(table, spec, labelled=labelled, grouped=grouped)
    read = [c for c in spec.columns if labelled or c != spec.label_column]
    alone = set(wanted_columns(spec, table, labelled=labelled, grouped=grouped)) - set(read)
    group = spec.group_column if spec.group_column in alone else None
    return Rows(rows, source, notes, group, tuple(name for name in spec.sample_columns if name in alone - {group}))


def _from_hub(spec: TaskSpec, split: Split, *, labelled: bool) -> Rows:
    if spec.hub is None:
        raise DataError(f"task {spec.name!r} is not on the hub")
    repository, configuration = spec.hub
    table = hub_table(repository, configuration, split, spec.columns)
    source = f"Hugging Face hub: {repository}" + (f" ({configuration})" if configuration else "")
    return rows_of_table(table, spec, source, labelled=labelled, grouped=True)


def hub_table(repository: str, configuration: str | None, split: str, columns: Sequence[str]) -> DataTable:
    """The named columns of a data set on the Hugging Face hub, or in its cache. Raises DataError if it cannot be had."""
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "the Hugging Face hub (the package 'datasets' is missing: pip install 'repdrift[hub]')"
        ) from error
    try:
        table = datasets.load_dataset(repository, configuration, split=split)
    except (
        Exception
    ) as error:  # datasets raises many kinds, from connection to parsing; each means that the hub has no data for us
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"the Hugging Face hub and its cache, {repository} ({reason})") from error
    absent = [column for column in columns if column not in table.column_names]
    if absent:
        raise DataError(f"{repository} on the hub has no column {absent[0]!r}, only {', '.join(table.column_names)}")
    found = {name: Column(lambda name=name: list(table[name])) for name in columns}  # pyright: ignore
    return require_rows(DataTable(repository, found, range(1, len(table) + 1), "row"))  # pyright: ignore
