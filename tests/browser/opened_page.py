"""A page in the browser, with everything that it says and asks for, and the actions of a reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Request

SETTLED = """() => new Promise((done, failed) => {
  const state = () => [...document.querySelectorAll('.chart')].map((chart) => `${chart.dataset.view} ${chart.ariaBusy} ${chart.dataset.drawn} ${chart.innerHTML.length}`).join('; ');
  const begin = performance.now();
  let before = state(), quiet = 0;
  const look = () => {
    const now = state(), left = document.querySelector('.chart[aria-busy=true]') || !document.querySelector('.chart[data-drawn]');
    quiet = now === before && !left ? quiet + 1 : 0;
    before = now;
    if (quiet > 2) done();
    else if (performance.now() - begin > 20000) failed(new Error(`charts are not drawn: ${now}`));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
"""Waits until no chart is being drawn and none has changed for some frames; fails after 20 seconds."""


@dataclass
class OpenedPage:
    """One page of one context without a network."""

    page: Page
    context: BrowserContext
    path: Path
    said: list[str] = field(default_factory=list)
    """Messages on the console, and errors of the page."""
    asked: list[str] = field(default_factory=list)
    """Addresses that the page asked for, without its own."""

    @property
    def address(self) -> str:
        """The page's own address, without a fragment."""
        return self.path.as_uri()

    def settle(self) -> None:
        """Waits until every chart in sight is drawn."""
        self.page.evaluate(SETTLED)

    def unfold(self) -> None:
        """Opens every card that is folded at the start."""
        self.ask("() => document.querySelectorAll('details.fold').forEach((fold) => { fold.open = true; })")
        self.settle()

    def see_all(self) -> None:
        """Scrolls down the page, so that every chart is drawn, and back."""
        for place in range(self.page.locator(".chart").count()):
            self.ask("place => document.querySelectorAll('.chart')[place].scrollIntoView()", place)
            self.settle()
        self.ask("() => scrollTo(0, 0)")

    def start_anew(self, fragment: str = "") -> None:
        """Shows the page as at its start, or as a fragment has it, without loading it again."""
        self.page.evaluate("text => { location.hash = text; scrollTo(0, 0); }", fragment or "nothing=1")
        self.settle()

    def ask(self, script: str, argument: Any = None) -> Any:
        """Returns what a JavaScript function gives in the page."""
        return self.page.evaluate(script, argument)

    def boxes(self, column: str) -> dict[str, bool]:
        """The choices of a filter, by their words, and whether they are chosen."""
        found = self.ask(
            """column => {
              const place = document.querySelector(`fieldset[data-filter="${column}"]`), select = place?.querySelector('select');
              if (select) return [...select.options].map((option) => [option.textContent, option.selected]);
              return [...(place?.querySelectorAll('label') ?? [])].map((label) => [label.textContent.trim(), label.querySelector('input').checked]);
            }""",
            column,
        )
        return dict(found)

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a table of the page: its values below a chart, opened where they are folded, or `models`."""
        self.ask(
            "name => { const fold = document.querySelector(`details.values[data-values='${name}']`); if (fold) fold.open = true; }",
            name,
        )
        self.settle()
        return self.ask(
            """name => {
              const table = document.querySelector(`[data-table="${name}"] table`);
              const heads = [...table.querySelectorAll('thead th')].map((head) => head.textContent);
              return [...table.querySelectorAll('tbody tr:not(.below)')].map((line) =>
                Object.fromEntries([...line.cells].map((cell, at) => [heads[at], cell.textContent]).filter(([head]) => head !== 'Details')));
            }""",
            name,
        )

    def choose(self, column: str, words: Sequence[str]) -> None:
        """Makes these the chosen choices of a filter, by the controls that a reader has."""
        assert set(words) <= set(self.boxes(column)), f"the filter {column} has {list(self.boxes(column))}"
        for wanted in (True, False):  # first on, then off: with nothing left on, a filter takes all
            for name in self.boxes(column):
                if (name in words) == wanted and self.boxes(column)[name] != wanted:
                    self._press(column, name)
                    self.settle()
        on = {name for name, checked in self.boxes(column).items() if checked}
        assert on == set(words), f"the filter {column} is on {sorted(on)} after choosing {sorted(words)}"

    def _press(self, column: str, words: str) -> None:
        place = self.page.locator(f'fieldset[data-filter="{column}"]')
        if place.locator("select").count():
            place.locator("select").select_option(label=words)
        else:
            place.locator("details:not([open]) > summary").evaluate_all(
                "folds => folds.forEach((fold) => fold.click())"
            )
            place.locator("label").nth(list(self.boxes(column)).index(words)).locator("input").click()


def opened(
    browser: Browser,
    path: Path,
    *,
    width: int = 1400,
    scheme: str = "light",
    fragment: str = "",
    unfolded: bool = True,
) -> OpenedPage:
    """Opens a page from the disk, in a context of its own without a network, and waits for its charts in sight.

    unfolded: opens the cards that are folded at the start.
    """
    context = browser.new_context(
        offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(15_000)
    shown = OpenedPage(context.new_page(), context, path)

    def asked(request: Request) -> None:
        if request.url.split("#")[0] != shown.address and not request.url.startswith(("data:", "blob:")):
            shown.asked.append(request.url)

    shown.page.on("console", lambda message: shown.said.append(f"{message.type}: {message.text}"))
    shown.page.on("pageerror", lambda error: shown.said.append(f"page error: {error}"))
    context.on("request", asked)
    shown.page.goto(path.as_uri() + (f"#{fragment}" if fragment else ""))
    shown.settle()
    if unfolded:
        shown.unfold()
    return shown
