"""A tiny base model, models tuned from it, and texts that all tests of the room share."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny_models import save_adapter, write_sentences


@pytest.fixture(scope="package")
def models(tiny_bert, tuned_bert, bert_adapter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    return {
        "base": tiny_bert,
        "full": tuned_bert,
        "a": bert_adapter,
        "b": save_adapter(tiny_bert, folder / "b", seed=1),
        "zero": save_adapter(tiny_bert, folder / "zero", std=0.0),
        "biased": save_adapter(tiny_bert, folder / "biased", bias="all"),
    }


@pytest.fixture(scope="package")
def texts(tmp_path_factory):
    return write_sentences(tmp_path_factory.mktemp("texts") / "lines.txt", 40)


@pytest.fixture(scope="package")
def further_trained(tmp_path_factory, tiny_language_model):
    """The tiny language model with noise in its head, which moves no hidden state."""
    folder = tmp_path_factory.mktemp("models") / "further"
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    torch.manual_seed(0)
    model.lm_head.weight.data += 0.1 * torch.randn_like(model.lm_head.weight)
    model.save_pretrained(folder)
    return folder
