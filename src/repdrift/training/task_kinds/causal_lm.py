"""Causal language modelling: a model learns to continue prompts or chats, and is scored by the loss of held-out completions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from repdrift.core.errors import DataError, NonFiniteError
from repdrift.core.row_scores import RowScores
from repdrift.core.words import counted
from repdrift.tasks import Row, Rows, TaskSpec
from repdrift.tasks.continuation import NO_ANSWER
from repdrift.tasks.continuation_text import (
    CompletionCutAwayError,
    ContinuationEncoder,
    EncodedContinuation,
    continuation_notes,
    references,
)
from repdrift.tasks.encoding import described_row
from repdrift.training.features import NO_LABEL, Feature, PaddingCollator
from repdrift.training.scores import Scored, Written, named_groups, rows_sharing_a_text
from repdrift.training.task_kinds.continuation_scorers import best_constant, scorer_of
from repdrift.training.task_kinds.greedy_continuations import LOGIT_BYTES, Prompt, greedy_continuations, vocabulary_of

_MOST_ROWS = 32


@dataclass(frozen=True)
class CompletionLoss:
    """Loss of the completions of each row: (n,) sums in nats, and (n,) the numbers of tokens that they are over."""

    sums: NDArray[np.float64]
    tokens: NDArray[np.int64]

    @property
    def per_token(self) -> float:
        """The loss per token over all rows, in nats."""
        return float(self.sums.sum() / self.tokens.sum())

    @property
    def of_rows(self) -> NDArray[np.float64]:
        """(n,) the loss per token of each row, in nats."""
        return self.sums / self.tokens

    @property
    def items(self) -> NDArray[np.float64]:
        """(n,) each row's share of the loss: their mean is `per_token`."""
        return self.sums * len(self.sums) / self.tokens.sum()


class CausalProcessor:
    """The features and scores of a task of prompts and completions, or of chats."""

    def __init__(self, spec: TaskSpec, tokenizer: Any, collator: PaddingCollator, max_length: int) -> None:
        self._spec = spec
        self._tokenizer = tokenizer
        self._collator = collator
        self._max_length = max_length
        self._encoder = ContinuationEncoder(spec, tokenizer, max_length=max_length)
        self._scorer = scorer_of(spec.continuation)
        self._encoded: dict[int, tuple[Row, EncodedContinuation]] = {}
        """By the row's identity; the row is kept, so that no other takes its place."""
        self._base: dict[bytes, float] = {}
        """The base model's loss of each row, by its tokens."""
        self._base_right: dict[bytes, float] = {}
        """The scorer's word on the base model's continuation of each row, by its tokens."""
        self._best_text: dict[tuple[tuple[str, ...], ...], tuple[str, NDArray[np.float64]]] = {}
        """The best constant text and its scores, by the accepted answers of the rows."""

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """Encode each row as one feature, with a label for each token: its id where it is learnt, NO_LABEL elsewhere.

        Raises DataError, naming the row, if none of its completion is left or its chat template does not take it.
        """
        loss_on = self._spec.continuation.loss_on
        return [self._feature(self._encode(number, row), loss_on) for number, row in enumerate(rows)]

    def left_out(self, rows: Sequence[Row]) -> list[int]:
        """Numbers of the rows of whose completion the length limit leaves nothing."""
        found: list[int] = []
        for number, row in enumerate(rows):
            try:
                self._encode(number, row)
            except CompletionCutAwayError:
                found.append(number)
        return found

    @property
    def left_out_since(self) -> str:
        """Says why rows are left out."""
        return f"have a prompt of which the limit of {self._max_length} tokens leaves no room for the completion, or a completion without its prompt"

    def notes(self, rows: Sequence[Row]) -> list[str]:
        """Sentences on completions that are cut off before their end, and on borders inside a token."""
        encoded = [self._encode(number, row) for number, row in enumerate(rows)]
        return continuation_notes(encoded, self._max_length, what="row")

    def before_training(self, model: nn.Module, rows: Sequence[Row]) -> None:
        """Take the base model's own loss on these rows, and where there is a scorer its score: what a tuned model is held against.

        Raises DataError if the scorer can find no answer of a row.
        """
        if self._scorer is not None:
            self._scorer.require_answers([references(row, self._spec) for row in rows])
        if not rows:
            return
        with _on_accelerator(model):
            loss = self._losses(model, rows, "the base model")
            self._base.update(zip(self._keys(rows), loss.sums.tolist(), strict=True))
            if self._scorer is not None:
                self._base_right.update(zip(self._keys(rows), self._right(model, rows).tolist(), strict=True))

    def evaluate(self, model: nn.Module, rows: Sequence[Row]) -> Scored:
        """Score `model` by the loss per completion token, against the base model's on these rows; and by the task's scorer.

        Raises DataError if `before_training` was not given these rows; NonFiniteError if a loss is NaN or Inf.
        """
        loss = self._losses(model, rows, "the trained model")
        keys = self._keys(rows)
        if not self._base.keys() >= set(keys):
            raise DataError(f"task {self._spec.name!r}: the base model was not scored on these rows before training")
        base = CompletionLoss(np.array([self._base[key] for key in keys]), loss.tokens)
        metrics = {"loss": loss.per_token, "base_loss": base.per_token}
        written: Written | None = None
        of_rows = [RowScores("loss", loss.of_rows, loss.tokens.astype(np.float64), base.of_rows)]
        if self._scorer is not None:
            name = str(self._spec.continuation.scorer)
            right, base_right = self._right(model, rows), np.array([self._base_right[key] for key in keys])
            metrics[name], metrics[f"base_{name}"] = float(right.mean()), float(base_right.mean())
            of_rows.append(RowScores(name, right, base_values=base_right))
            written = self._against_one_text(name, right, rows)
            metrics[f"constant_{name}"] = float(written.constant.mean())
        return Scored(
            metrics=metrics,
            metric="loss",
            items=-loss.items,
            constant=-base.items,
            constant_answer="the base model's own loss on these rows",
            groups=self._together(rows),
            of_rows=tuple(of_rows),
            written=written,
        )

    def _losses(self, model: nn.Module, rows: Sequence[Row], which: str) -> CompletionLoss:
        scored_on = "last_turn" if self._spec.continuation.loss_on == "last_turn" else "completion"
        features = [self._feature(self._encode(number, row), scored_on) for number, row in enumerate(rows)]
        found = completion_losses(model, features, self._collator)
        wrong = np.flatnonzero(~np.isfinite(found.sums))
        if wrong.size:
            raise NonFiniteError(
                f"{which} gives a loss that is no finite number for evaluation row {wrong[0] + 1} of {len(rows)}: training diverged, or the base model's "
                "numbers overflow. Set a lower learning_rate under `training:` in the study file, and run the same command again."
            )
        return found

    def _right(self, model: nn.Module, rows: Sequence[Row]) -> NDArray[np.float64]:
        """The scorer's word on the greedy continuation of each row: (n,)."""
        assert self._scorer is not None  # noqa: S101  asked for only where there is one
        encoded = [self._encode(number, row) for number, row in enumerate(rows)]
        prompts = [
            Prompt(each.input_ids[: each.completions[-1][0]], None if each.end_cut else each.input_ids[-1])
            for each in encoded
        ]
        written = greedy_continuations(
            model,
            prompts,
            end=self._tokenizer.eos_token_id,
            pad=self._collator.pad_token_id,
            max_new_tokens=self._spec.continuation.max_new_tokens,
            what=f"{self._spec.name}, continuations",
        )
        texts = [self._tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in written]
        return self._scorer.scores(texts, [references(row, self._spec) for row in rows])

    def _against_one_text(self, name: str, right: NDArray[np.float64], rows: Sequence[Row]) -> Written:
        assert self._scorer is not None  # noqa: S101
        answers = [tuple(references(row, self._spec)) for row in rows]
        if tuple(answers) not in self._best_text:  # once, and not at every checkpoint: a user's pattern may be slow
            self._best_text[tuple(answers)] = best_constant(self._scorer, answers)
        text, constant = self._best_text[tuple(answers)]
        # A text of the user's own data does not go into sentences, which are passed on.
        return Written(
            name, right, constant, f"{NO_ANSWER!r} for every row" if text == NO_ANSWER else "one text for every row"
        )

    def _together(self, rows: Sequence[Row]) -> list[str] | None:
        """Groups of rows: by the task's column, else those whose prompts share a text; None if each row stands alone.

        Where most rows share one, such as a few instructions, only equal prompts belong together.
        """
        if (named := named_groups(self._spec, rows)) is not None or self._spec.is_chat:
            return named
        columns = [
            [row[name] if row[name].strip() else f"\0{number}" for number, row in enumerate(rows)]
            for name in self._spec.text_columns
        ]
        found = rows_sharing_a_text(columns)
        if found is None or max(Counter(found).values()) <= len(rows) / 2:
            return found
        return rows_sharing_a_text([["\0".join(texts) for texts in zip(*columns, strict=True)]])

    def _encode(self, number: int, row: Row) -> EncodedContinuation:
        if id(row) not in self._encoded:
            try:
                self._encoded[id(row)] = row, self._encoder.encode(row)
            except CompletionCutAwayError:
                raise
            except DataError as error:
                raise DataError(
                    f"task {self._spec.name!r}, {described_row(row, number, self._spec)}: {error}"
                ) from error
        return self._encoded[id(row)][1]

    def _feature(self, encoded: EncodedContinuation, loss_on: str) -> Feature:
        ids = list(encoded.input_ids)
        learnt = [(0, len(ids))] if loss_on == "all" else encoded.completions[-1 if loss_on == "last_turn" else 0 :]
        labels = [NO_LABEL] * len(ids)
        for start, end in learnt:
            labels[start:end] = ids[start:end]
        return {"input_ids": ids, "labels": labels}

    def _keys(self, rows: Sequence[Row]) -> list[bytes]:
        encoded = [self._encode(number, row) for number, row in enumerate(rows)]
        return [np.array([*each.input_ids, -1, *np.ravel(each.completions)]).tobytes() for each in encoded]


def require_continuations(spec: TaskSpec, tokenizer: Any, max_length: int, train: Rows, validation: Rows) -> None:
    """Raises DataError if a row cannot be made into a text to continue, the limit leaves no completion of any, or a scorer finds no answer."""
    made = CausalProcessor(spec, tokenizer, PaddingCollator.of(tokenizer), max_length)
    for which, rows in (("training", train), ("evaluation", validation)):
        if len(made.left_out(rows.rows)) == len(rows.rows):
            raise DataError(
                f"task {spec.name!r}: all {counted(len(rows.rows), f'{which} row')} ({rows.source}) {made.left_out_since}. Give a larger max_length, or "
                "shorter prompts."
            )
    if (scorer := scorer_of(spec.continuation)) is not None:
        scorer.require_answers([references(row, spec) for row in validation.rows])


def completion_losses(model: nn.Module, features: Sequence[Feature], collator: PaddingCollator) -> CompletionLoss:
    """The cross-entropy of every labelled token, summed for each feature, without gradients; sums in float64.

    The first token of a text has nothing before it, and counts for nothing. The model stays on its device.
    """
    model.eval()
    device = next(model.parameters()).device
    order = sorted(range(len(features)), key=lambda i: len(features[i]["input_ids"]))
    sums, tokens = np.zeros(len(features)), np.zeros(len(features), dtype=np.int64)
    for chosen in _batches(order, [len(feature["input_ids"]) for feature in features], vocabulary_of(model)):
        batch = {name: values.to(device) for name, values in collator([features[i] for i in chosen]).items()}
        labels = batch.pop("labels")[:, 1:]
        with torch.inference_mode():
            logits = model(**batch).logits
            logits = logits[:, -(labels.shape[1] + 1) : -1]  # a learned prompt has logits before those of the text
            at = labels != NO_LABEL
            losses = nn.functional.cross_entropy(logits[at].float(), labels[at], reduction="none").double().cpu()
        of_row = at.nonzero()[:, 0].cpu()
        sums[chosen] = torch.zeros(len(chosen), dtype=torch.float64).index_add_(0, of_row, losses).numpy()
        tokens[chosen] = at.sum(dim=1).cpu().numpy()
    return CompletionLoss(sums, tokens)


def _batches(order: Sequence[int], lengths: Sequence[int], vocabulary: int) -> Iterator[list[int]]:
    """Features in this order, as many in a batch as its logits allow; the last of a batch is its longest."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) == _MOST_ROWS or (len(batch) + 1) * lengths[index] * vocabulary * 4 > LOGIT_BYTES):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@contextmanager
def _on_accelerator(model: nn.Module) -> Iterator[None]:
    """Runs the model where training will run it, and puts it back: weights that are drawn later are drawn where they always were."""
    was = next(model.parameters()).device
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    try:
        if accelerator is not None:
            model.to(accelerator)
        yield
    finally:
        if accelerator is not None:
            model.to(was)
