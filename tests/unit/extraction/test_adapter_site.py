"""adapter_out: the sum of scaling * B A x over the adapted modules of a block that write to the residual stream."""

import re

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from transformers import AutoModel, GPT2Config, GPT2Model, GraniteConfig, GraniteModel

from repdrift.extraction import ExtractionJob, ExtractionOptions, RepresentationExtractor, extract, extract_set
from repdrift.models import resolve_model
from repdrift.stores import open_set
from tests.tiny_models import save_adapter

IDS = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9], [9, 8, 7, 6, 5]]),
    "attention_mask": torch.ones((2, 5), dtype=torch.long),
}


def _adapted(base, config):
    """A model with an adapter whose factors are random."""
    model = get_peft_model(base if isinstance(base, torch.nn.Module) else AutoModel.from_pretrained(base), config)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def _lora(*modules, **fields):
    return LoraConfig(target_modules=list(modules), r=2, lora_alpha=8, **fields)


def _expected(model, endings):
    """By layer the sum of 4 * B A x over the modules with these endings, from their inputs; means over tokens."""
    found, handles = {}, []
    for name, module in model.named_modules():
        if any(name.endswith(f".{ending}") for ending in endings) and hasattr(module, "lora_A"):
            layer = next(int(part) for part in name.split(".") if part.isdigit())

            def add(module, args, layer=layer):
                a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
                found[layer] = found.get(layer, 0) + 4.0 * (args[0] @ a.T @ b.T).mean(1)

            handles.append(module.register_forward_pre_hook(add))
    with torch.inference_mode():
        model(**IDS)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize(
    ("fixture", "modules", "writers"),
    [
        ("tiny_llama", ("q_proj", "v_proj", "o_proj", "up_proj", "down_proj"), ("o_proj", "down_proj")),
        ("tiny_llama", ("gate_proj", "down_proj"), ("down_proj",)),
        ("tiny_bert", ("query", "dense"), ("attention.output.dense", "output.dense")),
    ],
)
def test_the_branch_is_the_product_of_the_factors_of_those_that_write_to_the_stream(request, fixture, modules, writers):
    model = _adapted(request.getfixturevalue(fixture), _lora(*modules))
    found = extract(model, IDS, sites=("adapter_out",))
    expected = _expected(model, writers)
    assert sorted(expected) == [0, 1, 2]
    for layer, rows in expected.items():
        torch.testing.assert_close(found[f"adapter_out_{layer}"], rows, rtol=0, atol=1e-5)


def test_the_branch_of_the_down_projection_alone_is_all_that_moves_its_layer(tiny_llama):
    base = extract(AutoModel.from_pretrained(tiny_llama), IDS)
    tuned = extract(
        _adapted(tiny_llama, LoraConfig(target_modules=r"layers\.1\.mlp\.down_proj", r=2)), IDS, sites=("adapter_out",)
    )
    assert [name for name in tuned if name.startswith("adapter")] == ["adapter_out_1"]
    assert torch.equal(tuned["layer_0"], base["layer_0"])
    torch.testing.assert_close(tuned["layer_1"] - base["layer_1"], tuned["adapter_out_1"], rtol=0, atol=1e-5)


def test_a_multiplier_of_the_block_is_a_factor_of_the_branch():
    config = GraniteConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, intermediate_size=32,
        residual_multiplier=0.22,
    )  # fmt: skip
    torch.manual_seed(0)
    model = GraniteModel(config).eval()
    base = extract(model, IDS)
    tuned = extract(_adapted(model, _lora("down_proj")), IDS, sites=("adapter_out",))
    torch.testing.assert_close(tuned["layer_0"] - base["layer_0"], tuned["adapter_out_0"], rtol=0, atol=1e-6)


def test_a_convolution_of_width_one_is_a_linear_layer_too():
    model = GPT2Model(GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=32))
    adapted = _adapted(model, _lora("mlp.c_proj", fan_in_fan_out=True))
    found = extract(adapted, IDS, sites=("adapter_out",))
    for layer, rows in _expected(adapted, ("mlp.c_proj",)).items():
        torch.testing.assert_close(found[f"adapter_out_{layer}"], rows, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (_lora("q_proj", "v_proj"), "no adapted module writes to the residual stream itself; what self_attn.q_proj and self_attn.v_proj adds"),
        (_lora("down_proj", use_dora=True), r"mlp.down_proj \(Linear\) adds is not scaling \* B A x alone"),
        (IA3Config(target_modules=["down_proj"], feedforward_modules=["down_proj"]), "not scaling"),
    ],
)  # fmt: skip
def test_an_adapter_without_such_a_branch_leaves_the_site_out_with_the_reason(tiny_llama, config, why):
    chosen = RepresentationExtractor(_adapted(tiny_llama, config), sites=("adapter_out", "mlp_out")).chosen_sites
    assert list(chosen.layers) == ["mlp_out"]
    assert re.search(why, chosen.left_out["adapter_out"])


def test_a_merged_and_a_disabled_adapter_have_no_branch(tiny_llama):
    model = _adapted(tiny_llama, _lora("o_proj"))
    model.merge_adapter()
    assert "merged" in RepresentationExtractor(model, sites=("adapter_out",)).chosen_sites.left_out["adapter_out"]
    model.unmerge_adapter()
    model.disable_adapter_layers()
    left_out = RepresentationExtractor(model, sites=("adapter_out",)).chosen_sites.left_out
    assert left_out["adapter_out"] == "the model has no active adapter in its blocks"


def test_attention_less_the_branch_is_what_the_bases_projection_makes_of_the_same_input(tiny_llama):
    model = _adapted(tiny_llama, LoraConfig(target_modules=r"layers\.0\.self_attn\.o_proj", r=2))
    tuned = extract(model, IDS, sites=("attn_out", "adapter_out"))
    base = extract(AutoModel.from_pretrained(tiny_llama), IDS, sites=("attn_out",))
    torch.testing.assert_close(tuned["attn_out_0"] - tuned["adapter_out_0"], base["attn_out_0"], rtol=0, atol=1e-5)


def test_both_schedules_write_the_same_branches(tiny_llama, samples, tmp_path):
    adapter = save_adapter(tiny_llama, tmp_path / "adapter", target_modules=["q_proj", "o_proj", "down_proj"])
    for schedule in ("sample", "layer"):
        options = ExtractionOptions(
            sites=("adapter_out", "attn_out"), schedule=schedule, token_budget=60, pooling="mean"
        )
        job = ExtractionJob(
            "t", "lora", 1, 0, resolve_model(str(tiny_llama)), samples, options, tuned=resolve_model(str(adapter))
        )
        metadata, _ = extract_set(job, tmp_path / schedule)
        assert metadata.site_layers == {"attn_out": [0, 1, 2], "adapter_out": [0, 1, 2]}
    one, other = (open_set(tmp_path / schedule) for schedule in ("sample", "layer"))
    assert all(torch.equal(one.at(*place), other.at(*place)) for place in one.places)
    assert float(one.at("adapter_out", 1).abs().max()) > 1e-3


def test_branches_of_several_active_adapters_are_added_up(tiny_llama):
    def branch(*active):
        model = AutoModel.from_pretrained(tiny_llama)
        model = get_peft_model(model, _lora("down_proj"), adapter_name="one")
        model.add_adapter("two", _lora("down_proj"))
        generator = torch.Generator().manual_seed(0)
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
        model.base_model.set_adapter(list(active))
        return extract(model, IDS, sites=("adapter_out",), layers=[0])["adapter_out_0"]

    torch.testing.assert_close(branch("one", "two"), branch("one") + branch("two"), rtol=0, atol=1e-6)
