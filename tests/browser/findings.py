"""Checks of a page that give their findings in words; an empty list is a page without a fault."""

from __future__ import annotations

from collections import Counter

from axe_playwright_python.sync_playwright import Axe

from repdrift.core.words import method_title, task_title
from repdrift.report.page.contents import DRIFT
from repdrift.report.report_data import ReportData
from tests.browser.drawn import drawn_rows, number, panels
from tests.browser.opened_page import OpenedPage
from tests.browser.tried_study import FORGED

_FROM_ELSEWHERE = """() => [...document.querySelectorAll('link, script[src], img, iframe, object, embed, source, form[action], a[ping]')]
  .filter((node) => !(node.tagName === 'IMG' && node.getAttribute('src')?.startsWith('data:'))).map((node) => node.outerHTML.slice(0, 200))"""

_SPILLED = """() => {
  const width = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth > width) found.push(`the page is ${document.documentElement.scrollWidth} px wide in ${width} px`);
  const scrolls = (node) => { for (let up = node.parentElement; up && up !== document.body; up = up.parentElement)
    if (/auto|scroll|hidden|clip/.test(getComputedStyle(up).overflowX)) return true; return false; };
  for (const node of document.querySelectorAll('body *')) {
    if (node.closest('svg, noscript') || !node.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) continue;
    const box = node.getBoundingClientRect();
    if (box.width && (box.right > width + 1 || (box.left < -1 && !node.matches('.skip'))) && !scrolls(node))
      found.push(`${node.tagName.toLowerCase()}.${node.className} lies from ${Math.round(box.left)} to ${Math.round(box.right)} px: ${node.textContent.slice(0, 60)}`);
  }
  return found;
}"""

_CUT = """() => [...document.querySelectorAll('.chart svg')].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter((text) => text.getAttribute('opacity') !== '0' && text.textContent).flatMap((text) => {
    const box = text.getBoundingClientRect();
    const out = Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top, box.bottom - frame.bottom);
    return out > 2 ? [`${svg.closest('.chart').dataset.view}: "${text.textContent.slice(0, 60)}" is cut by ${Math.round(out)} px`] : [];
  });
})"""

_OVERLAPPING = """() => [...document.querySelectorAll('.chart svg')].flatMap((svg) => {
  const texts = [...svg.querySelectorAll('text')].filter((text) => text.getAttribute('opacity') !== '0' && text.textContent.trim());
  const boxes = texts.map((text) => text.getBoundingClientRect()), found = [];
  for (let one = 0; one < texts.length; one += 1) for (let two = one + 1; two < texts.length; two += 1) {
    const a = boxes[one], b = boxes[two];
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
      found.push(`${svg.closest('.chart').dataset.view}: "${texts[one].textContent.slice(0, 40)}" overlaps "${texts[two].textContent.slice(0, 40)}"`);
  }
  return found;
})"""

_ORDERS = r"""() => [...document.body.innerText.matchAll(/.{0,20}[\u202a-\u202e\u2066-\u2069\u200e\u200f].{0,20}/gu)].map((match) => JSON.stringify(match[0]))"""


_LABELS = """() => [...document.querySelectorAll('.chart svg .role-axis-label text')].filter((text) => text.getAttribute('opacity') !== '0')
  .map((text) => ({ says: text.textContent, is: text.__data__.datum.value, view: text.closest('.chart').dataset.view }))"""


def of_silence(shown: OpenedPage) -> list[str]:
    """What the page has said on the console, and its errors."""
    return list(shown.said)


def of_closedness(shown: OpenedPage) -> list[str]:
    """What the page has asked for, and elements that would load something."""
    return [f"asked for {address}" for address in shown.asked] + [
        f"would load something: {element}" for element in shown.ask(_FROM_ELSEWHERE)
    ]


def of_forged_elements(shown: OpenedPage) -> list[str]:
    """Elements that texts from outside have made, scripts of theirs that ran, and characters that turn the direction of writing."""
    found = [
        f"{selector}: made by a text" for selector in FORGED if shown.ask("s => !!document.querySelector(s)", selector)
    ]
    if planted := shown.ask("() => window.planted"):
        found.append(f"a script of a text ran: {planted}")
    scripts = shown.ask("() => document.querySelectorAll('script:not([type])').length")
    if scripts != 2:  # the charting library and the page's own program
        found.append(f"{scripts} scripts that run, where the page has 2")
    return found + [f"orders a direction of writing: {text}" for text in shown.ask(_ORDERS)]


def of_room(shown: OpenedPage) -> list[str]:
    """What lies outside of the window, or would make it scroll sideways, and texts of charts that are cut off or lie on each other."""
    return [*shown.ask(_SPILLED), *shown.ask(_CUT), *shown.ask(_OVERLAPPING)]


def of_values(shown: OpenedPage, data: ReportData, **chosen: object) -> list[str]:
    """Points of the main chart that are not in drift.parquet for what is chosen, and rows of it without a point.

    chosen: columns of the table with the values that stay; the primary measure and the end of training unless they say otherwise.
    """
    rows = data.table[data.table["drift"].notna()]
    for name, values in {"measure": data.results.study.primary_measure, "step": 0, **chosen}.items():
        rows = rows[rows[name].isin(values if isinstance(values, list) else [values])]
    expected = Counter(
        (task_title(row.task), method_title(row.method), int(row.seed), int(row.layer), float(f"{row.drift:.6g}"))
        for row in rows.itertuples()
    )
    drawn = Counter(
        (row["task"], row["arm"], row["seed"], row["layer"], row["drift"]) for row in drawn_rows(shown, DRIFT)
    )
    return [f"in the table and not drawn: {row}" for row in expected - drawn] + [
        f"drawn and not in the table: {row}" for row in drawn - expected
    ]


def of_places(shown: OpenedPage, *, logarithmic: bool = False) -> list[str]:
    """Points of the main chart that lie elsewhere than at their value, read off the axis, by more than a pixel and a half."""
    found = []
    for panel in panels(shown, DRIFT):
        for mark in panel.marks:
            read, least, most = (panel.read_off(mark.y + by, logarithmic=logarithmic) for by in (0, 1.5, -1.5))
            if not least <= mark.row["drift"] <= most:
                found.append(f"{panel.title}, layer {mark.row['layer']}: {mark.row['drift']} lies at {read:.3g}")
    return found


def of_axes(shown: OpenedPage) -> list[str]:
    """Numbers beside an axis that are not where the axis has them, as a half that is written as a whole number."""
    return [
        f"{label['view']}: {label['says']!r} stands at {label['is']}"
        for label in shown.ask(_LABELS)
        if isinstance(label["is"], int | float) and (told := number(label["says"])) is not None
        if abs(told - label["is"]) > 0.02 * abs(label["is"])
    ]


def of_access(shown: OpenedPage) -> list[str]:
    """What axe-core finds serious or critical."""
    found = Axe().run(shown.page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:160]} {node['failureSummary'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
