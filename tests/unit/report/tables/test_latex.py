"""LaTeX of tables: a strict reader takes it, numbers are aligned, and no name is a command."""

import pytest

from repdrift.report.tables.contents import Cell, Column, Footnotes, Group, ResultsTable, Row
from repdrift.report.tables.digits import rounded
from repdrift.report.tables.exact import exact_csv
from repdrift.report.tables.latex import latex, latex_text
from repdrift.report.tables.markdown import markdown
from tests.unit.report.tables.latex_grammar import read_latex

HOSTILE = [
    r"\input{/etc/passwd}", r"100% & #1 $x$ a_b ~ ^2 {x}", "[opt] * star", "a--b---c", "x\x1b[2J\u202ey\nz", '<b>"q"|`x`', "?`!`,,",
    r"\\", "%", "=1+1", "微调", "&amp; | pipe",
]  # fmt: skip


def table_of(cells, kind="estimate", names=None, notes=()):
    rows = [
        Row([name], [cell]) for name, cell in zip(names or [f"r{i}" for i in range(len(cells))], cells, strict=True)
    ]
    return ResultsTable("A caption.", "tab:x", ["row"], [Group("", [Column("head", kind, "value", notes)])], rows)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_in_every_place(name):
    cells = [Cell(value=0.5, spread=0.1, notes=[name]), Cell(text=name, notes=[name])]
    table = ResultsTable(
        name, name, [name],
        [Group(name, [Column(name, "estimate", "a", [name]), Column(name, "text", "b")])],
        [Row([name], cells), Row([name], cells)], [name],
    )  # fmt: skip
    text = latex(table, 2)
    read = read_latex(text)
    assert len(read.rows) == 2
    assert text.count(r"\begin{") == 3
    shown = markdown(table, 2)
    assert {line.replace(r"\|", "").count("|") for line in shown.splitlines() if line.startswith("|")} == {4}
    assert "\x1b" not in text + shown + exact_csv(table)
    assert "\u202e" not in text + shown + exact_csv(table)
    assert "\n=1" not in exact_csv(table)


def test_special_characters_are_set_as_they_are():
    assert latex_text("a_b & 5% #1") == r"a\_b \& 5\% \#1"
    assert latex_text("\\x{y}") == r"\textbackslash{}x\{y\}"
    assert latex_text("a--b") == "a-{}-b"
    assert latex_text("a-b") == "a-b"
    assert latex_text("[x] *") == "{[}x{]} {*}"


def test_numbers_are_in_a_column_whose_format_has_room_for_each():
    text = latex(table_of([Cell(value=0.448, spread=0.0123), Cell(value=-12.5, spread=3.0), Cell(value=101.0)]), 3)
    read = read_latex(text)
    assert [row[1] for row in read.rows] == ["0.448(12)", "-12.5(30)", "101"]
    assert read.columns[1] == "S[table-format=-3.3(2), separate-uncertainty=true, tight-spacing=true]"


def test_a_missing_number_is_a_dash_in_braces_with_its_mark():
    read = read_latex(latex(table_of([Cell(notes=["no model"]), Cell(value=0.5, notes=["no model", "other"])]), 2))
    assert read.rows[0][1] == r"{--\textsuperscript{a}}"
    assert read.rows[1][1] == r"0.50\textsuperscript{a,b}"
    assert read.notes == [r"\textsuperscript{a}~no model.", r"\textsuperscript{b}~other."]
    assert r"table-space-text-post={\textsuperscript{a,b}}" in read.columns[1]


def test_missing_is_no_zero_and_zero_is_not_missing():
    zero, none = Cell(value=0.0), Cell(notes=["why"])
    assert [row[1] for row in read_latex(latex(table_of([zero, none]), 2)).rows] == ["0.0", r"{--\textsuperscript{a}}"]
    assert "| r0 | 0.0 |" in markdown(table_of([zero, none]), 2)


def test_a_tiny_number_is_not_written_as_zero():
    cells = [Cell(value=3e-12), Cell(value=0.1)]
    assert read_latex(latex(table_of(cells), 2)).rows[0][1] == "{$|x|<10^{-8}$}"
    assert "below 0.00000001 in size" in markdown(table_of(cells), 2)


def test_p_values_below_the_smallest_shown_are_mathematics_in_braces():
    cells = [Cell(value=1e-9), Cell(value=0.031), Cell(value=0.9999)]
    rows = [row[1] for row in read_latex(latex(table_of(cells, "p"), 2)).rows]
    assert rows == ["{$<0.0001$}", "0.031", "{$>0.99$}"]


def test_intervals_are_written_with_their_ends():
    cells = [Cell(low=-0.262, high=0.0063)]
    assert read_latex(latex(table_of(cells, "percent interval"), 2)).rows[0][1] == "{{[}$-26$, $0.63${]}}"
    assert "-26 to 0.63" in markdown(table_of(cells, "percent interval"), 2)


def test_strange_letters_name_the_engine_that_they_need():
    assert "XeLaTeX" in latex(table_of([Cell(value=1.0)], names=["微调"]), 2).splitlines()[1]
    assert "XeLaTeX" not in latex(table_of([Cell(value=1.0)], names=["Größe"]), 2)


@pytest.mark.parametrize(
    ("value", "spread", "digits", "number", "shown"),
    [
        (0.4481, 0.0121, 2, "0.45", "0.01"),
        (0.4481, 0.0121, 3, "0.448", "0.012"),
        (0.4481, 0.0012, 2, "0.448", "0.001"),
        (0.0998, None, 2, "0.10", ""),
        (3.1e-5, None, 2, "0.000031", ""),
        (-0.0004, 0.02, 1, "-0.0004", "0.0200"),
        (0.5, 0.0, 2, "0.50", ""),
        (0.891666, 1e-17, 2, "0.89", ""),
        (123.4, None, 2, "123", ""),
        (0.0, None, 2, "0.0", ""),
    ],
)
def test_a_mean_and_its_spread_have_the_same_decimals(value, spread, digits, number, shown):
    found = rounded(value, spread, digits)
    assert (found.number, found.spread) == (number, shown)


def test_footnotes_go_on_after_z():
    notes = Footnotes()
    marks = notes.marks([f"note {i}" for i in range(28)])
    assert marks[:2] == ["a", "b"]
    assert marks[25:] == ["z", "aa", "ab"]
    assert notes.marks(["note 3"]) == ["d"]
