"""Refuses empty words of a command line, as a shell gives them for a variable that is not set (`--data "$DATA"`)."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.errors import ConfigError

_MAY_BE_BLANK = "--separator"
"""The one option whose value may be a blank."""


def require_values(words: Sequence[str]) -> None:
    """Raises ConfigError that names the option or argument whose value is empty. As a path it would mean the working folder."""
    for before, word in zip(["", *words], words, strict=False):
        option, has_value, value = word.partition("=") if word.startswith("--") else (before, "=", word)
        if not has_value or value.strip() or (value and option == _MAY_BE_BLANK):
            continue
        named = f"the value of {option}" if option.startswith("-") and option.strip("-") else "an argument"
        raise ConfigError(
            f"{named} is empty. Is a variable of the shell not set? Give a value (. is the working folder), or leave out what is optional."
        )
