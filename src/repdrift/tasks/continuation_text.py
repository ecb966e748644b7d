"""Texts to continue as token ids: where each completion begins and ends, as training, extraction and generation see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from repdrift.core.errors import DataError
from repdrift.core.words import counted
from repdrift.tasks.chat_text import MarkedText, chat_text, uses_plain_layout
from repdrift.tasks.data_files import Row
from repdrift.tasks.encoding import Encoded, RowLeftOutError, token_ids
from repdrift.tasks.prompt_template import Prompted, PromptTemplate
from repdrift.tasks.spec import TaskSpec


class CompletionCutAwayError(RowLeftOutError):
    """A row of which the length limit leaves no completion token, so that nothing of it could be learnt or scored."""


@dataclass(frozen=True)
class EncodedContinuation(Encoded):
    """A text with its completions. completions: tokens [start, end) of each, at least one; the tokens before them are the prompt.

    apart: a border of a completion falls inside a token of the whole text, so that the parts were tokenised one by one.
    end_cut: the limit cut off the end of the last completion.
    """

    completions: tuple[tuple[int, int], ...] = ()
    apart: bool = False
    end_cut: bool = False

    @property
    def completion_mask(self) -> list[int]:
        """1 on each token of a completion, 0 on every other: as long as `input_ids`."""
        mask = [0] * len(self.input_ids)
        for start, end in self.completions:
            mask[start:end] = [1] * (end - start)
        return mask


class ContinuationEncoder:
    """Makes token ids of the rows of one task.

    A prompt's tokens are those that the tokenizer makes of the prompt alone, so that generation begins at a border that training saw. If the
    whole text has the same tokens at its beginning, they are taken as they stand; where a token would reach over a border, the parts are
    tokenised one by one. A completion ends with the model's end token, or with the end of turn of a chat template. Texts that are too
    long are cut at their end, and those of a tokenizer that says so (truncation_side) at their beginning.
    Raises DataError if an end token is needed and the tokenizer has none, or its start tokens cannot be told.
    """

    def __init__(self, spec: TaskSpec, tokenizer: Any, *, max_length: int) -> None:
        self._spec = spec
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._template = prompt_template(spec)
        self._end: int | None = tokenizer.eos_token_id
        plain = uses_plain_layout(tokenizer, spec.continuation.template)
        if self._end is None and (plain or not spec.is_chat):
            remedy = (
                "give a chat template (template) that closes an assistant turn with a special token, or name the token that ends a text"
                if spec.is_chat
                else "name the token that ends a text"
            )
            raise DataError(
                f"task {spec.name!r}: the base model's tokenizer has no end token, so that a model would never learn to stop: {remedy} (eos_token in "
                "tokenizer_config.json, beside the model)"
            )
        self._start = _start_ids(tokenizer) if plain or not spec.is_chat else []

    def encode(self, row: Row) -> EncodedContinuation:
        """Returns the tokens of one row.

        Raises CompletionCutAwayError if the limit leaves no token of a completion behind its prompt; DataError if a chat template does not take
        the row.
        """
        text = self._marked(row)
        ids, spans, apart = self._tokens(text)
        start = self._start if text.adds_start else []
        ids = [*start, *ids]
        spans = [(a + len(start), b + len(start)) for a, b in spans]
        if text.adds_end and (not ids or ids[-1] != self._end):
            if self._end is None:
                raise DataError(
                    "the chat template closes the assistant's turn with no special token, and the tokenizer has no end token; give a chat "
                    "template of your own (template) that does"
                )
            ids.append(self._end)
            spans[-1] = (spans[-1][0], len(ids))
        return self._cut(ids, spans, len(start), apart=apart)

    def _marked(self, row: Row) -> MarkedText:
        if self._spec.is_chat:
            return chat_text(row[self._spec.text_columns[0]], self._tokenizer, self._spec.continuation.template)
        found = prompted(row, self._spec, self._template)
        text = found.prompt + found.completion
        return MarkedText(text, ((len(found.prompt), len(text)),), adds_start=True, adds_end=True)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else []

    def _tokens(self, text: MarkedText) -> tuple[list[int], list[tuple[int, int]], bool]:
        """Returns the ids, the tokens [start, end) of each completion, and whether the parts were tokenised one by one."""
        whole = self._ids(text.text)
        borders = sorted({0, len(text.text), *(border for span in text.completions for border in span)})
        at: dict[int, int] = {len(text.text): len(whole)}
        for border in borders[:-1]:
            head = self._ids(text.text[:border])
            if whole[: len(head)] != head:
                break
            at[border] = len(head)
        apart = len(at) < len(borders)
        if apart:
            parts = [self._ids(text.text[a:b]) for a, b in pairwise(borders)]
            whole, at = [], {0: 0}
            for border, part in zip(borders[1:], parts, strict=True):
                whole += part
                at[border] = len(whole)
        return whole, [(at[a], at[b]) for a, b in text.completions], apart

    def _cut(self, ids: list[int], spans: list[tuple[int, int]], start: int, *, apart: bool) -> EncodedContinuation:
        over = len(ids) - self._max_length
        end_cut = False
        if over > 0 and getattr(self._tokenizer, "truncation_side", "right") == "left":
            over = min(over, len(ids) - start)
            ids = [*ids[:start], *ids[start + over :]]
            if spans[0][0] > start >= spans[0][0] - over:
                raise CompletionCutAwayError(
                    f"the completions alone fill the limit of {self._max_length} tokens, and the beginning of the text is cut off (truncation_side), so "
                    "that nothing of the prompt is left"
                )
            spans = [(max(start, a - over), b - over) for a, b in spans]
        elif over > 0:
            ids, end_cut = ids[: self._max_length], True
            spans = [(a, min(b, self._max_length)) for a, b in spans]
        # The first token of a text is predicted from nothing, so it can't be learnt.
        kept = tuple((a, b) for a, b in spans if b > max(a, 1))
        if not kept:
            prompt = spans[0][0] if spans else len(ids)
            raise CompletionCutAwayError(
                f"the prompt has {prompt} tokens or more, and the limit of {self._max_length} tokens leaves nothing of the completion"
            )
        return EncodedContinuation(token_ids(ids), None, over > 0, completions=kept, apart=apart, end_cut=end_cut)


def prompt_template(spec: TaskSpec) -> PromptTemplate | None:
    """The template of a task's prompts; None for chats. Raises ConfigError if it cannot be read."""
    if spec.is_chat:
        return None
    given = spec.continuation.template or "".join(f"{{{name}}}" for name in spec.text_columns)
    return PromptTemplate(given, spec.label_column or "")


def prompted(row: Row, spec: TaskSpec, template: PromptTemplate | None = None) -> Prompted:
    """The prompt of a row and the text that is to follow it."""
    made = template or prompt_template(spec)
    assert made is not None  # noqa: S101  prompts only
    return made.fill(row, references(row, spec)[0])


def references(row: Row, spec: TaskSpec) -> list[str]:
    """The texts that count as right answers for a row: the first of them is learnt. Of a chat, the last assistant turn."""
    if spec.is_chat:
        return [next(turn["content"] for turn in reversed(row[spec.text_columns[0]]) if turn["role"] == "assistant")]
    found: str | Sequence[str] = row[spec.label_column or ""]
    return [found] if isinstance(found, str) else list(found)


def continuation_notes(encoded: Sequence[EncodedContinuation], max_length: int, *, what: str) -> list[str]:
    """Sentences on completions that were cut, and on borders inside a token. what: a word for the rows, such as `sample`."""
    notes: list[str] = []
    if cut := sum(each.end_cut for each in encoded):
        notes.append(
            f"{counted(cut, what)} of {len(encoded)} with a completion that the limit of {max_length} tokens cuts off before its end; the rest of it, and "
            "the end token, are not read."
        )
    if apart := sum(each.apart for each in encoded):
        notes.append(
            f"{counted(apart, what)} of {len(encoded)} with a border between prompt and completion inside a token of the whole text: both are tokenised "
            "by themselves there, as generation sees it. A prompt that ends with a space does that; begin the completion with the space instead."
        )
    return notes


def _start_ids(tokenizer: Any) -> list[int]:
    """The tokens that the tokenizer puts before a text, such as a start token."""
    probe = "a"
    output: Mapping[str, Any] = tokenizer(probe, verbose=False)
    with_special = list(output["input_ids"])
    without = list(tokenizer(probe, add_special_tokens=False, verbose=False)["input_ids"])
    for at in range(len(with_special) - len(without) + 1):
        if with_special[at : at + len(without)] == without:
            return with_special[:at]
    raise DataError(
        "the base model's tokenizer makes other tokens of a text once it adds its special tokens, so that they cannot be told from the text's own"
    )
