"""Tasks: what they are, where their data comes from, and their fixed sample sets.

Where to find things:

    spec         one task: kind, columns, sources; `builtin/` has one file for each built-in task
    own_file     a task made from a user's file
    sources      finds the rows of a task; `data_files` reads a table, `checked_rows` holds it against the task
    data_files   one file or folder: `delimited` (csv, with `csv_dialect` and `csv_header`), `json_files`, `arrow_tables`, `data_folders`, `text_files`
    labels       classes and answers; `chat_turns` joins chats to texts
    continuation settings of a task whose texts a model continues (causal_lm): `continuation_rows` reads its rows, `prompt_template` and `chat_text`
                 make texts of them, `continuation_text` makes tokens, with the completions marked
    general_text documents that have nothing to do with a task, from a file, a folder, the hub or the package
    encoding     a row of texts to token ids
    sample_set   the fixed samples that every model is shown
"""

from repdrift.tasks.data_files import Row
from repdrift.tasks.encoding import effective_max_length, separates_pairs, token_ids
from repdrift.tasks.general_text import (
    GENERAL_TEXT,
    LEAST_DOCUMENTS,
    Documents,
    document_samples,
    few_documents_note,
    read_documents,
)
from repdrift.tasks.labels import ClassValue
from repdrift.tasks.own_file import OwnFile, read_own_file, spec_of_file
from repdrift.tasks.sample_set import DEFAULT_SAMPLES, SampleSet, build_sample_set, choose_rows, rows_in_use
from repdrift.tasks.sources import Rows, load_rows
from repdrift.tasks.spec import FileFormat, TaskKind, TaskSpec, task, tasks

__all__ = [
    "DEFAULT_SAMPLES",
    "GENERAL_TEXT",
    "LEAST_DOCUMENTS",
    "ClassValue",
    "Documents",
    "FileFormat",
    "OwnFile",
    "Row",
    "Rows",
    "SampleSet",
    "TaskKind",
    "TaskSpec",
    "build_sample_set",
    "choose_rows",
    "document_samples",
    "effective_max_length",
    "few_documents_note",
    "load_rows",
    "read_documents",
    "read_own_file",
    "rows_in_use",
    "separates_pairs",
    "spec_of_file",
    "task",
    "tasks",
    "token_ids",
]
