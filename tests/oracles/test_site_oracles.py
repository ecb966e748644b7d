"""Sites of every architecture agree with plain hooks on modules that were named by hand, and obey the laws of their blocks."""

import copy
import functools

import numpy as np
import pytest
import torch
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.extraction import RepresentationExtractor, extract
from repdrift.models import backbone_of, find_blocks
from tests.oracles.architectures import DEPTH, ENCODER_DECODERS, VOCABULARY, Architecture, model_of
from tests.oracles.site_references import ADDED, KNOWN, reference
from tests.oracles.site_table import DOCUMENT, written

LENGTHS = (11, 3, 7, 6)
SAMPLES = [
    torch.randint(4, VOCABULARY, (1, length), generator=torch.Generator().manual_seed(length)) for length in LENGTHS
]
PRE_NORM = sorted(
    set(ADDED) - {"opt_post_norm", "bert", "roberta", "deberta_v2", "deberta_v2_conv", "distilbert", "electra", "xlnet", "albert", "bart", "jamba"}
)  # fmt: skip


@functools.cache
def _model(name):
    """The model of one architecture; its encoder alone where it has two stacks. Tests change copies of it only."""
    model = model_of(KNOWN[name])
    return model.get_encoder() if name in ENCODER_DECODERS else model


def _padded():
    ids = torch.zeros((len(LENGTHS), max(LENGTHS)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sample in enumerate(SAMPLES):
        where = slice(ids.shape[1] - sample.shape[1], None)
        ids[row, where], mask[row, where] = sample, 1
    return {"input_ids": ids, "attention_mask": mask}


@functools.cache
def _found(name, *sites):
    return extract(_model(name), _padded(), sites=sites, token_budget=25)


def _close(found, expected, *, atol=1e-5):
    scale = max(1.0, float(expected.abs().max()))
    np.testing.assert_allclose(found.double(), expected.double(), atol=atol * scale, rtol=0)


@pytest.mark.parametrize("name", ADDED)
def test_sites_are_what_plain_hooks_on_named_modules_see(name):
    model = _model(name)
    expected = reference(model, find_blocks(model).modules, ADDED[name], SAMPLES)
    found = {key: rows for key, rows in _found(name, "attn_out", "mlp_out").items() if not key.startswith("layer")}
    if name == "xlnet":
        found = {key: rows for key, rows in found.items() if key.startswith("mlp")}
    assert set(found) == set(expected)
    layers = [1] if name == "jamba" else range(DEPTH)
    assert name == "xlnet" or {f"attn_out_{layer}" for layer in layers} <= set(found)
    for key, rows in expected.items():
        _close(found[key], rows)


@pytest.mark.parametrize("name", PRE_NORM)
def test_the_stream_after_a_block_is_the_stream_before_it_and_what_was_added(name):
    found = _found(name, "attn_out", "mlp_out", "embeddings")
    before = found["embeddings"]
    for layer in range(DEPTH):
        after = found[f"layer_{layer}"]
        _close(after, before + found[f"attn_out_{layer}"] + found[f"mlp_out_{layer}"])
        before = after


_BERT_NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
POST_NORM = {
    **dict.fromkeys(("bert", "roberta", "electra", "deberta_v2"), _BERT_NORMS),
    "distilbert": ("sa_layer_norm", "output_layer_norm"),
    "opt_post_norm": ("self_attn_layer_norm", "final_layer_norm"),
    "bart": ("self_attn_layer_norm", "final_layer_norm"),
    "albert": ("attention.LayerNorm", "full_layer_layer_norm"),
    "xlnet": ("rel_attn.layer_norm", "ff.layer_norm"),
}


@pytest.mark.parametrize("name", POST_NORM)
def test_the_stream_after_a_post_norm_block_is_the_norm_of_what_was_added(name):
    model = _model(name)
    found = extract(model, _padded(), sites=("attn_out", "mlp_out", "embeddings"), pooling="tokens", token_budget=25)
    before = found["embeddings"].double()
    for layer, block in enumerate(find_blocks(model).modules):
        first, second = map(block.get_submodule, POST_NORM[name])
        with torch.inference_mode():
            hidden = first(before + found[f"attn_out_{layer}"].double())
            after = second(hidden + found[f"mlp_out_{layer}"].double())
        _close(found[f"layer_{layer}"], after)
        before = found[f"layer_{layer}"].double()


def test_jamba_adds_attention_in_its_attention_blocks_only():
    found = _found("jamba", "attn_out", "mlp_out", "embeddings")
    assert [key for key in found if key.startswith("attn_out")] == ["attn_out_1"]
    _close(found["layer_1"], found["layer_0"] + found["attn_out_1"] + found["mlp_out_1"])


def test_attention_of_xlnet_is_the_product_of_its_heads_and_its_output_tensor(monkeypatch):
    model, seen = copy.deepcopy(_model("xlnet")), {}
    for layer, block in enumerate(model.layer):
        own = block.rel_attn.post_attention

        def post_attention(h, heads, residual=True, own=own, layer=layer, attention=block.rel_attn):
            added = torch.einsum("ibnd,hnd->ibh", heads, attention.o)
            seen.setdefault(f"attn_out_{layer}", []).append(added.mean(0)[0])
            return own(h, heads, residual)

        monkeypatch.setattr(block.rel_attn, "post_attention", post_attention)
    with torch.inference_mode():
        for sample in SAMPLES:
            model(input_ids=sample)
    found = _found("xlnet", "attn_out", "mlp_out")
    for key, rows in seen.items():
        _close(found[key], torch.stack(rows))


@pytest.mark.parametrize("name", [name for name in KNOWN if name not in ENCODER_DECODERS])
def test_embeddings_and_final_norm_are_those_of_the_models_own_hidden_states(name):
    model = _model(name)
    with torch.inference_mode():
        states = [model(input_ids=sample, output_hidden_states=True).hidden_states for sample in SAMPLES]
        first = [s[0][0].mean(0) for s in states]
        if name == "mamba":  # its own first state is that after block 0
            first = [model.embeddings(sample)[0].mean(0) for sample in SAMPLES]
    first, last = torch.stack(first), torch.stack([s[-1][0].mean(0) for s in states])
    _close(_found(name, "embeddings")["embeddings"], first)
    norms = [end for end in KNOWN[name].end if "norm" in end.lower() or end == "ln_f"]
    if not norms:
        with pytest.raises(
            ModelError, match=r"site 'final_norm' of \w+ cannot be read: no norm follows the last block"
        ):
            RepresentationExtractor(model, sites=("final_norm",))
        return
    if name == "opt":  # its own last state has also been projected to another width
        seen = []
        handle = model.decoder.final_layer_norm.register_forward_hook(lambda _m, _a, out: seen.append(out[0].mean(0)))
        with torch.inference_mode():
            for sample in SAMPLES:
                model(input_ids=sample)
        handle.remove()
        last = torch.stack(seen)
    _close(_found(name, "final_norm")["final_norm"], last)


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_attention_of_a_decoder_is_that_on_itself_and_leaves_the_one_on_the_encoder_out(name):
    model = model_of(KNOWN[name])
    backbone = backbone_of(model, "decoder")
    own, other = {"t5": ("layer.0.SelfAttention", "layer.1.EncDecAttention"), "bart": ("self_attn", "encoder_attn")}[
        name
    ]
    extractor = RepresentationExtractor(backbone, stack="decoder", sites=("attn_out", "mlp_out"))
    taps = {place: taps[0].module for place, taps in extractor.chosen_sites.taps.items()}
    seen = {}
    for layer, block in enumerate(find_blocks(backbone, stack="decoder").modules):
        for part in (own, other):
            block.get_submodule(part).register_forward_hook(
                lambda _m, _a, out, key=(part, layer): seen.update({key: out[0]})
            )
        taps["attn_out", layer].register_forward_hook(lambda _m, _a, out, key=layer: seen.update({key: out}))
    extractor.extract_sites({"input_ids": SAMPLES[0], "attention_mask": torch.ones_like(SAMPLES[0])})
    for layer in range(2):
        read = seen[layer][0] if isinstance(seen[layer], tuple) else seen[layer]
        assert torch.equal(read, seen[own, layer])
        assert not torch.allclose(read, seen[other, layer])


@pytest.mark.parametrize("name", [name for name, added in ADDED.items() if added.down])
def test_a_change_of_the_mlps_last_matrix_moves_the_mlp_and_not_the_attention_of_its_layer(name):
    changed = copy.deepcopy(_model(name))
    block = find_blocks(changed).modules[1]
    down = block.get_submodule(ADDED[name].down)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # a change of rank 1
        shape = down.weight.shape
        left, right = (torch.randn(n, generator=generator, dtype=torch.float64) for n in shape)
        down.weight.add_((left[:, None] * right).to(down.weight.dtype))
    before, after = (
        _found(name, "attn_out", "mlp_out"),
        extract(changed, _padded(), sites=("attn_out", "mlp_out"), token_budget=25),
    )
    for key in before:
        layer = int(key.rpartition("_")[2])
        moved = not torch.equal(before[key], after[key])
        assert moved == (layer > 1 or key in ("mlp_out_1", "layer_1")), key


def test_a_rotation_of_what_attention_writes_rotates_its_site_alone():
    turned = copy.deepcopy(_model("llama"))
    rotation = torch.linalg.qr(torch.randn(16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))).Q
    projection = turned.layers[1].self_attn.o_proj
    with torch.no_grad():
        projection.weight.copy_(rotation @ projection.weight)
    found = extract(turned, _padded(), sites=("attn_out", "mlp_out"), token_budget=25)
    before = _found("llama", "attn_out", "mlp_out")
    _close(found["attn_out_1"], before["attn_out_1"].double() @ rotation.T)
    assert torch.equal(found["layer_0"], before["layer_0"])
    assert torch.equal(found["mlp_out_0"], before["mlp_out_0"])


@pytest.mark.parametrize(
    ("name", "site", "why"),
    [
        ("mamba", "attn_out", "the blocks have no attention"),
        ("mamba", "mlp_out", r"in layer 0, 1 and 2: beside mixer \(MambaMixer\) no module is seen"),
        ("zamba2", "attn_out", r"in layer 1: no outputs of two modules"),
        ("zamba2", "mlp_out", "Zamba2MambaDecoderLayer"),
    ],
)
def test_an_architecture_without_a_site_says_so_by_name(name, site, why):
    with pytest.raises(ModelError, match=rf"site '{site}' of \w+ cannot be read.*{why}"):
        RepresentationExtractor(_model(name), sites=(site,))


class _SumAlone(nn.Module):
    """A block of which only the sum of attention and MLP is seen: both are products of plain tensors."""

    def __init__(self):
        super().__init__()
        self.attention = nn.ModuleDict({"q": nn.Linear(16, 16)})
        self.up = nn.Parameter(torch.randn(16, 16))

    def forward(self, hidden_states, **_):
        mixed = self.attention["q"](hidden_states).softmax(-1) @ self.up
        return hidden_states + mixed + torch.tanh(hidden_states) @ self.up


def test_a_block_that_shows_its_sum_alone_is_refused():
    model = copy.deepcopy(_model("llama")).float()
    model.layers[1] = _SumAlone()
    for site in ("attn_out", "mlp_out"):
        with pytest.raises(ModelError, match=r"in layer 1: no outputs of two modules.*_SumAlone adds"):
            RepresentationExtractor(model, sites=(site,))
    assert RepresentationExtractor(model, sites=("attn_out",), layers=[0, 2]).site_layers == {"attn_out": [0, 2]}


def test_a_model_that_exchanges_modules_for_short_inputs_is_refused():
    model = copy.deepcopy(_model("llama"))

    def exchange(*_: object) -> None:
        model.layers[0].mlp.act_fn = torch.nn.SiLU()

    model.register_forward_pre_hook(exchange)
    with pytest.raises(ModelError, match="LlamaModel exchanges modules of its own for short inputs"):
        RepresentationExtractor(model, sites=("attn_out",))


def test_bigbird_is_read_with_full_attention_and_left_as_it_was():
    architecture = Architecture("BigBirdConfig", "encoder.layer", (), {"block_size": 4, "num_random_blocks": 1})
    extractor = RepresentationExtractor(model_of(architecture), sites=("attn_out", "mlp_out"))
    taps = {place: [tap.name for tap in taps] for place, taps in extractor.chosen_sites.taps.items()}
    assert set(map(tuple, taps.values())) == {("attention.output.dropout",), ("output.dropout",)}
    assert extractor.backbone.attention_type == "block_sparse"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_coarse_numbers_find_the_same_modules_or_say_that_they_are_too_coarse(dtype):
    model = _model("llama")
    exact = RepresentationExtractor(model, sites=("attn_out", "mlp_out")).chosen_sites.taps
    coarse = RepresentationExtractor(copy.deepcopy(model).to(dtype), sites=("attn_out", "mlp_out")).chosen_sites.taps
    assert {p: [t.name for t in taps] for p, taps in coarse.items()} == {
        p: [t.name for t in taps] for p, taps in exact.items()
    }
    tiny = copy.deepcopy(model).to(dtype)
    with torch.no_grad():
        tiny.layers[0].self_attn.o_proj.weight.mul_(1e-6)
    with pytest.raises(ModelError, match="too small beside the residual stream"):
        RepresentationExtractor(tiny, sites=("attn_out",))


def test_the_table_in_the_docs_is_what_the_code_finds():
    assert DOCUMENT.read_text(encoding="utf-8") == written(), "write it anew: python -m tests.oracles.site_table"
