"""One browser for all tests of the page, and the tried study's page, loaded once.

Fixtures end with this package and not with the session: while the browser is open, this thread has a running event loop.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from repdrift.report.report_data import ReportData
from tests.browser.chromium import NoChromiumError, launched, program, refuse
from tests.browser.opened_page import OpenedPage, opened
from tests.browser.tried_study import HOSTILE, TRIED, page_of


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The installed Chromium. Tests skip where there is none, or fail where it is required."""
    try:
        found = program()
    except NoChromiumError as error:
        refuse(error)
    with sync_playwright() as playwright:
        try:
            started = launched(playwright.chromium, found)
        except NoChromiumError as error:
            refuse(error)
        yield started
        started.close()


@pytest.fixture(scope="package")
def tried(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReportData, OpenedPage]:
    """The tried study: its results, and its page in the browser."""
    data, path = page_of(TRIED, tmp_path_factory.mktemp("tried"))
    return data, opened(browser, path)


@pytest.fixture
def data(tried: tuple[ReportData, OpenedPage]) -> ReportData:
    """The results of the tried study."""
    return tried[0]


@pytest.fixture
def shown(tried: tuple[ReportData, OpenedPage]) -> OpenedPage:
    """The page of the tried study, as at its start: wide, light, on a screen, everything chosen that is chosen first."""
    page = tried[1]
    page.page.emulate_media(media="screen", color_scheme="light")
    page.page.set_viewport_size({"width": 1400, "height": 900})
    page.start_anew()
    return page


@pytest.fixture(scope="package")
def hostile(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> OpenedPage:
    """The page of a study whose names and texts are attacks."""
    _, path = page_of(HOSTILE, tmp_path_factory.mktemp("hostile"))
    return opened(browser, path)
