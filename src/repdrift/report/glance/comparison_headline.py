"""The headline of a comparison, with what patching found: the fullest first, then shorter ones."""

from __future__ import annotations

from repdrift.core.comparison_answers import comparison_headline
from repdrift.core.patching_words import reference_named, share_words, telling_layer
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.patching import Patching


def headlines(result: Comparison) -> list[str]:
    """Returns the headline with a sentence on each patched model, then with fewer of them, then alone."""
    patched = [_patched(found) for found in result.patching if found.status == "patched"]
    headline = comparison_headline(result)
    return [" ".join([headline, *patched[:count]]) for count in range(len(patched), -1, -1)]


def _patched(found: Patching) -> str:
    at = telling_layer(found)
    return f"Patching {found.model}: putting {reference_named(found)}'s state back after layer {at.layer} undoes {share_words(at.undone)} of the output change."
