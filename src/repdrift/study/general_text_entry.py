"""The key `general_text:` of a study file: documents that have nothing to do with the tasks, on which forgetting is measured."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from repdrift.study.task_entry import Section
from repdrift.study.user_paths import UserText, not_empty
from repdrift.tasks.general_text import DEFAULT_DOCUMENTS, PACKAGED_TEXT


class GeneralTextEntry(Section):
    """General text: a source alone, or a source with these keys."""

    source: Annotated[UserText, BeforeValidator(not_empty)] = PACKAGED_TEXT
    """A file, the folder of a saved data set, a data set of the hub (OWNER/NAME:CONFIGURATION), or `packaged`."""
    text_column: str | None = None
    """The column that holds the text; null finds it."""
    id_column: str | None = None
    """The column that identifies a document, by which documents are chosen; null takes its number."""
    documents: int = Field(default=DEFAULT_DOCUMENTS, ge=0)
    """Documents at most, chosen by the hash of their ids; 0 means all."""
    max_length: int | None = Field(default=None, ge=1)
    """Tokens of a document at most; null: what model and tokenizer advise, 512 at most."""


def _written(value: Any) -> Any:
    if value is False or value is None:
        return None
    if value is True:
        return {}
    return {"source": value} if isinstance(value, str) else value


GeneralText = Annotated[GeneralTextEntry | None, BeforeValidator(_written)]
"""As the study file writes it: a source, a mapping, or false for none."""
