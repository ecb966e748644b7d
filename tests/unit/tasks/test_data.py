import json

import pandas as pd
import pytest

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.models import load_tokenizer, resolve_model
from repdrift.tasks import TaskSpec, build_sample_set, choose_rows, effective_max_length, load_rows, task, tasks
from repdrift.tasks.data_files import read_rows


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    return load_tokenizer(resolve_model(str(tiny_bert)))


def _sst2(tmp_path, text, name="validation.jsonl"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


ROW = '{"sentence": "the cat sat", "label": 1, "idx": 0}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (ROW + "{not json}\n", "line 2: not valid JSON"),
        (ROW + "[1, 2]\n", "line 2: expected a JSON object, got list"),
        ('{"text": "the cat", "label": 1, "idx": 0}\n', "line 1: column 'sentence' is not there.*--text-column"),
        ('{"sentence": "", "label": 1, "idx": 0}\n', "line 1: column 'sentence' should be a text"),
        ('{"sentence": 5, "label": 1, "idx": 0}\n', "line 1: column 'sentence' should be a text, got 5"),
        ('{"sentence": "the cat", "label": 2, "idx": 0}\n', "should be 0 to 1, got 2"),
        ('{"sentence": "the cat", "label": null, "idx": 0}\n', "should be 0 to 1, got None"),
        ('{"sentence": "the cat", "label": true, "idx": 0}\n', "should be 0 to 1, got True"),
    ],
)
def test_malformed_file_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(DataError, match=f"(?s)validation.jsonl.*{message}"):
        read_rows(_sst2(tmp_path, text), task("sst2"))


def test_csv_with_a_field_too_few_is_named_with_its_line(tmp_path):
    with pytest.raises(DataError, match=r"x\.csv, line 3: expected 3 fields"):
        read_rows(_sst2(tmp_path, "sentence,label,idx\nthe cat,1,0\nthe dog,1\n", "x.csv"), task("sst2"))


def test_text_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_rows(path, task("sst2"))


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 this is not parquet")
    with pytest.raises(DataError, match="not a readable parquet"):
        read_rows(path, task("sst2"))


def test_answer_that_does_not_stand_where_it_should_is_refused(tmp_path):
    row = {
        "id": "1",
        "question": "who sat ?",
        "context": "the cat sat",
        "answers": {"text": ["cat"], "answer_start": [3]},
    }
    with pytest.raises(DataError, match="'cat' does not stand at character 3"):
        read_rows(_sst2(tmp_path, json.dumps(row)), task("squad_v2"))


def test_the_three_formats_give_the_same_sample_set(tmp_path, tokenizer):
    rows = [
        {"sentence": f"the {w} sat, on the dog", "label": i % 2, "idx": i}
        for i, w in enumerate(["cat", "dog", "bird", "tree", "town"])
    ]
    frame = pd.DataFrame(rows)
    frame.to_parquet(tmp_path / "x.parquet")
    frame.to_csv(tmp_path / "x.csv", index=False)
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sets = [
        build_sample_set(task("sst2"), read_rows(tmp_path / f"x.{end}", task("sst2")), tokenizer, max_length=16)
        for end in ("parquet", "csv", "jsonl")
    ]
    assert len({s.fingerprint for s in sets}) == 1


def _rows(count):
    return [{"sentence": f"the cat {'very ' * (i % 5)}sat", "label": 0, "idx": i} for i in range(count)]


def test_fingerprint_sees_text_ids_and_order(tokenizer):
    spec, rows = task("sst2"), _rows(6)
    base = build_sample_set(spec, rows, tokenizer, max_length=16).fingerprint
    other_text = [*rows[:5], {**rows[5], "sentence": "the dog sat"}]
    other_id = [*rows[:5], {**rows[5], "idx": 99}]
    for changed in (other_text, other_id, rows[::-1], rows[:5]):
        assert build_sample_set(spec, changed, tokenizer, max_length=16).fingerprint != base
    assert build_sample_set(spec, rows, tokenizer, max_length=30).fingerprint == base, (
        "nothing was cut: the same inputs"
    )


def test_choice_of_samples_does_not_depend_on_the_order_of_the_file(tokenizer):
    spec, rows = task("sst2"), _rows(40)
    chosen = build_sample_set(spec, rows, tokenizer, max_length=16, n_samples=10)
    shuffled = build_sample_set(spec, rows[::-1], tokenizer, max_length=16, n_samples=10)
    assert set(chosen.sample_ids) == set(shuffled.sample_ids)
    assert list(chosen.sample_ids) == sorted(chosen.sample_ids, key=int), "the file's order is kept"
    assert chosen.sample_ids != tuple(str(i) for i in range(10)), "not simply the first ten"


def test_smaller_choice_is_part_of_the_larger():
    small, large = (choose_rows(task("sst2"), _rows(40), n) for n in (8, 20))
    assert all(row in large for row in small)


def test_too_few_and_double_samples_are_refused(tokenizer):
    with pytest.raises(DataError, match="has 3 samples.*at least 4"):
        build_sample_set(task("sst2"), _rows(3), tokenizer, max_length=16)
    with pytest.raises(DataError, match="sample id '1' stands twice"):
        build_sample_set(task("sst2"), [*_rows(4), _rows(2)[1]], tokenizer, max_length=16)


def test_cut_samples_are_counted(tokenizer):
    samples = build_sample_set(task("sst2"), _rows(10), tokenizer, max_length=6)
    lengths = [len(tokenizer(row["sentence"])["input_ids"]) for row in _rows(10)]
    assert samples.truncated_samples == sum(length > 6 for length in lengths) > 0
    assert max(samples.lengths) == 6


def test_decoder_pairs_are_kept_apart(tiny_llama):
    tokenizer = load_tokenizer(resolve_model(str(tiny_llama)))
    spec = TaskSpec("pairs", "classification", ("a", "b"), None, "pairs")
    rows = [
        {"a": "the cat", "b": "sat"},
        {"a": "the", "b": "cat sat"},
        {"a": "dog", "b": "ran"},
        {"a": "bird", "b": "flew"},
    ]
    samples = build_sample_set(spec, rows, tokenizer, max_length=16)
    ends = [tokenizer(text)["input_ids"] for text in ("the cat sat", "the\ncat sat")]
    assert list(samples.input_ids[1]) == ends[1]


def test_more_tokens_than_the_model_takes_are_refused(tokenizer, tiny_bert):
    from transformers import AutoConfig

    with pytest.raises(DataError, match="max_length 100 is more than the model's maximum of 64"):
        effective_max_length(tokenizer, AutoConfig.from_pretrained(tiny_bert), 100)


def test_sources_are_tried_in_order_and_named(tmp_path, tiny_data, monkeypatch):
    own = _sst2(tmp_path, ROW * 1)
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
    assert tasks() == ["mrpc", "rte", "squad_v2", "sst2"]
