import pytest
import torch
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from transformers import AutoModel

from repdrift.core.errors import ModelError, UnknownNameError
from repdrift.core.records.sites import SiteLayer
from repdrift.extraction import RepresentationExtractor, extract
from repdrift.extraction.site_choice import tensors_asked_for
from repdrift.models import backbone_of

SITES = ("attn_out", "mlp_out", "embeddings")
IDS = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9], [9, 8, 7, 0, 0]]),
    "attention_mask": torch.tensor([[1] * 5, [1, 1, 1, 0, 0]]),
}


def _mean(hidden):
    return torch.stack([hidden[0].mean(0), hidden[1, :3].mean(0)])


def test_a_pre_norm_block_adds_attention_and_mlp_to_the_stream(tiny_llama):
    model = AutoModel.from_pretrained(tiny_llama).double()
    found = extract(model, IDS, sites=(*SITES, "final_norm"))
    before = found["embeddings"]
    for layer in range(3):
        torch.testing.assert_close(
            found[f"layer_{layer}"], before + found[f"attn_out_{layer}"] + found[f"mlp_out_{layer}"], rtol=0, atol=1e-5
        )
        before = found[f"layer_{layer}"]
    states = model(**IDS, output_hidden_states=True).hidden_states
    torch.testing.assert_close(found["embeddings"].double(), _mean(states[0]), rtol=0, atol=1e-6)
    torch.testing.assert_close(found["final_norm"].double(), _mean(states[-1]), rtol=0, atol=1e-6)


def test_a_post_norm_block_norms_the_sum_of_stream_and_mlp(tiny_bert):
    model = AutoModel.from_pretrained(tiny_bert).double().eval()
    block = model.encoder.layer[1]
    seen = {}
    block.attention.output.dense.register_forward_hook(lambda _, __, out: seen.update(attn_out_1=out))
    block.output.dense.register_forward_hook(lambda _, __, out: seen.update(mlp_out_1=out))
    model(**IDS)
    found = extract(model, IDS, sites=SITES)
    for name, hidden in seen.items():
        torch.testing.assert_close(found[name].double(), _mean(hidden), rtol=0, atol=1e-6)


def test_a_site_that_no_block_has_is_refused_by_name(tiny_bert):
    with pytest.raises(
        ModelError, match="site 'final_norm' of BertModel cannot be read: no norm follows the last block"
    ):
        RepresentationExtractor(AutoModel.from_pretrained(tiny_bert), sites=("final_norm",))
    with pytest.raises(UnknownNameError, match="attn_out"):
        RepresentationExtractor(AutoModel.from_pretrained(tiny_bert), sites=("atn_out",))  # pyright: ignore[reportArgumentType]


def test_sites_leave_the_residual_stream_and_the_hooks_as_they_are(tiny_llama):
    model = AutoModel.from_pretrained(tiny_llama)
    plain = extract(model, IDS)
    with_sites = extract(model, IDS, sites=("attn_out",))
    assert all(torch.equal(with_sites[name], rows) for name, rows in plain.items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in backbone_of(model).modules())


def test_layers_choose_the_blocks_of_a_site(tiny_llama):
    extractor = RepresentationExtractor(
        AutoModel.from_pretrained(tiny_llama), layers=[1], sites=("mlp_out", "final_norm")
    )
    assert extractor.places == [SiteLayer("resid_post", 1), SiteLayer("mlp_out", 1), SiteLayer("final_norm", 3)]


@pytest.mark.parametrize("kind", [PrefixTuningConfig, PromptTuningConfig])
def test_sites_behind_a_learned_prompt_are_of_the_real_tokens(tiny_llama, kind):
    model = get_peft_model(
        AutoModel.from_pretrained(tiny_llama), kind(task_type="FEATURE_EXTRACTION", num_virtual_tokens=3)
    )
    found = extract(model, IDS, pooling="tokens", sites=("attn_out", "mlp_out", "embeddings", "final_norm"))
    assert found["attn_out_1"].shape == (8, 16)
    before = found["embeddings"]
    for layer in range(3):
        torch.testing.assert_close(
            found[f"layer_{layer}"], before + found[f"attn_out_{layer}"] + found[f"mlp_out_{layer}"], rtol=0, atol=1e-5
        )
        before = found[f"layer_{layer}"]
    embeddings = model.get_base_model().embed_tokens(IDS["input_ids"])[IDS["attention_mask"].bool()]
    torch.testing.assert_close(found["embeddings"], embeddings, rtol=0, atol=1e-6)


def test_no_site_moves_where_nothing_behind_it_changed(tiny_llama):
    """A change of one MLP leaves what lies before it: embeddings, the layers below, and its own layer's attention."""
    model = AutoModel.from_pretrained(tiny_llama)
    sites = ("attn_out", "mlp_out", "embeddings", "final_norm")
    before = extract(model, IDS, sites=sites)
    with torch.no_grad():
        model.layers[2].mlp.down_proj.weight += 0.1
    after = extract(model, IDS, sites=sites)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"mlp_out_2", "layer_2", "final_norm"}


def test_no_hook_stays_behind_where_the_search_fails(tiny_llama, monkeypatch):
    model = AutoModel.from_pretrained(tiny_llama)
    monkeypatch.setattr(model.layers[1].mlp, "forward", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        RepresentationExtractor(model, sites=("attn_out",))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_whose_sites_were_found_can_still_be_trained(tiny_llama):
    model = AutoModel.from_pretrained(tiny_llama)
    RepresentationExtractor(model, sites=("attn_out",))
    model.train()
    model(**IDS).last_hidden_state.sum().backward()
    assert model.layers[0].mlp.down_proj.weight.grad is not None


@pytest.mark.parametrize(
    ("sites", "n_layers", "count"), [(("resid_post",), 3, 3), (SITES, 4, 9), (("resid_post", "final_norm"), 2, 3)]
)
def test_tensors_are_counted_by_what_is_asked_for(sites, n_layers, count):
    assert tensors_asked_for(sites, n_layers) == count


def test_one_name_may_stand_alone_and_too_small_sums_ask_for_no_coarser_numbers(tiny_llama):
    model = AutoModel.from_pretrained(tiny_llama)
    found = RepresentationExtractor(model, sites="attn_out")  # pyright: ignore[reportArgumentType]
    assert found.site_layers == {"attn_out": [0, 1, 2]}
    for block in model.layers:
        block.self_attn.o_proj.weight.data *= 1e-9
    with pytest.raises(ModelError, match=r"told apart in float32\. Leave it out"):
        RepresentationExtractor(model, sites="attn_out")  # pyright: ignore[reportArgumentType]
