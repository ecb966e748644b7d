"""GGUF files against the models they were written from: the same hidden states, layer by layer."""

import gguf
import pytest
import torch
from safetensors.torch import save_file

from repdrift.extraction import extract
from repdrift.models import load_backbone, resolve_model
from repdrift.models.gguf_file import CHECKED_ARCHITECTURES
from tests.tiny_gguf import save_gguf

SIZES = {"vocab_size": 300, "max_position_embeddings": 128}
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}}


def _model(architecture):
    import transformers as t

    torch.manual_seed(0)
    small = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
    kinds = {
        "llama": lambda: t.LlamaConfig(**SIZES, **small, **ROPE, num_key_value_heads=2, tie_word_embeddings=False),
        "qwen2": lambda: t.Qwen2Config(**SIZES, **small, **ROPE, num_key_value_heads=2, tie_word_embeddings=True),
        "qwen3": lambda: t.Qwen3Config(**SIZES, **small, **ROPE, num_key_value_heads=2, head_dim=128),
        "gpt2": lambda: t.GPT2Config(vocab_size=300, n_positions=1024, n_embd=64, n_layer=3, n_head=4),
    }
    model = t.AutoModelForCausalLM.from_config(kinds[architecture](), trust_remote_code=False).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # biases and norms too, which start at 0 and 1
    return model


@pytest.fixture(scope="module")
def inputs():
    ids = torch.randint(0, 300, (6, 17), generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize("architecture", CHECKED_ARCHITECTURES)
def test_hidden_states_of_a_gguf_file_are_those_of_its_model(architecture, inputs, tmp_path):
    model = _model(architecture)
    save_gguf(model, tmp_path / "model.gguf", architecture)
    loaded = load_backbone(resolve_model(str(tmp_path)))
    expected, found = extract(model, inputs, pooling="tokens"), extract(loaded, inputs, pooling="tokens")
    assert len(found) == 3
    for layer, states in expected.items():
        assert torch.allclose(found[layer], states, rtol=1e-4, atol=1e-4 * float(states.abs().max()))


def test_quantised_file_gives_the_states_of_the_weights_that_gguf_decodes(inputs, tmp_path):
    """The reference is decoded by the package gguf by itself and saved as safetensors, without transformers' reading of GGUF."""
    model = _model("llama")
    path = save_gguf(model, tmp_path / "model.gguf", "llama", quantised=True)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 3)
    stored = {t.name: torch.tensor(gguf.dequantize(t.data, t.tensor_type)) for t in gguf.GGUFReader(path).tensors}
    decoded = {}
    for name in model.model.state_dict():
        values = stored[names.get_name(f"model.{name}", try_suffixes=(".weight",))]
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = 4 if "q_proj" in name else 2
            pairs = values.reshape(heads, values.shape[0] // heads // 2, 2, values.shape[1])
            values = pairs.transpose(1, 2).reshape(values.shape)
        decoded[name] = values.contiguous()
    plain = tmp_path / "plain"
    model.config.save_pretrained(plain)
    save_file(decoded, plain / "model.safetensors", metadata={"format": "pt"})
    expected = extract(load_backbone(resolve_model(str(plain))), inputs, pooling="tokens")
    found = extract(load_backbone(resolve_model(str(path))), inputs, pooling="tokens")
    exact = extract(model, inputs, pooling="tokens")
    for layer, states in expected.items():
        assert torch.equal(found[layer], states)
        assert not torch.allclose(states, exact[layer], rtol=1e-4)
