"""The page can be read: on a telephone and a wide screen, in light and dark, on paper, by keyboard and screen reader."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.findings import of_access, of_axes, of_room
from tests.browser.opened_page import OpenedPage, opened
from tests.browser.tried_study import TRIED, page_of


@pytest.mark.parametrize("width", [390, 800, 1600])
def test_nothing_lies_outside_of_the_window(shown: OpenedPage, width: int):
    shown.page.set_viewport_size({"width": width, "height": 2000})
    shown.see_all()
    assert of_room(shown) == []


def test_numbers_beside_an_axis_are_those_of_the_axis(shown: OpenedPage, browser: Browser, tmp_path: Path):
    assert of_axes(shown) == []
    _, path = page_of(replace(TRIED, layers=3), tmp_path)
    few = opened(browser, path)
    assert of_axes(few) == []
    few.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(shown: OpenedPage, scheme: str):
    shown.page.emulate_media(color_scheme=scheme)
    shown.settle()
    assert of_access(shown) == []


def test_dark_charts_have_light_writing_on_dark_paper(shown: OpenedPage):
    shown.page.emulate_media(color_scheme="dark")
    shown.settle()
    paper, ink = shown.ask(
        """() => [getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number),
          document.querySelector('.chart svg .role-axis-title text').getAttribute('fill')]"""
    )
    assert max(paper) < 50
    assert int(ink[1:3], 16) > 200


def test_paper_has_every_chart_in_dark_ink(shown: OpenedPage):
    shown.page.set_viewport_size({"width": 718, "height": 1000})  # A4 with margins of 10 mm
    shown.page.emulate_media(media="print", color_scheme="dark")
    shown.ask("() => dispatchEvent(new Event('beforeprint'))")
    shown.settle()
    charts = shown.ask(
        """() => [...document.querySelectorAll('.chart')].map((chart) => ({ view: chart.dataset.view, seen: chart.checkVisibility(),
          drawn: [...chart.querySelectorAll('svg')].filter((svg) => svg.getBoundingClientRect().width > 100).length,
          width: Math.max(...[...chart.querySelectorAll('svg')].map((svg) => svg.getBoundingClientRect().right)),
          ink: chart.querySelector('.role-axis-title text')?.getAttribute('fill') }))"""
    )
    paper = shown.ask("() => getComputedStyle(document.body).backgroundColor")
    unfolded = shown.ask("() => document.querySelector('#chapters details').open")
    shown.ask("() => dispatchEvent(new Event('afterprint'))")
    assert len(charts) > 1
    for chart in charts:
        assert chart["seen"], chart
        assert chart["drawn"], chart
        assert chart["width"] <= 718, chart
        assert chart["ink"] is None or int(chart["ink"][1:3], 16) < 60, chart
    assert paper in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert unfolded
