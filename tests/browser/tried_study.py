"""The study that most browser tests look at: small, with several of everything that a filter chooses from."""

from __future__ import annotations

from pathlib import Path

from repdrift.report.page import page_html
from repdrift.report.page.study import study_page
from repdrift.report.report_data import ReportData, read_report_data
from tests.unit.report.synthetic_results import Synthetic, write_results

TRIED = Synthetic(
    tasks=("sst2", "mrpc"),
    methods=("full_finetune", "lora", "bitfit"),
    seeds=(42, 123),
    layers=6,
    measures=("cka", "cosine"),
    checkpoints=(10, 20),
    missing=(("mrpc", "lora", 123),),
    not_learnt=(("sst2", "bitfit", 42),),
)

HOSTILE_TEXTS = (
    "<img src=x onerror=\"window.planted='img'\">",
    "</script><script>window.planted='script'</script>",
    "\"'`><svg onload=window.planted='svg'> onmouseover=\"window.planted='over'\"",
    "a\u202etxt.exe \u200f\u2066evil\u2069 \U0001f600\U0001f1e9\U0001f1ea \u05e9\u05dc\u05d5\u05dd",
    "a task with a name of sixty characters, as people write them",
    "unbroken_" * 24,
)
"""Markup, the end of a script, quotes, orders of writing, emoji, and lengths that no column has room for."""
FORGED = ("img[src='x']", "svg[onload]", "[onmouseover]", "[onerror]")
"""Selectors of the elements that those texts would make."""

HOSTILE = Synthetic(
    name=HOSTILE_TEXTS[1],
    model=HOSTILE_TEXTS[0],
    tasks=(HOSTILE_TEXTS[0], HOSTILE_TEXTS[1], HOSTILE_TEXTS[3], HOSTILE_TEXTS[5]),
    methods=("full_finetune", HOSTILE_TEXTS[2], HOSTILE_TEXTS[4], HOSTILE_TEXTS[5]),
    method_words={HOSTILE_TEXTS[2]: HOSTILE_TEXTS[0]},
    seeds=(1, 2),
    layers=3,
    measures=("cka",),
    missing=((HOSTILE_TEXTS[0], HOSTILE_TEXTS[2], 2),),
    warnings=list(HOSTILE_TEXTS),
)


def page_of(study: Synthetic, folder: Path) -> tuple[ReportData, Path]:
    """Writes results and page of a study to `folder`; returns the results as the page read them, and the page's file."""
    data = read_report_data(write_results(folder, study))
    path = folder / "report.html"
    path.write_text(page_html(study_page(data)), encoding="utf-8")
    return data, path
