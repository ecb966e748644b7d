import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace

from repdrift.report.page import page_html, render
from repdrift.report.page.study import study_page
from tests.unit.report.page.study.read_page import Page
from tests.unit.report.synthetic_results import Synthetic, report_data


def stored(source):
    ((attributes, text),) = re.findall(
        r'<script type="application/json" id="page-data"([^>]*)>(.*?)</script>', source, re.DOTALL
    )
    return attributes.strip(), text


def test_data_of_a_large_page_is_compressed_and_the_same(monkeypatch):
    page = study_page(report_data(Synthetic(tasks=("mrpc",), layers=2, seeds=(1,))))
    plain = stored(page_html(page))
    monkeypatch.setattr(render, "_LARGEST_PLAIN", 10)
    packed = stored(page_html(page))
    assert (plain[0], packed[0]) == ("", "data-packed")
    assert json.loads(gzip.decompress(base64.b64decode(packed[1]))) == json.loads(plain[1])


HOSTILE = "</script><script src=//evil.example/x></script><!-- \u2028 \"'`code`" + "n" * 60
LOADING = {"link", "img", "iframe", "object", "embed", "base", "video", "audio"}


def test_a_hostile_text_everywhere_makes_no_element_and_leaves_nothing_to_load():
    page = study_page(report_data(Synthetic(tasks=("mrpc",), layers=2, seeds=(1,))))
    rows = page.runs.rows.assign(state=HOSTILE)
    tile = replace(page.tiles[0], label=HOSTILE, value=HOSTILE, chip=HOSTILE, line=HOSTILE, details=[HOSTILE])
    hostile = replace(
        page,
        title=HOSTILE,
        subtitle=HOSTILE,
        headline=HOSTILE,
        cautions=[HOSTILE] * 5,
        tiles=[tile],
        main=replace(page.main, title=HOSTILE, answer=[HOSTILE], caption=HOSTILE),
        runs=replace(page.runs, rows=rows, details=[{HOSTILE: HOSTILE}] * len(rows)),
        methods_text=HOSTILE,
        provenance=[(HOSTILE, HOSTILE)],
        commands=[HOSTILE],
        chapters=[],
    )
    source = page_html(hostile)
    for library in (render._charting_library(), render._program()):
        source = source.replace(library, "")
    assert len(re.findall(r"<script\b", source)) == 3 + len(page.downloads)  # data, library, program
    assert "<!--" not in source
    read = Page(source)
    assert not LOADING & set(read.tags)
    assert all(link.startswith("#") for link in read.links)
    assert "url(" not in render._own_file("page.css")
    assert "2 more" in source  # of five cautions, three stand open


def test_the_policy_lets_only_the_scripts_of_the_page_run():
    source = page_html(study_page(report_data(Synthetic(tasks=("mrpc",), layers=2, seeds=(1,)))))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', source)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ")
    scripts = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert len(digests) == 2
    assert not re.search(r"\son[a-z]+=\"", re.sub(r"<script.*?</script>", "", source, flags=re.DOTALL))


def test_the_program_makes_no_html_and_no_code_of_texts():
    program = render._program()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert way not in program
