import json
from pathlib import Path

import pytest

from repdrift.core.errors import ConfigError, DataError, ModelError, RepdriftError
from repdrift.study import training_stage
from repdrift.study.config import parse_study
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import planned_runs
from repdrift.study.training_stage import train_runs
from tests.tiny_models import sentence

PROMPTS = {"prompt_column": "q", "completion_column": "a"}
CHATS = {"messages_column": "messages"}


def study_of(model="packaged:minilm", **entry):
    task = {"name": "own", "kind": "causal_lm", "validation": "v.jsonl", **entry}
    return {"name": "s", "model": str(model), "tasks": [task], "methods": ["full_finetune", "lora"], "seeds": [1]}


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({}, "needs prompt_column .or a template. and completion_column; or messages_column"),
        ({"prompt_column": "q"}, "needs prompt_column"),
        ({**PROMPTS, **CHATS}, "messages_column holds whole chats"),
        ({**PROMPTS, "text_columns": ["q"]}, "in place of text_columns, label_column and label_names"),
        ({**PROMPTS, "completion_column": "q"}, "is the prompt and the completion"),
        ({**PROMPTS, "group_column": "a"}, "is what a model should tell and the group"),
        ({**PROMPTS, "template": "{x} {a}"}, "does not name the prompt_column 'q'; it names x"),
        ({**PROMPTS, "template": "{a} {q}"}, "should stand once, at the very end"),
        ({**PROMPTS, "scorer": "regex"}, "scorer: regex needs a pattern"),
        (
            {**PROMPTS, "scorer": "numeric", "pattern": "x"},
            "scorer: regex needs a pattern, and no other scorer takes one",
        ),
        ({**PROMPTS, "scorer": "regex", "pattern": "("}, "is no pattern"),
        ({**PROMPTS, "scorer": "bleu"}, "exact_match"),
        ({**PROMPTS, "max_new_tokens": 5}, "name a scorer, or leave it out"),
        ({**PROMPTS, "loss_on": "last_turn"}, "is for chats"),
        ({**CHATS, "template": "plain"}, "is no chat template"),
        ({"kind": "classification", "text_columns": ["t"], "template": "{t}"}, "template is for kind: causal_lm"),
        ({"kind": "classification"}, "needs text_columns"),
    ],
)
def test_entry_that_makes_no_task_is_refused(entry, fault):
    with pytest.raises(ConfigError, match=fault):
        parse_study(study_of(**entry), where="s")


def test_entry_becomes_a_task():
    config = parse_study(
        study_of(completion_column="a", template="{q} {x}: {a}", scorer="contains", loss_on="all"), where="s"
    )
    spec = config.spec("own")
    assert (spec.text_columns, spec.label_column, spec.is_chat) == (("q", "x"), "a", False)
    assert spec.columns == ("q", "x", "a")
    assert config.hyperparameters("own", "lora")["causal_lm"] == {"template": "{q} {x}: {a}", "loss_on": "all"}
    assert parse_study(study_of(**CHATS), where="s").spec("own").is_chat


@pytest.fixture
def content(tmp_path, tiny_language_model, monkeypatch):
    """A study of prompts that could be trained; nothing is trained by a test that lets it."""
    monkeypatch.setattr(training_stage, "train_unless_claimed", lambda *_a, **_k: pytest.fail("a run was trained"))
    for split, count in (("train", 12), ("validation", 8)):
        rows = [{"q": sentence(i, 5), "a": sentence(i, 3)} for i in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "validation")}
    made = study_of(tiny_language_model, **PROMPTS, **files)
    made |= {"results_dir": str(tmp_path / "out/results"), "base_dir": str(tmp_path / "out/base")}
    return made | {"training": {"all": {"epochs": 1, "batch_size": 4, "max_length": 16}}}


def refused(content):
    with pytest.raises(RepdriftError) as caught:
        config = parse_study(content, where="s")
        train_runs(StudyInputs(config), planned_runs(config))
    assert not Path(content["base_dir"]).parent.exists()
    return caught.value


def test_study_that_can_be_trained_is(content):
    with pytest.raises(pytest.fail.Exception, match="a run was trained"):
        train_runs(StudyInputs(config := parse_study(content, where="s")), planned_runs(config))


def test_completions_cut_away_everywhere_are_said_before_training(content):
    rows = [{"q": sentence(i, 20), "a": "cat"} for i in range(12)]
    Path(content["tasks"][0]["train"]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    fault = refused(content)
    assert isinstance(fault, DataError)
    assert "task 'own': all 12 training rows" in str(fault)
    assert "have a prompt of which the limit of 16 tokens leaves no room for the completion" in str(fault)


def test_answers_that_a_scorer_cannot_find_are_said_before_training(content):
    content["tasks"][0]["scorer"] = "numeric"
    assert "holds no number" in str(refused(content))


def test_model_that_cannot_continue_texts_is_said_before_training(content, tiny_bert):
    content["model"] = str(tiny_bert)
    assert "cannot be trained for causal_lm" in str(refused(content))


def test_model_without_the_head_is_said(content, tiny_llama, monkeypatch):
    """Whether the files hold the head is known at loading; nothing of the run is kept."""
    monkeypatch.undo()
    content["model"] = str(tiny_llama)
    with pytest.raises(ModelError, match=r"lm_head.weight.*give the folder that was saved with it"):
        train_runs(StudyInputs(config := parse_study(content, where="s")), planned_runs(config))
    assert not list(Path(content["results_dir"]).glob("*/run.json"))


def test_part_that_a_task_lacks_is_said_before_training(content, tmp_path):
    rows = tmp_path / "texts.jsonl"
    rows.write_text("".join(json.dumps({"t": sentence(i, 5), "y": i % 2}) + "\n" for i in range(12)))
    content["tasks"] = [
        {"name": "own", "text_columns": ["t"], "label_column": "y", "train": str(rows), "validation": str(rows)}
    ]
    content["extraction"] = {"pool_over": "completion"}
    assert "task 'own' has no completions, so its samples cannot be pooled over the completion alone" in str(
        refused(content)
    )
