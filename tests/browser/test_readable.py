"""The page can be read: on a telephone and a wide screen, in light and dark, on paper, by keyboard and screen reader."""

import pytest

from tests.browser.findings import of_access, of_room
from tests.browser.opened_page import OpenedPage


@pytest.mark.parametrize("width", [800, 1600])
def test_nothing_lies_outside_of_the_window(shown: OpenedPage, width: int):
    shown.page.set_viewport_size({"width": width, "height": 900})
    shown.settle()
    assert of_room(shown) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(shown: OpenedPage, scheme: str):
    shown.page.emulate_media(color_scheme=scheme)
    shown.settle()
    assert of_access(shown) == []


def test_dark_charts_have_light_writing_on_dark_paper(shown: OpenedPage):
    shown.page.emulate_media(color_scheme="dark")
    shown.settle()
    paper, ink = shown.ask(
        """() => [getComputedStyle(document.body).backgroundColor,
          document.querySelector('.chart svg .role-axis-title text').getAttribute('fill')]"""
    )
    assert max(int(part) for part in paper[4:-1].split(",")) < 40
    assert int(ink[1:3], 16) > 200
