"""Depth and widths, from a configuration object and from the JSON of its file."""

import json

import pytest
import transformers

from repdrift.models import depth_of, inner_width_of, width_of
from repdrift.models.dimensions import text_config
from tests.oracles.architectures import ARCHITECTURES, DEPTH, WIDTH, config_of

WITHOUT_INNER_WIDTH = {"gpt2", "bloom"}


def forms_of(config):
    """The object, and what its `config.json` holds: with every field, and as transformers writes it."""
    return config, config.to_dict(), json.loads(config.to_json_string())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_object_and_file_of_every_architecture_state_the_same(name):
    inner = None if name in WITHOUT_INNER_WIDTH else 32
    for config in forms_of(config_of(ARCHITECTURES[name])):
        assert (depth_of(config), width_of(config), inner_width_of(config)) == (DEPTH, WIDTH, inner)


T5 = transformers.T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=12, num_layers=3, num_decoder_layers=2, num_heads=2)
BART = transformers.BartConfig(d_model=8, encoder_layers=3, decoder_layers=2, encoder_ffn_dim=12, decoder_ffn_dim=8)
BERT = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12}
PAIR = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(
    transformers.BertConfig(num_hidden_layers=3, **BERT), transformers.BertConfig(num_hidden_layers=2, **BERT)
)


@pytest.mark.parametrize("config", [T5, BART, PAIR], ids=["t5", "bart", "two_parts"])
def test_stack_chooses_the_half_of_an_encoder_decoder(config):
    for form in forms_of(config):
        assert depth_of(form) == depth_of(form, "encoder") == 3
        assert depth_of(form, "decoder") == 2
        assert (width_of(form), inner_width_of(form)) == (8, 12)


def test_text_part_of_a_model_for_pictures_is_read():
    text = {"hidden_size": 8, "num_hidden_layers": 3, "intermediate_size": 12}
    vision = {"hidden_size": 20, "num_hidden_layers": 5, "intermediate_size": 40}
    config = transformers.Gemma3Config(text_config=text, vision_config=vision)
    for form in forms_of(config):
        assert (depth_of(form), width_of(form), inner_width_of(form)) == (3, 8, 12)


def test_what_a_configuration_does_not_state_is_none():
    for config in (None, {}, {"num_hidden_layers": "many", "hidden_size": True, "intermediate_size": 0}, object()):
        assert depth_of(config) is width_of(config) is inner_width_of(config) is None


def test_configuration_of_several_text_parts_is_read_as_it_is():
    several = {"text_encoder": {"n_layer": 2}, "text_config": {"n_layer": 4}, "n_layer": 7}
    assert text_config(several) is several
    assert depth_of(several) == 7
