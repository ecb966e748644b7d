"""Extractive question answering with answerability: windows over the context, span prediction, SQuAD 2.0 scores.

"No answer" is the span at the *null position*: the first token of an encoder ([CLS]), but the last token of a decoder,
whose first token sees neither question nor context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import DataError
from repdrift.tasks import Row, TaskSpec, separates_pairs
from repdrift.tasks.encoding import PAIR_SEPARATOR
from repdrift.training.features import Feature, PaddingCollator, predict
from repdrift.training.heads.squad_metrics import squad_v2_metrics

MAX_ANSWER_TOKENS = 30


class QuestionAnsweringHead:
    """Features and metrics of extractive question answering."""

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
        self._pairs = separates_pairs(tokenizer)

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """One feature for every window of every row; `row` is the row's number, `offsets` the characters of each token
        in the context (None outside it)."""
        return [feature for number, row in enumerate(rows) for feature in self._windows(number, row)]

    def evaluate(self, model: nn.Module, rows: Sequence[Row]) -> dict[str, float]:
        """Exact match and F1 as the SQuAD 2.0 evaluation defines them, over all, answerable and unanswerable questions."""
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
        return squad_v2_metrics(texts, [list(row[self._answers]["text"]) for row in rows])

    def _windows(self, number: int, row: Row) -> list[Feature]:
        encode = self._pair_windows if self._pairs else self._joined_windows
        return [self._with_target(number, row, *window) for window in encode(row)]

    def _pair_windows(self, row: Row) -> list[tuple[list[int], list[int] | None, list[tuple[int, int] | None], int]]:
        output = self._tokenizer(
            row[self._question],
            row[self._context],
            truncation="only_second",
            max_length=self._max_length,
            stride=min(self._doc_stride, self._max_length // 2),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        windows = []
        for index, ids in enumerate(output["input_ids"]):
            parts = output.sequence_ids(index)
            offsets = [
                (int(span[0]), int(span[1])) if part == 1 else None
                for span, part in zip(output["offset_mapping"][index], parts, strict=True)
            ]
            types = output["token_type_ids"][index] if "token_type_ids" in output else None
            windows.append((list(ids), types, offsets, 0))
        return windows

    def _joined_windows(self, row: Row) -> list[tuple[list[int], list[int] | None, list[tuple[int, int] | None], int]]:
        border = len(row[self._question]) + len(PAIR_SEPARATOR)
        output = self._tokenizer(
            row[self._question] + PAIR_SEPARATOR + row[self._context], return_offsets_mapping=True, verbose=False
        )
        ids, spans = list(output["input_ids"]), output["offset_mapping"]
        head = next((i for i, span in enumerate(spans) if span[1] > border), len(ids))
        room = self._max_length - head - 1  # one place for the null token at the end
        if room < 1:
            raise DataError(
                f"task {self._spec.name!r}: the question {row[self._question]!r} alone fills {self._max_length} tokens"
            )
        step = max(1, room - min(self._doc_stride, room // 2))
        windows = []
        for start in range(head, max(head + 1, len(ids)), step):
            chunk = range(start, min(start + room, len(ids)))
            offsets: list[tuple[int, int] | None] = [None] * head
            offsets += [(max(0, int(spans[i][0]) - border), int(spans[i][1]) - border) for i in chunk]
            window = [*ids[:head], *(ids[i] for i in chunk), self._tokenizer.eos_token_id]
            windows.append((window, None, [*offsets, None], len(window) - 1))
            if chunk.stop >= len(ids):
                break
        return windows

    def _with_target(
        self,
        number: int,
        row: Row,
        ids: list[int],
        types: list[int] | None,
        offsets: list[tuple[int, int] | None],
        null: int,
    ) -> Feature:
        start = end = null
        answers = row[self._answers]
        if answers["text"]:
            first = answers["answer_start"][0]
            last = first + len(answers["text"][0])
            inside = [i for i, span in enumerate(offsets) if span is not None and span[0] < last and span[1] > first]
            # A window that holds only part of the answer teaches "not here", as the window does not show it whole.
            covered = inside and offsets[inside[0]][0] <= first and offsets[inside[-1]][1] >= last  # pyright: ignore[reportOptionalSubscript]
            if covered:
                start, end = inside[0], inside[-1]
        return {
            "input_ids": ids,
            "token_type_ids": types,
            "start_positions": start,
            "end_positions": end,
            "row": number,
            "offsets": offsets,
            "null_position": null,
        }


class Span:
    """Characters [start, end) of the context, and by how much the span's score exceeds that of "no answer"."""

    __slots__ = ("end", "margin", "start")

    def __init__(self, start: int, end: int, margin: float) -> None:
        self.start, self.end, self.margin = start, end, margin


_NO_ANSWER = Span(0, 0, float("-inf"))


def best_span(start: Tensor, end: Tensor, offsets: list[tuple[int, int] | None], null: int) -> Span:
    """The best span of at most 30 tokens inside the context. start, end: (tokens,) logits."""
    inside = torch.tensor([i for i, span in enumerate(offsets) if span is not None], dtype=torch.long)
    if inside.numel() == 0:
        return _NO_ANSWER
    scores = start[inside][:, None] + end[inside][None, :]
    allowed = torch.ones_like(scores, dtype=torch.bool).triu().tril(MAX_ANSWER_TOKENS - 1)
    best = int(scores.masked_fill(~allowed, float("-inf")).argmax())
    first, last = divmod(best, inside.numel())
    margin = float(scores[first, last] - start[null] - end[null])
    begin, finish = offsets[int(inside[first])], offsets[int(inside[last])]
    return Span(begin[0], finish[1], margin)  # pyright: ignore[reportOptionalSubscript]
