"""Measures the page of a study in Chromium: its bytes, the time to its first chart, and the time after a filter is changed.

Run: python benchmarks/page/run.py [--only spec|steps|large] [--keep DIR] [--against DIR]

spec: 24 layers, 24 models, 4 tasks. steps: the same with 5 checkpoints of every model. large: 80 layers, 60 models, 4 tasks.
The page is opened from disk, without a network, in a new context each time (a window of 1,400 x 900 px); the median of five.
Seconds of the page's main thread stand beside the seconds on the clock, since the latter grow with whatever else runs.
--against: a folder that an earlier version kept; its pages are opened in turn with the new ones, and the ratios new : earlier are told.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser.chromium import launched, program
from tests.browser.opened_page import SETTLED
from tests.unit.report.synthetic_results import Synthetic, write_results

from repdrift.report.page import page_html
from repdrift.report.page.study import study_page
from repdrift.report.report_data import read_report_data

_ARMS = ("full_finetune", "lora", "dora", "ia3", "bitfit")
SIZES = {
    "spec": Synthetic(),
    "steps": Synthetic(checkpoints=(100, 200, 300, 400, 500)),
    "large": Synthetic(methods=_ARMS, layers=80),
}
TRIES = 5

_FIRST_CHART = """new MutationObserver((changes, observer) => {
  if (document.querySelector('.chart[data-drawn]')) { window.firstChart = performance.now(); observer.disconnect(); }
}).observe(document, { subtree: true, childList: true, attributes: true });"""

_CHANGE = """async (column) => {
  const controls = [...document.querySelectorAll(`fieldset[data-filter="${column}"] input[type=checkbox]`)];
  const chart = document.querySelector('.chart[data-view=drift]'), begin = performance.now();
  const drawn = new Promise((done) => new MutationObserver((changes, observer) => {
    if (changes.some((change) => change.attributeName === 'data-drawn')) { observer.disconnect(); requestAnimationFrame(() => done(performance.now() - begin)); }
  }).observe(chart, { attributes: true }));
  controls[0].click();
  return drawn;
}"""


@dataclass(frozen=True)
class Opening:
    """One opening of a page. Seconds; the thread's are of the page's main thread."""

    first_chart: float
    first_chart_thread: float
    change: float
    """From a click on a method to the main chart without it."""
    change_thread: float
    panels: float
    """From a click on a task to the main chart without its panel, so that the others have another width."""
    panels_thread: float
    heap_mb: float


def main() -> None:
    """Writes the pages, opens them, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SIZES)
    parser.add_argument("--keep", type=Path, help="a folder for the pages; else a temporary one")
    parser.add_argument("--against", type=Path, help="a folder of pages that an earlier version kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = launched(playwright.chromium, program())
        print(
            "| study | rows | made in | page | first chart (thread) | method off (thread) | task off (thread) | heap |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for name in [options.only] if options.only else SIZES:
            print(_row(name, browser, (options.keep or Path(scratch)) / name, options.against), flush=True)
        browser.close()


def _row(name: str, browser: Browser, folder: Path, against: Path | None) -> str:
    data = read_report_data(write_results(folder, SIZES[name]))
    clock = time.process_time()
    html = page_html(study_page(data))
    seconds = time.process_time() - clock
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    pages = [path] if against is None else [against / name / "report.html", path]
    turns = [[_opened(browser, each) for each in pages] for _ in range(TRIES)]
    earlier, middle = _middle(turns, 0), _middle(turns, -1)
    ratios = ", ".join(f"{key} {middle[key] / earlier[key]:.2f}" for key in middle)
    beside = "" if against is None else f"\nnew : earlier, {name}: {ratios}"
    return (
        f"| {name} | {len(data.table):,} | {seconds:.1f} s | {path.stat().st_size / 1e6:.2f} MB "
        f"| {middle['first_chart']:.2f} s ({middle['first_chart_thread']:.2f} s) "
        f"| {middle['change']:.2f} s ({middle['change_thread']:.2f} s) | {middle['panels']:.2f} s ({middle['panels_thread']:.2f} s) | {middle['heap_mb']:.0f} MB |{beside}"
    )


def _middle(turns: list[list[Opening]], place: int) -> dict[str, float]:
    """The median of every number over the openings of the page at a place."""
    return {key: statistics.median(getattr(turn[place], key) for turn in turns) for key in Opening.__dataclass_fields__}


def _opened(browser: Browser, path: Path) -> Opening:
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.add_init_script(_FIRST_CHART)
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_function("() => window.firstChart !== undefined", polling=20)
    thread = _metric(session, "TaskDuration")
    page.evaluate(SETTLED)
    first = page.evaluate("() => window.firstChart / 1000")
    before = _metric(session, "TaskDuration")
    change = page.evaluate(_CHANGE, "arm") / 1000
    after = _metric(session, "TaskDuration")
    page.evaluate(SETTLED)
    before_panels = _metric(session, "TaskDuration")
    panels = page.evaluate(_CHANGE, "task") / 1000
    after_panels = _metric(session, "TaskDuration")
    heap = _metric(session, "JSHeapUsedSize") / 1e6
    context.close()
    return Opening(first, thread, change, after - before, panels, after_panels - before_panels, heap)


def _metric(session: CDPSession, name: str) -> float:
    found: dict[str, Any] = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return found[name]


if __name__ == "__main__":
    main()
