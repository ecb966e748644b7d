"""Each check finds a planted fault of its kind; a check that cannot fail would say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from repdrift.report.report_data import ReportData
from tests.browser.findings import (
    of_access,
    of_axes,
    of_closedness,
    of_forged_elements,
    of_places,
    of_room,
    of_silence,
    of_values,
)
from tests.browser.opened_page import OpenedPage, opened
from tests.browser.tried_study import TRIED, page_of


@pytest.fixture(scope="module")
def written(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReportData, Path]:
    return page_of(TRIED, tmp_path_factory.mktemp("faults"))


@pytest.fixture
def sound(browser: Browser, written: tuple[ReportData, Path]) -> Iterator[OpenedPage]:
    """A page of its own, into which a test plants its fault."""
    shown = opened(browser, written[1])
    yield shown
    shown.context.close()


def faulty(browser: Browser, written: tuple[ReportData, Path], old: str, new: str) -> OpenedPage:
    """Opens the page with one piece of its text replaced."""
    html = written[1].read_text(encoding="utf-8")
    assert len(re.findall(old, html)) >= 1
    path = written[1].with_name("faulty.html")
    path.write_text(re.sub(old, lambda _: new, html, count=1), encoding="utf-8")
    return opened(browser, path)


def test_what_a_page_says_asks_for_and_lets_in_is_found(browser: Browser, written: tuple[ReportData, Path]):
    policy = '<meta http-equiv="Content-Security-Policy"[^>]*>'
    planted = "<script>console.warn('planted'); throw Error('planted')</script><img src='x'><img src='https://example.org/x.png'>"
    shown = faulty(browser, written, policy, planted)
    assert [each for each in of_silence(shown) if "planted" in each] == ["warning: planted", "page error: planted"]
    asked = of_closedness(shown)
    assert "asked for https://example.org/x.png" in asked
    assert any("would load something: <img" in each for each in asked)
    found = of_forged_elements(shown)
    assert "img[src='x']: made by a text" in found
    assert "3 scripts that run, where the page has 2" in found
    shown.ask(
        "() => { const script = document.createElement('script'); script.textContent = 'window.planted = 1'; document.body.append(script); }"
    )
    assert "a script of a text ran: 1" in of_forged_elements(shown)
    shown.context.close()


def test_another_number_in_the_page_is_found(browser: Browser, written: tuple[ReportData, Path]):
    value = f"{float(written[0].primary['drift'].iloc[3]):.6g}"
    shown = faulty(browser, written, re.escape(value), "0.123")
    assert len(of_values(shown, written[0])) == 2
    shown.context.close()


def test_a_filter_that_does_nothing_is_found(sound: OpenedPage, written: tuple[ReportData, Path]):
    sound.ask("() => addEventListener('change', (event) => event.stopImmediatePropagation(), true)")
    sound.choose("seed", ["123"])
    assert len(of_values(sound, written[0], seed=123)) > 0


def test_a_point_and_a_label_in_a_wrong_place_are_found(sound: OpenedPage):
    assert of_places(sound) == of_axes(sound) == []
    sound.ask(
        """() => {
          const points = document.querySelectorAll('.chart[data-view=drift] .mark-symbol:not(.role-legend-symbol) path');
          const point = [...points].find((each) => '_row' in each.__data__.datum);
          point.setAttribute('transform', 'translate(100,20)');
          document.querySelectorAll('.chart svg .role-axis-label text')[1].textContent = '7';
        }"""
    )
    assert len(of_places(sound)) == 1
    assert len(of_axes(sound)) == 1


def test_what_spills_is_cut_or_overlaps_is_found(sound: OpenedPage):
    assert of_room(sound) == []
    sound.ask(
        """() => {
          const wide = document.createElement('p');
          wide.style.width = '3000px';
          wide.textContent = 'wide';
          document.querySelector('main').append(wide);
          const [one, two] = document.querySelectorAll('.chart svg .role-axis-label text');
          two.setAttribute('transform', one.getAttribute('transform'));
          document.querySelector('.chart svg .role-axis-title text').textContent = 'cut '.repeat(400);
        }"""
    )
    found = of_room(sound)
    assert any("the page is" in each for each in found)
    assert any(each.startswith("p. lies from") for each in found)
    assert any("is cut by" in each for each in found)
    assert any("overlaps" in each for each in found)


def test_grey_on_white_and_a_nameless_control_are_found(sound: OpenedPage):
    sound.ask(
        """() => {
          document.querySelector('h1').style.color = '#cccccc';
          document.querySelector('main').append(document.createElement('select'));
        }"""
    )
    found = of_access(sound)
    assert any(each.startswith("color-contrast (serious)") for each in found)
    assert any(each.startswith("select-name (critical)") for each in found)
