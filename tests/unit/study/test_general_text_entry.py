"""The key `general_text:` of a study file."""

import pytest

from repdrift.core.errors import ConfigError, DataError
from repdrift.study.config import parse_study
from repdrift.study.inputs import StudyInputs
from tests.tiny_models import sentence


def inputs_of(model, **keys):
    return StudyInputs(parse_study({"name": "s", "model": str(model), "tasks": ["sst2"], **keys}, where="s"))


def test_without_the_key_the_documents_of_the_package_are_taken_and_false_means_none(tiny_bert):
    packaged = inputs_of(tiny_bert).general_text
    assert packaged is not None
    assert len(packaged) >= 10
    assert packaged.fingerprint == inputs_of(tiny_bert, general_text="packaged").general_text.fingerprint
    assert inputs_of(tiny_bert, general_text=False).general_text is None


def test_a_file_is_read_with_its_keys(tiny_bert, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("key,body\n" + "".join(f"k{i},{sentence(i, 20)}\n" for i in range(12)))
    found = inputs_of(
        tiny_bert,
        general_text={"source": str(path), "text_column": "body", "id_column": "key", "documents": 11, "max_length": 8},
    ).general_text
    assert len(found) == 11
    assert set(found.sample_ids) < {f"k{i}" for i in range(12)}
    assert max(found.lengths) == 8
    assert "11 documents of 11 cut at 8 tokens." in found.notes


def test_one_short_document_is_taken_and_said_to_say_little(tiny_bert, tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("the cat sat .\n")
    found = inputs_of(tiny_bert, general_text=str(path)).general_text
    assert len(found) == 1
    assert any("General text is one document, fewer than 10" in note for note in found.notes)


def test_faults_are_named(tiny_bert, tmp_path):
    with pytest.raises(DataError, match=r"general text 'none\.txt' does not exist"):
        _ = inputs_of(tiny_bert, general_text="none.txt").general_text
    with pytest.raises(ConfigError, match=r"general_text.*document: unknown key; did you mean 'documents'\?"):
        inputs_of(tiny_bert, general_text={"document": 3})
    with pytest.raises(ConfigError, match="it is empty"):
        inputs_of(tiny_bert, general_text=" ")
