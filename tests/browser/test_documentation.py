"""The built documentation opens from the disk: nothing is asked for elsewhere, nothing scrolls sideways, search and colours work.

`make docs` builds it; without a built site these tests skip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from playwright.sync_api import Browser, Page

SITE = Path(__file__).parents[2] / "docs" / "_build" / "html"
pytestmark = pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="the site is not built: make docs")
PAGES = [
    p
    for p in sorted(SITE.rglob("*.html"))
    if p.parts[-2] != "pages" and p.name not in {"search.html", "genindex.html", "py-modindex.html"}
]
OTHER_SITES_ARE_NAMED = re.compile(r"^(?:https?|mailto):")


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A narrow window, and what pages asked for or complained about."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    said: list[str] = []
    page.on(
        "request", lambda r: said.append(f"asked for {r.url}") if not r.url.startswith(("file:", "data:")) else None
    )
    page.on("console", lambda m: said.append(f"{m.type}: {m.text}") if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda e: said.append(str(e)))
    yield page, said
    page.close()


@pytest.mark.timeout(600)
def test_pages_ask_for_nothing_and_do_not_scroll_sideways(reader):
    page, said = reader
    wide: list[str] = []
    for path in PAGES:
        page.goto(path.as_uri(), wait_until="load")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(path.name)
    assert wide == []
    assert said == []


def test_search_finds_a_page_and_a_reader_may_have_it_dark(reader):
    page, said = reader
    page.goto(f"{(SITE / 'search.html').as_uri()}?q=debiased")
    page.wait_for_selector('ul.search li a[href*="measures.html"]', timeout=60_000)  # results come one after the other
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]
    assert said == []


class _Parts(HTMLParser):
    """Links, anchors, title and description of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.facts: dict[str, str] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.links += [found[name] for name in ("href", "src") if name in found and tag != "form"]
        self._open = tag
        if found.get("name") == "description":
            self.facts["description"] = found.get("content", "")

    def handle_data(self, data: str) -> None:
        if self._open == "title":
            self.facts.setdefault("title", data)


def test_every_link_and_anchor_inside_the_site_leads_somewhere_and_pages_say_what_they_are():
    read = {
        path: _Parts(path.read_text(encoding="utf-8"))
        for path in sorted(SITE.rglob("*.html"))
        if path.parent.name != "pages"
    }
    dead, nameless = [], []
    for path, parts in read.items():
        for link in parts.links:
            if not link or OTHER_SITES_ARE_NAMED.match(link) or link.startswith(("data:", "javascript:")):
                continue
            target, anchor = urldefrag(link)
            goal = (path.parent / unquote(target.split("?")[0])).resolve() if target else path
            known = read[goal].anchors if goal in read else {anchor}
            if not goal.exists() or (anchor and unquote(anchor) not in known):
                dead.append(f"{path.relative_to(SITE)}: {link}")
        if path in PAGES and (not parts.facts.get("title") or len(parts.facts.get("description", "")) < 20):
            nameless.append(f"{path.relative_to(SITE)}: {parts.facts}")
    assert dead == []
    assert nameless == []
    titles = [parts.facts.get("title") for path, parts in read.items() if path in PAGES]
    assert len(set(titles)) == len(titles), "two pages have one title"
