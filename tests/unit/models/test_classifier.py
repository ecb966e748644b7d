"""Classifiers read from files, and which classes can be set side by side."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification

from repdrift.core.errors import OutcomeNotApplicable
from repdrift.models import headless, resolve_model
from repdrift.models.classifier import Classes, Classifier, is_classifier, load_classifier, unlike_classes
from tests.oracles.architectures import ARCHITECTURES, config_of


def classes(labels, *, count=2, is_adapter=False):
    return Classes(count, labels, is_adapter)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (classes(("a", "b")), classes(("a", "b")), None),
        (classes(None), classes(None), None),
        (classes(("a", "b")), classes(None, is_adapter=True), None),
        (classes(("a", "b")), classes(None), "only one of the two models names its classes (a and b)"),
        (classes(("a", "b")), classes(("b", "a"), is_adapter=True), "not the same in another order"),
        (classes(("a", "b")), classes(("a", "c")), "its classes are a and c"),
        (classes(("a", "b")), classes(None, count=3), "has 3 classes"),
    ],
)
def test_classes_are_compared_by_number_and_name(first, second, said):
    found = unlike_classes(first, second)
    assert found is None if said is None else said in str(found)


def test_labels_are_the_configurations_else_the_runs(tuned_bert, tmp_path):
    folder = tmp_path / "run" / "final_model"
    model = AutoModelForSequenceClassification.from_pretrained(tuned_bert)
    model.save_pretrained(folder)
    source = resolve_model(str(folder))
    assert load_classifier(source, source).classes.labels is None
    (folder.parent / "run.json").write_text(json.dumps({"class_labels": ["no", "yes"]}))
    assert load_classifier(source, source).classes.labels == ("no", "yes")
    model.config.id2label = {0: "bad", 1: "good"}
    model.save_pretrained(folder)
    assert load_classifier(source, source).classes.labels == ("bad", "good")


def test_adapter_brings_its_own_head(tiny_bert, bert_adapter):
    base, adapter = resolve_model(str(tiny_bert)), resolve_model(str(bert_adapter))
    assert is_classifier(adapter)
    found = load_classifier(base, adapter)
    assert found.classes == Classes(2, None, is_adapter=True)


def test_no_head_is_drawn_at_random(tiny_bert, tuned_bert, tmp_path):
    base = resolve_model(str(tiny_bert))
    with pytest.raises(OutcomeNotApplicable, match="was not saved as a classifier"):
        load_classifier(base, base)
    config = json.loads((tiny_bert / "config.json").read_text())
    for file in tiny_bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["BertForSequenceClassification"]}))
    headless = resolve_model(str(tmp_path))
    with pytest.raises(OutcomeNotApplicable, match="no complete head in its files"):
        load_classifier(headless, headless)


@pytest.mark.parametrize("changes", [{"num_labels": 1}, {"problem_type": "multi_label_classification"}])
def test_numbers_and_several_classes_are_no_distribution(tuned_bert, tmp_path, changes):
    model = AutoModelForSequenceClassification.from_pretrained(tuned_bert, ignore_mismatched_sizes=True, **changes)
    model.save_pretrained(tmp_path)
    source = resolve_model(str(tmp_path))
    with pytest.raises(OutcomeNotApplicable, match="no distribution over classes"):
        load_classifier(source, source)


def test_adapter_without_a_head_is_read_by_its_base(tiny_bert, tuned_bert, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(tuned_bert)
    get_peft_model(model, LoraConfig(r=2, target_modules=["query"])).save_pretrained(tmp_path)
    base, adapter = resolve_model(str(tuned_bert)), resolve_model(str(tmp_path))
    assert not is_classifier(adapter)
    inputs = {"input_ids": torch.tensor([[2, 7, 9, 3]]), "attention_mask": torch.ones((1, 4), dtype=torch.long)}
    with torch.inference_mode():
        assert torch.equal(load_classifier(base, adapter).logits(inputs), load_classifier(base, base).logits(inputs))
    with pytest.raises(OutcomeNotApplicable, match="was not saved as a classifier"):
        load_classifier(resolve_model(str(tiny_bert)), adapter)


@pytest.mark.parametrize(("family", "reads"), [("xlnet", True), ("bert", False), ("llama", False)])
def test_heads_that_read_padding_are_found(family, reads):
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config_of(ARCHITECTURES[family], num_labels=3)).eval()
    found = Classifier(model, headless(model), Classes(3, None))
    rows = [[5, 9, 7, 11, 13, 6], [8, 6, 12], [7, 5, 9, 10]]
    mask = torch.tensor([[1] * len(row) + [0] * (6 - len(row)) for row in rows])
    ids = torch.tensor([row + [0] * (6 - len(row)) for row in rows])
    assert found.reads_padding({"input_ids": ids, "attention_mask": mask}) is reads
