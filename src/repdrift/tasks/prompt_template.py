"""Templates of prompts: `{column}` stands for a column's text, and nothing else is evaluated."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from repdrift.core.errors import ConfigError


@dataclass(frozen=True)
class Prompted:
    """A prompt and the text that is to follow it."""

    prompt: str
    completion: str


class PromptTemplate:
    """A text with `{column}` in it for the prompt, and perhaps the completion's column at its very end.

    Spaces right before the completion's column belong to the completion, since most tokenizers put a space and the word behind it into
    one token. `{{` and `}}` stand for braces. Texts of columns are put in as they are: braces in them mean nothing.
    Raises ConfigError for a template that cannot be read so, or that has the completion anywhere but at its end.
    """

    def __init__(self, template: str, completion: str) -> None:
        self._completion = completion
        self._parts: list[tuple[str, str | None]] = []
        try:
            for text, name, spec, conversion in string.Formatter().parse(template):
                if name is not None and (spec or conversion or not name or any(c in name for c in "{}")):
                    raise ValueError(f"{{{name}}} should be the name of a column and nothing else")
                self._parts.append((text, name))
        except ValueError as error:
            raise ConfigError(
                f"template {template!r}: {error}. Write {{column}} for the text of a column, and {{{{ and }}}} for braces"
            ) from error
        at = [number for number, (_, name) in enumerate(self._parts) if name == completion]
        if at and at != [len(self._parts) - 1]:
            raise ConfigError(
                f"template {template!r}: the completion {{{completion}}} should stand once, at the very end: a model stops after it"
            )
        if not self.columns:
            raise ConfigError(f"template {template!r} names no column, so that every prompt would be the same")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the prompt, in the order of the template, each once."""
        return tuple(dict.fromkeys(name for _, name in self._parts if name is not None and name != self._completion))

    def fill(self, row: Mapping[str, str], completion: str) -> Prompted:
        """Puts the texts of a row in, and returns the prompt and what follows it."""
        parts = self._parts
        lead = ""
        if parts[-1][1] == self._completion:
            before = parts[-1][0]
            lead = before[len(before.rstrip(" ")) :]
            parts = [*parts[:-1], (before.rstrip(" "), None)]
        prompt = "".join(text + (row[name] if name is not None else "") for text, name in parts)
        return Prompted(prompt, lead + completion)
