import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from repdrift.report.page.contents import Filter, Page, RunTable, View
from repdrift.report.page.payload import as_script, columns, payload

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "a\u2028b\u2029c",
    "\"quoted\" 'twice' \\ & &amp;",
    "]]>",
    "x" * 60,
]


def view(name: str, rows: pd.DataFrame, **given: object) -> View:
    return View(name, name.title(), [], "", {"mark": "point"}, rows, **given)


def page(main: View, *views: View, **given: object) -> Page:
    empty = Page("t", "s", "h", [], [], [], main, views, RunTable(pd.DataFrame(), {}), "", [], [], [])
    return replace(empty, **given)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_ends_the_script_that_holds_it(text):
    written = str(as_script({"name": text, text: [text]}))
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"name": text, text: [text]}


def test_numbers_are_rounded_once_and_missing_ones_are_null():
    table = pd.DataFrame({"drift": [0.123456789, np.nan, np.inf, 2.0, 1.23456789e-12]})
    assert columns(table) == {"drift": [0.123457, None, None, 2, 1.23457e-12]}


def test_a_count_in_a_column_with_gaps_keeps_all_digits():
    assert columns(pd.DataFrame({"parameters": [134515008.0, np.nan]})) == {"parameters": [134515008, None]}


def test_an_integer_that_javascript_would_round_is_a_text_in_table_and_filter():
    seeds = [2**53 + 1, 7]
    rows = pd.DataFrame({"seed": seeds})
    made = payload(
        page(view("drift", rows), filters=[Filter("seed", "Seed", [(each, str(each)) for each in seeds], [])])
    )
    assert made["tables"]["table0"]["seed"] == {"of": ["9007199254740993", 7], "at": [0, 1]}
    assert [value for value, _ in made["filters"][0]["options"]] == ["9007199254740993", 7]


def test_repeated_texts_are_written_once_and_come_back():
    table = pd.DataFrame({"arm": ["LoRA", "full", "LoRA", None]})
    stored = columns(table)["arm"]
    assert stored["of"].count("LoRA") == 1
    assert [stored["of"][at] for at in stored["at"]] == ["LoRA", "full", "LoRA", None]


def test_views_of_one_table_share_it_and_others_do_not():
    rows, other = pd.DataFrame({"layer": [0, 1]}), pd.DataFrame({"layer": [0, 2]})
    made = payload(page(view("drift", rows), view("heatmap", rows), view("forest", other)))
    assert [each["table"] for each in made["views"]] == ["table0", "table0", "table1"]
    assert made["tables"] == {"table0": {"layer": [0, 1]}, "table1": {"layer": [0, 2]}}


def test_details_of_models_are_in_the_data():
    runs = RunTable(pd.DataFrame({"arm": ["LoRA"]}), {"arm": "method"}, [{"Command": "repdrift run"}])
    made = payload(page(view("drift", pd.DataFrame({"layer": [0]})), runs=runs))
    assert made["runs"]["details"] == [{"Command": "repdrift run"}]
