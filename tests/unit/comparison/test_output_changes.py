"""Outputs beside the drift: language models, classifiers, what does not apply, and the words for it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BertForSequenceClassification, LlamaModel

from repdrift.comparison import compare, comparing, output_changes
from repdrift.comparison.output_changes import OutputChanges, _mean
from repdrift.comparison.outputs_output import outputs_table
from repdrift.comparison.patching_output import patching_table
from repdrift.core.comparison_answers import answer_line
from repdrift.core.errors import ConfigError, DataError
from repdrift.core.output_words import outputs_answer, outputs_notes
from repdrift.models import load_tokenizer, resolve_model
from tests.command_line import run_here
from tests.tiny_models import save_adapter, save_tuned, sentence, write_sentences


def run(base, tuned, data, **options):
    return compare(str(base), [str(path) for path in tuned], data=str(data), controls=False, **options)


def changes(model, inputs="task"):
    return {change.outcome: change for change in model.outputs.changes if change.inputs == inputs}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_sentences(tmp_path_factory.mktemp("texts") / "texts.txt", 20)


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory, tiny_bert):
    """Two classifiers of the same classes on one backbone, and one of three classes."""
    folder = tmp_path_factory.mktemp("classifiers")
    for name, seed, labels in (
        ("base", 0, ["bad", "good"]),
        ("tuned", 1, ["bad", "good"]),
        ("three", 2, ["a", "b", "c"]),
    ):
        torch.manual_seed(seed)
        names = dict(enumerate(labels))
        model = BertForSequenceClassification.from_pretrained(
            tiny_bert, num_labels=len(labels), id2label=names, label2id={label: k for k, label in names.items()}
        )
        model.classifier.weight.data.normal_()
        model.save_pretrained(folder / name)
        load_tokenizer(resolve_model(str(tiny_bert))).save_pretrained(folder / name)
    return folder


def test_outputs_change_where_no_hidden_state_does(tiny_language_model, further_trained, texts):
    result = run(tiny_language_model, [further_trained, tiny_language_model], texts, general_text="packaged")
    moved, same = result.compared
    assert max(at.drift for at in moved.layers) < 1e-6
    found = changes(moved)
    assert set(found) == {"forgetting", "output_kl", "output_js", "top1_agreement"}
    kl = found["output_kl"]
    assert kl.low is not None
    assert kl.high is not None
    assert 0 < kl.low < kl.value < kl.high
    assert found["forgetting"].title == "Loss of the next token"
    assert found["forgetting"].difference == pytest.approx(found["forgetting"].value - found["forgetting"].base_value)
    general = changes(moved, "general_text")
    assert general["forgetting"].title == "Forgetting"
    assert (general["forgetting"].n, general["forgetting"].tokens) == (42, 42 * 63)
    assert all(
        change.value == (1 if change.outcome == "top1_agreement" else change.base_value or 0)
        for change in same.outputs.changes
    )
    assert answer_line(same).count("predicts exactly as the base model does") == 2
    assert "on these texts" in answer_line(moved)
    assert any("General text: 42 documents" in note for note in result.data_notes)


def test_outputs_stand_in_every_file_and_on_the_screen(tiny_language_model, further_trained, texts, tmp_path):
    done = run_here(
        f"python -m repdrift compare {tiny_language_model} {further_trained} --data {texts} --no-controls --output-dir {tmp_path}/out",
        tmp_path,
    )
    headline = " ".join(done.stdout.partition("\n\n")[0].split())
    assert "these texts" in headline
    assert "names another token first at" in headline
    assert "drift 0 in every layer" in headline, "and not where rounding moved two equal models most"
    assert "rise of the loss in nats a token: loss on these texts" in " ".join(done.stdout.split())
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    kl = next(c for c in record["models"][0]["outputs"]["changes"] if c["outcome"] == "output_kl")
    table = pd.read_csv(tmp_path / "out" / "outputs.csv")
    assert table.loc[table.outcome == "output_kl", "value"].item() == pytest.approx(kl["value"])
    assert "Its own language-modelling head is read." in table.note[0]
    summary = (tmp_path / "out" / "comparison.md").read_text()
    assert "KL (nats)" in summary
    assert "### Outputs" in summary
    assert "Its own language-modelling head is read" in summary
    assert "Texts whose predicted tokens changed most" in summary
    assert {"token_strips.png", "token_strips.pdf"} <= set(record["section_files"])
    assert (tmp_path / "out" / "token_strips.png").stat().st_size > 5000


def test_what_does_not_apply_is_left_out_with_its_reason(tiny_bert, tuned_bert, texts):
    (model,) = run(tiny_bert, [tuned_bert], texts).compared
    assert model.outputs.changes == []
    head, classes = model.outputs.left_out
    assert "no language-modelling head in its files" in head
    assert "the base model has no head for classes (saved as BertModel)" in classes
    assert "outputs were not compared" in answer_line(model)
    assert "no language-modelling head" in answer_line(model)
    (without,) = run(tiny_bert, [tuned_bert], texts, outputs=False).compared
    assert without.outputs is None
    assert "outputs" not in answer_line(without)


def test_classifiers_of_the_same_classes_have_disagreement_and_flips(classifiers, texts):
    result = run(classifiers / "base", [classifiers / "tuned", classifiers / "base", classifiers / "three"], texts)
    tuned, same, three = result.compared
    predicted = []
    for name in ("base", "tuned"):
        model = BertForSequenceClassification.from_pretrained(classifiers / name).eval()
        tokenizer = load_tokenizer(resolve_model(str(classifiers / name)))
        with torch.no_grad():
            predicted.append(
                [
                    model(**tokenizer(line, return_tensors="pt")).logits.argmax().item()
                    for line in texts.read_text().splitlines()
                ]
            )
    differ = sum(a != b for a, b in zip(*predicted, strict=True))
    assert 0 < differ < 20
    assert changes(tuned)["disagreement"].value == pytest.approx(differ / 20)
    assert sum(flip.texts for flip in tuned.outputs.flips) == differ
    assert {(flip.before, flip.after) for flip in tuned.outputs.flips} <= {("bad", "good"), ("good", "bad")}
    assert "names another class for" in outputs_answer(tuned.outputs)
    assert any("Classes that changed: " in note for note in outputs_notes(tuned.outputs))
    assert "the same class for all 20 texts" in outputs_answer(same.outputs)
    kept = changes(same)["disagreement"]
    assert (kept.value, kept.low) == (0.0, None)
    assert "none of 20 groups or items differs, and up to 14 % of others may" in kept.note
    assert any("its head has 3 classes, the other model's 2" in reason for reason in three.outputs.left_out)


def test_classes_of_other_names_are_refused(classifiers, tmp_path, texts):
    model = BertForSequenceClassification.from_pretrained(classifiers / "tuned")
    model.config.id2label = {0: "good", 1: "bad"}
    model.save_pretrained(tmp_path)
    (found,) = run(classifiers / "base", [tmp_path], texts).compared
    assert not any(change.outcome == "disagreement" for change in found.outputs.changes)
    assert any(
        "its classes are good and bad, the other model's bad and good" in reason for reason in found.outputs.left_out
    )


def test_one_short_document_of_general_text_has_values_without_interval(
    tiny_language_model, further_trained, texts, tmp_path
):
    (tmp_path / "one.txt").write_text(sentence(0, 6) + "\n", encoding="utf-8")
    (found,) = run(tiny_language_model, [further_trained], texts, general_text=str(tmp_path / "one.txt")).compared
    loss = changes(found, "general_text")["forgetting"]
    assert (loss.n, loss.low, loss.high) == (1, None, None)
    assert "no interval" in loss.note
    assert "without an interval" in outputs_answer(found.outputs)


def test_general_text_that_is_not_there_or_has_no_use_is_an_error_before_anything_runs(
    tiny_language_model, further_trained, texts, monkeypatch
):
    monkeypatch.setattr(comparing, "BaseModel", None)
    with pytest.raises(DataError, match="does not exist"):
        run(tiny_language_model, [further_trained], texts, general_text="./nowhere.txt")
    with pytest.raises(ConfigError, match="no effect without outputs"):
        run(tiny_language_model, [further_trained], texts, general_text="packaged", outputs=False)


def test_a_tuned_model_whose_weights_are_not_finite_keeps_the_others(
    tiny_language_model, further_trained, texts, tmp_path
):
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    model.lm_head.weight.data[5] = torch.nan
    model.save_pretrained(tmp_path)
    broken, fine = run(tiny_language_model, [tmp_path, further_trained], texts).compared
    assert any("not finite" in reason for reason in broken.outputs.left_out)
    assert "outputs were not compared" in answer_line(broken)
    assert changes(fine)["output_kl"].value > 0


def test_outputs_of_a_shared_pass_are_those_of_a_pass_of_their_own(
    tiny_language_model, further_trained, texts, tmp_path, monkeypatch
):
    tuned = [
        further_trained,
        save_tuned(tiny_language_model, tmp_path / "tuned"),
        save_adapter(tiny_language_model, tmp_path / "a"),
    ]
    runs = []
    body = LlamaModel.forward
    monkeypatch.setattr(
        LlamaModel, "forward", lambda self, **given: runs.append(given["input_ids"].shape[0]) or body(self, **given)
    )
    shared = run(tiny_language_model, tuned, texts)
    passes = runs.count(20)  # all texts fit into one batch
    assert passes == 4
    runs.clear()
    monkeypatch.setattr(OutputChanges, "_watchable", lambda *_: None)
    alone = run(tiny_language_model, tuned, texts)
    assert runs.count(20) == passes + 4
    for one, other in zip(shared.compared, alone.compared, strict=True):
        assert one.outputs.notes[:1] == other.outputs.notes[:1]
        for found, expected in zip(one.outputs.changes, other.outputs.changes, strict=True):
            assert found.value == pytest.approx(expected.value, rel=1e-5)
            assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-4)


def test_an_adapter_with_a_head_of_its_own_is_read_by_that(tiny_language_model, texts, tmp_path):
    torch.manual_seed(2)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_language_model),
        LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], modules_to_save=["lm_head"]),
    )
    for name, parameter in model.named_parameters():
        if "lm_head.modules_to_save" in name:
            parameter.data += 0.3 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path)
    (found,) = run(tiny_language_model, [tmp_path], texts).compared
    assert max(at.drift for at in found.layers) < 1e-6  # B is zero: the head alone was trained
    assert changes(found)["output_kl"].value > 0.01


def test_many_texts_are_drawn_for_outputs_if_their_states_do_not_fit(
    tiny_language_model, further_trained, texts, monkeypatch
):
    monkeypatch.setattr(output_changes, "_STATES_BYTES", 4 * 16 * 60)
    result = run(tiny_language_model, [further_trained], texts)
    assert changes(result.compared[0])["output_kl"].n < 20
    assert any("Outputs: on" in note and "of the 20 samples, drawn at random" in note for note in result.data_notes)


def test_streamed_sums_have_outputs_too(tiny_language_model, further_trained, texts):
    (rows,) = run(tiny_language_model, [further_trained], texts).compared
    (sums,) = run(tiny_language_model, [further_trained], texts, accumulate="moments").compared
    assert changes(sums)["output_kl"].value == pytest.approx(changes(rows)["output_kl"].value, rel=1e-5)


def test_a_tuned_classifier_is_read_by_the_base_models_head(tiny_language_model, texts, tmp_path):
    tuned = save_tuned(tiny_language_model, tmp_path / "tuned")
    (found,) = run(tiny_language_model, [tuned], texts).compared
    assert changes(found)["output_kl"].value > 0
    assert any("base model's language-modelling head reads" in note for note in outputs_notes(found.outputs))
    assert "on these texts, read by the base model's head, it" in answer_line(found)


def test_shares_have_intervals_of_shares_and_none_of_no_width():
    def ends(values, name="top1_agreement"):
        found, missing = _mean(np.array(values, dtype=float), None, np.ones(len(values)), name)
        assert (found.interval is None) == (found.freedom is None) == bool(missing)
        return found.interval, missing

    interval, _ = ends([0.0] * 8 + [1.0] * 92)
    assert interval.low < 0.92 < interval.high <= 1.0
    interval, _ = ends([1.0] * 6 + [0.0] * 34)
    assert interval.low >= 0.0
    assert ends([0.0] * 20) == (None, "no interval: all items have the same value")
    none = "no interval: none of 20 groups or items differs, and up to 14 % of others may (95 % limit)"
    assert ends([1.0] * 20) == (None, none)
    assert ends([0.4] * 20, "forgetting") == (None, "no interval: all items differ by the same")
    assert ends([0.0] * 20, "output_kl") == (None, none), "equal to the last bit here, which says little of other texts"


def test_what_changes_how_a_model_is_read_stands_beside_its_outputs_too(tiny_language_model, texts, tmp_path):
    rounded = shutil.copytree(tiny_language_model, tmp_path / "rounded")
    AutoModelForCausalLM.from_pretrained(tiny_language_model, dtype=torch.bfloat16).save_pretrained(rounded)
    result = run(tiny_language_model, [rounded], texts, patch=True)
    (said,) = result.compared[0].notes
    assert "rounded to bfloat16" in said
    for table in (outputs_table(result), patching_table(result)):
        assert all(said in note for note in table["note"])
