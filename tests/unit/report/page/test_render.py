import base64
import gzip
import json
import re

from repdrift.report.page import page_html, render
from repdrift.report.page.study import study_page
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
