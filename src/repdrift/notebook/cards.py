"""A result at the end of a notebook's cell: headline, cautions and one small table, in HTML without a script."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.shown_text import for_terminal
from repdrift.core.words import counted

_CAUTIONS_OPEN = 3
"""Cautions that are seen at once; the others are one click away."""
_STYLE = (
    "<style>.repdrift-card{border:1px solid rgba(128,128,128,.5);border-radius:6px;padding:.6em .9em;max-width:72em;line-height:1.45;overflow-x:auto}"
    ".repdrift-card p{margin:.3em 0}.repdrift-card .repdrift-headline{font-weight:600}.repdrift-card table{border-collapse:collapse;margin:.5em 0}"
    ".repdrift-card th,.repdrift-card td{border-bottom:1px solid rgba(128,128,128,.35);padding:.2em .8em .2em 0;text-align:left;vertical-align:top;"
    "background:none;color:inherit;white-space:normal}"
    ".repdrift-card ul{margin:.2em 0 .2em 1.2em;padding:0}</style>"
)
"""No colour but that of the notebook's own text, so that the card can be read on light and on dark."""


@dataclass(frozen=True)
class Card:
    """The words of a card. All texts are plain; they are escaped when it is written.

    title: what it is about. cautions: sentences that change how the numbers are read. footer: where to look next.
    """

    title: str
    headline: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    cautions: Sequence[str] = ()
    footer: str = ""


def card_html(card: Card) -> str:
    """Returns the card as HTML. Nothing in it is taken for a tag, an entity or a formula, and nothing is loaded."""
    parts = [
        _STYLE,
        '<div class="repdrift-card">',
        f"<p>{_text(card.title)}</p>",
        f'<p class="repdrift-headline">{_text(card.headline)}</p>',
        _cautions(card.cautions),
        _table(card),
        f"<p>{_text(card.footer)}</p>" if card.footer else "",
        "</div>",
    ]
    return "".join(parts)


def _table(card: Card) -> str:
    if not card.rows:
        return ""
    head = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in card.header)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in card.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cautions(cautions: Sequence[str]) -> str:
    if not cautions:
        return ""
    shown, more = cautions[:_CAUTIONS_OPEN], cautions[_CAUTIONS_OPEN:]
    words = f"<p>Mind:</p>{_list(shown)}"
    if more:
        words += f"<details><summary>{counted(len(more), 'more caution')}</summary>{_list(more)}</details>"
    return words


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(sentence)}</li>' for sentence in sentences)}</ul>"


def _text(text: str) -> str:
    """A text from outside. A dollar sign is written as an entity inside a tag, since notebooks take two of them for a formula."""
    return html.escape(for_terminal(text)).replace("$", "<span>&#36;</span>")
