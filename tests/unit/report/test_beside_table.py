"""Tables beside the results: read only if they are those that were written with them."""

import pytest

from repdrift.core.errors import DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.records.sample_moves import SAMPLES_TABLE
from repdrift.report.beside_table import read_sample_table
from tests.unit.report.page.views.made_studies import ONE, made


@pytest.fixture
def results_and_file(tmp_path):
    data = made(ONE)
    path = tmp_path / SAMPLES_TABLE
    data.samples.to_parquet(path, index=False)
    return data.results, path


def test_table_is_read(results_and_file):
    results, path = results_and_file
    known = results.model_copy(update={"table_sha256": {path.name: file_sha256(path)}})
    assert len(read_sample_table(known, path.with_name("results.json"))) == len(made(ONE).samples)


def test_without_a_file_or_a_section_there_is_none(results_and_file, tmp_path):
    results, path = results_and_file
    assert read_sample_table(results, tmp_path / "elsewhere" / "results.json") is None
    assert read_sample_table(results.model_copy(update={"moved": None}), path.with_name("results.json")) is None


def test_a_table_of_another_analysis_is_refused(results_and_file):
    results, path = results_and_file
    other = results.model_copy(update={"table_sha256": {path.name: "0" * 64}})
    with pytest.raises(DataError, match="not the table that was written with the results"):
        read_sample_table(other, path.with_name("results.json"))


@pytest.mark.parametrize("damage", ["column", "bytes"])
def test_a_damaged_table_is_refused(results_and_file, damage):
    results, path = results_and_file
    if damage == "bytes":
        path.write_bytes(b"no table")
    else:
        made(ONE).samples.drop(columns="own_drift").to_parquet(path, index=False)
    with pytest.raises(DataError, match="own_drift" if damage == "column" else "not a readable table"):
        read_sample_table(results, path.with_name("results.json"))
