"""Results of a study in which no text of the user's data stands: ids, labels and numbers alone."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.quoted_examples import record_without_examples
from repdrift.core.records.results import DriftResults
from repdrift.core.records.sample_moves import MovedSample, SampleMoves, StudySamples


def without_texts(results: DriftResults) -> DriftResults:
    """Returns the results without quoted rows, texts of samples, strips of tokens, and the names of tokens that are attention sinks."""
    sinks = {task: found.without_token_texts() for task, found in results.study.sinks.items()}
    study = results.study.model_copy(update={"sinks": sinks})
    moved = results.moved
    if moved is not None and moved.samples is not None:
        moved = moved.model_copy(update={"samples": _samples(moved.samples)})
    return record_without_examples(results.model_copy(update={"study": study, "moved": moved}))


def _samples(found: StudySamples) -> StudySamples:
    tasks = [
        task.model_copy(
            update={
                "models": [of.model_copy(update={"moves": _moves(of.moves)}) for of in task.models],
                "methods": [of.model_copy(update={"most": _bare(of.most), "strips": []}) for of in task.methods],
            }
        )
        for task in found.tasks
    ]
    return found.model_copy(update={"tasks": tasks})


def _moves(found: SampleMoves) -> SampleMoves:
    return found.model_copy(update={"most": _bare(found.most), "least": _bare(found.least), "strips": []})


def _bare(samples: Sequence[MovedSample]) -> list[MovedSample]:
    return [sample.model_copy(update={"text": None}) for sample in samples]
