import re
from html.parser import HTMLParser

import pytest

from repdrift.report.dashboard import DrawnFigure, dashboard_html
from tests.unit.report.synthetic_results import Synthetic, report_data

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Text and tags of a page; fails where a tag is closed that is not the open one."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.text, self.ids, self.links = [], [], [], set(), []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids |= {value for name, value in attrs if name == "id"}
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def page(figures=(), **study):
    return Page(dashboard_html(report_data(Synthetic(**study)), list(figures)))


def test_names_from_outside_are_text_and_never_markup():
    hostile = "</title><script>alert(1)</script>"
    figure = DrawnFigure("f", "<i>title</i>", "caption", 'description " onload="x', b"png")
    found = page([figure], tasks=(hostile, "a & b"), model=hostile, name=hostile, layers=2, seeds=(1,))
    assert "script" not in found.tags
    assert "i" not in found.tags
    assert found.words.count(hostile) > 3
    assert "<i>title</i>" in found.words


def test_the_page_loads_nothing_and_its_links_lead_somewhere():
    figure = DrawnFigure("f", "title", "caption", "description", b"png")
    found = page([figure], tasks=("mrpc",), layers=2, seeds=(1, 2))
    assert "data:image/png;base64,cG5n" in found.links
    for link in found.links:
        assert link.startswith("data:image/png;base64,") or link[1:] in found.ids


def test_the_answer_comes_before_the_figures():
    words = page(tasks=("mrpc", "sst2"), layers=2, lora_share=0.5, noise=0.02).words
    assert words.index("Does LoRA drift less than full fine-tuning? Yes.") < words.index(
        "What is missing or needs care"
    )


@pytest.mark.parametrize(
    "study",
    [
        {"tasks": ("sst2",), "methods": ("lora",), "layers": 2, "seeds": (1,), "identity": False, "metrics": False},
        {"tasks": ("sst2", "rte"), "layers": 2, "missing": tuple(("rte", "lora", s) for s in (42, 123, 456))},
        {"tasks": ("sst2",), "layers": 1, "negative_below": 1},
        {"tasks": ("sst2",), "layers": 2, "weights": True},
    ],
)
def test_what_is_not_known_is_said_in_words(study):
    words = page(**study).words
    for wrong in ("nan", "None", "NaN", "weight_relative_change"):
        assert wrong not in words.split()


def test_missing_runs_are_listed_with_the_command_that_makes_them():
    words = page(tasks=("sst2", "rte"), layers=2, missing=tuple(("rte", "lora", s) for s in (42, 123, 456))).words
    assert "repdrift train --task rte --method lora --seed 123" in words
    assert "Nothing is claimed about the methods on rte" in words
    assert "(trained models) 3 3 3 0 of 3" in words
    (of_cka,) = re.findall(r"1 - debiased CKA (\S+) (\S+) (\S+) (\S+) cka 1 - biased", words)
    assert of_cka[3] == "missing"
    assert "missing" not in of_cka[:3]


def test_a_complete_study_says_that_nothing_is_missing():
    assert "every planned run is there" in page(tasks=("sst2",), layers=2, seeds=(1, 2)).words
