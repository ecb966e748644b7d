"""Loading checkpoints: heads are put on complete backbones, and incomplete or pickled weights are refused."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from repdrift.core.errors import ModelError
from repdrift.extraction import extract
from repdrift.models import load_backbone, load_task_model, resolve_model

INPUTS = {"input_ids": torch.arange(4, 24).reshape(5, 4), "attention_mask": torch.ones((5, 4), dtype=torch.long)}


@pytest.mark.parametrize("kind", ["classification", "extractive_qa"])
def test_language_model_checkpoint_gets_a_head_on_its_own_backbone(kind, tiny_llama, tmp_path):
    """Llama's question answering names its backbone otherwise than the checkpoints of language models do."""
    from transformers import AutoConfig, LlamaForCausalLM

    torch.manual_seed(3)
    LlamaForCausalLM(AutoConfig.from_pretrained(tiny_llama)).save_pretrained(tmp_path)
    source = resolve_model(str(tmp_path))
    plain = extract(load_backbone(source), INPUTS)
    headed = load_task_model(source, kind, num_labels=2 if kind == "classification" else None)
    for name, tensor in extract(headed, INPUTS).items():
        assert torch.equal(tensor, plain[name])


def test_checkpoint_that_lacks_weights_of_a_block_is_refused(tiny_bert, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_bert, folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("encoder.layer.1.attention.self.query.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights.*encoder\.layer\.1\.attention\.self\.query\.weight"):
        load_backbone(resolve_model(str(folder)))


def test_pickled_weights_are_not_loaded(tiny_bert, tmp_path):
    (tmp_path / "config.json").write_text((tiny_bert / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin, a pickle, which is not loaded"):
        load_backbone(resolve_model(str(tmp_path)))
