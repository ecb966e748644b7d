"""The change of every weight by a full fine-tune, between two checkpoints."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from repdrift.core.errors import ModelError
from repdrift.models import find_blocks, load_backbone, load_task_model, load_tokenizer, resolve_model, save_model
from repdrift.weights import compare_weights
from repdrift.weights import named_tensors as reading
from repdrift.weights.named_tensors import named_tensors
from tests.unit.weights.tuned_models import PATHS, QUERY, adapted_model, headed, rewritten


def test_every_weight_of_the_backbone_is_compared_whatever_the_prefix(kind, base, tmp_path):
    tuned = headed(base, tmp_path / "tuned", amount=0.01)
    found = compare_weights(base, tuned, PATHS[kind])
    plain, moved = load_backbone(base), load_backbone(tuned)
    expected = {name: (p, moved.get_parameter(name)) for name, p in plain.named_parameters()}
    named = {c.module if c.layer is None else f"{PATHS[kind]}.{c.layer}.{c.module}": c for c in found.changes}
    assert set(named) == set(expected)
    for name, (before, after) in expected.items():
        assert named[name].change_norm == pytest.approx(float((after - before).double().norm()), rel=1e-5)
        assert named[name].norm == pytest.approx(float(before.double().norm()), rel=1e-6)
        assert (named[name].stable_rank is None) == (before.dim() != 2)
    layers = [c.layer for c in found.changes if c.layer is not None]
    assert layers == sorted(layers)
    assert any(line.endswith("outside the backbone") for line in found.not_compared), "the head"
    assert not any("encoder" in line or "layers" in line for line in found.not_compared)


def test_model_against_itself_does_not_change(kind, base):
    changes = compare_weights(base, base, PATHS[kind]).changes
    assert all(c.change_norm == 0 and c.stable_rank in (0, None) for c in changes)


def test_one_moved_weight_is_found_alone(kind, base, tmp_path):
    prefix = {"tiny_bert": "bert.", "tiny_llama": "model."}[kind]
    tuned = headed(base, tmp_path / "tuned", **{f"{prefix}{PATHS[kind]}.1.{QUERY[kind]}": 0.5})
    (moved,) = [c for c in compare_weights(base, tuned, PATHS[kind]).changes if c.change_norm > 0]
    assert (moved.layer, moved.module) == (1, QUERY[kind])
    assert moved.change_norm == pytest.approx(0.5 * 16)
    assert moved.stable_rank == pytest.approx(1, rel=1e-3)


def test_shards_are_as_good_as_one_file(kind, base, tmp_path):
    tuned = headed(base, tmp_path / "tuned", amount=0.01)
    load_task_model(tuned, "classification", num_labels=2).save_pretrained(tmp_path / "sharded", max_shard_size="8KB")
    sharded = resolve_model(str(tmp_path / "sharded"))
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    assert compare_weights(base, sharded, PATHS[kind]).changes == compare_weights(base, tuned, PATHS[kind]).changes


def test_loaded_models_are_as_good_as_files(kind, base, tmp_path):
    tuned = headed(base, tmp_path / "tuned", amount=0.01)
    from_files = compare_weights(base, tuned, PATHS[kind])
    assert compare_weights(load_backbone(base), tuned, PATHS[kind]) == from_files
    in_memory = compare_weights(base, load_task_model(tuned, "classification", num_labels=2), PATHS[kind])
    assert in_memory.changes == from_files.changes


def test_other_prefix_than_either_is_matched(tiny_llama, tmp_path):
    base = resolve_model(str(tiny_llama))
    odd = rewritten(
        tiny_llama, tmp_path / "odd", lambda t: {f"language_model.transformer.{k}": v for k, v in t.items()}
    )
    found = compare_weights(base, odd, "layers")
    assert found.not_compared == []
    assert len(found.changes) == len(load_file(tiny_llama / "model.safetensors"))


def test_old_names_of_layer_norms_are_matched(tiny_bert, tmp_path):
    def rename(tensors):
        ends = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
        for new, old in ends:
            tensors = {f"bert.{k.removeprefix('bert.').replace(new, old)}": v for k, v in tensors.items()}
        return tensors

    old = rewritten(tiny_bert, tmp_path / "old", rename)
    found = compare_weights(old, resolve_model(str(tiny_bert)), "encoder.layer")
    assert found.not_compared == []
    assert all(c.change_norm == 0 for c in found.changes)


def test_encoder_is_meant_where_a_decoder_has_blocks_of_the_same_name(tiny_llama, tmp_path):
    def pair(tensors):
        return {f"{stack}.{k}": v.clone() for stack in ("decoder", "encoder") for k, v in tensors.items()} | {
            "decoder.layers.0.cross.weight": torch.ones(2, 2)
        }

    both = rewritten(tiny_llama, tmp_path / "both", pair)
    found = compare_weights(both, both, "layers")
    assert len(found.changes) == len(load_file(tiny_llama / "model.safetensors"))
    assert len(found.not_compared) == 1
    assert "decoder.embed_tokens.weight" in found.not_compared[0]
    assert found.not_compared[0].endswith("more: outside the backbone")


def test_tied_copies_are_compared_once(tiny_llama, tmp_path):
    tied = rewritten(tiny_llama, tmp_path / "tied", lambda t: t | {"output.weight": t["embed_tokens.weight"].clone()})
    base = resolve_model(str(tiny_llama))
    assert compare_weights(tied, tied, "layers").not_compared == [
        "output.weight: tied to embed_tokens.weight, compared there"
    ]
    assert compare_weights(base, tied, "layers").not_compared == [
        "output.weight: only in the tuned model, tied to embed_tokens.weight there"
    ]
    untied = rewritten(tied.path, tmp_path / "untied", lambda t: t | {"output.weight": t["output.weight"] + 1})
    assert {c.module for c in compare_weights(tied, untied, "layers").changes if c.change_norm > 0} == {"output.weight"}


def test_shape_mismatch_names_the_weight(tiny_llama, tmp_path):
    base, name = resolve_model(str(tiny_llama)), "layers.1.self_attn.q_proj.weight"
    wide = rewritten(tiny_llama, tmp_path / "wide", lambda t: t | {name: torch.zeros(16, 20)})
    with pytest.raises(ModelError, match=r"layer 1, self_attn\.q_proj\.weight is \(16, 16\) in .* and \(16, 20\)"):
        compare_weights(base, wide, "layers")


@pytest.mark.parametrize("rows", [99, 40])
def test_rows_that_both_embeddings_have_are_compared(tiny_llama, tmp_path, rows):
    base = resolve_model(str(tiny_llama))
    own = load_file(tiny_llama / "model.safetensors")["embed_tokens.weight"]
    both = min(rows, len(own))
    resized = torch.full((rows, 16), 7.0)
    resized[:both] = own[:both] + 0.5
    tuned = rewritten(tiny_llama, tmp_path / "resized", lambda t: t | {"embed_tokens.weight": resized})
    found = compare_weights(base, tuned, "layers")
    (change,) = [c for c in found.changes if c.module == "embed_tokens.weight"]
    assert change.change_norm == pytest.approx(0.5 * (both * 16) ** 0.5, rel=1e-6)
    assert change.norm == pytest.approx(float(own[:both].double().norm()), rel=1e-6)
    said = f"embed_tokens.weight has {rows} rows, in the base model {len(own)}: the {both} rows that both have were compared"
    assert found.resized == [said]
    assert change.note == said


def test_packed_weights_and_rounding_are_said(tiny_llama, tmp_path):
    base, name = resolve_model(str(tiny_llama)), "layers.0.mlp.up_proj.weight"
    packed = rewritten(tiny_llama, tmp_path / "packed", lambda t: t | {name: torch.zeros(32, 16, dtype=torch.uint8)})
    assert compare_weights(base, packed, "layers").not_compared == [f"{name}: holds no ordinary floating-point weights"]
    half = rewritten(tiny_llama, tmp_path / "half", lambda t: {k: v.bfloat16() for k, v in t.items()})
    assert all("bfloat16 in the tuned one" in c.note for c in compare_weights(base, half, "layers").changes)


def test_models_without_common_blocks_are_refused(tiny_bert, tiny_llama, tmp_path):
    bert, llama = (resolve_model(str(path)) for path in (tiny_bert, tiny_llama))
    with pytest.raises(ModelError, match="has no blocks named 'encoder.layer'; it holds embed_tokens"):
        compare_weights(bert, llama, "encoder.layer")
    other = rewritten(tiny_llama, tmp_path / "other", lambda t: {k.replace("self_attn", "x").replace("mlp", "y").replace("norm", "z"): v for k, v in t.items()})  # fmt: skip
    with pytest.raises(ModelError, match="no weight in common"):
        compare_weights(llama, other, "layers")


def test_gguf_is_loaded_whole_and_compared_by_its_parameters(tiny_llama, tmp_path, monkeypatch):
    source = resolve_model(str(tiny_llama))
    packed = replace(source, gguf_file="model.gguf")
    monkeypatch.setattr(reading, "load_backbone", lambda asked: load_backbone(source) if asked == packed else None)
    tuned = headed(source, tmp_path / "tuned", amount=0.01)
    assert compare_weights(packed, tuned, "layers").changes == compare_weights(source, tuned, "layers").changes


def test_adapter_is_not_taken_for_a_full_model(tiny_bert, tmp_path):
    base = resolve_model(str(tiny_bert))
    adapted = adapted_model(base)
    with pytest.raises(ModelError, match="carries an adapter"):
        compare_weights(base, adapted, "encoder.layer")
    save_model(adapted, load_tokenizer(base), tmp_path / "adapter")
    with pytest.raises(ModelError, match="holds a PEFT adapter.*compare_adapter"):
        named_tensors(resolve_model(str(tmp_path / "adapter")))


def test_blocks_path_is_the_one_that_find_blocks_gives(kind, base):
    assert find_blocks(load_backbone(base)).path == PATHS[kind]
