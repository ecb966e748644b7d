"""Patching of models of other kinds: classifiers, masked language models, adapters; and of those that are refused."""

import json
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    T5ForConditionalGeneration,
)

from repdrift.comparison.comparing import compare
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.patching import patch_models
from repdrift.comparison.tuned_model import TunedModel
from repdrift.models import resolve_model
from repdrift.models.classifier import load_classifier
from tests.oracles.architectures import ARCHITECTURES, ENCODER_DECODERS, config_of
from tests.tiny_models import save_tuned, sentence, write_sentences
from tests.unit.comparison.tiny_comparisons import samples_of


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_sentences(tmp_path_factory.mktemp("texts") / "lines.txt", 12)


def patched(base, tuned, texts, **options):
    fixed = {"layers": (0,), "controls": False, "patch": True}
    given = [str(path) for path in tuned]
    return compare(str(base), given, data=str(texts), **{**fixed, **options}).patching


def moved(model, matches, seed=4, noise=0.3):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if matches(name):
            parameter.data += noise * torch.randn(parameter.shape, generator=generator)
    return model


def saved(model, base, folder):
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def classifiers(tuned_bert, tmp_path_factory):
    """A classifier, and one whose block 1 differs."""
    model = AutoModelForSequenceClassification.from_pretrained(tuned_bert)
    folder = tmp_path_factory.mktemp("classifiers")
    other = saved(moved(model, lambda name: "layer.1." in name, noise=0.5), tuned_bert, folder / "other")
    return tuned_bert, other


def test_classifier_against_a_classifier(classifiers, texts):
    found = patched(classifiers[0], [classifiers[1]], texts)[0]
    assert (found.outputs, found.unit, found.reference) == ("classes", "nats per sample", "base")
    assert [(at.undone.share, at.brought.share) for at in found.layers] == [(0, 0), (1, 1), (1, 1)]


def test_classifiers_among_each_other_where_the_base_has_no_head(tiny_bert, classifiers, texts):
    first, second = patched(tiny_bert, classifiers, texts)
    assert first.status == "not patched"
    assert "what the other classifiers are patched against" in str(first.reason)
    assert second.reference == first.model
    assert [at.undone.share for at in second.layers] == [0, 1, 1]


def test_classifiers_in_half_precision_are_held_to_the_first_ones_rounding(tiny_bert, classifiers, texts):
    found = patched(tiny_bert, classifiers, texts, compute_dtype="bfloat16")[1]
    assert (found.noise or 0) > 0
    assert [at.undone.share for at in found.layers] == [0, 1, 1]


def test_one_classifier_on_a_base_without_a_head_has_nothing_to_stand_beside(tiny_bert, classifiers, texts):
    found = patched(tiny_bert, classifiers[:1], texts)[0]
    assert "no language-modelling head in its files" in str(found.reason)
    assert "Two tuned classifiers or more" in str(found.reason)


def test_head_of_another_shape_or_other_classes_is_refused(classifiers, texts, tmp_path):
    first, _ = classifiers
    model = AutoModelForSequenceClassification.from_pretrained(first, num_labels=3, ignore_mismatched_sizes=True)
    three = saved(model, first, tmp_path / "three")
    for name, labels in (("named", ["bad", "good"]), ("swapped", ["good", "bad"])):
        folder = saved(AutoModelForSequenceClassification.from_pretrained(first), first, tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        config["id2label"] = dict(enumerate(labels))
        config["label2id"] = {label: number for number, label in enumerate(labels)}
        (folder / "config.json").write_text(json.dumps(config))
    assert "has 3 classes, the other model's 2" in str(patched(first, [three], texts)[0].reason)
    found = patched(tmp_path / "named", [tmp_path / "swapped", first], texts)
    assert "not the same in another order" in str(found[0].reason)
    assert "only one of the two models names its classes" in str(found[1].reason)


def test_class_logits_do_not_depend_on_padding(tiny_llama, tmp_path):
    folder = save_tuned(tiny_llama, tmp_path / "tuned")
    source = resolve_model(str(folder))
    classifier = load_classifier(source, source)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [tokenizer(sentence(number, length))["input_ids"] for number, length in ((1, 3), (2, 9), (3, 6))]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [7] * (longest - len(row)) for row in rows])  # padded with an ordinary token
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.inference_mode():
        together = classifier.logits({"input_ids": ids, "attention_mask": mask})
        for number, row in enumerate(rows):
            alone = classifier.model(input_ids=torch.tensor([row])).logits[0]
            torch.testing.assert_close(together[number], alone, atol=1e-5, rtol=1e-4)


def test_class_that_is_read_off_the_padding_is_read_text_by_text(tiny_bert, tmp_path):
    torch.manual_seed(0)
    base = saved(
        AutoModelForSequenceClassification.from_config(config_of(ARCHITECTURES["xlnet"], num_labels=3)),
        tiny_bert,
        tmp_path / "base",
    )
    model = moved(AutoModelForSequenceClassification.from_pretrained(base), lambda name: "layer.1." in name)
    tuned = saved(model, tiny_bert, tmp_path / "tuned")
    data = tmp_path / "lines.txt"  # batches of equal lengths hide it
    data.write_text("".join(sentence(number, 6 if number < 20 else 3) + "\n" for number in range(24)))
    found = patched(base, [tuned], data)[0]
    assert found.noise == 0
    assert [at.undone.share for at in found.layers] == [0, 1, 1]


def test_masked_language_model(tiny_bert, texts, tmp_path):
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_pretrained(tiny_bert)
    base = saved(model, tiny_bert, tmp_path / "base")
    tuned = saved(moved(model, lambda name: "layer.2." in name), tiny_bert, tmp_path / "tuned")
    found = patched(base, [tuned], texts)[0]
    assert "names no mask token" in str(found.reason)
    for folder in (base, tuned):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.mask_token = "[UNK]"  # noqa: S105  no password
        tokenizer.save_pretrained(folder)
    found = patched(base, [tuned], texts)[0]
    assert found.outputs == "masked tokens"
    assert [at.undone.share for at in found.layers] == [0, 0, 1]


@pytest.fixture(scope="module")
def adapter(tiny_language_model, tmp_path_factory):
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "v_proj"], layers_to_transform=[1])
    adapted = get_peft_model(model, config)
    return saved(
        moved(adapted, lambda name: "lora_B" in name, noise=1.0),
        tiny_language_model,
        tmp_path_factory.mktemp("a") / "lora",
    )


def test_adapter_of_one_layer(tiny_language_model, adapter, texts):
    found = patched(tiny_language_model, [adapter], texts)[0]
    assert [(at.undone.share, at.brought.share) for at in found.layers] == [(0, 0), (1, 1), (1, 1)]


def test_half_precision_is_run_and_said_where_it_is_noise(tiny_language_model, adapter, texts):
    found = patched(tiny_language_model, [adapter], texts, compute_dtype="bfloat16")[0]
    assert found.status == "patched"
    assert [at.undone.share for at in found.layers] == [0, 1, 1]
    assert 1e-7 < float(found.noise or 0) < float(found.change or 0) / 400


def test_change_at_the_level_of_noise_has_no_share(tiny_language_model, texts, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    tuned = saved(moved(model, lambda name: "layers" in name, noise=5e-3), tiny_language_model, tmp_path / "tuned")
    found = patched(tiny_language_model, [tuned], texts, compute_dtype="bfloat16")[0]
    assert found.layers == []
    assert "at least 400 times the noise" in str(found.reason)
    assert patched(tiny_language_model, [tuned], texts)[0].status == "patched"


def test_other_vocabulary_is_compared_on_common_tokens_only_if_asked(tiny_language_model, texts, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    model.resize_token_embeddings(model.config.vocab_size + 6)
    tuned = saved(moved(model, lambda name: "layers.1." in name), tiny_language_model, tmp_path / "tuned")
    refused = patched(tiny_language_model, [tuned], texts)[0]
    assert "vocabularies differ" in str(refused.reason)
    found = patched(tiny_language_model, [tuned], texts, common_tokens=True)[0]
    assert [at.undone.share for at in found.layers] == [0, 1, 1]
    assert "common tokens" in found.notes[0]


def test_texts_without_a_token_to_predict_have_no_part(tiny_language_model, adapter, tmp_path):
    data = tmp_path / "lines.txt"
    data.write_text("".join(sentence(number, 4) + "\n" for number in range(9)) + "cat\n" * 8)
    found = patched(tiny_language_model, [adapter], data)[0]
    assert found.samples == 9
    assert "8 texts have no token that could be predicted" in found.notes[0]
    assert found.layers[0].undone.low is None  # 17 samples, of which 9 say anything


def test_outputs_that_are_not_finite_are_named(tiny_language_model, texts, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    model.lm_head.weight.data[3] = 3e38
    found = patched(tiny_language_model, [saved(model, tiny_language_model, tmp_path / "broken")], texts)[0]
    assert found.layers == []
    assert "not finite for sample" in str(found.reason)


def test_encoder_decoder_is_refused(tiny_bert, texts, tmp_path):
    torch.manual_seed(0)
    base = saved(T5ForConditionalGeneration(config_of(ENCODER_DECODERS["t5"])), tiny_bert, tmp_path / "t5")
    found = patched(base, [base], texts)[0]
    assert "encoder-decoder" in str(found.reason)


def test_learned_prompt_is_refused(tiny_language_model, texts, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    prompt = get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    found = patched(tiny_language_model, [saved(prompt, tiny_language_model, tmp_path / "prompt")], texts)[0]
    assert found.status == "not patched"
    assert "virtual tokens stand before the text" in str(found.reason)


def test_classifier_on_a_language_model_is_read_by_its_head(tiny_language_model, texts, tmp_path):
    tuned = save_tuned(tiny_language_model, tmp_path / "tuned", noise=0.3)
    found = patched(tiny_language_model, [tuned], texts)[0]
    assert found.layers[-1].undone.share == 1  # head and final norm are the base model's
    assert any("base model's language-modelling head" in note for note in found.notes)


def test_state_that_passes_beside_is_named(texts, tiny_bert, tmp_path):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_of(ARCHITECTURES["zamba2"]))
    base = saved(model, tiny_bert, tmp_path / "base")
    tuned = saved(moved(model, lambda name: "mamba" in name), tiny_bert, tmp_path / "tuned")
    found = patched(base, [tuned], texts)[0]
    assert "after block 0 of" in str(found.reason)
    assert "read what is below it past that state" in str(found.reason)


def test_groups_are_left_out_whole(tiny_language_model, adapter, texts):
    base = resolve_model(str(tiny_language_model))
    tuned = TunedModel("adapter", resolve_model(str(adapter)))
    samples = samples_of(tiny_language_model, write_sentences(texts.with_name("more.txt"), 24))
    options = ComparisonOptions(patch=True, patch_layers=(0,))
    pairs = tuple(f"page {number // 2}" for number in range(24))
    few = tuple(f"page {number // 3}" for number in range(24))
    found = [
        patch_models(base, [tuned], replace(samples, groups=groups, group_unit="page"), options)[0]
        for groups in (None, pairs, few)
    ]
    assert [each.groups for each in found] == [None, 12, 8]
    assert len({each.layers[0].undone.share for each in found}) == 1
    assert found[1].layers[0].undone.low is not None
    assert found[2].layers[0].undone.low is None
    assert any("come from 8 pages" in note for note in found[2].notes)
