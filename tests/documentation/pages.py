"""The pages of the documentation and the blocks of code in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts),
]


@dataclass(frozen=True)
class Block:
    """A block of code. kind: its language, or its directive such as `{command}`. argument: what stands behind the directive."""

    page: str
    line: int
    kind: str
    argument: str
    text: str

    @property
    def where(self) -> str:
        """The place of the block, for a message."""
        return f"{self.page}:{self.line}"

    @property
    def options(self) -> dict[str, str]:
        """The options of a directive."""
        pairs = (line[1:].split(":", 1) for line in self.text.splitlines() if line.startswith(":"))
        return {name: value.strip() for name, value in pairs}

    @property
    def lines(self) -> list[str]:
        """The lines, without a directive's options; lines that go on after a backslash are one."""
        joined = self.text.replace("\\\n", " ").splitlines()
        return [line for line in joined if line.strip() and not (self.kind.startswith("{") and line.startswith(":"))]


def blocks() -> Iterator[Block]:
    """Every block of code of every page."""
    for path in PAGES:
        for token in MarkdownIt().parse(path.read_text(encoding="utf-8")):
            if token.type in {"fence", "code_block"} and token.map is not None:
                kind, _, argument = token.info.strip().partition(" ")
                yield Block(path.relative_to(ROOT).as_posix(), token.map[0] + 1, kind, argument.strip(), token.content)
