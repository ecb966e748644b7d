"""The command that makes a comparison again, as other people may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from repdrift.comparison.options import ComparisonOptions
from repdrift.core.hidden_secrets import without_secrets
from repdrift.core.option_names import option_words
from repdrift.core.shared_paths import shared_path


def comparison_command(
    base: str,
    tuned: Sequence[str],
    inputs: Mapping[str, object],
    options: ComparisonOptions,
    gate: Mapping[str, object] = MappingProxyType({}),
) -> list[str]:
    """Returns the words of the command, without options that are as they are where none is given.

    inputs: the options on data and models by the name of their field, in order; None: not given. gate: those of a gate, likewise.
    """
    defaults = type(options)()
    changed = {
        name: getattr(options, name)
        for name in type(options).model_fields
        if getattr(options, name) != getattr(defaults, name)
    }
    words = ["repdrift", "compare", base, *tuned, *option_words(inputs), *option_words(changed), *option_words(gate)]
    return [without_secrets(shared_path(word)) for word in words]
