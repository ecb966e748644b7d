"""Cards: names and sentences from outside are texts, nothing is loaded or run, and no colour is set."""

import re
from html.parser import HTMLParser

from repdrift.notebook.cards import Card, card_html

HOSTILE = "<script>alert(1)</script><img src=x onerror=y> & \" ' $x^2$ \x1b[31m\u202e `a`"


class Read(HTMLParser):
    """The tags of a card, its attributes and its text outside of the style; also checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data if self.open[-1:] != ["style"] else ""


def card(**more):
    known = {
        "title": HOSTILE,
        "headline": HOSTILE,
        "header": ["a", HOSTILE],
        "rows": [["1", HOSTILE]],
        "cautions": [HOSTILE] * 5,
    } | more
    return card_html(Card(**known))


def test_texts_from_outside_stay_texts():
    found = Read(card(footer=HOSTILE))
    assert set(found.tags) <= {
        "style",
        "div",
        "p",
        "span",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "details",
        "summary",
    }
    assert {name for name, _ in found.attributes} <= {"class", "scope"}
    assert "<script>alert(1)</script>" in found.words
    assert "\x1b" not in found.words
    assert "\u202e" not in found.words


def test_two_dollars_make_no_formula():
    assert "$x^2$" not in card()
    assert "$x^2$" in Read(card()).words


def test_nothing_is_loaded_and_no_colour_is_set():
    style = re.search("<style>(.*?)</style>", card(), re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"(?<![-\w])color:(?!inherit)|background:(?!none)", style)


def test_first_cautions_are_seen_and_the_others_are_counted():
    found = card(cautions=[f"caution {k}." for k in range(5)])
    seen, _, folded = found.partition("<details>")
    assert [f"caution {k}." in seen for k in range(5)] == [True] * 3 + [False] * 2
    assert "2 more cautions" in folded
    assert "caution 4." in folded
    assert "Mind" not in card(cautions=[])


def test_without_rows_there_is_no_table():
    assert "<table" not in card(rows=[])
