import pytest

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.tasks import TaskSpec, load_rows, task, tasks

ROW = '{"sentence": "the cat sat", "label": 1, "idx": 0}\n'


def test_sources_are_tried_in_order_and_named(tmp_path, tiny_data, monkeypatch):
    own = tmp_path / "validation.jsonl"
    own.write_text(ROW, encoding="utf-8")
    spec = task("sst2")
    with_file = TaskSpec(**{**spec.__dict__, "files": {"validation": own}})
    assert load_rows(with_file, "validation", data_dir=tiny_data).source == f"file {own}"
    assert load_rows(spec, "validation", data_dir=tiny_data).source.startswith("data folder")
    monkeypatch.setenv("REPDRIFT_DATA", str(tiny_data))
    assert load_rows(spec, "validation").source.startswith("$REPDRIFT_DATA")
    assert load_rows(spec, "validation", data_dir="sample").source.startswith("packaged sample")


def test_hub_is_read_with_the_names_of_its_columns(tmp_path, monkeypatch):
    folder = tmp_path / "glue"
    folder.mkdir()
    (folder / "validation.jsonl").write_text(ROW + ROW.replace('"idx": 0', '"idx": 1'))
    spec = TaskSpec(**{**task("sst2").__dict__, "hub": (str(folder), None)})
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    found = load_rows(spec, "validation")
    assert found.source.startswith("Hugging Face hub")
    assert [row["idx"] for row in found.rows] == [0, 1]


def test_nowhere_to_be_found_lists_where_it_looked(tmp_path, monkeypatch):
    import datasets

    def offline(*_args, **_kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    (tmp_path / "data").mkdir()
    with pytest.raises(
        DataError, match=r"(?s)no train data for task 'rte'.*data/rte/train.*hub.*no network.*REPDRIFT_DATA"
    ):
        load_rows(task("rte"), "train", data_dir=tmp_path / "data")


def test_unknown_task_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'squad_v2'"):
        task("squad2")
    assert tasks() == ["mrpc", "rte", "short_chats", "squad_v2", "squad_v2_words", "sst2"]
