"""The change of every adapted weight by LoRA, from its matrices."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import ModuleChange
from repdrift.models import backbone_of, load_adapters, load_backbone, load_tokenizer, resolve_model, save_model
from repdrift.weights import compare_adapter, effective_rank, rank_utilisation
from tests.unit.weights.tuned_models import PATHS, adapted_model


def test_lora_change_is_that_of_the_merged_weights(kind, base):
    adapted = adapted_model(base)
    changes = compare_adapter(adapted).changes
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
    for c in compare_adapter(adapted_model(base, std=0.0)).changes:
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
    by_name = {c.module: c for c in compare_adapter(adapted_model(base, **patterns)).changes if c.layer == 0}
    assert (by_name["self_attn.q_proj.weight"].rank, by_name["self_attn.q_proj.weight"].scaling) == (2, 4.0)
    assert (by_name["self_attn.v_proj.weight"].rank, by_name["self_attn.v_proj.weight"].scaling) == (4, 5.0)
    assert {c.scaling for c in compare_adapter(adapted_model(base, use_rslora=True)).changes} == {4.0}


@pytest.mark.parametrize("options", [{"use_dora": True}, {"init_lora_weights": "pissa"}, {"bias": "all"}])
def test_what_peft_does_beyond_b_a_is_in_the_change(tiny_bert, options):
    """DoRA scales every column, PiSSA takes its start away from the base weight, and biases are trained in place."""
    base = resolve_model(str(tiny_bert))
    adapted = adapted_model(base, **options)
    for name, parameter in adapted.named_parameters():
        if "magnitude" in name or (name.endswith("bias") and parameter.requires_grad):
            parameter.mul_(1.1).add_(0.1)
    found = compare_adapter(adapted, base=base).changes
    merged, before = backbone_of(adapted.merge_and_unload()), load_backbone(base)
    for name, parameter in before.named_parameters():
        expected = float((merged.get_parameter(name) - parameter).double().norm())
        layer = int(name.split(".")[2]) if name.startswith("encoder") else None
        weight = (layer, name.removeprefix(f"encoder.layer.{layer}."))
        at = next((c.change_norm for c in found if (c.layer, c.module) == weight), 0.0)
        assert at == pytest.approx(expected, rel=1e-4, abs=1e-5), name
    assert {c.rank for c in found} == ({None, 4} if options == {"bias": "all"} else {None})


def test_biases_and_initialisations_are_said_where_the_base_is_not_at_hand(tiny_bert):
    base = resolve_model(str(tiny_bert))
    biased = compare_adapter(adapted_model(base, bias="all"))
    assert any("biases: trained by adapter 'default' (bias='all'), not covered" in x for x in biased.not_compared)
    pissa = compare_adapter(adapted_model(base, init_lora_weights="pissa"))
    assert any("initialised by 'pissa', which may change the base weights" in x for x in pissa.not_compared)


def test_embeddings_and_parts_trained_whole_are_covered_and_heads_listed(tiny_bert):
    base = resolve_model(str(tiny_bert))
    options = {"target_modules": ["query", "word_embeddings"], "modules_to_save": ["classifier", "LayerNorm"]}
    adapted = adapted_model(base, **options)
    backbone_of(adapted).encoder.layer[1].output.LayerNorm.modules_to_save["default"].weight.add_(0.25)
    found = compare_adapter(adapted)
    by_place = {(c.layer, c.module): c for c in found.changes}
    gain = by_place[1, "output.LayerNorm.weight"]
    assert (gain.change_norm, gain.rank) == (1.0, None)
    embedding = by_place[None, "embeddings.word_embeddings.weight"]
    layer = backbone_of(adapted).embeddings.word_embeddings
    assert embedding.change_norm == pytest.approx(float(layer.get_delta_weight("default").norm()), rel=1e-5)
    assert any("classifier" in line and "outside the backbone" in line for line in found.not_compared)


def test_active_adapters_are_summed(tiny_llama):
    adapted = get_peft_model(load_backbone(resolve_model(str(tiny_llama))), LoraConfig(r=4, lora_alpha=8))
    adapted.add_adapter("second", LoraConfig(r=2, lora_alpha=2))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    module = backbone_of(adapted).layers[0].self_attn.q_proj
    adapted.set_adapter("second")
    alone = compare_adapter(adapted).changes[0]
    assert (alone.module, alone.rank, alone.scaling) == ("self_attn.q_proj.weight", 2, 1.0)
    assert alone.change_norm == pytest.approx(float(module.get_delta_weight("second").norm()), rel=1e-5)
    adapted.base_model.set_adapter(["default", "second"])
    both = compare_adapter(adapted).changes[0]
    assert (both.rank, both.scaling) == (6, None)
    total = module.get_delta_weight("default") + module.get_delta_weight("second")
    assert both.change_norm == pytest.approx(float(total.norm()), rel=1e-5)


def test_backbone_that_carries_adapters_is_measured(tiny_llama, tmp_path):
    base = resolve_model(str(tiny_llama))
    adapted = adapted_model(base)
    save_model(adapted, load_tokenizer(base), tmp_path / "adapter")
    held = load_adapters(load_backbone(base), base, [resolve_model(str(tmp_path / "adapter"))])
    with held.tuned(0) as backbone:
        assert compare_adapter(backbone).changes == compare_adapter(adapted).changes


def test_no_adapter_and_a_merged_one_are_refused(tiny_bert):
    base = resolve_model(str(tiny_bert))
    with pytest.raises(ModelError, match="no adapter that can be compared in BertModel"):
        compare_adapter(load_backbone(base))
    merged = adapted_model(base)
    merged.merge_adapter()
    with pytest.raises(ModelError, match=r"layer 0, attention\.self\.query: the adapter 'default' is merged"):
        compare_adapter(merged)


def test_records_survive_json(base):
    for c in compare_adapter(adapted_model(base)).changes:
        assert ModuleChange.model_validate(json.loads(c.model_dump_json())) == c
