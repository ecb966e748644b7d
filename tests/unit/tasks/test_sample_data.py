import importlib.util
import sys
from pathlib import Path

import pytest

from repdrift.tasks import load_rows, task, tasks

ROOT = Path(__file__).parents[3]
PACKAGED = ROOT / "src/repdrift/tasks/samples"


@pytest.mark.parametrize("name", tasks())
def test_sample_has_no_row_twice_and_shares_none_between_splits(name):
    spec = task(name)
    train, validation = (
        [tuple(row[c] for c in spec.text_columns) for row in load_rows(spec, split, data_dir="sample").rows]
        for split in ("train", "validation")
    )
    assert len(set(train)) == len(train) >= 80
    assert len(set(validation)) == len(validation) >= 60
    assert not set(train) & set(validation)


@pytest.mark.parametrize("name", ["sst2", "mrpc", "rte"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_classes_are_balanced(name, split):
    labels = [row["label"] for row in load_rows(task(name), split, data_dir="sample").rows]
    assert sum(labels) * 2 == len(labels)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_about_two_questions_in_five_have_no_answer(split):
    rows = load_rows(task("squad_v2"), split, data_dir="sample").rows
    assert 0.3 <= sum(not row["answers"]["text"] for row in rows) / len(rows) <= 0.5


def test_generator_gives_the_packaged_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script adds its own folder
    spec = importlib.util.spec_from_file_location("make_sample_data", ROOT / "scripts/make_sample_data.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.jsonl"))
    assert made == sorted(path.relative_to(PACKAGED) for path in PACKAGED.rglob("*.jsonl"))
    for path in made:
        assert (tmp_path / path).read_bytes() == (PACKAGED / path).read_bytes(), path
