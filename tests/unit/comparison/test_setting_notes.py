"""A configuration that makes another model of the same weights is said, and settings that change no number are not."""

import json
import shutil

import pytest
from transformers import AutoConfig, BertConfig, LlamaConfig

from repdrift.comparison.comparing import compare
from repdrift.comparison.setting_notes import setting_notes

CHANGING = {
    "rope_theta": {"rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"}},
    "factor": {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "linear", "factor": 4.0}},
    "hidden_act": {"hidden_act": "gelu"},
    "rms_norm_eps": {"rms_norm_eps": 1e-2},
    "num_attention_heads": {"num_attention_heads": 4, "num_key_value_heads": 4},
}


@pytest.mark.parametrize("name", CHANGING)
def test_settings_that_change_hidden_states_are_said_with_both_values(tiny_llama, name):
    base, tuned = LlamaConfig.from_pretrained(tiny_llama), LlamaConfig.from_pretrained(tiny_llama, **CHANGING[name])
    assert name in "".join(setting_notes(base, tuned))
    assert name in "".join(setting_notes(tuned, base))


def test_settings_without_effect_are_not_said(tiny_llama, tiny_bert, tuned_bert):
    base = LlamaConfig.from_pretrained(tiny_llama)
    tuned = LlamaConfig.from_pretrained(
        tiny_llama, use_cache=False, attention_dropout=0.3, pad_token_id=4, dtype="bfloat16", initializer_range=0.5,
        max_position_embeddings=4096, tie_word_embeddings=True, num_labels=7, unheard_of=3, architectures=["X"],
    )  # fmt: skip
    assert setting_notes(base, tuned) == []
    assert setting_notes(BertConfig.from_pretrained(tiny_bert), AutoConfig.from_pretrained(tuned_bert)) == []


def test_equal_weights_under_other_settings_are_not_called_one_model(models, texts, tmp_path):
    for name in ("copy", "other"):
        shutil.copytree(models["full"], tmp_path / name)
    path = tmp_path / "other/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_act": "relu"}))
    refs = [str(models["full"]), str(tmp_path / "copy"), str(tmp_path / "other")]
    result = compare(str(models["base"]), refs, data=str(texts), controls=False)
    assert result.models[2].layers[0].drift != pytest.approx(result.models[0].layers[0].drift, rel=0.01)
    same = [w for w in result.warnings if "have the same weights" in w]
    assert len(same) == 2
    assert "copy have the same weights: they are one model, not 2." in same[0]
    assert "have the same weights and yet not the same drift" in same[1]
    assert ["hidden_act (relu; base: gelu)" in "".join(m.notes) for m in result.models] == [False, False, True]
