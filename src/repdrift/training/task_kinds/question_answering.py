"""Extractive question answering with unanswerable questions: windows over the context, spans, SQuAD 2.0 scores.

"No answer" is the span at the *null position*. That is the first token of an encoder ([CLS]), but the last token of a
decoder, whose first token sees neither question nor context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import DataError
from repdrift.tasks import Row, TaskSpec, separates_pairs
from repdrift.tasks.encoding import MOST_SPECIAL_TOKENS, PAIR_SEPARATOR, question_fills_input, question_tokens
from repdrift.training.features import Feature, PaddingCollator, predict
from repdrift.training.scores import Scored, rows_sharing_a_text
from repdrift.training.task_kinds.squad_metrics import best_constant_answer, squad_v2_scores

MAX_ANSWER_TOKENS = 30

Offsets = list[tuple[int, int] | None]
"""For each token the characters [start, end) of the context that it covers; None outside the context."""


@dataclass(frozen=True)
class Span:
    """Characters [start, end) of the context, and by how much the span's score exceeds the score of "no answer"."""

    start: int
    end: int
    margin: float


_NO_ANSWER = Span(0, 0, float("-inf"))


@dataclass(frozen=True)
class _Window:
    """A question with a part of its context, encoded."""

    input_ids: list[int]
    token_type_ids: list[int] | None
    offsets: Offsets
    null_position: int


class QuestionAnsweringProcessor:
    """The features and metrics of extractive question answering."""

    def __init__(
        self, spec: TaskSpec, tokenizer: Any, collator: PaddingCollator, max_length: int, doc_stride: int
    ) -> None:
        self._question, self._context = spec.text_columns
        self._answers = spec.label_column or "answers"
        self._spec = spec
        self._tokenizer = tokenizer
        self._collator = collator
        self._max_length = max_length
        self._doc_stride = doc_stride
        self._separates_pairs = separates_pairs(tokenizer)

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """Encode each row as one feature for each window over its context.

        A feature's `row` is the number of its row; its `offsets` are as in Offsets.
        """
        return [self._feature(number, row, window) for number, row in enumerate(rows) for window in self._windows(row)]

    def left_out(self, rows: Sequence[Row]) -> list[int]:
        """Numbers of the rows whose question alone fills the input: no window over their context can be made."""
        most = (
            self._max_length if self._separates_pairs else self._max_length - 1
        )  # a decoder's null position is one token
        return [
            number
            for number, row in enumerate(rows)
            if question_fills_input(
                row[self._question],
                self._tokenizer,
                joined=not self._separates_pairs,
                max_length=most,
            )
        ]

    @property
    def left_out_since(self) -> str:
        """Says why rows are left out."""
        return "have a question that alone fills the input"

    def notes(self, rows: Sequence[Row]) -> list[str]:  # noqa: ARG002
        """Sentences on how rows were made into inputs: nothing has to be said."""
        return []

    def before_training(self, model: nn.Module, rows: Sequence[Row]) -> None:
        """Does nothing: the best constant answer is a text."""

    def evaluate(self, model: nn.Module, rows: Sequence[Row]) -> Scored:
        """Score `model` over `rows`, see squad_v2_scores(). Questions on one context belong together."""
        features = self.features(rows)
        logits = predict(model, features, self._collator, ("start_logits", "end_logits"), per_token=True)
        best = [_NO_ANSWER] * len(rows)
        for feature, (start, end) in zip(features, logits, strict=True):
            candidate = best_span(start, end, feature["offsets"], feature["null_position"])
            if candidate.margin > best[feature["row"]].margin:
                best[feature["row"]] = candidate
        texts = [
            row[self._context][span.start : span.end] if span.margin > 0 else ""
            for row, span in zip(rows, best, strict=True)
        ]
        answers = [list(row[self._answers]["text"]) for row in rows]
        contexts = [row[self._context] for row in rows]
        found, constant = squad_v2_scores(texts, answers), best_constant_answer(contexts, answers)
        return Scored(
            found.metrics, "f1", found.f1, constant.f1, constant.words, groups=rows_sharing_a_text([contexts])
        )

    def _windows(self, row: Row) -> list[_Window]:
        return self._pair_windows(row) if self._separates_pairs else self._joined_windows(row)

    def _pair_windows(self, row: Row) -> list[_Window]:
        question = row[self._question]
        stride = min(self._doc_stride, self._max_length // 2)
        if len(question.encode("utf-8", "replace")) >= self._max_length - stride - MOST_SPECIAL_TOKENS:
            room = self._max_length - question_tokens(question, self._tokenizer, joined=False)
            if room < 1:
                raise DataError(
                    f"task {self._spec.name!r}: the question {question!r} alone fills {self._max_length} tokens"
                )
            stride = stride if stride < room else room // 2  # the windows of a long question are short
        output = self._tokenizer(
            question,
            row[self._context],
            truncation="only_second",
            max_length=self._max_length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        windows: list[_Window] = []
        for index, ids in enumerate(output["input_ids"]):
            parts = output.sequence_ids(index)
            offsets: Offsets = [
                (int(span[0]), int(span[1])) if part == 1 else None
                for span, part in zip(output["offset_mapping"][index], parts, strict=True)
            ]
            types = output["token_type_ids"][index] if "token_type_ids" in output else None
            windows.append(_Window(list(ids), types, offsets, null_position=0))
        return windows

    def _joined_windows(self, row: Row) -> list[_Window]:
        border = len(row[self._question]) + len(PAIR_SEPARATOR)
        output = self._tokenizer(
            row[self._question] + PAIR_SEPARATOR + row[self._context], return_offsets_mapping=True, verbose=False
        )
        ids, spans = list(output["input_ids"]), output["offset_mapping"]
        context_start = next((i for i, span in enumerate(spans) if span[1] > border), len(ids))
        room = self._max_length - context_start - 1  # one token is for the null position at the end
        if room < 1:
            raise DataError(
                f"task {self._spec.name!r}: the question {row[self._question]!r} alone fills {self._max_length} tokens"
            )
        step = max(1, room - min(self._doc_stride, room // 2))
        windows: list[_Window] = []
        for start in range(context_start, max(context_start + 1, len(ids)), step):
            chunk = range(start, min(start + room, len(ids)))
            offsets: Offsets = [None] * context_start
            offsets += [(max(0, int(spans[i][0]) - border), int(spans[i][1]) - border) for i in chunk]
            window = [*ids[:context_start], *(ids[i] for i in chunk), self._tokenizer.eos_token_id]
            windows.append(_Window(window, None, [*offsets, None], null_position=len(window) - 1))
            if chunk.stop >= len(ids):
                break
        return windows

    def _feature(self, number: int, row: Row, window: _Window) -> Feature:
        start = end = window.null_position
        offsets = window.offsets
        answers = row[self._answers]
        if answers["text"]:
            first = answers["answer_start"][0]
            last = first + len(answers["text"][0])
            inside = [i for i, span in enumerate(offsets) if span is not None and span[0] < last and span[1] > first]
            # A window that holds only a part of the answer teaches "no answer here".
            covered = inside and offsets[inside[0]][0] <= first and offsets[inside[-1]][1] >= last  # pyright: ignore[reportOptionalSubscript]
            if covered:
                start, end = inside[0], inside[-1]
        return {
            "input_ids": window.input_ids,
            "token_type_ids": window.token_type_ids,
            "start_positions": start,
            "end_positions": end,
            "row": number,
            "offsets": offsets,
            "null_position": window.null_position,
        }


def best_span(start: Tensor, end: Tensor, offsets: Offsets, null_position: int) -> Span:
    """Find the best span of at most 30 tokens inside the context. start, end: (tokens,) logits."""
    inside = torch.tensor([i for i, span in enumerate(offsets) if span is not None], dtype=torch.long)
    if inside.numel() == 0:
        return _NO_ANSWER
    scores = start[inside][:, None] + end[inside][None, :]
    allowed = torch.ones_like(scores, dtype=torch.bool).triu().tril(MAX_ANSWER_TOKENS - 1)
    best = int(scores.masked_fill(~allowed, float("-inf")).argmax())
    first, last = divmod(best, inside.numel())
    margin = float(scores[first, last] - start[null_position] - end[null_position])
    begin, finish = offsets[int(inside[first])], offsets[int(inside[last])]
    return Span(begin[0], finish[1], margin)  # pyright: ignore[reportOptionalSubscript]
