"""Outputs of two models: against whole float64 forward passes, at equality, and for models that have none to compare."""

import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, rel_entr
from transformers import (
    AutoModelForCausalLM,
    BertForMaskedLM,
    BertModel,
    LlamaConfig,
    LlamaForSequenceClassification,
    LlamaModel,
    T5Config,
    T5ForConditionalGeneration,
)

from repdrift.core.errors import DataError, NonFiniteError, OutcomeNotApplicable
from repdrift.models import load_tokenizer, resolve_model
from repdrift.models.output_head import OutputHead
from repdrift.outcomes.base_outputs import run_base
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.output_pass import read_outputs
from repdrift.tasks import SampleSet, token_ids
from tests.tiny_models import save_adapter, save_bert, save_language_model, save_tuned, sentence

LENGTHS = (3, 12, 5, 9, 2, 7, 20, 4)


def samples_for(model, lengths=LENGTHS):
    tokenizer = load_tokenizer(resolve_model(str(model)))
    encoded = [tokenizer(sentence(i, length)) for i, length in enumerate(lengths)]
    types = tuple(token_ids(e["token_type_ids"]) for e in encoded) if "token_type_ids" in encoded[0] else None
    ids = tuple(token_ids(e["input_ids"]) for e in encoded)
    names = tuple(f"d{i}" for i in range(len(ids)))
    return SampleSet("texts", names, ids, types, 0, "sentences", tokenizer=tokenizer)


def outputs(base, tuned, samples, **more):
    return read_outputs(resolve_model(str(base)), resolve_model(str(tuned)), samples, **more)


@pytest.fixture(scope="module")
def other_language_model(tmp_path_factory):
    """The tiny language model with another head and other weights."""
    return save_language_model(tmp_path_factory.mktemp("models") / "other", seed=5)


@pytest.fixture(scope="module")
def masked_bert(tmp_path_factory):
    """A tiny BERT with a head for masked tokens."""
    folder = save_bert(tmp_path_factory.mktemp("models") / "masked")
    torch.manual_seed(3)
    config = BertForMaskedLM.config_class.from_pretrained(folder)
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer = load_tokenizer(resolve_model(str(folder)))
    tokenizer.mask_token = "?"  # noqa: S105 (a token of a text)
    tokenizer.save_pretrained(folder)
    return folder


def float64_reference(base, tuned, samples):
    """Loss of both models, KL and JS by document: whole models in float64, a text at a time, the textbook formulas."""
    models = [AutoModelForCausalLM.from_pretrained(path, dtype=torch.float64).eval() for path in (base, tuned)]
    found = {"base": [], "tuned": [], "kl": [], "js": []}
    for ids in samples.input_ids:
        row = torch.tensor(list(ids))[None]
        with torch.no_grad():
            p, q = (log_softmax(model(input_ids=row).logits[0, :-1].numpy(), axis=1) for model in models)
        targets = row[0, 1:].numpy()
        found["base"].append(-p[np.arange(len(p)), targets].mean())
        found["tuned"].append(-q[np.arange(len(q)), targets].mean())
        found["kl"].append(rel_entr(np.exp(p), np.exp(q)).sum(axis=1).mean())
        found["js"].append(np.mean([jensenshannon(a, b) ** 2 for a, b in zip(np.exp(p), np.exp(q), strict=True)]))
    return {name: np.array(values) for name, values in found.items()}


def test_values_agree_with_whole_float64_forward_passes(tiny_language_model, other_language_model):
    samples = samples_for(tiny_language_model)
    expected = float64_reference(tiny_language_model, other_language_model, samples)
    # Small batches and chunks of few tokens: a text spans several of both.
    found = outputs(
        tiny_language_model, other_language_model, samples, options=OutputOptions(token_budget=24, logits_bytes=1 << 16)
    )
    assert found.weights.tolist() == [length - 1 for length in LENGTHS]
    np.testing.assert_allclose(found.items["forgetting"].value, expected["tuned"], rtol=1e-5)
    np.testing.assert_allclose(found.items["forgetting"].base_value, expected["base"], rtol=1e-5)
    np.testing.assert_allclose(found.items["output_kl"].value, expected["kl"], rtol=1e-4)
    np.testing.assert_allclose(found.items["output_js"].value, expected["js"], rtol=1e-4)
    assert np.isnan(found.items["output_kl"].base_value).all()
    assert found.notes == ["Its own language-modelling head is read."]


def test_the_base_models_head_reads_a_classifier_and_an_adapter(tiny_language_model, tmp_path):
    tuned = save_tuned(tiny_language_model, tmp_path / "tuned")
    adapter = save_adapter(tiny_language_model, tmp_path / "adapter")
    samples = samples_for(tiny_language_model)
    base = run_base(resolve_model(str(tiny_language_model)), samples, OutputOptions())
    found = read_outputs(base, resolve_model(str(tuned)), samples)
    whole = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    whole.model.load_state_dict(LlamaModel.from_pretrained(tuned).state_dict())
    ids = torch.tensor(list(samples.input_ids[1]))[None]
    with torch.no_grad():
        loss = whole(input_ids=ids, labels=ids).loss.item()
    assert found.items["forgetting"].value[1] == pytest.approx(loss, rel=1e-5)
    assert "LlamaForSequenceClassification" in found.notes[0]
    changed = read_outputs(base, resolve_model(str(adapter)), samples)
    assert "SEQ_CLS" in changed.notes[0]
    assert (changed.items["output_kl"].value > 0.01).all()


def test_a_model_beside_itself_gives_exactly_zero_and_noise_shows_in_every_outcome(tiny_language_model, tmp_path):
    samples = samples_for(tiny_language_model)
    states = tmp_path / "states"
    for _ in range(2):  # the second run reads the states that the first one kept
        same = outputs(tiny_language_model, tiny_language_model, samples, base_states=states)
        assert (same.items["forgetting"].value == same.items["forgetting"].base_value).all()
        assert not same.items["output_kl"].value.any()
        assert not same.items["output_js"].value.any()
        assert (same.items["top1_agreement"].value == 1).all()
    untrained = save_adapter(tiny_language_model, tmp_path / "untrained", std=0)
    assert not outputs(tiny_language_model, untrained, samples).items["output_kl"].value.any()
    broken = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    torch.manual_seed(0)
    for parameter in broken.parameters():
        parameter.data += parameter.std() * torch.randn_like(parameter) if parameter.dim() == 2 else 0
    broken.save_pretrained(tmp_path / "broken")
    found = outputs(tiny_language_model, tmp_path / "broken", samples)
    assert found.items["output_kl"].value.min() > 0.1
    assert found.items["output_js"].value.min() > 0.02
    assert found.items["top1_agreement"].value.mean() < 0.7
    rise = found.items["forgetting"].value - found.items["forgetting"].base_value
    assert np.abs(rise).mean() > 0.1  # the base is random itself, so noise need not make it worse


def test_damaged_states_of_the_base_model_are_made_anew(tiny_language_model, tmp_path, capsys):
    samples = samples_for(tiny_language_model)
    first = outputs(tiny_language_model, tiny_language_model, samples, base_states=tmp_path)
    (file,) = tmp_path.rglob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    again = outputs(tiny_language_model, tiny_language_model, samples, base_states=tmp_path)
    assert "does not have its checksum" in capsys.readouterr().err
    assert not again.items["output_kl"].value.any()
    assert (again.items["forgetting"].base_value == first.items["forgetting"].base_value).all()


def test_masked_models_are_read_at_the_same_hashed_places(masked_bert, tmp_path):
    samples = samples_for(masked_bert)
    tuned = save_tuned(masked_bert, tmp_path / "tuned", noise=0.3)
    base = run_base(resolve_model(str(masked_bert)), samples, OutputOptions())
    assert base.places.counts.tolist() == [1, 2, 1, 2, 1, 2, 3, 1]  # 15 % of the words, rounded up
    mask = samples.tokenizer.mask_token_id
    for given, hidden, at, targets in zip(
        samples.input_ids, base.places.inputs.input_ids, base.places.places, base.places.targets, strict=True
    ):
        assert [list(given)[place] for place in at] == targets.tolist()
        assert all(list(hidden)[place] == mask for place in at)
        assert sum(a != b for a, b in zip(given, hidden, strict=True)) <= len(at)
    same = read_outputs(base, resolve_model(str(masked_bert)), samples)
    assert not same.items["output_kl"].value.any()
    found = read_outputs(base, resolve_model(str(tuned)), samples)
    assert (found.items["output_kl"].value > 0).all()
    row = torch.tensor(list(base.places.inputs.input_ids[1]))[None]
    whole = BertForMaskedLM.from_pretrained(masked_bert).eval()
    with torch.no_grad():
        logits = torch.log_softmax(whole(input_ids=row).logits[0].double(), dim=1)
    loss = -logits[base.places.places[1], base.places.targets[1]].mean().item()
    assert found.items["forgetting"].base_value[1] == pytest.approx(loss, rel=1e-5)


def test_a_model_without_a_head_in_its_files_says_why(tiny_bert, tiny_llama):
    for folder in (tiny_bert, tiny_llama):
        with pytest.raises(OutcomeNotApplicable, match="no language-modelling head in its files") as error:
            outputs(folder, folder, samples_for(folder))
        assert "saved with its head" in str(error.value)


def test_heads_of_other_kinds_and_widths_say_why(tiny_language_model, masked_bert, tmp_path):
    samples = samples_for(tiny_language_model)
    with pytest.raises(OutcomeNotApplicable, match="has a masked head, and the base model a causal one"):
        outputs(tiny_language_model, masked_bert, samples)
    config = LlamaConfig.from_pretrained(tiny_language_model, hidden_size=32, head_dim=16)
    LlamaForSequenceClassification(config).save_pretrained(tmp_path / "wide")
    with pytest.raises(OutcomeNotApplicable, match="32 features wide, and the base model's head reads 16"):
        outputs(tiny_language_model, tmp_path / "wide", samples)
    T5ForConditionalGeneration(
        T5Config(vocab_size=60, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0)
    ).save_pretrained(tmp_path / "t5")
    with pytest.raises(OutcomeNotApplicable, match="encoder-decoder model"):
        outputs(tmp_path / "t5", tmp_path / "t5", samples)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_exactly_zero_for_equal_models(dtype, tiny_language_model):
    same = outputs(
        tiny_language_model,
        tiny_language_model,
        samples_for(tiny_language_model),
        options=OutputOptions(compute_dtype=dtype),
    )
    assert not same.items["output_kl"].value.any()
    assert (same.items["forgetting"].value == same.items["forgetting"].base_value).all()


def test_vocabularies_that_differ_are_compared_only_if_asked(tiny_language_model, tmp_path):
    resized = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    rows = resized.config.vocab_size
    resized.resize_token_embeddings(rows + 3)
    resized.save_pretrained(tmp_path)
    samples = samples_for(tiny_language_model)
    with pytest.raises(OutcomeNotApplicable, match=rf"head has {rows} rows, the tuned one's {rows + 3}.*common_tokens"):
        outputs(tiny_language_model, tmp_path, samples)
    found = outputs(tiny_language_model, tmp_path, samples, options=OutputOptions(common_tokens=True))
    np.testing.assert_allclose(found.items["output_kl"].value, 0, atol=1e-10)
    assert any(f"{rows} common tokens" in note for note in found.notes)


def test_an_exchanged_tokenizer_is_another_vocabulary(tiny_language_model, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    model.save_pretrained(tmp_path)
    for path in tiny_language_model.glob("token*"):
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(
            text.replace('"cat"', '"DOG"').replace('"dog"', '"cat"').replace('"DOG"', '"dog"'), encoding="utf-8"
        )
    with pytest.raises(OutcomeNotApplicable, match="2 of .* ids stand for another token"):
        outputs(tiny_language_model, tmp_path, samples_for(tiny_language_model))


def test_texts_without_a_token_to_predict_have_no_value(tiny_language_model):
    samples = samples_for(tiny_language_model, lengths=(1, 6, 1))
    found = outputs(tiny_language_model, tiny_language_model, samples)
    assert found.weights.tolist() == [0, 5, 0]
    assert np.isnan(found.items["output_kl"].value).tolist() == [True, False, True]
    assert any("2 of 3 texts have no token" in note for note in found.notes)
    with pytest.raises(OutcomeNotApplicable, match="at least two tokens"):
        outputs(tiny_language_model, tiny_language_model, samples_for(tiny_language_model, lengths=(1, 1)))


def test_weights_that_are_not_finite_name_model_and_sample(tiny_language_model, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    model.lm_head.weight.data[4] = torch.inf
    model.save_pretrained(tmp_path)
    with pytest.raises(NonFiniteError, match="tuned model .* sample 'd6'"):
        outputs(tiny_language_model, tmp_path, samples_for(tiny_language_model))


def test_texts_longer_than_the_model_and_other_samples_are_refused(tiny_language_model):
    source = resolve_model(str(tiny_language_model))
    samples = samples_for(tiny_language_model)
    base = run_base(source, samples, OutputOptions())
    with pytest.raises(OutcomeNotApplicable, match="other samples"):
        read_outputs(base, source, samples.part([0, 1]))
    alien = SampleSet("texts", ("a",), (token_ids([5, 9999]),), None, 0, "ids", tokenizer=samples.tokenizer)
    with pytest.raises(DataError, match="9999"):
        outputs(tiny_language_model, tiny_language_model, alien)


def test_a_head_that_an_adapter_trained_is_its_own(tiny_language_model, tmp_path):
    torch.manual_seed(2)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_language_model),
        LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], modules_to_save=["lm_head"]),
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "lm_head.modules_to_save" in name:
            parameter.data += 0.3 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path)
    samples = samples_for(tiny_language_model)
    found = outputs(tiny_language_model, tmp_path, samples)
    ids = torch.tensor(list(samples.input_ids[1]))[None]
    with torch.no_grad():
        loss = model.eval()(input_ids=ids, labels=ids).loss.item()
    assert found.items["forgetting"].value[1] == pytest.approx(loss, rel=1e-5)
    assert found.notes == ["The head that it was trained with is read."]


def test_a_learned_prompt_is_read_behind_its_virtual_tokens(tiny_language_model, tmp_path):
    torch.manual_seed(4)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_language_model),
        PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
    )
    model.save_pretrained(tmp_path)
    samples = samples_for(tiny_language_model)
    found = outputs(tiny_language_model, tmp_path, samples)
    ids = torch.tensor(list(samples.input_ids[1]))[None]
    with torch.no_grad():
        logits = torch.log_softmax(model.eval()(input_ids=ids).logits[0, 5:-1].double(), dim=1)
    expected = -logits[torch.arange(len(logits)), ids[0, 1:]].mean().item()
    assert found.items["forgetting"].value[1] == pytest.approx(expected, rel=1e-5)
    assert "learned prompt" in found.notes[0]


def test_a_text_that_does_not_fit_behind_a_prompt_is_refused(masked_bert, tmp_path):
    config = PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=5)
    get_peft_model(BertModel.from_pretrained(masked_bert), config).save_pretrained(tmp_path)
    assert outputs(masked_bert, tmp_path, samples_for(masked_bert)).weights.sum() == 13
    with pytest.raises(DataError, match="64 tokens, the model takes 59 behind the 5 virtual tokens"):
        outputs(masked_bert, tmp_path, samples_for(masked_bert, lengths=(3, 62)))


def test_completions_alone_are_read_where_the_samples_are_pooled_over_them(tiny_language_model):
    samples = samples_for(tiny_language_model, lengths=(6, 8))
    marked = replace(samples, completion_masks=(token_ids([0, 0, 0, 0, 1, 1]), token_ids([0] * 5 + [1] * 3)))
    assert outputs(tiny_language_model, tiny_language_model, marked.over("completion")).weights.tolist() == [2, 3]
    assert outputs(tiny_language_model, tiny_language_model, marked).weights.tolist() == [5, 7]


def change_logits(patch, change):
    """Gives the logits that outcomes are reduced from to `change`; a head that is tried on loading keeps its own."""
    real = OutputHead.logits

    def changed(head, hidden):
        logits = real(head, hidden)
        return change(logits) if sys._getframe(1).f_code.co_name == "_log_probabilities" else logits

    patch.setattr(OutputHead, "logits", changed)


def padded_by(*pads):
    """Appends three columns; of the heads that are asked in turn, the first so many of them are -inf."""
    turns = itertools.cycle(pads)

    def change(logits):
        fill = torch.full((len(logits), 3), -torch.inf)
        fill[:, next(turns) :] = -5.0
        return torch.cat([logits, fill], dim=1)

    return change


def test_rows_that_pad_a_vocabulary_with_minus_infinity_count_nothing(
    tiny_language_model, other_language_model, monkeypatch
):
    samples = samples_for(tiny_language_model)
    plain = outputs(tiny_language_model, other_language_model, samples)
    with monkeypatch.context() as patch:
        change_logits(patch, padded_by(3))
        padded = outputs(tiny_language_model, other_language_model, samples)
        same = outputs(tiny_language_model, tiny_language_model, samples)
    for name, expected in plain.items.items():
        assert padded.items[name].value == pytest.approx(expected.value, rel=1e-5, nan_ok=True)
    assert np.nansum(same.items["output_kl"].value) == np.nansum(same.items["output_js"].value) == 0.0
    with monkeypatch.context() as patch:
        change_logits(patch, padded_by(3, 2))
        with pytest.raises(NonFiniteError, match="do not rule out the same tokens"):
            outputs(tiny_language_model, other_language_model, samples)


def test_a_token_that_both_models_rule_out_and_infinity_are_errors(tiny_language_model, monkeypatch):
    samples = samples_for(tiny_language_model)
    for value, said in ((-torch.inf, "rule out a token that stands there"), (torch.inf, "numbers that are not finite")):

        def change(logits, value=value):
            return logits.index_fill(1, torch.tensor(samples.input_ids[0][1]), value)

        with monkeypatch.context() as patch:
            change_logits(patch, change)
            with pytest.raises(NonFiniteError, match=said):
                outputs(tiny_language_model, tiny_language_model, samples)
