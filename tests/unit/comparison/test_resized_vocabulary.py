"""Adapters trained after tokens were added or cut: their numbers are those of the merged model, on the rows that both models have."""

import copy

import pytest
import torch
from peft import LoraConfig, TrainableTokensConfig, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from repdrift.comparison.comparing import compare
from repdrift.models import load_tokenizer, quiet_transformers, resolve_model, save_model
from repdrift.weights import base_matrices, changed_matrices
from tests.tiny_models import VOCABULARY, write_sentences

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*merge.*"),
    pytest.mark.filterwarnings("ignore:.*save_embedding_layers.*"),
    pytest.mark.filterwarnings("ignore:.*tie_word_embeddings.*"),
]

LORA = {"task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 9}
KINDS = {
    "matrices": LoraConfig(**LORA, target_modules=["q_proj", "v_proj"]),
    "saved": LoraConfig(**LORA, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"]),
    "on_embedding": LoraConfig(**LORA, target_modules=["q_proj", "embed_tokens"]),
    "dora": LoraConfig(**LORA, target_modules=["q_proj"], use_dora=True),
    "tokens": TrainableTokensConfig(task_type="CAUSAL_LM", target_modules=["embed_tokens"], token_indices=[4, 9, VOCABULARY]),
}  # fmt: skip
ROWS = VOCABULARY + 3


def trained(base, folder, config, rows):
    """An adapter on the base model with another number of rows, as peft saves it, and its merged model."""
    torch.manual_seed(7)
    with quiet_transformers():
        model = LlamaForCausalLM.from_pretrained(base)
        model.resize_token_embeddings(rows, mean_resizing=False)
        model.save_pretrained(folder / "resized")
        adapted = get_peft_model(LlamaForCausalLM.from_pretrained(folder / "resized"), copy.deepcopy(config))
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data += 0.2 * torch.randn_like(parameter)
        adapted.save_pretrained(folder / "adapter", save_embedding_layers=True)
        adapted.merge_and_unload().save_pretrained(folder / "merged")
    return folder / "adapter", folder / "merged"


@pytest.fixture(scope="module")
def base(tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("resized")
    torch.manual_seed(3)
    with quiet_transformers():
        model = LlamaForCausalLM.from_pretrained(tiny_llama)
    save_model(model, load_tokenizer(resolve_model(str(tiny_llama))), folder / "base")
    return folder / "base"


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_with_added_tokens_is_its_merged_model(base, tmp_path, kind):
    adapter, merged = trained(base, tmp_path, KINDS[kind], ROWS)
    assert any(t.shape == (ROWS, 16) for t in load_file(adapter / "adapter_model.safetensors").values())
    texts = write_sentences(tmp_path / "texts.txt", 24)
    both = compare(str(base), [str(adapter), str(merged)], data=str(texts), controls=False)
    assert [model.status for model in both.models] == ["compared", "compared"]
    for one, other in zip(*(model.layers for model in both.models), strict=True):
        assert one.drift == pytest.approx(other.drift, rel=1e-3, abs=1e-6)
    note = f"its files hold {ROWS} rows of the embedding, and the base model has {VOCABULARY}"
    assert any(note in line for line in both.models[0].notes)
    opened = base_matrices(resolve_model(str(base)))
    of_adapter, of_merged = (changed_matrices(opened, resolve_model(str(path))) for path in (adapter, merged))
    after = {str(at.name): at for at in of_merged}
    for at in of_adapter:
        assert at.base_shape == after[str(at.name)].base_shape
        torch.testing.assert_close(at.change().float(), after[str(at.name)].change().float(), atol=3e-6, rtol=1e-4)
    left = {
        name: float(at.change().abs().max())
        for name, at in after.items()
        if name not in {str(n) for n in of_adapter.names}
    }
    assert all(value < 1e-6 for value in left.values()), left
    assert any(f"has {ROWS} rows, in the base model {VOCABULARY}" in line for line in of_adapter.notes)


def test_a_cut_vocabulary_is_read_too(base, tmp_path):
    adapter, merged = trained(base, tmp_path, KINDS["matrices"], VOCABULARY - 1)
    texts = write_sentences(tmp_path / "texts.txt", 24)
    both = compare(str(base), [str(adapter), str(merged)], data=str(texts), controls=False)
    assert [one.drift for one in both.models[0].layers] == pytest.approx(
        [one.drift for one in both.models[1].layers], rel=1e-3
    )


def test_beside_another_adapter_the_base_model_keeps_its_rows(base, tmp_path):
    adapter, _ = trained(base, tmp_path / "one", KINDS["matrices"], ROWS)
    torch.manual_seed(9)
    with quiet_transformers():
        other = get_peft_model(LlamaForCausalLM.from_pretrained(base), copy.deepcopy(KINDS["matrices"]))
    for parameter in other.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter) if parameter.requires_grad else 0
    other.save_pretrained(tmp_path / "other")
    texts = write_sentences(tmp_path / "texts.txt", 24)
    alone = compare(str(base), [str(tmp_path / "other")], data=str(texts))
    both = compare(str(base), [str(adapter), str(tmp_path / "other")], data=str(texts))
    assert [at.drift for at in both.models[1].layers] == [at.drift for at in alone.models[0].layers]
    assert [at.noise_floor for at in both.base_layers] == [at.noise_floor for at in alone.base_layers]
    assert all(at.random_change_drift is not None for at in both.models[0].layers)
