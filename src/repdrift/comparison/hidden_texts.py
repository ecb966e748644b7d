"""A comparison in which no text of the user's data stands: ids, labels and numbers alone."""

from __future__ import annotations

from repdrift.core.quoted_examples import without_examples
from repdrift.core.records.comparison import ComparedModel, Comparison


def without_texts(result: Comparison) -> Comparison:
    """Returns the comparison without quoted rows, refused texts' tokens and the names of tokens that are attention sinks.

    Lists of samples and strips of tokens have no texts already, since they were measured so.
    """
    return result.model_copy(
        update={
            "data_notes": list(map(without_examples, result.data_notes)),
            "warnings": list(map(without_examples, result.warnings)),
            "models": [_model(model) for model in result.models],
            "sinks": None if result.sinks is None else result.sinks.without_token_texts(),
        }
    )


def _model(model: ComparedModel) -> ComparedModel:
    reason = None if model.reason is None else without_examples(model.reason)
    return model.model_copy(update={"reason": reason, "notes": list(map(without_examples, model.notes))})
