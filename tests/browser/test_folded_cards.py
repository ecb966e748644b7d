"""Cards on what moved inside are folded at the start: a title and a sentence, and the chart on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from repdrift.report.page import page_html
from repdrift.report.page.contents import INSIDE
from repdrift.report.page.study import study_page
from tests.browser.findings import of_access, of_room, of_silence
from tests.browser.opened_page import OpenedPage, opened
from tests.unit.report.page.views.made_studies import PLAIN, made

_DRAWN = "name => document.querySelector(`.chart[data-view='${name}']`).dataset.drawn !== undefined"


@pytest.fixture(scope="module")
def inside(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], OpenedPage]]:
    """The names of the views on what moved inside, and the page as a reader opens it."""
    page = study_page(made(PLAIN))
    path: Path = tmp_path_factory.mktemp("folded") / "report.html"
    path.write_text(page_html(page), encoding="utf-8")
    shown = opened(browser, path, unfolded=False)
    yield [view.name for view in page.views if view.group == INSIDE], shown
    shown.context.close()


@pytest.fixture
def folded(inside: tuple[list[str], OpenedPage]) -> OpenedPage:
    inside[1].ask("() => document.querySelectorAll('details.fold').forEach((fold) => { fold.open = false; })")
    return inside[1]


def test_they_say_their_answer_and_draw_nothing_until_they_are_opened(inside, folded: OpenedPage):
    names, _ = inside
    assert len(names) > 4
    folded.see_all()
    for name in names:
        card = folded.page.locator(f"#{name}")
        assert card.locator(".answer-line").first.is_visible(), name
        assert not folded.ask(_DRAWN, name), name
    assert of_room(folded) == []
    assert of_access(folded) == []
    folded.page.locator(f"#{names[0]} .fold > summary").click()
    folded.settle()
    assert folded.ask(_DRAWN, names[0])
    assert folded.page.locator(f"#{names[0]} svg").first.is_visible()
    assert of_silence(folded) == []


def test_a_link_to_one_opens_it(inside, folded: OpenedPage):
    name = inside[0][-1]
    folded.page.locator(f'nav a[href="#{name}"]').click()
    folded.settle()
    assert folded.page.locator(f'.chart[data-view="{name}"]').is_visible()
    assert folded.ask(_DRAWN, name)


def test_a_link_leads_to_its_part_also_where_charts_above_it_are_drawn_on_the_way(inside, browser: Browser):
    names, shown = inside
    fresh = opened(browser, shown.path, unfolded=False)
    for target in (names[-1], "chapters", names[0]):
        fresh.page.locator(f'nav a[href="#{target}"]').first.click()
        fresh.settle()
        top = fresh.ask("name => document.getElementById(name).getBoundingClientRect().top", target)
        at_end = fresh.ask("() => scrollY + innerHeight >= document.documentElement.scrollHeight - 2")
        assert 0 <= top < 120 or (at_end and 0 <= top < 900), f"{target} stands at {top} px of the window"
    fresh.context.close()
