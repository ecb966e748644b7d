"""General text: where it comes from, what is left out and cut, and what few or no documents mean."""

import json

import pytest
from datasets import Dataset, DatasetDict

from repdrift.core.errors import DataError, RepdriftError, UnknownNameError
from repdrift.models import load_tokenizer, resolve_model
from repdrift.tasks import document_samples, read_documents
from tests.tiny_models import sentence


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return load_tokenizer(resolve_model(str(tiny_llama)))


def written(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return str(path)


def test_the_packaged_documents_are_many_varied_and_short():
    found = read_documents()
    texts = [row["text"] for row in found.rows.rows]
    assert 40 <= len(texts) <= 60
    assert all(60 <= len(text.split()) <= 150 for text in texts)
    words = [set(text.lower().split()) for text in texts]
    shared = [len(a & b) / len(a | b) for i, a in enumerate(words) for b in words[:i]]
    assert max(shared) < 0.3  # no two tell the same
    assert read_documents("packaged").rows.rows == found.rows.rows


def test_documents_keep_their_ids_and_are_cut_and_counted(tokenizer, tmp_path):
    path = written(tmp_path / "text.jsonl", [sentence(i, 5 + i) for i in range(12)])
    samples = document_samples(read_documents(path), tokenizer, max_length=10)
    assert samples.sample_ids == tuple(map(str, range(12)))
    assert (samples.truncated_samples, max(samples.lengths)) == (6, 10)
    assert any("6 documents of 12 cut at 10 tokens" in note for note in samples.notes)
    assert not any("interval" in note for note in samples.notes)


def test_one_short_document_is_read_with_a_note_that_there_is_no_interval(tokenizer, tmp_path):
    samples = document_samples(
        read_documents(written(tmp_path / "one.jsonl", ["the cat sat"])), tokenizer, max_length=64
    )
    assert len(samples) == 1
    assert any("one document, fewer than 10: its values have no interval" in note for note in samples.notes)


@pytest.mark.parametrize("text", ["", " \n", "\n\n\n"])
def test_empty_general_text_says_what_to_give(text, tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="empty"):
        read_documents(str(path))


def test_documents_without_a_text_are_left_out_and_counted(tokenizer, tmp_path):
    path = written(tmp_path / "some.jsonl", [sentence(0, 5), " ", sentence(1, 5)])
    samples = document_samples(read_documents(path), tokenizer, max_length=64)
    assert len(samples) == 2
    assert any(note.startswith("1 row left out") for note in samples.notes)


def test_a_folder_of_a_saved_data_set_and_a_named_column_are_read(tmp_path):
    rows = {"title": [f"t{i}" for i in range(3)], "body": [sentence(i, 4) for i in range(3)]}
    Dataset.from_dict(rows).save_to_disk(tmp_path / "saved")
    found = read_documents(str(tmp_path / "saved"), text_column="body", id_column="title")
    assert [row["body"] for row in found.rows.rows] == rows["body"]
    with pytest.raises(UnknownNameError, match="bodi"):
        read_documents(str(tmp_path / "saved"), text_column="bodi")


def test_the_hub_gives_the_test_split_without_its_empty_rows(monkeypatch):
    kept = DatasetDict(test=Dataset.from_dict({"text": ["", "one text", " = Title = ", "another"]}))
    asked = []

    def load(repository, configuration, split):
        asked.append((repository, configuration, split))
        return kept[split]

    monkeypatch.setattr("datasets.load_dataset", load)
    found = read_documents("owner/running-text:small")
    assert asked == [("owner/running-text", "small", "test")]
    assert [row["text"] for row in found.rows.rows] == ["one text", " = Title = ", "another"]
    assert "owner/running-text:small, test" in found.rows.source
    with pytest.raises(DataError, match=r"no column 'body', only text.*packaged"):
        read_documents("owner/running-text", text_column="body")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("./nowhere", "does not exist"),
        ("corpus.txt", "does not exist"),
        (" ", "empty"),
        ("no-such-set", "as a data set of the hub"),
    ],
)
def test_a_source_that_is_nowhere_says_what_can_be_given(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message) as error:
        read_documents(source)
    assert "packaged" in str(error.value)


@pytest.mark.parametrize("row", [{"first": "a b", "second": "c d"}, {"sentence1": "a b", "sentence2": "c d"}])
def test_a_file_with_two_columns_of_texts_asks_for_one(row, tmp_path):
    (tmp_path / "two.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="general_text: .*text_column"):
        read_documents(str(tmp_path / "two.jsonl"))


def test_more_documents_than_asked_for_are_chosen_by_hash(tmp_path):
    texts = [sentence(i, 6) for i in range(30)]
    some = read_documents(written(tmp_path / "many.jsonl", texts), documents=7)
    again = read_documents(written(tmp_path / "again.jsonl", texts), documents=7)
    assert len(some.rows.rows) == 7
    assert some.rows.rows == again.rows.rows


def test_a_document_that_is_there_again_is_no_further_unit(tokenizer, tmp_path):
    (tmp_path / "g.txt").write_text("the cat sat\n" * 12 + "a dog ran\n", encoding="utf-8")
    samples = document_samples(read_documents(str(tmp_path / "g.txt")), tokenizer, max_length=8)
    assert len(samples) == 2
    assert "11 documents of 13 repeat an earlier one and are left out." in samples.notes
    assert any("fewer than 10" in note for note in samples.notes)


def test_general_text_that_the_tokenizer_does_not_know_is_said(tokenizer, tmp_path):
    (tmp_path / "g.txt").write_text("xqzw vbnm \u4e16\n\u754c xqzw\nthe cat\n", encoding="utf-8")
    samples = document_samples(read_documents(str(tmp_path / "g.txt")), tokenizer, max_length=8)
    unknown = sum(list(ids).count(tokenizer.unk_token_id) for ids in samples.input_ids)
    assert unknown > 0
    assert any(
        note.startswith(f"General text: {unknown} of {sum(samples.lengths)} tokens are") for note in samples.notes
    )


@pytest.mark.parametrize(
    ("name", "content"), [("empty.txt", ""), ("blank.txt", "\n \n"), ("empty.csv", ""), ("bad.jsonl", "{")]
)
def test_a_message_about_its_file_says_that_it_is_the_general_text(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="general text"):
        read_documents(str(tmp_path / name))


def test_a_column_that_is_not_there_is_one_of_the_general_text(tmp_path):
    (tmp_path / "texts.csv").write_text("body,n\nsome words here,1\nother words there,2\n")
    with pytest.raises(RepdriftError, match="general text"):
        read_documents(str(tmp_path / "texts.csv"), text_column="text")
