"""Tasks of lm-evaluation-harness on tiny models and local data. Skipped where the package is not installed (pip install 'repdrift[lm-eval]')."""

import json
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from repdrift.core.errors import ConfigError, DataError, MissingDependencyError
from repdrift.core.records.outcomes import ON_BENCHMARK
from repdrift.models import load_tokenizer, resolve_model
from repdrift.outcomes.harness_run import load_tasks
from repdrift.outcomes.harness_tasks import HarnessOptions, read_task_file, unknown_task
from repdrift.outcomes.outcome import ScoredRows, Subject, outcomes
from repdrift.study.chosen_outcomes import chosen_outcomes
from repdrift.tasks import build_sample_set, load_rows, spec_of_file
from tests.tiny_models import WORDS, save_tuned, write_sentences

TASK = """
task: tiny_choice
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - metric: acc
  - metric: acc_norm
"""
ROWS = [
    {
        "question": f"the {WORDS[3 + number]} {WORDS[10 + number % 4]}",
        "choices": [WORDS[10 + number % 3], f"{WORDS[20 + number]} by", "of"],
        "answer": number % 3,
        "page": f"page {number // 2}",
    }
    for number in range(24)
]
KIND = outcomes.get("lm_eval")


def write_task(folder, text=TASK):
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def harness(monkeypatch, tmp_path):
    """The package, with its data kept in a folder of the test."""
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed: pip install 'repdrift[lm-eval]'")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def samples(tiny_language_model, tmp_path_factory):
    texts = write_sentences(tmp_path_factory.mktemp("texts") / "lines.txt", 12)
    spec = spec_of_file(texts)
    rows = load_rows(spec, "validation", labelled=False)
    return build_sample_set(spec, rows.rows, load_tokenizer(resolve_model(str(tiny_language_model))), max_length=64)


def subject_of(base, tuned, samples, *, task_kind="causal_lm"):
    return Subject(
        task="t", method="lora", seed=1, step=0, task_kind=task_kind, num_labels=None, base=resolve_model(str(base)),
        tuned=resolve_model(str(tuned)), samples=samples, score_rows=lambda: ScoredRows([], None, [], ""), rows_fingerprint="",
    )  # fmt: skip


def moved(base, folder):
    model = AutoModelForCausalLM.from_pretrained(base)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def scores_by_hand(folder, normed):
    """Whether the most likely choice of each row is the right one, in float64; normed: by the letters of a choice."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).double(), AutoTokenizer.from_pretrained(folder)
    found = []
    for row in ROWS:
        sums = []
        for choice in row["choices"]:
            asked = tokenizer(row["question"], add_special_tokens=False)["input_ids"]
            whole = tokenizer(f"{row['question']} {choice}", add_special_tokens=False)["input_ids"]
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([whole])).logits[0].log_softmax(1)
            total = sum(float(logits[place - 1, whole[place]]) for place in range(len(asked), len(whole)))
            sums.append(total / len(choice) if normed else total)
        found.append(float(int(np.argmax(sums)) == row["answer"]))
    return found


def test_items_are_those_of_a_float64_program_and_paired(harness, tiny_language_model, samples, tmp_path):
    tuned = moved(tiny_language_model, tmp_path / "tuned")
    options = KIND.options({"tasks": [str(write_task(tmp_path))], "group_field": "page"})
    subject = subject_of(tiny_language_model, tuned, samples)
    assert KIND.applies(subject, options) is None
    measured = KIND.measure(subject, options)
    assert [items.info.name for items in measured.items] == ["tiny_choice acc", "tiny_choice acc_norm"]
    for items in measured.items:
        normed = "norm" in items.info.name
        assert list(items.values) == scores_by_hand(tuned, normed)
        assert items.base_values is not None
        assert list(items.base_values) == scores_by_hand(tiny_language_model, normed)
        assert items.groups == tuple(row["page"] for row in ROWS)
        assert (items.inputs, items.info.higher_is_better) == (ON_BENCHMARK, True)
    assert any((items.values != items.base_values).any() for items in measured.items)


def test_a_model_that_is_its_base_has_equal_items(harness, tiny_language_model, samples, tmp_path):
    options = KIND.options([str(write_task(tmp_path))])
    measured = KIND.measure(subject_of(tiny_language_model, tiny_language_model, samples), options)
    assert all((items.values == items.base_values).all() for items in measured.items)
    assert measured.items[0].groups is None


def test_a_classifier_is_read_by_the_base_models_head(harness, tiny_language_model, samples, tmp_path):
    tuned = save_tuned(tiny_language_model, tmp_path / "tuned", noise=0.3)
    options = KIND.options({"tasks": [str(write_task(tmp_path))], "limit": 6})
    measured = KIND.measure(subject_of(tiny_language_model, tuned, samples, task_kind="classification"), options)
    assert "base model's language-modelling head" in measured.notes[0]
    assert any("first 6 items" in note for note in measured.notes)
    assert {len(items.ids) for items in measured.items} == {6}


def test_what_has_no_number_for_each_item_is_left_out_with_the_reason(harness, tiny_language_model, samples, tmp_path):
    text = TASK.replace("multiple_choice", "loglikelihood_rolling").replace('"{{question}}"', '""')
    text = text.replace('doc_to_choice: "{{choices}}"\n', "").replace(
        "doc_to_target: answer", 'doc_to_target: "{{question}}"'
    )
    text = text.replace("- metric: acc\n", "- metric: word_perplexity\n").replace("  - metric: acc_norm\n", "")
    options = KIND.options([str(write_task(tmp_path, text))])
    measured = KIND.measure(subject_of(tiny_language_model, tiny_language_model, samples), options)
    assert not measured.items
    assert "no number for each item" in measured.left_out[0][2]


def test_data_that_needs_a_network_is_an_error_with_the_next_step(harness, tiny_language_model, samples, tmp_path):
    text = TASK.replace("dataset_path: json", "dataset_path: nobody/nothing").replace(
        "dataset_kwargs: {data_files: {test: rows.jsonl}}\n", ""
    )
    options = KIND.options([str(write_task(tmp_path, text))])
    with pytest.raises(DataError, match="run once with a network"):
        KIND.measure(subject_of(tiny_language_model, tiny_language_model, samples), options)


def test_key_holds_the_task_and_its_data(harness, tiny_language_model, samples, tmp_path):
    path = write_task(tmp_path)
    subject, options = subject_of(tiny_language_model, tiny_language_model, samples), KIND.options([str(path)])
    first = KIND.for_key(subject, options)
    assert KIND.for_key(subject, options) == first
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[1:]))
    assert KIND.for_key(subject, options) != first


def test_masked_and_headless_models_do_not_apply(tiny_bert, samples):
    assert "predicts masked tokens" in str(KIND.applies(subject_of(tiny_bert, tiny_bert, samples), {"tasks": []}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (True, "name the tasks behind it"),
        ([], "at least 1"),
        ({"tasks": ["a"], "shots": 2}, "shots: unknown key"),
    ],
)
def test_wrong_options_are_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        KIND.options(given)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("doc_to_target: answer", "doc_to_target: !function utils.answer"), "has `!function`"),
        (("task: tiny_choice", "task: tiny_choice\ninclude: other.yaml"), "has `include`"),
        (("- metric: acc\n", "- metric: acc\n    hf_evaluate: true\n"), "has `hf_evaluate`"),
        (("{{question}}", "{{ ''.__class__ }}"), "holds '__'"),
        (("task: tiny_choice", "name: tiny_choice"), "should hold one task"),
        (("task: tiny_choice", "task: [unclosed"), "is no YAML file"),
        (("task: tiny_choice", "task: tiny_choice\na: &a [1]\nb: [*a, *a]"), "has an alias"),
        (("task: tiny_choice", "task: tiny_choice\na: " + "[" * 5000), "is no YAML file"),
        (("task: tiny_choice", "task: tiny_choice\na: " + "x" * (1 << 20)), "at most"),
    ],
)
def test_task_files_bring_no_code(tmp_path, change, said):
    with pytest.raises(ConfigError) as caught:
        read_task_file(write_task(tmp_path, TASK.replace(*change)))
    assert said in str(caught.value)


def test_absent_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="there is no task file"):
        read_task_file(tmp_path / "none.yaml")


def test_unknown_task_is_named_with_the_nearest():
    assert "Did you mean hellaswag?" in str(unknown_task("helaswag", ["hellaswag", "arc_easy"]))


def test_missing_package_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'repdrift\[lm-eval\]'"):
        load_tasks(HarnessOptions.model_validate(KIND.options(["hellaswag"])))
    assert chosen_outcomes({"lm_eval": ["hellaswag"]})["lm_eval"]["tasks"] == [
        "hellaswag"
    ]  # status and analyze read a study without it
