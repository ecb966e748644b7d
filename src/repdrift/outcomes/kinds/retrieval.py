"""Retrieval: how well a model finds, among many passages, the one that belongs to a query, before and after tuning.

It is what a text encoder without a head for language modelling can forget: its sense of which texts are about the same.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from repdrift.batches.final_states import FinalStates
from repdrift.core.errors import ConfigError
from repdrift.core.fingerprint import config_sha256, files_sha256, unchanged_file_sha256
from repdrift.core.process_group import device
from repdrift.core.reading import files_below, reading_errors, stands_there
from repdrift.core.records.outcomes import ON_BENCHMARK, OutcomeInfo
from repdrift.core.validation import validation_faults
from repdrift.models import load_backbone, load_tokenizer
from repdrift.models.tuned_body import TunedBody, load_tuned_body
from repdrift.outcomes.outcome import Measured, MeasuredItems, Subject, outcomes
from repdrift.outcomes.retrieval_texts import RetrievalOptions, TextPairs, file_of, read_pairs
from repdrift.outcomes.text_vectors import text_vectors

_RANK = OutcomeInfo(
    name="retrieval",
    title="retrieval, reciprocal rank",
    unit="mean of 1 / rank of the right passage",
    higher_is_better=True,
)
_FIRST = OutcomeInfo(
    name="retrieval_first",
    title="retrieval, right passage first",
    unit="share of queries",
    higher_is_better=True,
)


class Retrieval:
    """The rank of the right passage of each query, by the cosine of pooled final hidden states."""

    name = "retrieval"
    title = "Retrieval: queries and their passages"
    usual = False
    shares_batches = False

    def options(self, given: object) -> dict[str, Any]:
        """Read a source alone, or the fields of `RetrievalOptions`. Raises ConfigError that lists every fault."""
        if given is True:
            raise ConfigError(
                "outcome 'retrieval': name behind it what is to be found, such as retrieval: squad_v2, or retrieval: {source: pairs.csv}"
            )
        try:
            found = RetrievalOptions.model_validate({"source": given} if isinstance(given, str) else given)
        except ValidationError as error:
            raise ConfigError(
                f"outcome {self.name!r}: {'; '.join(validation_faults(error, RetrievalOptions))}"
            ) from error
        return found.model_dump(mode="json")

    def that_count(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns all of them, and of a file that is there its content."""
        path = file_of(RetrievalOptions.model_validate(options))
        if path is None or not stands_there(path):
            return dict(options)
        with reading_errors(path):
            content = files_sha256(path, files_below(path)) if path.is_dir() else unchanged_file_sha256(path)
        return {**options, "content": content}

    def for_key(self, subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the texts as the models read them, and which belong together."""
        pairs = _pairs(subject, RetrievalOptions.model_validate(options))
        return {
            "queries": pairs.queries.fingerprint,
            "passages": pairs.passages.fingerprint,
            "pairs": config_sha256({"partners": list(pairs.partners), "ids": list(pairs.ids)}),
        }

    def applies(self, subject: Subject, options: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Returns None: every model has hidden states."""
        return None

    def measure(self, subject: Subject, options: Mapping[str, Any]) -> Measured:
        """Rank every passage for every query, with the tuned model, and with the base model once for all."""
        settings = RetrievalOptions.model_validate(options)
        pairs, kept, key = _pairs(subject, settings), subject.shared_by_study, ("retrieval of the base model", settings)
        if key not in kept:
            kept[key] = _ranks(TunedBody(load_backbone(subject.base)), pairs, settings, "the base model")
        body = load_tuned_body(subject.base, subject.tuned)
        tuned, loaded = _ranks(body, pairs, settings, subject.words), body.notes
        del body
        gc.collect()  # models refer to themselves
        return Measured(
            [
                MeasuredItems(
                    info=info,
                    inputs=ON_BENCHMARK,
                    ids=pairs.ids,
                    values=score(tuned),
                    base_values=score(kept[key]),
                    groups=pairs.groups,
                )
                for info, score in ((_RANK, _reciprocal), (_FIRST, _is_first))
            ],
            notes=[*pairs.notes, _chance(len(pairs.passages)), *loaded],
        )


def ranks(queries: NDArray[np.float64], passages: NDArray[np.float64], pairs: TextPairs) -> NDArray[np.float64]:
    """The rank of each query's passage, (n,), 1 at best. queries: (n, d), passages: (m, d), both of rows of length 1.

    Passages of equal cosine share their ranks, so that a model to which all texts are alike is at chance. Passages that stand beside an equal query
    are not counted against it.
    """
    cosines = queries @ passages.T
    found = np.empty(len(queries))
    for row, (partner, right) in enumerate(zip(pairs.partners, pairs.also_right, strict=True)):
        others = np.delete(cosines[row], sorted(right))
        own = cosines[row, partner]
        near = np.abs(others - own) <= _EQUAL
        found[row] = 1 + np.sum(~near & (others > own)) + np.sum(near) / 2
    return found


_EQUAL = 1e-12
"""Cosines of float64 vectors that differ by less are equal: what is left is rounding."""


def _ranks(of: TunedBody, pairs: TextPairs, settings: RetrievalOptions, what: str) -> NDArray[np.float64]:
    reader = FinalStates(nn.Module.to(of.body, device()), of.prompt)
    queries, passages = (
        text_vectors(reader, samples, settings.pooling, what) for samples in (pairs.queries, pairs.passages)
    )
    return ranks(queries, passages, pairs)


def _reciprocal(found: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / found


def _is_first(found: NDArray[np.float64]) -> NDArray[np.float64]:
    return (found == 1).astype(np.float64)


def _pairs(subject: Subject, settings: RetrievalOptions) -> TextPairs:
    kept, key = subject.shared_by_study, ("retrieval texts", settings)
    if key not in kept:
        kept[key] = read_pairs(settings, load_tokenizer(subject.base))
    return kept[key]


def _chance(passages: int) -> str:
    expected = float(np.mean(1 / np.arange(1, passages + 1)))
    return f"Retrieval by chance: reciprocal rank {expected:.3f}, right passage first {1 / passages:.3f}."


outcomes.add(Retrieval.name, Retrieval())
