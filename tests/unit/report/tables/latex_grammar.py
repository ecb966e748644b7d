r"""A strict reader of the LaTeX that tables are written in: booktabs, siunitx `S` columns, no command that is not on the list.

It reads what it is given as LaTeX would, and refuses all that LaTeX would refuse or would set as something else.
"""

import re
from dataclasses import dataclass, field

COMMANDS = {
    "begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule", "cmidrule", "addlinespace", "multicolumn",
    "textsuperscript", "par", "medskip", "footnotesize", "linewidth", "textbackslash", "textasciitilde", "textasciicircum", "textless",
    "textgreater", "textbar", "textquotedblright", "textquotesingle", "textasciigrave", "ldots", "textendash", "textemdash", "pm", "times",
}  # fmt: skip
DASH = "--"
S_NUMBER = re.compile(r"-?\d+(\.\d+)?(\(\d+\))?")
PIECE = re.compile(r"\\[A-Za-z]+\*?|\\.|[{}$&#^_~%\[\]\n]|[^\\{}$&#^_~%\[\]\n]+", re.DOTALL)
FORMAT = re.compile(r"table-format=(-?)(\d+)\.(\d+)(?:\((\d+)\))?")


@dataclass
class ReadTable:
    """A table as it was read. rows: the cells of every row between \\midrule and \\bottomrule, as they are written."""

    columns: list[str]
    heads: list[list[str]]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)


def read_latex(text: str) -> ReadTable:
    """Reads a `table` environment. Raises AssertionError for what LaTeX would not take, or would not set as it is meant."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    _balanced(body)
    assert [*_environments(body)] in (
        ["table", "tabular"], ["table", "tabular", "minipage"],
    ), body  # fmt: skip
    spec = _argument(body, body.index(r"\begin{tabular}") + len(r"\begin{tabular}"))
    columns = re.findall(r"S\[(?:[^\[\]{}]|\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})*\]|[lcr]", spec)
    assert "".join(columns) == spec, spec
    inside = body.split(spec + "}", 1)[1].split(r"\end{tabular}")[0]
    top, _, rest = inside.partition(r"\midrule")
    middle, _, after = rest.partition(r"\bottomrule")
    assert top.strip().startswith(r"\toprule")
    assert not after.strip()
    heads = [_cells(row) for row in _rows(top.replace(r"\toprule", ""))]
    rows = [_cells(row) for row in _rows(middle)]
    for head in heads:
        assert sum(_span(cell) for cell in head) == len(columns), head
    for row in rows:
        assert len(row) == len(columns), row
        for cell, column in zip(row, columns, strict=True):
            if column.startswith("S"):
                _s_cell(cell, column)
    return ReadTable(
        columns, heads, rows, re.findall(r"^    (\\textsuperscript.*)$", body.split(r"\end{tabular}")[1], re.MULTILINE)
    )


def _balanced(body: str) -> None:
    depth, in_math = 0, False
    for piece in PIECE.findall(body):
        if piece == "{":
            depth += 1
        elif piece == "}":
            depth -= 1
            assert depth >= 0, "a brace closes that none opened"
        elif piece == "$":
            in_math = not in_math
        elif re.fullmatch(r"\\[A-Za-z]+\*?", piece):
            assert piece[1:] in COMMANDS, f"{piece} is not expected"
        elif piece.startswith("\\"):
            assert piece in (r"\{", r"\}", r"\$", r"\&", r"\#", r"\%", r"\_", "\\\\"), f"{piece!r} is not expected"
        elif piece in ("#", "%"):
            raise AssertionError(f"a bare {piece}")
        elif piece in ("^", "_"):
            assert in_math, f"a bare {piece} outside of mathematics"
        elif piece == "\n":
            assert not in_math, "mathematics goes over a line's end"
        else:
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", piece), repr(piece)
            assert in_math or "--" not in piece or piece == DASH, f"hyphens become a dash: {piece!r}"
            assert in_math or not re.search(r"[<>|\"]", piece), piece
    assert depth == 0
    assert not in_math


def _environments(body: str):
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            opened.append(name)
            yield name
        else:
            assert opened.pop() == name
    assert not opened


def _argument(body: str, start: int) -> str:
    assert body[start] == "{"
    depth = 0
    for place in range(start, len(body)):
        depth += {"{": 1, "}": -1}.get(body[place], 0)
        if depth == 0:
            return body[start + 1 : place]
    raise AssertionError("an argument that does not end")


def _rows(block: str) -> list[str]:
    r"""Rows end with two backslashes. What follows must be no option: a bracket or a star behind a row's end would be one."""
    for after in re.findall(r"(?:\\\\|\\midrule|\\addlinespace)\s*(.)", block + " .", re.DOTALL):
        assert after not in "[*", "LaTeX takes this for an option"
    found = []
    for line in block.split("\\\\"):
        row = re.sub(r"\\cmidrule\(lr\)\{\d+-\d+\}|\\addlinespace", "", line).strip()
        if row:
            found.append(row)
    return found


def _cells(row: str) -> list[str]:
    cells, depth, cell = [], 0, ""
    for piece in PIECE.findall(row):
        depth += {"{": 1, "}": -1}.get(piece, 0)
        if piece == "&":
            assert depth == 0, "an ampersand inside of braces"
            cells.append(cell.strip())
            cell = ""
        else:
            cell += piece
    return [*cells, cell.strip()]


def _span(cell: str) -> int:
    found = re.match(r"\\multicolumn\{(\d+)\}", cell)
    return int(found[1]) if found else 1


def _s_cell(cell: str, column: str) -> None:
    """A number that the column's format has room for, with marks behind it; or anything in one pair of braces."""
    if cell.startswith("{"):
        assert _argument(cell, 0) == cell[1:-1], cell
        return
    number = S_NUMBER.match(cell)
    assert number, cell
    assert re.fullmatch(r"(\\textsuperscript\{[a-z,]+\})?", cell[number.end() :]), cell
    room = FORMAT.search(column)
    assert room, column
    sign, whole, part, spread = room[1], int(room[2]), int(room[3]), int(room[4] or 0)
    digits = re.match(r"(-?)(\d+)(?:\.(\d+))?(?:\((\d+)\))?", number[0])
    assert digits
    assert len(digits[2]) <= whole, (cell, column)
    assert len(digits[3] or "") <= part, (cell, column)
    assert len(digits[4] or "") <= spread, (cell, column)
    assert sign or not digits[1], (cell, column)
    assert not digits[4] or "separate-uncertainty=true" in column
