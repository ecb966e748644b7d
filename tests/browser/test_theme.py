"""The button for colours goes from the system's to light, to dark, and back, and the address keeps it."""

from __future__ import annotations

import pytest

from tests.browser.findings import of_access
from tests.browser.opened_page import OpenedPage

_LOOK = """() => { const paper = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);
  const ink = document.querySelector('.chart svg .role-axis-title text').getAttribute('fill');
  return [Math.max(...paper) < 60, parseInt(ink.slice(1, 3), 16) > 200]; }"""


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_button_changes_paper_and_charts_whatever_the_system_has(shown: OpenedPage, system: str):
    shown.page.emulate_media(color_scheme=system)
    shown.settle()
    button = shown.page.get_by_role("button", name="Colours")
    is_dark = system == "dark"
    for wanted, dark in (("light", False), ("dark", True), ("auto", is_dark)):
        button.click()
        shown.settle()
        assert button.inner_text() == f"Colours: {wanted}"
        assert shown.ask(_LOOK) == [dark, dark], wanted
        assert ("theme=" in shown.ask("() => location.hash")) == (wanted != "auto")


def test_a_link_with_a_theme_opens_in_it(shown: OpenedPage):
    shown.start_anew("theme=dark")
    assert shown.ask(_LOOK) == [True, True]
    assert of_access(shown) == []
    shown.start_anew()
    assert shown.ask(_LOOK) == [False, False]
