"""What is chosen stands in the page's address, and comes back from it."""

from __future__ import annotations

import pytest

from tests.browser.drawn import drawn_rows
from tests.browser.findings import of_silence
from tests.browser.opened_page import OpenedPage


def chosen(shown: OpenedPage) -> dict[str, dict[str, bool]]:
    names = shown.ask(
        "() => [...document.querySelectorAll('fieldset[data-filter]')].map((each) => each.dataset.filter)"
    )
    return {name: shown.boxes(name) for name in names}


def test_a_view_comes_back_from_its_address(shown: OpenedPage):
    shown.choose("task", ["MRPC"])
    shown.choose("arm", ["full fine-tuning", "LoRA"])
    shown.choose("step", ["20"])
    fragment, before, rows = shown.ask("() => location.hash.slice(1)"), chosen(shown), drawn_rows(shown, "drift")
    shown.start_anew()
    assert chosen(shown) != before
    shown.start_anew(fragment)
    assert chosen(shown) == before
    assert drawn_rows(shown, "drift") == rows


def test_the_start_has_no_fragment(shown: OpenedPage):
    shown.choose("task", ["MRPC"])
    assert "task=MRPC" in shown.ask("() => location.hash")
    shown.choose("task", ["SST-2", "MRPC"])
    assert shown.ask("() => location.hash") == ""


@pytest.mark.parametrize(
    "fragment",
    [
        "task=no-such-task&arm=&seed=x&measure=none&step=-1",
        "%E0%A4%A&&&===&task",
        "log=no-such-view&__proto__=1&constructor=2",
        "task=<img src=x onerror=alert(1)>",
        "step=10&step=20&step=0",
        "x" * 5000,
    ],
)
def test_a_fragment_that_names_nothing_is_harmless(shown: OpenedPage, fragment: str):
    shown.start_anew(fragment)
    assert of_silence(shown) == []
    assert all(any(boxes.values()) for boxes in chosen(shown).values())
    assert len(drawn_rows(shown, "drift")) > 0
