"""Adapters that trained the embedding, whole or in rows, as peft saves them for resized and for tied embeddings."""

import pytest
import torch
from peft import LoraConfig, TrainableTokensConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from repdrift.comparison.comparing import compare
from repdrift.models import load_tokenizer, quiet_transformers, resolve_model, save_model
from tests.tiny_models import VOCABULARY
from tests.unit.models.adapter_kinds import save_moved

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

LORA = {"task_type": "CAUSAL_LM", "r": 4, "target_modules": ["q_proj", "v_proj"]}
ADAPTERS = {
    "whole": LoraConfig(**LORA, modules_to_save=["embed_tokens"]),
    "rows": LoraConfig(**LORA, trainable_token_indices=[9, 12, VOCABULARY + 1]),
    "rows_of_both": LoraConfig(**LORA, trainable_token_indices={"embed_tokens": [9, 12], "lm_head": [9, 12]}),
    "rows_alone": TrainableTokensConfig(task_type="CAUSAL_LM", token_indices=[9, 12]),
    "matrices": LoraConfig(**LORA),
    "more_matrices": LoraConfig(**LORA, use_rslora=True),
}


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def resized(request, tiny_llama, tmp_path_factory):
    """A Llama with two rows more than its tokenizer has; adapters on it, saved with the embeddings; each merged."""
    folder = tmp_path_factory.mktemp("resized")
    torch.manual_seed(3)
    with quiet_transformers():
        base = LlamaForCausalLM.from_pretrained(tiny_llama, tie_word_embeddings=request.param)
        base.resize_token_embeddings(VOCABULARY + 2)
        save_model(base, load_tokenizer(resolve_model(str(tiny_llama))), folder / "base")
        for name, config in ADAPTERS.items():
            adapted = save_moved(folder / "base", folder / name, config, get_peft_model)
            adapted.save_pretrained(folder / name, save_embedding_layers=True)
            adapted.merge_and_unload().save_pretrained(folder / f"merged_{name}")
    return folder


def numbers(result):
    return [[at.drift for at in model.layers] for model in result.models]


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_saved_embeddings_arrive_where_they_belong(resized, texts, accumulate):
    names = list(load_file(resized / "whole/adapter_model.safetensors"))
    assert sum("embed_tokens" in name for name in names) == 3  # trained, again, and untrained
    options = {"data": str(texts), "controls": False, "accumulate": accumulate}
    found = compare(str(resized / "base"), [str(resized / name) for name in ADAPTERS], **options)
    assert [m.status for m in found.models] == ["compared"] * len(ADAPTERS), "\n".join(
        str(m.reason) for m in found.models
    )
    merged = compare(str(resized / "base"), [str(resized / f"merged_{name}") for name in ADAPTERS], **options)
    for name, one, other in zip(ADAPTERS, numbers(found), numbers(merged), strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=2e-6), name
    # An adapter of rows beside it does not take the shared base model from the others.
    assert found.models[-1].weights == "the base model's, in memory once"
    assert not any("Not all of it is in its files" in note for model in found.models for note in model.notes)


def test_two_trained_embeddings_in_one_file_are_refused(resized, texts, tmp_path):
    path = resized / "whole/adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("embed_tokens.modules_to_save.weight"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "adapter_config.json").write_text((resized / "whole/adapter_config.json").read_text())
    save_file(tensors | {name: tensors[name] + 1}, other / path.name)
    found = compare(
        str(resized / "base"), [str(other), str(resized / "matrices")], data=str(texts), controls=False
    ).models
    assert [m.status for m in found] == ["not comparable", "compared"]
    assert "which are one tensor of an adapter" in str(found[0].reason)
