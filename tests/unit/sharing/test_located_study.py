"""A study that is named by its folder of results: where the base model's sets lie, from wherever it is read."""

from pathlib import Path

import pytest

from repdrift.sharing.located_study import _base_dir
from repdrift.study.config import parse_study


def study(results_dir, base_dir):
    text = {"name": "s", "model": "m", "tasks": ["sst2"], "methods": ["full_finetune"], "seeds": [1]}
    return parse_study({**text, "results_dir": str(results_dir), "base_dir": str(base_dir)}, where="a test")


@pytest.mark.parametrize(
    ("results_dir", "base_dir"),
    [("results/s", "base_representations/s"), ("results", "base"), ("a/results", "a/base"), ("deep/a/results", "base")],
)
def test_base_sets_are_found_where_the_configuration_places_them_beside_the_results(
    results_dir, base_dir, tmp_path, monkeypatch
):
    for folder in (results_dir, base_dir):
        (tmp_path / "moved" / folder).mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = study(results_dir, base_dir)
    expected = tmp_path / "moved" / base_dir
    assert _base_dir(config, tmp_path / "moved" / results_dir) == expected
    assert _base_dir(config, Path("..") / "moved" / results_dir).resolve() == expected


def test_sets_beside_results_that_were_renamed_are_found_too_and_else_the_configuration_has_its_word(tmp_path):
    (tmp_path / "base").mkdir()
    assert _base_dir(study("results", "work/base"), tmp_path / "other_name") == tmp_path / "base"
    config = study(tmp_path / "far/results", tmp_path / "far/base")
    assert _base_dir(config, tmp_path / "gone/results") == config.base_dir
