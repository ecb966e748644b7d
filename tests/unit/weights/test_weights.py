import json
import math
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from repdrift.core.errors import ModelError, NonFiniteError, ShapeError
from repdrift.models import (
    backbone_of,
    find_blocks,
    load_adapters,
    load_backbone,
    load_task_model,
    load_tokenizer,
    resolve_model,
    save_model,
)
from repdrift.weights import (
    apply_random_change,
    compare_adapter,
    compare_weights,
    dense_change,
    effective_rank,
    frobenius_norm,
    lora_changes,
    low_rank_singular_values,
    rank_utilisation,
    spectral_norm,
    weight_changes,
)
from repdrift.weights.named_tensors import named_tensors

PATHS = {"tiny_bert": "encoder.layer", "tiny_llama": "layers"}
QUERY = {"tiny_bert": "attention.self.query.weight", "tiny_llama": "self_attn.q_proj.weight"}


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture(params=PATHS)
def kind(request):
    return request.param


@pytest.fixture
def base(kind, request):
    return resolve_model(str(request.getfixturevalue(kind)))


def _headed(base, folder, amount=0.0, **changes):
    """A fine-tune of `base` with a classification head, on disk; every weight moved by noise of `amount`."""
    torch.manual_seed(3)
    model = load_task_model(base, "classification", num_labels=2)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * amount)
    for name, change in changes.items():
        model.get_parameter(name).add_(change)
    save_model(model, load_tokenizer(base), folder)
    return resolve_model(str(folder))


def _rewrite(folder, target, change):
    """A copy of a model's folder with other tensors: `change` maps their dict to the new one."""
    shutil.copytree(folder, target)
    (target / "model.safetensors").unlink()
    save_file(change(load_file(folder / "model.safetensors")), target / "model.safetensors", metadata={"format": "pt"})
    return resolve_model(str(target))


# Closed forms


def test_change_of_known_rank_and_norm():
    u, v = torch.zeros(80, 3), torch.zeros(3, 90)
    u[:3], v[:, :3] = torch.diag(torch.tensor([3.0, 4.0, 12.0])), torch.eye(3)
    change = dense_change(0, "m", torch.full((80, 90), 2.0), torch.full((80, 90), 2.0) + u @ v)
    assert change.change_norm == pytest.approx(13)
    assert change.norm == pytest.approx(2 * math.sqrt(7200))
    assert change.relative_change == pytest.approx(13 / (2 * math.sqrt(7200)))
    assert change.stable_rank == pytest.approx(169 / 144, rel=1e-3)


def test_orthogonal_change_has_full_stable_rank():
    change = dense_change(0, "m", torch.zeros(100, 100), torch.eye(100))
    assert change.stable_rank == pytest.approx(100, rel=1e-3)
    assert change.relative_change is None, "the base weight is zero"


def test_no_change_has_rank_zero_and_vectors_have_no_rank():
    same = dense_change(0, "m", torch.ones(70, 80), torch.ones(70, 80))
    assert (same.change_norm, same.relative_change, same.stable_rank) == (0, 0, 0)
    assert dense_change(0, "bias", torch.ones(5), torch.zeros(5)).stable_rank is None


def test_orthogonal_low_rank_uses_all_of_its_rank():
    a, b = torch.eye(8, 50), 0.5 * torch.eye(60, 8)
    values = low_rank_singular_values(a, b)
    assert values.tolist() == pytest.approx([0.5] * 8)
    assert effective_rank(values) == pytest.approx(8)
    assert rank_utilisation(values) == 1


def test_utilisation_counts_squares_to_99_per_cent():
    assert rank_utilisation(torch.ones(100)) == 0.99
    assert rank_utilisation(torch.tensor([10.0, 1.0])) == 0.5, "1 is 9 % of the sum, but less than 1 % of the squares"
    assert rank_utilisation(torch.tensor([9.9, 1.0])) == 1, "here it is 1.01 %"


def test_zero_b_uses_nothing_and_divides_by_nothing():
    values = low_rank_singular_values(torch.randn(4, 9), torch.zeros(7, 4))
    assert values.tolist() == [0] * 4
    assert effective_rank(values) == rank_utilisation(values) == 0
    assert spectral_norm(torch.zeros(90, 90)) == 0


def test_shapes_and_nan_are_refused():
    with pytest.raises(ShapeError, match=r"A \(r, n\) and B \(m, r\), got \(4, 9\) and \(7, 3\)"):
        low_rank_singular_values(torch.zeros(4, 9), torch.zeros(7, 3))
    with pytest.raises(ShapeError, match="needs a matrix"):
        spectral_norm(torch.zeros(4))
    with pytest.raises(NonFiniteError, match=r"layer 3, q\.weight: NaN or Inf"):
        dense_change(3, "q.weight", torch.zeros(2, 2), torch.tensor([[0.0, math.nan], [0, 0]]))


# Full fine-tunes


def test_every_weight_of_the_backbone_is_compared_whatever_the_prefix(kind, base, tmp_path):
    tuned = _headed(base, tmp_path / "tuned", amount=0.01)
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
    assert any("only in the tuned model" in line for line in found.not_compared), "the head"
    assert not any("encoder" in line or "layers" in line for line in found.not_compared)


def test_model_against_itself_does_not_change(kind, base):
    changes = weight_changes(base, base, PATHS[kind])
    assert all(c.change_norm == 0 and c.stable_rank in (0, None) for c in changes)


def test_one_moved_weight_is_found_alone(kind, base, tmp_path):
    prefix = {"tiny_bert": "bert.", "tiny_llama": "model."}[kind]
    tuned = _headed(base, tmp_path / "tuned", **{f"{prefix}{PATHS[kind]}.1.{QUERY[kind]}": 0.5})
    (moved,) = [c for c in weight_changes(base, tuned, PATHS[kind]) if c.change_norm > 0]
    assert (moved.layer, moved.module) == (1, QUERY[kind])
    assert moved.change_norm == pytest.approx(0.5 * 16)
    assert moved.stable_rank == pytest.approx(1, rel=1e-3)


def test_shards_are_as_good_as_one_file(kind, base, tmp_path):
    tuned = _headed(base, tmp_path / "tuned", amount=0.01)
    load_task_model(tuned, "classification", num_labels=2).save_pretrained(tmp_path / "sharded", max_shard_size="8KB")
    sharded = resolve_model(str(tmp_path / "sharded"))
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    assert weight_changes(base, sharded, PATHS[kind]) == weight_changes(base, tuned, PATHS[kind])


def test_loaded_models_are_as_good_as_files(kind, base, tmp_path):
    tuned = _headed(base, tmp_path / "tuned", amount=0.01)
    from_files = compare_weights(base, tuned, PATHS[kind])
    assert compare_weights(load_backbone(base), tuned, PATHS[kind]) == from_files
    in_memory = compare_weights(base, load_task_model(tuned, "classification", num_labels=2), PATHS[kind])
    assert in_memory.changes == from_files.changes


def test_other_prefix_than_either_is_matched(tiny_llama, tmp_path):
    base = resolve_model(str(tiny_llama))
    odd = _rewrite(tiny_llama, tmp_path / "odd", lambda t: {f"language_model.transformer.{k}": v for k, v in t.items()})
    found = compare_weights(base, odd, "layers")
    assert found.not_compared == []
    assert len(found.changes) == len(load_file(tiny_llama / "model.safetensors"))


def test_old_names_of_layer_norms_are_matched(tiny_bert, tmp_path):
    def rename(tensors):
        ends = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
        for new, old in ends:
            tensors = {f"bert.{k.removeprefix('bert.').replace(new, old)}": v for k, v in tensors.items()}
        return tensors

    old = _rewrite(tiny_bert, tmp_path / "old", rename)
    found = compare_weights(old, resolve_model(str(tiny_bert)), "encoder.layer")
    assert found.not_compared == []
    assert all(c.change_norm == 0 for c in found.changes)


def test_encoder_is_meant_where_a_decoder_has_blocks_of_the_same_name(tiny_llama, tmp_path):
    def pair(tensors):
        return {f"{stack}.{k}": v.clone() for stack in ("decoder", "encoder") for k, v in tensors.items()} | {
            "decoder.layers.0.cross.weight": torch.ones(2, 2)
        }

    both = _rewrite(tiny_llama, tmp_path / "both", pair)
    found = compare_weights(both, both, "layers")
    assert len(found.changes) == len(load_file(tiny_llama / "model.safetensors"))
    assert len(found.not_compared) == 1
    assert "decoder.embed_tokens.weight" in found.not_compared[0]
    assert found.not_compared[0].endswith("more: outside the backbone")


def test_tied_copies_are_compared_once(tiny_llama, tmp_path):
    tied = _rewrite(tiny_llama, tmp_path / "tied", lambda t: t | {"output.weight": t["embed_tokens.weight"].clone()})
    base = resolve_model(str(tiny_llama))
    assert compare_weights(tied, tied, "layers").not_compared == [
        "output.weight: tied to embed_tokens.weight, compared there"
    ]
    assert compare_weights(base, tied, "layers").not_compared == [
        "output.weight: only in the tuned model, tied to embed_tokens.weight there"
    ]
    untied = _rewrite(tied.path, tmp_path / "untied", lambda t: t | {"output.weight": t["output.weight"] + 1})
    assert {c.module for c in weight_changes(tied, untied, "layers") if c.change_norm > 0} == {"output.weight"}


def test_shape_mismatch_names_the_weight(tiny_llama, tmp_path):
    base, name = resolve_model(str(tiny_llama)), "layers.1.self_attn.q_proj.weight"
    wide = _rewrite(tiny_llama, tmp_path / "wide", lambda t: t | {name: torch.zeros(16, 20)})
    with pytest.raises(ModelError, match=r"layer 1, self_attn\.q_proj\.weight is \(16, 16\) in .* and \(16, 20\)"):
        weight_changes(base, wide, "layers")
    more = _rewrite(tiny_llama, tmp_path / "more", lambda t: t | {"embed_tokens.weight": torch.zeros(99, 16)})
    with pytest.raises(ModelError, match=r"embed_tokens\.weight is .*vocabulary resized"):
        weight_changes(base, more, "layers")


def test_packed_weights_and_rounding_are_said(tiny_llama, tmp_path):
    base, name = resolve_model(str(tiny_llama)), "layers.0.mlp.up_proj.weight"
    packed = _rewrite(tiny_llama, tmp_path / "packed", lambda t: t | {name: torch.zeros(32, 16, dtype=torch.uint8)})
    assert compare_weights(base, packed, "layers").not_compared == [f"{name}: holds no ordinary floating-point weights"]
    half = _rewrite(tiny_llama, tmp_path / "half", lambda t: {k: v.bfloat16() for k, v in t.items()})
    assert all("bfloat16 in the tuned one" in c.note for c in weight_changes(base, half, "layers"))


def test_models_without_common_blocks_are_refused(tiny_bert, tiny_llama, tmp_path):
    bert, llama = (resolve_model(str(path)) for path in (tiny_bert, tiny_llama))
    with pytest.raises(ModelError, match="has no blocks named 'encoder.layer'; it holds embed_tokens"):
        weight_changes(bert, llama, "encoder.layer")
    other = _rewrite(tiny_llama, tmp_path / "other", lambda t: {k.replace("self_attn", "x").replace("mlp", "y").replace("norm", "z"): v for k, v in t.items()})  # fmt: skip
    with pytest.raises(ModelError, match="no weight in common"):
        weight_changes(llama, other, "layers")


# LoRA


def _adapted(base, *, std=0.5, task="classification", **options):
    torch.manual_seed(0)
    model = load_task_model(base, task, num_labels=2)
    adapted = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", **{"r": 4, "lora_alpha": 8, **options}))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name or "lora_embedding_B" in name:
            torch.nn.init.normal_(parameter, std=std)
    return adapted.eval()


def test_lora_change_is_that_of_the_merged_weights(kind, base):
    adapted = _adapted(base)
    changes = lora_changes(adapted)
    before = load_backbone(base)
    after = backbone_of(adapted.merge_and_unload())
    assert len(changes) == 6
    for c in changes:
        name = f"{PATHS[kind]}.{c.layer}.{c.module}"
        w, d = before.get_parameter(name).double(), (after.get_parameter(name) - before.get_parameter(name)).double()
        s = torch.linalg.svdvals(d)[:4]
        assert (c.rank, c.scaling, c.note) == (4, 2.0, None)
        assert c.norm == pytest.approx(float(w.norm()), rel=1e-6)
        assert c.change_norm == pytest.approx(float(d.norm()), rel=1e-5)
        assert c.relative_change == pytest.approx(float(d.norm() / w.norm()), rel=1e-5)
        assert c.stable_rank == pytest.approx(float((d.norm() / s[0]) ** 2), rel=1e-4)
        assert c.effective_rank == pytest.approx(effective_rank(s), rel=1e-4)
        assert c.rank_utilisation == rank_utilisation(s)


def test_fresh_adapter_changes_nothing(base):
    for c in lora_changes(_adapted(base, std=0.0)):
        assert (c.change_norm, c.relative_change, c.stable_rank, c.effective_rank, c.rank_utilisation) == (
            0,
            0,
            0,
            0,
            0,
        )
        assert c.rank == 4


def test_scaling_and_rank_are_those_of_each_module(tiny_llama):
    base = resolve_model(str(tiny_llama))
    patterns = {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 20}}
    by_name = {c.module: c for c in lora_changes(_adapted(base, **patterns)) if c.layer == 0}
    assert (by_name["self_attn.q_proj.weight"].rank, by_name["self_attn.q_proj.weight"].scaling) == (2, 4.0)
    assert (by_name["self_attn.v_proj.weight"].rank, by_name["self_attn.v_proj.weight"].scaling) == (4, 5.0)
    assert {c.scaling for c in lora_changes(_adapted(base, use_rslora=True))} == {4.0}


def test_what_peft_adds_beyond_b_a_is_said(tiny_bert):
    base = resolve_model(str(tiny_bert))
    dora = lora_changes(_adapted(base, use_dora=True))
    assert all("magnitude is not covered" in c.note for c in dora)
    biased = compare_adapter(_adapted(base, bias="all"))
    assert any("biases: trained by adapter 'default' (bias='all'), not covered" in x for x in biased.not_compared)
    assert all("bias of B is not covered" in c.note for c in lora_changes(_adapted(base, lora_bias=True)))
    pissa = compare_adapter(_adapted(base, init_lora_weights="pissa"))
    assert any("initialised by 'pissa', which may change the base weights" in x for x in pissa.not_compared)


def test_embeddings_and_parts_trained_whole_are_covered_and_heads_listed(tiny_bert):
    base = resolve_model(str(tiny_bert))
    options = {"target_modules": ["query", "word_embeddings"], "modules_to_save": ["classifier", "LayerNorm"]}
    adapted = _adapted(base, **options)
    backbone_of(adapted).encoder.layer[1].output.LayerNorm.modules_to_save["default"].weight.add_(0.25)
    found = compare_adapter(adapted)
    by_place = {(c.layer, c.module): c for c in found.changes}
    gain = by_place[1, "output.LayerNorm.weight"]
    assert (gain.change_norm, gain.rank) == (1.0, None)
    embedding = by_place[None, "embeddings.word_embeddings.weight"]
    layer = backbone_of(adapted).embeddings.word_embeddings
    assert embedding.change_norm == pytest.approx(float(layer.get_delta_weight("default").norm()), rel=1e-5)
    assert any("classifier" in line and "outside the backbone" in line for line in found.not_compared)


def test_active_adapters_are_summed_and_one_may_be_named(tiny_llama):
    adapted = get_peft_model(load_backbone(resolve_model(str(tiny_llama))), LoraConfig(r=4, lora_alpha=8))
    adapted.add_adapter("second", LoraConfig(r=2, lora_alpha=2))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    module = backbone_of(adapted).layers[0].self_attn.q_proj
    alone = lora_changes(adapted, adapter="second")[0]
    assert (alone.module, alone.rank, alone.scaling) == ("self_attn.q_proj.weight", 2, 1.0)
    assert alone.change_norm == pytest.approx(float(module.get_delta_weight("second").norm()), rel=1e-5)
    adapted.base_model.set_adapter(["default", "second"])
    both = lora_changes(adapted)[0]
    assert (both.rank, both.scaling) == (6, None)
    total = module.get_delta_weight("default") + module.get_delta_weight("second")
    assert both.change_norm == pytest.approx(float(total.norm()), rel=1e-5)


def test_backbone_that_carries_adapters_is_measured(tiny_llama, tmp_path):
    base = resolve_model(str(tiny_llama))
    adapted = _adapted(base)
    save_model(adapted, load_tokenizer(base), tmp_path / "adapter")
    held = load_adapters(load_backbone(base), base, [resolve_model(str(tmp_path / "adapter"))])
    with held.tuned(0) as backbone:
        assert lora_changes(backbone) == lora_changes(adapted)


def test_no_adapter_and_a_merged_one_are_refused(tiny_bert):
    base = resolve_model(str(tiny_bert))
    with pytest.raises(ModelError, match="no LoRA matrices in BertModel"):
        lora_changes(load_backbone(base))
    merged = _adapted(base)
    merged.merge_adapter()
    with pytest.raises(ModelError, match=r"layer 0, attention\.self\.query: the adapter 'default' is merged"):
        lora_changes(merged)


def test_adapter_is_not_taken_for_a_full_model(tiny_bert, tmp_path):
    base = resolve_model(str(tiny_bert))
    adapted = _adapted(base)
    with pytest.raises(ModelError, match="carries an adapter"):
        weight_changes(base, adapted, "encoder.layer")
    save_model(adapted, load_tokenizer(base), tmp_path / "adapter")
    with pytest.raises(ModelError, match="holds a PEFT adapter.*lora_changes"):
        named_tensors(resolve_model(str(tmp_path / "adapter")))


# The size-matched random change


def _parameters(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def test_random_change_moves_what_changed_by_the_same_norm_and_nothing_else(kind, base, tmp_path):
    prefix = {"tiny_bert": "bert.", "tiny_llama": "model."}[kind]
    tuned = _headed(
        base, tmp_path / "tuned", **{f"{prefix}{PATHS[kind]}.{i}.{QUERY[kind]}": 0.01 * (i + 1) for i in (0, 2)}
    )
    changes = weight_changes(base, tuned, PATHS[kind])
    model = load_backbone(base)
    before = _parameters(model)
    applied = apply_random_change(model, changes, seed=5)
    after = _parameters(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {a.parameter for a in applied} == {f"{PATHS[kind]}.{i}.{QUERY[kind]}" for i in (0, 2)}
    for a in applied:
        arrived = float((after[a.parameter].double() - before[a.parameter].double()).norm())
        assert a.applied_norm == pytest.approx(arrived, rel=1e-6)
        assert a.applied_norm == pytest.approx(a.change_norm, rel=1e-4)
    assert {round(a.change_norm, 5) for a in applied} == {0.16, 0.48}


def test_noise_depends_on_seed_and_place_alone(base, kind):
    changes = lora_changes(_adapted(base))
    models = [load_backbone(base) for _ in range(4)]
    apply_random_change(models[0], changes, seed=1)
    torch.manual_seed(99)
    apply_random_change(models[1], changes[::-1], seed=1)
    apply_random_change(models[2], changes[:1], seed=1)
    apply_random_change(models[3], changes, seed=2)
    name = f"{PATHS[kind]}.0.{changes[0].module}"
    first, again, alone, other = (model.get_parameter(name) for model in models)
    assert torch.equal(first, again)
    assert torch.equal(first, alone)
    assert not torch.equal(first, other)
    noise = [
        models[0].get_parameter(n) - load_backbone(base).get_parameter(n) for n in (name, name.replace("0", "1", 1))
    ]
    assert abs(float(torch.nn.functional.cosine_similarity(*(x.flatten() for x in noise), dim=0))) < 0.3


def test_random_change_of_the_same_rank(base, kind):
    changes = lora_changes(_adapted(base, r=3))
    model, plain = load_backbone(base), load_backbone(base)
    applied = apply_random_change(model, changes, seed=1, same_rank=True)
    assert {a.rank for a in applied} == {3}
    for a, c in zip(applied, changes, strict=True):
        d = (model.get_parameter(a.parameter) - plain.get_parameter(a.parameter)).double()
        assert int((torch.linalg.svdvals(d) > 1e-4 * d.norm()).sum()) == 3
        assert float(d.norm()) == pytest.approx(c.change_norm, rel=1e-4)


def test_random_change_under_an_adapter_moves_the_base_weight(tiny_llama):
    adapted = _adapted(resolve_model(str(tiny_llama)))
    changes = lora_changes(adapted)
    applied = apply_random_change(adapted, changes, seed=1)
    assert applied[0].parameter == "layers.0.self_attn.q_proj.base_layer.weight"
    assert [c.change_norm for c in lora_changes(adapted)] == [c.change_norm for c in changes]


def test_unchanged_weights_draw_no_noise(base):
    model = load_backbone(base)
    before = _parameters(model)
    assert apply_random_change(model, lora_changes(_adapted(base, std=0.0)), seed=1) == []
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_changes_of_another_model_are_refused_before_anything_moves(tiny_bert, tiny_llama):
    model = load_backbone(resolve_model(str(tiny_bert)))
    before = _parameters(model)
    own = lora_changes(_adapted(resolve_model(str(tiny_bert))))
    foreign = lora_changes(_adapted(resolve_model(str(tiny_llama))))
    with pytest.raises(ModelError, match=r"layer 0, self_attn\.q_proj\.weight is not in BertModel"):
        apply_random_change(model, [*own, *foreign], seed=1)
    with pytest.raises(ModelError, match="one parameter"):
        apply_random_change(model, [own[0], own[0]], seed=1)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_noise_that_the_precision_cannot_hold_is_an_error(tiny_bert):
    source = resolve_model(str(tiny_bert))
    small = [c.model_copy(update={"change_norm": 1e-3 * c.norm}) for c in lora_changes(_adapted(source))]
    with pytest.raises(ModelError, match="after rounding to bfloat16.*float32"):
        apply_random_change(load_backbone(source, dtype="bfloat16"), small, seed=1)


def test_gguf_is_loaded_whole_and_compared_by_its_parameters(tiny_llama, tmp_path, monkeypatch):
    from dataclasses import replace

    from repdrift.weights import named_tensors as module

    source = resolve_model(str(tiny_llama))
    packed = replace(source, gguf_file="model.gguf")
    monkeypatch.setattr(module, "load_backbone", lambda asked: load_backbone(source) if asked == packed else None)
    tuned = _headed(source, tmp_path / "tuned", amount=0.01)
    assert weight_changes(packed, tuned, "layers") == weight_changes(source, tuned, "layers")


def test_records_survive_json(base):
    from repdrift.core.records.representation_set import ModuleChange

    for c in lora_changes(_adapted(base)):
        assert ModuleChange.model_validate(json.loads(c.model_dump_json())) == c


def test_blocks_path_is_the_one_that_find_blocks_gives(kind, base):
    assert find_blocks(load_backbone(base)).path == PATHS[kind]
    assert frobenius_norm(torch.tensor([3.0, 4.0])) == 5
