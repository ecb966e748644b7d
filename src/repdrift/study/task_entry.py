"""A task of the user's own, as it stands in a study file under `tasks:`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.words import listed
from repdrift.study.user_paths import UserPath
from repdrift.tasks import FileFormat, TaskKind, TaskSpec
from repdrift.tasks.continuation import DEFAULT_NEW_TOKENS, Continuation, LossOn, ScorerName
from repdrift.tasks.prompt_template import PromptTemplate

_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?|.*\.", re.IGNORECASE)


def _name_of_a_folder(name: str) -> str:
    if _RESERVED.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be the name of a folder on Windows, and results are shared; choose another name"
        )
    return name


TaskName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100), AfterValidator(_name_of_a_folder)
]

_OF_CONTINUATIONS = (
    *("prompt_column", "completion_column", "messages_column", "template"),
    *("loss_on", "scorer", "pattern", "max_new_tokens"),
)
"""Fields that only a task of kind causal_lm has."""


class Section(BaseModel):
    """A part of a study file. A key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskEntry(Section):
    """A task of the user's own, read from files, or from folders of saved data sets.

    separator, encoding, header: how csv, tsv and other text files are written, where it is not found from them. The fields from
    prompt_column on are for kind `causal_lm`, which has them in place of text_columns and label_column.
    """

    name: TaskName
    """The task's name in every file and table."""
    kind: TaskKind = "classification"
    """classification, extractive_qa (questions with answers in a passage), or causal_lm (texts to continue, and chats)."""
    train: UserPath | None = None
    """File or folder with the training rows; without it nothing can be trained on the task, only compared."""
    validation: UserPath
    """File or folder with the rows on which scores and drift are measured."""
    text_columns: tuple[str, ...] = Field(default=(), max_length=2)
    """The column that holds the text, or the two columns of a pair."""
    label_column: str | None = None
    """The column with the labels, whose distinct values are the classes; of extractive_qa the one with the answers."""
    id_column: str | None = None
    """The column that identifies a row, by which samples are chosen; null takes the row's number."""
    group_column: str | None = None
    """Names the group of each row, such as its paragraph or speaker: intervals over samples leave out, or draw, whole groups."""
    sample_columns: tuple[str, ...] = ()
    """Facts by which samples are grouped in results, such as a topic: does drift differ between them?"""
    label_names: tuple[str, ...] | None = None
    """Names of the classes, in the order of their numbers, where labels are numbers from 0; null takes the labels as they stand."""
    separator: str | None = None
    """The separator of a csv file; null finds it."""
    encoding: str | None = None
    """The encoding of a text file; null is UTF-8, or what its byte order mark says."""
    header: bool | None = None
    """Whether the first line of a csv file names the columns; null finds it, and asks where it looks like data."""
    prompt_column: str | None = None
    """The prompt; null if the template names the prompt's columns."""
    completion_column: str | None = None
    """The text that is learnt, or a list of accepted answers."""
    messages_column: str | None = None
    """Chats, in place of prompts and completions."""
    template: str | None = None
    """A text with `{column}` in it for prompts; a chat template (Jinja) for chats, in place of the tokenizer's."""
    loss_on: LossOn = "completion"
    """The tokens that are learnt: of the completions (every assistant turn of a chat), of the last turn of a chat, or all."""
    scorer: ScorerName | None = None
    """Says when a greedy continuation is right; null generates nothing."""
    pattern: str | None = None
    """Regular expression of the scorer `regex`."""
    max_new_tokens: int = Field(default=DEFAULT_NEW_TOKENS, ge=1, le=100_000)
    """Tokens of a continuation at most."""

    @model_validator(mode="after")
    def _columns_of_kind(self) -> TaskEntry:
        if fault := self._kind_fault():
            raise ValueError(f"task {self.name!r}: {fault}")
        return self

    def _kind_fault(self) -> str | None:
        if self.kind != "causal_lm":
            given = [
                name for name in _OF_CONTINUATIONS if name in self.model_fields_set and getattr(self, name) is not None
            ]
            if given:
                return f"{listed(given)} {'is' if len(given) == 1 else 'are'} for kind: causal_lm, and the kind is {self.kind}"
            return (
                None
                if self.text_columns
                else f"kind {self.kind} needs text_columns: the column (or two) that holds the text"
            )
        return self._continuation_fault() or self._setting_fault()

    def _continuation_fault(self) -> str | None:
        if self.text_columns or self.label_column or self.label_names:
            return "kind causal_lm has prompt_column and completion_column, or messages_column, in place of text_columns, label_column and label_names"
        if self.messages_column is None and (
            self.completion_column is None or (self.prompt_column is None and self.template is None)
        ):
            return (
                "kind causal_lm needs prompt_column (or a template) and completion_column; or messages_column for chats"
            )
        if self.messages_column is not None and (self.prompt_column or self.completion_column):
            return "messages_column holds whole chats, so prompt_column and completion_column have no place beside it"
        if (self.scorer == "regex") != (self.pattern is not None):
            return "scorer: regex needs a pattern, and no other scorer takes one"
        if self.messages_column is not None and self.template is not None and "{" not in self.template:
            return f"template {self.template!r} is no chat template: with messages_column it should be one in Jinja, which goes through `messages`"
        return None

    def _setting_fault(self) -> str | None:
        if "max_new_tokens" in self.model_fields_set and self.scorer is None:
            return "max_new_tokens is of the continuations that a scorer reads; name a scorer, or leave it out"
        if self.loss_on == "last_turn" and self.messages_column is None:
            return "loss_on: last_turn is for chats (messages_column); a prompt has one completion"
        try:
            if self.pattern is not None:
                from repdrift.training.task_kinds.continuation_scorers import compiled

                compiled(self.pattern)
            if self.messages_column is None and self.template is not None:
                columns = PromptTemplate(self.template, self.completion_column or "").columns
                if self.prompt_column is not None and self.prompt_column not in columns:
                    return f"the template does not name the prompt_column {self.prompt_column!r}; it names {listed(columns)}"
        except (ConfigError, DataError) as error:
            return str(error)
        return None

    def column_fault(self) -> str | None:
        """Says which column is named for two things that it can't be; None if none is."""
        if len(set(self.text_columns)) < len(self.text_columns):
            return f"the two texts of a pair should be two columns, got {self.text_columns[0]!r} twice"
        if self.label_column in self.text_columns:
            return f"column {self.label_column!r} is the text and the label: a model would read what it should tell"
        if self.group_column is not None and self.group_column in (self.label_column, self.completion_column):
            return f"column {self.group_column!r} is what a model should tell and the group: groups are rows that belong together, such as those of one paragraph"
        if self.prompt_column is not None and self.prompt_column == self.completion_column:
            return f"column {self.prompt_column!r} is the prompt and the completion: a model would read what it should write"
        return None

    def spec(self) -> TaskSpec:
        """Returns the entry as a task."""
        files: dict[Any, Path] = {"validation": self.validation.expanduser()}
        if self.train is not None:
            files["train"] = self.train.expanduser()
        return TaskSpec(
            name=self.name,
            kind=self.kind,
            text_columns=self._prompt_columns() if self.kind == "causal_lm" else self.text_columns,
            label_column=self.completion_column if self.kind == "causal_lm" else self.label_column,
            id_column=self.id_column,
            group_column=self.group_column,
            sample_columns=self.sample_columns,
            label_names=self.label_names,
            title=f"{self.name}: a task of your own",
            files=files,
            file_format=FileFormat(self.separator, self.encoding, self.header),
            continuation=Continuation(self.template, self.loss_on, self.scorer, self.pattern, self.max_new_tokens),
        )

    def _prompt_columns(self) -> tuple[str, ...]:
        if self.messages_column is not None:
            return (self.messages_column,)
        if self.template is not None:
            return PromptTemplate(self.template, self.completion_column or "").columns
        return (self.prompt_column or "",)
