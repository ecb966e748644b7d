import json
from dataclasses import replace

import pytest

from repdrift.cli.own_task import OwnTask, with_own_task
from repdrift.core.errors import ConfigError
from repdrift.study.config import parse_study
from repdrift.study.inputs import StudyInputs
from repdrift.tasks import FileFormat
from tests.tiny_models import sentence


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "x.csv"
    lines = [f"{sentence(i, 5) if i != 2 else ' '}~{'no' if i % 2 else 'sí'}" for i in range(8)]
    path.write_bytes("\n".join(lines).encode("cp1252"))
    return path


def _entry(data, **more):
    return {"name": "own", "validation": str(data), "train": str(data), "text_columns": ["column 1"], **more}


def test_own_task_is_read_as_the_study_says(data, tiny_bert, capsys):
    entry = _entry(data, label_column="column 2", separator="~", encoding="cp1252", header=False)
    study = parse_study({"name": "s", "model": str(tiny_bert), "tasks": [entry]}, where="here")
    inputs = StudyInputs(study)
    rows = inputs.rows("own", "validation")
    assert [row["column 2"] for row in rows.rows] == ["sí", "no", "no", "sí", "no", "sí", "no"]
    assert "1 row left out, since the text is missing or blank; the first is line 3." in rows.notes
    assert set(rows.notes) <= set(inputs.sample_set("own").notes)
    said = capsys.readouterr().err
    assert said.count("own, validation: The text is column 'column 1' of x.csv (separator: '~')") == 1


def test_own_task_is_read_as_the_options_say(data, tiny_bert):
    study = parse_study({"name": "s", "model": str(tiny_bert), "tasks": ["sst2"]}, where="here")
    given = OwnTask(text_column=["column 1"], separator="~", encoding="cp1252", header=False)
    found = with_own_task(study, ["own"], replace(given, data=data))
    assert found.spec("own").file_format == FileFormat("~", "cp1252", header=False)
    assert len(StudyInputs(found).rows("own", "validation").rows) == 7
    with pytest.raises(
        ConfigError, match="--text-column, --separator, --encoding and --header: for a task of your own only"
    ):
        with_own_task(study, None, given)


def test_prompts_and_chats_are_named_by_options_too(tmp_path, tiny_bert):
    study = parse_study({"name": "s", "model": str(tiny_bert), "tasks": ["sst2"]}, where="here")
    asked = OwnTask(data=tmp_path / "x.jsonl", prompt_column="ask", completion_column="reply")
    spec = with_own_task(study, ["own"], asked).spec("own")
    assert (spec.kind, spec.text_columns, spec.label_column) == ("causal_lm", ("ask",), "reply")
    chats = with_own_task(study, ["own"], OwnTask(data=tmp_path / "x.jsonl", messages_column="turns")).spec("own")
    assert (chats.kind, chats.text_columns) == ("causal_lm", ("turns",))
    with pytest.raises(ConfigError, match="kind causal_lm needs prompt_column"):
        with_own_task(study, ["own"], OwnTask(data=tmp_path / "x.jsonl", completion_column="reply"))
    with pytest.raises(ConfigError, match="prompt_column is for kind: causal_lm, and the kind is classification"):
        with_own_task(
            study, ["own"], replace(asked, kind="classification", text_column=["ask"], completion_column=None)
        )
    with pytest.raises(ConfigError, match="--prompt-column and --completion-column, or --messages-column"):
        with_own_task(study, ["own"], OwnTask(data=tmp_path / "x.jsonl"))
    with pytest.raises(ConfigError, match="--prompt-column: for a task of your own only"):
        with_own_task(study, ["own"], OwnTask(prompt_column="ask"))


def test_chats_are_read_in_a_study_too(tmp_path, tiny_bert):
    path = tmp_path / "x.jsonl"
    turns = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat"}]
    path.write_text((json.dumps({"messages": turns}) + "\n") * 4)
    entry = _entry(path, text_columns=["messages"])
    inputs = StudyInputs(parse_study({"name": "s", "model": str(tiny_bert), "tasks": [entry]}, where="here"))
    assert inputs.rows("own", "train").rows[0] == {"messages": "the cat\nsat"}
    assert any("without the model's chat template" in note for note in inputs.sample_set("own").notes)
