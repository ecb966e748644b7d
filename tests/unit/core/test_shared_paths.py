"""Paths in texts for other people."""

from pathlib import Path

import pytest

from repdrift.core.records.comparison import BetweenModels
from repdrift.core.shared_paths import shareable, shared_path, with_shared_paths


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_path_is_relative_to_the_working_folder_or_its_last_parts(here):
    assert shared_path(str(here / "models/tuned")) == "models/tuned"
    assert shared_path(str(here)) == "."
    assert shared_path(str(here.parent / "elsewhere/models/tuned")) == "…/models/tuned"
    assert shared_path("~/models/base/final") == "…/base/final"
    assert shared_path(r"C:\Users\me\models\tuned") == "…/models/tuned"


@pytest.mark.parametrize("name", ["models/tuned", "owner/name", "packaged:minilm", "../x/y", "sst2", "", "/models"])
def test_what_is_no_long_absolute_path_stays_as_it_is(here, name):
    assert shared_path(name) == name


def test_paths_inside_sentences_are_shortened_and_nothing_else(here):
    tuned, other = here / "runs/tuned", here.parent / "private/models/base"
    text = f"the adapter in {tuned} does not fit '{other}': {other}/model.safetensors. See https://host.org/a/b/c, and/or owner/name."
    said = with_shared_paths(text)
    assert said == (
        "the adapter in runs/tuned does not fit '…/models/base': …/base/model.safetensors. See https://host.org/a/b/c, and/or owner/name."
    )
    assert with_shared_paths("he said /either/or/neither to it") == "he said /either/or/neither to it"
    assert with_shared_paths("1/2/3 and a/b/c") == "1/2/3 and a/b/c"


def test_path_with_spaces_is_taken_whole_where_it_exists(here):
    folder = here.parent / "some one/my models/base"
    folder.mkdir(parents=True)
    assert with_shared_paths(f"{folder} holds no model") == "…/my models/base holds no model"
    assert with_shared_paths(f"{folder}/config.json cannot be read") == "…/my models/base/config.json cannot be read"


def test_record_keeps_what_the_user_wrote_where_it_is_told_to(here):
    record = BetweenModels(first=str(here / "a/b"), second=str(here / "c/d"), layer=1, drift=0.5)
    assert shareable(record, kept=frozenset({"first"})) == record.model_copy(update={"second": "c/d"})
    assert str(Path.cwd()) not in shareable(record).model_dump_json()
