"""Layer-major extraction runs only what is asked for, and names faulty checkpoints and models that it cannot run."""

import json

import pytest
import torch

from repdrift.core.errors import ModelError
from repdrift.models import ModelSource
from tests.oracles.checkpoints import (
    a_few_batches,
    layer_major,
    saved,
    tiny_model,
)


@pytest.fixture
def batches():
    return a_few_batches()


def test_only_what_is_asked_for_is_run(tmp_path, batches):
    source = saved(tmp_path / "model", tiny_model("llama"))
    everything = layer_major(source, batches)
    found = layer_major(source, batches, layers=[1])
    assert sorted(found) == [(1, number) for number in range(len(batches))]
    assert all(torch.equal(found[key], everything[key]) for key in found)


def test_blocks_before_the_last_are_enough_of_the_checkpoint(tmp_path, batches):
    source = saved(tmp_path / "model", tiny_model("llama"), shard="5GB")
    _rewrite(source, lambda tensors: {n: t for n, t in tensors.items() if not n.startswith("layers.2.")})
    assert len(layer_major(source, batches, layers=[0, 1])) == 2 * len(batches)
    with pytest.raises(ModelError, match=r"lacks 9 weights of LlamaModel.*layers\.2\."):
        layer_major(source, batches)


def _rewrite(source, change):
    from safetensors.torch import load_file, save_file

    path = source.path / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def test_faults_of_the_checkpoint_are_named(tmp_path, batches):
    model = tiny_model("llama")
    shards = saved(tmp_path / "shards", model)
    path = (
        shards.path
        / json.loads((shards.path / "model.safetensors.index.json").read_text())["weight_map"][
            "layers.1.mlp.up_proj.weight"
        ]
    )
    kept = path.read_bytes()
    path.write_bytes(kept[:-100])
    with pytest.raises(ModelError, match="truncated"):
        layer_major(shards, batches)
    path.write_bytes(kept[:20])
    with pytest.raises(ModelError, match="truncated"):
        layer_major(shards, batches)
    path.write_bytes(b"no tensors here at all")
    with pytest.raises(ModelError, match="no safetensors file"):
        layer_major(shards, batches)
    path.unlink()
    with pytest.raises(ModelError, match=f"lacks 1 of .* weight shards: {path.name}"):
        layer_major(shards, batches)
    single = saved(tmp_path / "single", model, shard="5GB")
    _rewrite(single, lambda tensors: {**tensors, "layers.1.mlp.up_proj.weight": torch.zeros(3, 5)})
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj\.weight \(\(3, 5\), expected \(32, 16\)\)"):
        layer_major(single, batches)
    _rewrite(single, lambda tensors: {n: t for n, t in tensors.items() if n != "embed_tokens.weight"})
    with pytest.raises(ModelError, match="embed_tokens"):
        layer_major(single, batches, layers=[0])


def test_a_fused_weight_with_a_missing_part_is_refused(tmp_path, batches):
    source = saved(tmp_path / "model", tiny_model("mixtral"), shard="5GB")
    _rewrite(
        source, lambda tensors: {n: t for n, t in tensors.items() if "layers.1.block_sparse_moe.experts.2.w1" not in n}
    )
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.experts"):
        layer_major(source, batches)


def test_decoder_and_other_formats_are_refused(tmp_path, batches):
    source = saved(tmp_path / "model", tiny_model("t5"))
    with pytest.raises(ModelError, match="decoder"):
        layer_major(source, batches, stack="decoder")
    config = json.loads((source.path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (source.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="quantised"):
        layer_major(source, batches)
    with pytest.raises(ModelError, match="GGUF"):
        layer_major(ModelSource("m", tmp_path, gguf_file="m.gguf"), batches)
