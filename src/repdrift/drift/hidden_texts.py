"""Results of a study in which no text of the user's data stands: ids, labels and numbers alone."""

from __future__ import annotations

from repdrift.core.quoted_examples import without_examples
from repdrift.core.records.outcomes import StudyOutcomes
from repdrift.core.records.results import DriftResults


def without_texts(results: DriftResults) -> DriftResults:
    """Returns the results without quoted rows and the names of tokens that are attention sinks.

    Lists of samples and strips of tokens have no texts already, since they were measured so.
    """
    study = results.study.model_copy(
        update={
            "data_notes": {
                task: list(map(without_examples, notes)) for task, notes in results.study.data_notes.items()
            },
            "sinks": {task: sinks.without_token_texts() for task, sinks in results.study.sinks.items()},
        }
    )
    warnings = list(map(without_examples, results.warnings))
    outcomes = None if results.outcomes is None else _outcomes(results.outcomes)
    return results.model_copy(update={"study": study, "outcomes": outcomes, "warnings": warnings})


def _outcomes(found: StudyOutcomes) -> StudyOutcomes:
    missing = [left.model_copy(update={"reason": without_examples(left.reason)}) for left in found.missing]
    return found.model_copy(update={"notes": list(map(without_examples, found.notes)), "missing": missing})
