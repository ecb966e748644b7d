"""Scores of saved learned prompts are those of training."""

import json

import numpy as np
import pytest

from repdrift.study.evaluation_stage import evaluate_runs
from repdrift.study.runs import planned_runs
from repdrift.study.training_stage import find_run, train_runs
from tests.tiny_models import WORDS, sentence
from tests.unit.study.test_evaluation_stage import items_of, study

PROMPTS = ["prompt_tuning", "prefix_tuning", "p_tuning"]


def require_scores_of_training(inputs):
    runs = planned_runs(inputs.config)
    train_runs(inputs, runs)
    for done in evaluate_runs(inputs, runs):
        found = {
            name: np.average(rows["value"], weights=rows["weight"])
            for name, rows in items_of(done, "task_scores").groupby("outcome")
        }
        metrics = find_run(inputs, done.run).record.metrics
        assert found == pytest.approx({name: metrics[name] for name in found}), done.run
        assert done.records["task_scores"].notes == []


def test_learned_prompts_answer_questions_as_in_training(tmp_path, tiny_bert, tiny_data):
    # peft's own forward gives the head virtual positions too, so that answers would be counted from the wrong one
    options = {"epochs": 2, "batch_size": 8, "max_length": 32, "doc_stride": 8, "learning_rate": 0.05}
    require_scores_of_training(
        study(
            tmp_path, tiny_bert, tiny_data, tasks=["squad_v2"], methods=PROMPTS, reference=PROMPTS[0], training={"all": options}, outcomes=["task_scores"]
        )
    )  # fmt: skip


def test_learned_prompts_write_continuations_as_in_training_without_a_warning(tmp_path, tiny_language_model):
    rows = [{"p": sentence(i, 3 + i % 4) + " ", "c": WORDS[i % 3]} for i in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "name": "cont", "kind": "causal_lm", "train": str(tmp_path / "rows.jsonl"), "validation": str(tmp_path / "rows.jsonl"), "prompt_column": "p",
        "completion_column": "c", "scorer": "exact_match", "max_new_tokens": 2,
    }  # fmt: skip
    options = {"epochs": 2, "batch_size": 8, "max_length": 32, "learning_rate": 0.05}
    require_scores_of_training(
        study(
            tmp_path, tiny_language_model, tmp_path, tasks=[task], methods=PROMPTS, reference=PROMPTS[0], training={"all": options}, outcomes=["task_scores"]
        )
    )  # fmt: skip
