"""The parts that all cards share: headings, tables, cautions, versions and commands, as Markdown that shows texts as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from repdrift.core.shown_text import for_terminal
from repdrift.core.words import markdown_text

TITLE = "## Representation drift"
HOW_TO_READ = (
    "Drift is {definition} between a layer's hidden states in the base model and in this model, on the same inputs: 0 says that the layer's representations "
    "are the same up to rotation and scale, about 1 that they have nothing in common. It says how far a model moved, not whether it became better or worse."
)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the lines of a table; cells are escaped, and the first column is text."""
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 1)}"]
    return [*lines, *(f"| {' | '.join(map(markdown_text, row))} |" for row in rows)]


def bullets(sentences: Iterable[str]) -> list[str]:
    """Returns a list of sentences, each once."""
    return [f"- {markdown_text(sentence)}" for sentence in dict.fromkeys(sentences)]


def cautions(sentences: Iterable[str]) -> list[str]:
    """Returns the section of sentences that change how the numbers are read; a card always has it."""
    return ["### Cautions", "", *(bullets(sentences) or ["None."]), ""]


def made_with(versions: Mapping[str, str], commands: Sequence[str]) -> list[str]:
    """Returns the sections of versions and commands; the latter only where commands are known."""
    named = ", ".join(f"{markdown_text(name)} {markdown_text(version)}" for name, version in versions.items())
    lines = ["### Made with", "", f"{named}." if named else "Versions are not known."]
    if commands:
        fence = _fence(commands)
        lines += ["", f"{fence}shell", *map(for_terminal, commands), fence]
    return lines


def card(parts: Iterable[str]) -> str:
    """Returns the text of a card, with one empty line between its parts."""
    lines: list[str] = []
    for line in parts:
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).rstrip("\n") + "\n"


def _fence(texts: Sequence[str]) -> str:
    """A fence of backticks that no line closes."""
    mark = "```"
    while any(mark in text for text in texts):
        mark += "`"
    return mark
