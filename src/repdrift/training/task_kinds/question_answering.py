"""Extractive question answering with unanswerable questions: windows over the context, spans, SQuAD 2.0 scores.

"No answer" is the span at the *null position*. That is the first token of an encoder ([CLS]), but the last token of a
decoder, whose first token sees neither question nor context.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from repdrift.core.errors import DataError, ModelError
from repdrift.core.row_scores import RowScores
from repdrift.core.words import counted
from repdrift.tasks import Row, TaskSpec, separates_pairs
from repdrift.tasks.answer_places import misplaced, places
from repdrift.tasks.encoding import MOST_SPECIAL_TOKENS, PAIR_SEPARATOR, question_fills_input, question_tokens
from repdrift.training.features import Feature, PaddingCollator, predict
from repdrift.training.scores import Scored, named_groups, rows_sharing_a_text
from repdrift.training.task_kinds.null_threshold import SetAside, best_threshold, set_aside
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


@dataclass
class _LeftOut:
    """Training rows by what became of them: trained on; left out since no answer stands at its place, or since no window holds one whole."""

    kept: int = 0
    misplaced: int = 0
    uncovered: int = 0

    def said(self, max_length: int) -> str:
        """The rows that are left out, as a clause; empty if there are none."""
        parts: list[str] = []
        if self.misplaced:
            parts.append(
                f"{counted(self.misplaced, 'training question')} left out, since no answer stands at its place in the context"
            )
        if self.uncovered:
            parts.append(
                f"{counted(self.uncovered, 'training question')} left out, since no window of {max_length} tokens holds an answer whole"
            )
        return "; ".join(parts)


class QuestionAnsweringProcessor:
    """The features and metrics of extractive question answering."""

    def __init__(
        self,
        spec: TaskSpec,
        tokenizer: Any,
        collator: PaddingCollator,
        max_length: int,
        doc_stride: int,
        null_threshold_share: float = 0.0,
    ) -> None:
        self._question, self._context = spec.text_columns
        self._answers = spec.label_column or "answers"
        self._spec = spec
        self._tokenizer = tokenizer
        self._collator = collator
        self._max_length = max_length
        self._doc_stride = doc_stride
        self._separates_pairs = separates_pairs(tokenizer)
        self._null_threshold_share = null_threshold_share
        self._aside = SetAside([], [], always=False, said="The null threshold is 0.")
        self._left_out = _LeftOut()
        self._known_threshold: float | None = None

    def take_threshold(self, threshold: float | None) -> None:
        """Score with a null threshold that was chosen in training. None: an answer was always given."""
        self._known_threshold = -math.inf if threshold is None else threshold

    def choose_threshold_on(self, rows: Sequence[Row]) -> None:
        """Choose the null threshold of each model that is scored as training does. rows: all training rows."""
        self._known_threshold = None
        self._aside = set_aside(self._spec, rows, self._null_threshold_share)

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """Encode the rows to train on, each as one feature for each window over its context.

        Rows are set aside for the null threshold, see set_aside(). A row whose answers do not stand at their places, or whose
        answers no window holds whole, has no feature: it would teach that there is no answer.
        A feature's `row` is the number of its row among those to train on; its `offsets` are as in Offsets.
        Raises DataError if no row is left.
        """
        self._aside = set_aside(self._spec, rows, self._null_threshold_share)
        found: list[Feature] = []
        self._left_out = _LeftOut()
        for number, row in enumerate(self._aside.to_train):
            if misplaced(row[self._answers], row[self._context]):
                self._left_out.misplaced += 1
                continue
            features = self._features_of(number, row)
            if row[self._answers]["text"] and all(f["start_positions"] == f["null_position"] for f in features):
                self._left_out.uncovered += 1
                continue
            self._left_out.kept += 1
            found += features
        if not found:
            raise DataError(
                f"task {self._spec.name!r}: no training row is left: {self._left_out.said(self._max_length)}. Give a larger max_length or "
                "doc_stride, or other rows."
            )
        return found

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
        margins, texts = self._best_answers(model, rows)
        answers = [list(row[self._answers]["text"]) for row in rows]
        contexts = [row[self._context] for row in rows]
        threshold = self._threshold(model)
        given = [text if margin > threshold else "" for margin, text in zip(margins, texts, strict=True)]
        found, constant = squad_v2_scores(given, answers), best_constant_answer(contexts, answers)
        return Scored(
            found.metrics,
            "f1",
            found.f1,
            constant.f1,
            constant.words,
            groups=named_groups(self._spec, rows) or rows_sharing_a_text([contexts]),
            notes=self._notes(threshold),
            n_train=self._left_out.kept or None,
            chosen={"null_threshold": threshold if math.isfinite(threshold) else None},
            of_rows=(RowScores("f1", found.f1), RowScores("exact_match", found.exact_match)),
        )

    def _threshold(self, model: nn.Module) -> float:
        if self._known_threshold is not None:
            return self._known_threshold
        if self._aside.always:
            return -math.inf
        rows = self._aside.chosen_on
        if not rows:
            return 0.0
        margins, texts = self._best_answers(model, rows)
        answers = [list(row[self._answers]["text"]) for row in rows]
        return best_threshold(
            margins, squad_v2_scores(texts, answers).f1, squad_v2_scores([""] * len(rows), answers).f1
        )

    def _notes(self, threshold: float) -> tuple[str, ...]:
        chosen = f" It is {threshold:.3g}." if self._aside.chosen_on else ""
        left_out = self._left_out.said(self._max_length)
        return (f"{self._aside.said}{chosen}", *([f"{left_out[0].upper()}{left_out[1:]}."] if left_out else []))

    def _best_answers(self, model: nn.Module, rows: Sequence[Row]) -> tuple[NDArray[np.float64], list[str]]:
        """The best answer to each question over all windows: its margin over "no answer", (n,), and its text."""
        features = [feature for number, row in enumerate(rows) for feature in self._features_of(number, row)]
        logits = predict(model, features, self._collator, ("start_logits", "end_logits"), per_token=True)
        best = [_NO_ANSWER] * len(rows)
        for feature, (start, end) in zip(features, logits, strict=True):
            candidate = best_span(start, end, feature["offsets"], feature["null_position"])
            if candidate.margin > best[feature["row"]].margin:
                best[feature["row"]] = candidate
        texts = [_text(row[self._context], span) for row, span in zip(rows, best, strict=True)]
        return np.array([span.margin for span in best]), texts

    def _features_of(self, number: int, row: Row) -> list[Feature]:
        windows = self._windows(row)
        # What the tokens of all windows cover. An answer may end in what no token covers: a space, or an accent that is stripped.
        covered = {span for window in windows for span in window.offsets if span is not None}
        wanted = [_overlapping(answer, covered) for answer in places(row[self._answers], row[self._context])]
        return [self._feature(number, window, wanted) for window in windows]

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
        while ids and spans[-1][1] <= border and ids[-1] in self._tokenizer.all_special_ids:
            ids, spans = ids[:-1], spans[:-1]  # an end token that the tokenizer adds; the null position is ours
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
            window = [*ids[:context_start], *(ids[i] for i in chunk), self._null_token]
            windows.append(_Window(window, None, [*offsets, None], null_position=len(window) - 1))
            if chunk.stop >= len(ids):
                break
        return windows

    @property
    def _null_token(self) -> int:
        """The token at a decoder's null position. Raises ModelError if the tokenizer has no end token."""
        token = self._tokenizer.eos_token_id
        if token is None:
            raise ModelError(
                f"the base model's tokenizer has no end token, which stands for 'no answer' in task {self._spec.name!r}. Give it one: "
                'tokenizer.eos_token = "...", then tokenizer.save_pretrained(FOLDER).'
            )
        return int(token)

    def _feature(self, number: int, window: _Window, wanted: Sequence[set[tuple[int, int]]]) -> Feature:
        # A window that holds no accepted answer whole teaches "no answer here".
        found = (_tokens_of(spans, window.offsets) for spans in wanted)
        start, end = next((tokens for tokens in found if tokens), (window.null_position, window.null_position))
        return {
            "input_ids": window.input_ids,
            "token_type_ids": window.token_type_ids,
            "start_positions": start,
            "end_positions": end,
            "row": number,
            "offsets": window.offsets,
            "null_position": window.null_position,
        }


def _overlapping(answer: tuple[int, int], covered: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """The spans that share a character with the answer, which is the characters [start, end) of the context."""
    first, last = answer
    return {span for span in covered if span[0] < last and span[1] > first and span[1] > span[0]}


def _tokens_of(spans: set[tuple[int, int]], offsets: Offsets) -> tuple[int, int] | None:
    """The first and last token of an answer, given by the spans that its tokens cover; None if the window lacks one of them."""
    inside = [i for i, at in enumerate(offsets) if at in spans]
    if not spans or not spans.issubset(offsets):
        return None
    return inside[0], inside[-1]


def _text(context: str, span: Span) -> str:
    """The text of a span, with the accents behind it that are letters of their own and that no token covers."""
    end = span.end
    while span.start < end < len(context) and unicodedata.combining(context[end]):
        end += 1
    return context[span.start : end]


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
