r"""A table in LaTeX, with booktabs and siunitx: numbers and uncertainties aligned at the decimal point, every name escaped.

Numbers stand in `S` columns. What is no number there stands in braces, as siunitx asks for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.shown_text import for_terminal
from repdrift.core.words import pvalue
from repdrift.report.tables.contents import Cell, Column, Footnotes, ResultsTable
from repdrift.report.tables.digits import MOST_PLACES, rounded

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # behind a line's end, LaTeX takes it for an option
    "]": "{]}",
    "*": "{*}",  # so it does with a star
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": "$-$",
    "…": r"\ldots{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
}
_LIGATURES = re.compile(r"(?<=-)(?=-)|(?<=,)(?=,)|(?<=[!?])(?=`)")
"""Places between characters that LaTeX would set as one other: two hyphens as a dash."""
_TINY = f"<10^{{-{MOST_PLACES}}}"
_DASH = "--"
_KNOWN_BEYOND_ASCII = re.compile(r"[\u00a1-\u00ff\u0100-\u017f\u2013\u2014\u2018-\u201e]")
"""Letters that LaTeX sets with any engine; others need XeLaTeX or LuaLaTeX and a font that has them."""
_PLAIN_NUMBER = re.compile(r"(?P<sign>-?)(?P<whole>\d+)(?:\.(?P<part>\d+))?(?:\((?P<spread>\d+)\))?")


def latex(table: ResultsTable, digits: int) -> str:
    """Returns a `table` environment. It needs booktabs and siunitx, and says so in its first line."""
    notes = Footnotes()
    columns = table.columns
    heads = [_marked(latex_text(column.head), notes.marks(column.notes)) for column in columns]
    rows = [
        [_cell(cell, column, notes, digits) for cell, column in zip(row.cells, columns, strict=True)]
        for row in table.rows
    ]
    spec = "l" * len(table.name_heads) + "".join(
        _column_type(column, [row[place] for row in rows]) for place, column in enumerate(columns)
    )
    lines = [
        r"% Needs \usepackage{booktabs} and \usepackage{siunitx}.",
        *_engine_note(table),
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{latex_text(table.caption)}}}",
        rf"  \label{{{_label(table.label)}}}",
        rf"  \begin{{tabular}}{{{spec}}}",
        r"    \toprule",
        *_group_lines(table),
        _row([*map(latex_text, table.name_heads), *(f"{{{head}}}" for head in heads)]),
        r"    \midrule",
    ]
    for row, cells in zip(table.rows, rows, strict=True):
        lines += [r"    \addlinespace"] if row.begins else []
        lines.append(_row([*map(latex_text, row.names), *(cell.text for cell in cells)]))
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    lines += _note_lines(notes, table.general_notes)
    return "\n".join([*lines, r"\end{table}", ""])


def latex_text(text: str) -> str:
    """Returns a text from outside that LaTeX sets as it is: on one line, nothing in it is a command."""
    line = " ".join(for_terminal(text).split())
    return _LIGATURES.sub("{}", "".join(_SPECIAL.get(character, character) for character in line))


@dataclass(frozen=True)
class _Written:
    """A cell in LaTeX. number: the bare number, with its spread in brackets; empty for one that is no number. marks: of footnotes."""

    text: str
    number: str = ""
    marks: str = ""


def _cell(cell: Cell, column: Column, notes: Footnotes, digits: int) -> _Written:  # noqa: PLR0911 - one return a kind
    marks = _superscript(notes.marks(cell.notes))
    if cell.missing(column.kind):
        return _Written(f"{{{_DASH}{marks}}}")
    if column.kind == "text":
        return _Written(f"{latex_text(cell.text)}{marks}")
    if column.kind in ("interval", "percent interval"):
        scale = 100.0 if column.kind == "percent interval" else 1.0
        ends = ", ".join(_math(_number(scale * end, None, digits)) for end in (cell.low or 0.0, cell.high or 0.0))
        return _Written(f"{{{{[}}{ends}{{]}}{marks}}}")
    value = cell.value or 0.0
    if column.kind == "p":
        text = pvalue(value)
        if text[0] in "<>":
            return _Written(f"{{${text.replace(' ', '')}${marks}}}")
        return _Written(f"{text}{marks}", text, marks)
    scale = 100.0 if column.kind == "percent" else 1.0
    number = _number(scale * value, None if cell.spread is None else scale * cell.spread, digits)
    if number == _TINY:
        return _Written(f"{{{_math(number)}{marks}}}")
    return _Written(f"{number}{marks}", number, marks)


def _number(value: float, spread: float | None, digits: int) -> str:
    """A number with its spread in units of the last decimal, `0.448(12)`, which siunitx reads in every version."""
    found = rounded(value, spread, digits)
    if found.tiny:
        return _TINY
    units = found.spread.replace(".", "").lstrip("0")
    return f"{found.number}({units or 0})" if found.spread else found.number


def _math(number: str) -> str:
    """A number in mathematics, also one below what the decimals show."""
    return f"$|x|{number}$" if number == _TINY else f"${number}$"


def _column_type(column: Column, cells: Sequence[_Written]) -> str:
    if column.kind in ("interval", "percent interval"):
        return "c"
    if column.kind == "text":
        return "l"
    numbers = [found for cell in cells if (found := _PLAIN_NUMBER.fullmatch(cell.number))]
    if not numbers:
        return "c"
    whole = max(len(found["whole"]) for found in numbers)
    part = max(len(found["part"] or "") for found in numbers)
    spread = max(len(found["spread"] or "") for found in numbers)
    sign = "-" if any(found["sign"] for found in numbers) else ""
    shape = f"{sign}{whole}.{part}" + (f"({spread})" if spread else "")
    options = [f"table-format={shape}"]
    options += ["separate-uncertainty=true", "tight-spacing=true"] if spread else []
    widest = max((cell.marks for cell in cells), key=len, default="")
    options += [f"table-space-text-post={{{widest}}}"] if widest else []
    return f"S[{', '.join(options)}]"


def _group_lines(table: ResultsTable) -> list[str]:
    """The heads above the columns of each group, with a rule below them; none if no group has a head."""
    if not any(group.head for group in table.groups):
        return []
    cells, rules = [" "] * len(table.name_heads), []
    first = len(table.name_heads) + 1
    for group in table.groups:
        last = first + len(group.columns) - 1
        cells.append(rf"\multicolumn{{{len(group.columns)}}}{{c}}{{{latex_text(group.head)}}}")
        rules += [rf"\cmidrule(lr){{{first}-{last}}}"] if group.head else []
        first = last + 1
    return [_row(cells), f"    {' '.join(rules)}"]


def _row(cells: Sequence[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _marked(text: str, marks: Sequence[str]) -> str:
    return f"{text}{_superscript(marks)}"


def _superscript(marks: Sequence[str]) -> str:
    return rf"\textsuperscript{{{','.join(marks)}}}" if marks else ""


def _note_lines(notes: Footnotes, general: Sequence[str]) -> list[str]:
    found = [rf"\textsuperscript{{{mark}}}~{latex_text(note.rstrip('.'))}." for mark, note in notes.found]
    found += [f"{latex_text(note.rstrip('.'))}." for note in general]
    if not found:
        return []
    return [
        r"  \par\medskip",
        r"  \begin{minipage}{\linewidth}\footnotesize",
        *(f"    {line}" for line in found),
        r"  \end{minipage}",
    ]


def _label(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9:.]+", "-", label)


def _engine_note(table: ResultsTable) -> list[str]:
    texts = [table.caption, *(group.head for group in table.groups), *(column.head for column in table.columns)]
    texts += [name for row in table.rows for name in row.names]
    texts += [note for row in table.rows for cell in row.cells for note in cell.notes]
    strange = {
        c for text in texts for c in text if ord(c) > 126 and c not in _SPECIAL and not _KNOWN_BEYOND_ASCII.match(c)
    }
    if not strange:
        return []
    return [
        f"% Compile with XeLaTeX or LuaLaTeX: names hold characters that pdfLaTeX does not know ({len(strange)} of them)."
    ]
