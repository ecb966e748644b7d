import pytest
from markupsafe import Markup

from repdrift.report.page.prose import headline_parts, prose, without_marks


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("`tune:` gives trials", "<code>tune:</code> gives trials"),
        ("`a` and `b`", "<code>a</code> and <code>b</code>"),
        ("one ` alone", "one ` alone"),
        ("two\n`lines\nwide`", "two\n`lines\nwide`"),
        ("`<b>` & <i>", "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"),
        ("``", "``"),
        ("\u202eturned", "\\u202eturned"),
    ],
)
def test_code_stands_between_backticks_and_everything_else_is_escaped(text, html):
    assert prose(text) == html


def test_html_of_our_own_is_left_alone():
    assert prose(Markup("<b>`x`</b>")) == "<b>`x`</b>"


def test_labels_have_no_backticks():
    assert without_marks("`tune:` gives 1 ` trial") == "tune: gives 1 ` trial"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "A drifts less (a; b (c; d). e); the target is met; end.",
            ("A drifts less (a; b (c; d). e).", "The target is met; end."),
        ),
        ("One. Two; three.", ("One.", "Two; three.")),
        ("Alone by 0.4.", ("Alone by 0.4.", "")),
        ("never closed (a; b", ("never closed (a; b", "")),
        ("closed too often); rest", ("closed too often); rest", "")),
    ],
)
def test_a_headline_is_cut_after_its_first_clause_and_loses_nothing(text, parts):
    assert headline_parts(text) == parts
