"""The end of `run` and `analyze`: one screen, and with --full everything that the summary says of claims and cautions."""

import re

import pytest

from repdrift.cli.study_end import print_study_end
from repdrift.core.progress import tell
from repdrift.drift.summary import summary_markdown
from tests.unit.report.synthetic_results import Synthetic

PLACES = {"summary": "summary.md"}


@pytest.fixture(scope="module")
def study():
    study = Synthetic(
        tasks=("sst2", "rte"), layers=4, not_learnt=(("sst2", "lora", 42),), warnings=["A matter that needs care."]
    )
    table = study.table()
    return study.results(table), table


def printed(study, capsys, *, full):
    print_study_end(*study, PLACES, full=full)
    return capsys.readouterr().out


def test_the_end_is_one_screen_and_full_ends_with_it(study, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    short = printed(study, capsys, full=False)
    lines = short.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 90
    whole = printed(study, capsys, full=True)
    assert whole.endswith(short)
    assert len(whole.splitlines()) > 30


def test_every_claim_and_caution_of_the_full_text_stands_in_the_summary(study, capsys):
    whole = printed(study, capsys, full=True).removesuffix(printed(study, capsys, full=False))
    summary = summary_markdown(*study).replace("\\", "")
    said = [
        re.sub(r"^(\[[a-z ]+\]|note:|check failed:) ", "", line)
        for line in whole.splitlines()
        if re.match(r"\[|note:|check failed:", line)
    ]
    assert len(said) > 10
    assert any("SST-2" in sentence for sentence in said)
    missing = [s for s in said if s not in summary and not all(part in summary for part in s.split(". ", 1))]
    assert not missing


def test_an_encoding_without_blocks_gets_letters(study, monkeypatch):
    import io
    import sys

    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    print_study_end(*study, PLACES, full=False)
    tell("über")
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "from . (0) to # (" in text
    assert r"\xfcber" in text
