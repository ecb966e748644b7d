"""Causal decoders are told from encoders by their configuration alone."""

import pytest
from transformers import CONFIG_MAPPING

from repdrift.models import is_causal_decoder


@pytest.mark.parametrize(
    "kind", ["gpt2", "llama", "opt", "gpt_neox", "bloom", "falcon", "mamba", "qwen3", "gemma2", "gemma3", "phi3"]
)
def test_decoders_are_causal(kind):
    assert is_causal_decoder(CONFIG_MAPPING[kind]())


@pytest.mark.parametrize(
    "kind",
    [
        "bert",
        "roberta",
        "deberta-v2",
        "electra",
        "albert",
        "modernbert",
        "xlm-roberta",
        "xlnet",
        "t5",
        "bart",
        "bert-generation",
    ],
)
def test_encoders_are_not(kind):
    assert not is_causal_decoder(CONFIG_MAPPING[kind]())


def test_the_stack_decides_for_an_encoder_decoder():
    config = CONFIG_MAPPING["t5"]()
    assert is_causal_decoder(config, "decoder")
    assert not is_causal_decoder(config, "encoder")


def test_what_a_configuration_says_of_its_attention_counts():
    decoder = CONFIG_MAPPING["bert"]()
    decoder.is_decoder = True
    assert is_causal_decoder(decoder)
    both_ways = CONFIG_MAPPING["gemma3_text"]()
    both_ways.use_bidirectional_attention = True
    assert not is_causal_decoder(both_ways)
    assert not is_causal_decoder(object())
