import json

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest

from repdrift.core.errors import DataError
from repdrift.tasks import TaskSpec, load_rows, read_own_file

TEXTS = ["the cat", "a dog", "they ran", "one bird"]


@pytest.fixture(autouse=True)
def _quiet():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def _texts(folder):
    return [row["text"] for row in read_own_file(folder).rows.rows]


def test_saved_data_sets_are_read_in_order(tmp_path):
    data = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 0, 1]})
    data.save_to_disk(tmp_path / "whole", num_shards=2)
    data.select([2, 0]).save_to_disk(tmp_path / "chosen")
    assert _texts(tmp_path / "whole") == TEXTS
    assert _texts(tmp_path / "chosen") == ["they ran", "the cat"]
    assert "(a saved data set)" in read_own_file(tmp_path / "whole").rows.notes[0]
    next((tmp_path / "whole").glob("*.arrow")).unlink()
    with pytest.raises(DataError, match="not whole: data-00000-of-00002.arrow not there"):
        _texts(tmp_path / "whole")


def test_split_is_chosen_and_said(tmp_path):
    data = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 0, 1]})
    datasets.DatasetDict({"train": data, "test": data.select([1])}).save_to_disk(tmp_path / "two")
    read = read_own_file(tmp_path / "two").rows
    assert [row["text"] for row in read.rows] == ["a dog"]
    assert "(split 'test', not train)" in read.notes[0]
    spec = TaskSpec(
        "own",
        "classification",
        ("text",),
        "label",
        "own",
        files={"train": tmp_path / "two", "validation": tmp_path / "two"},
    )
    assert [len(load_rows(spec, split).rows) for split in spec.files] == [4, 1]
    datasets.DatasetDict({"a": data, "b": data}).save_to_disk(tmp_path / "odd")
    with pytest.raises(DataError, match="no split for evaluation .*only a and b"):
        _texts(tmp_path / "odd")


def test_classes_that_the_file_names_have_no_others(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    spec = TaskSpec("own", "classification", ("text",), "label", "own", files={"validation": tmp_path / "x.parquet"})
    for labels in ([0, 1, 1, 0], [0, 1, -1, 0]):
        data = datasets.Dataset.from_dict({"text": TEXTS, "label": labels}, features=features)
        data.to_parquet(tmp_path / "x.parquet")
        if -1 not in labels:
            assert [row["label"] for row in load_rows(spec, "validation").rows] == labels
    with pytest.raises(
        DataError, match="row 3: column 'label' should be 0 to 1 .the file names the classes no, yes., got -1"
    ):
        load_rows(spec, "validation")


def test_folders_of_shards_inside_a_folder_are_named(tmp_path):
    for name in ("plain_text", "raw"):
        (tmp_path / name).mkdir()
        pyarrow.parquet.write_table(pa.table({"text": ["x"]}), tmp_path / name / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match="in folders of their own: give one of them .plain_text or raw"):
        _texts(tmp_path)


def test_shards_of_one_split_are_joined(tmp_path):
    for number, text in enumerate(TEXTS):
        pyarrow.parquet.write_table(pa.table({"text": [text]}), tmp_path / f"train-0000{number}-of-00004.parquet")
    assert _texts(tmp_path) == TEXTS
    pyarrow.parquet.write_table(pa.table({"text": ["x"]}), tmp_path / "validation-00000-of-00001.parquet")
    assert _texts(tmp_path) == ["x"]
    pyarrow.parquet.write_table(pa.table({"text": ["x"]}), tmp_path / "more.parquet")
    with pytest.raises(DataError, match="some files name a split .* and others do not .more.parquet"):
        _texts(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no data: it is empty"),
        ({"a.txt": "x", "b.txt": "y"}, "holds no data: a.txt, b.txt. Expected a folder saved with save_to_disk"),
        ({"config.json": "{}"}, "the folder of a model"),
        ({"a.csv": "text\nx\n", "b.csv": "text\ny\n"}, "holds 2 files of data .a.csv and b.csv.: give one"),
        ({"state.json": "[]"}, "should hold a JSON object"),
        ({"state.json": json.dumps({"_data_files": [{"filename": "../x.arrow"}]})}, "not whole"),
        ({"dataset_dict.json": json.dumps({"splits": ["test"]})}, "not whole: state.json is not there"),
    ],
)
def test_other_folders_are_named_for_what_they_hold(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_own_file(tmp_path)


def _write_parts(folder, names):
    folder.mkdir()
    for name in names:
        pyarrow.parquet.write_table(pa.table({"text": TEXTS}), folder / f"{name}.parquet")
    return folder


def test_parts_of_a_data_set_are_all_there(tmp_path):
    whole = [f"train-0000{i}-of-00003" for i in range(3)]
    assert len(_texts(_write_parts(tmp_path / "whole", whole))) == 3 * len(TEXTS)
    assert len(_texts(_write_parts(tmp_path / "from_one", ["00001-of-00002", "00002-of-00002"]))) == 2 * len(TEXTS)
    with pytest.raises(DataError, match="not whole: of 3 parts 1 are not there, the first is train-00001-of-00003"):
        _texts(_write_parts(tmp_path / "gap", [whole[0], whole[2]]))
    with pytest.raises(DataError, match="the first is train-00002-of-00003"):
        _texts(_write_parts(tmp_path / "end", whole[:2]))
    with pytest.raises(DataError, match="parts of several data sets"):
        _texts(_write_parts(tmp_path / "two", ["a-00000-of-00001", "b-00000-of-00001"]))


def test_a_pointer_of_git_lfs_is_no_data(tmp_path):
    for name in ("x.parquet", "x.csv", "x.txt"):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
        with pytest.raises(DataError, match="pointer of Git LFS.*git lfs pull"):
            read_own_file(tmp_path / name)


def test_split_of_a_folder_of_csv_files_is_said(tmp_path):
    for name in ("train", "test", "validation"):
        (tmp_path / f"{name}.csv").write_text(f"text,label\nof {name},1\n")
    assert _texts(tmp_path) == ["of validation"]
    said = read_own_file(tmp_path).rows.notes[0]
    assert "(split 'validation', not test and train, 1 file, separator: a comma)" in said
