"""Layer-major extraction gives the numbers of sample-major extraction, for many architectures."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AlbertConfig,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    BartConfig,
    BertConfig,
    BloomConfig,
    DebertaV2Config,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    ModernBertConfig,
    OPTConfig,
    Qwen2Config,
    RobertaConfig,
    T5Config,
)

from repdrift.core.errors import ModelError
from repdrift.extraction.batching import BatchPlan, sample_set_of
from repdrift.extraction.layer_major import run_layer_major
from repdrift.models import ModelSource, load_backbone, resolve_model
from repdrift.models.quiet import quiet_transformers

LENGTHS = (9, 4, 13, 2, 7, 13)
DEPTH = 3

_TEXT = {"vocab_size": 60, "num_hidden_layers": DEPTH, "num_attention_heads": 4, "pad_token_id": 0}
_WIDE = {**_TEXT, "hidden_size": 32, "intermediate_size": 48, "max_position_embeddings": 64, "initializer_range": 0.2}
_ROPE = {**_WIDE, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
_ALTERNATE = ["sliding_attention", "full_attention", "sliding_attention"]
_GEMMA = {**_ROPE, "head_dim": 8, "sliding_window": 4, "layer_types": _ALTERNATE}
_LEGACY = {"vocab_size": 60, "hidden_size": 32, "n_layer": DEPTH, "n_head": 4, "initializer_range": 0.2}

FAMILIES = {
    "llama": lambda: LlamaConfig(**_ROPE),
    "mistral": lambda: MistralConfig(**_ROPE, sliding_window=4),
    "gemma2": lambda: Gemma2Config(**_GEMMA, query_pre_attn_scalar=8),
    "gemma3_text": lambda: Gemma3TextConfig(**_GEMMA, query_pre_attn_scalar=8),
    "qwen2": lambda: Qwen2Config(**_ROPE),
    "mixtral": lambda: MixtralConfig(**_ROPE, num_local_experts=4, num_experts_per_tok=2),
    "gpt2": lambda: GPT2Config(vocab_size=60, n_embd=32, n_layer=DEPTH, n_head=4, n_positions=64, initializer_range=0.2),
    "gpt_neox": lambda: GPTNeoXConfig(**_WIDE),
    "opt": lambda: OPTConfig(**_TEXT, hidden_size=32, ffn_dim=48, max_position_embeddings=64, word_embed_proj_dim=16, init_std=0.2),
    "bloom": lambda: BloomConfig(**_LEGACY),
    "falcon": lambda: FalconConfig(**{**_TEXT, "hidden_size": 32, "initializer_range": 0.2}, alibi=True),
    "bert": lambda: BertConfig(**_WIDE),
    "roberta": lambda: RobertaConfig(**_WIDE),
    "deberta_v2": lambda: DebertaV2Config(
        **_WIDE, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8, conv_kernel_size=3,
        norm_rel_ebd="layer_norm", share_att_key=True,
    ),
    "modernbert": lambda: ModernBertConfig(**_WIDE, local_attention=8, cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2),
    "albert": lambda: AlbertConfig(**_WIDE, embedding_size=16),
    "t5": lambda: T5Config(vocab_size=60, d_model=32, d_kv=8, d_ff=48, num_layers=DEPTH, num_heads=4),
    "bart": lambda: BartConfig(
        vocab_size=60, d_model=32, encoder_layers=DEPTH, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, init_std=0.2,
    ),
    "mamba": lambda: MambaConfig(vocab_size=60, hidden_size=32, state_size=4, num_hidden_layers=DEPTH, time_step_rank=4),
}  # fmt: skip


@pytest.fixture
def batches():
    g = torch.Generator().manual_seed(0)
    ids = torch.zeros((len(LENGTHS), max(LENGTHS)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(4, 40, (length,), generator=g)
        mask[row, :length] = 1
    return BatchPlan(sample_set_of({"input_ids": ids, "attention_mask": mask}), token_budget=30)


def _saved(folder, model, *, shard="40KB"):
    with quiet_transformers():
        model.save_pretrained(folder, max_shard_size=shard)
    return resolve_model(str(folder))


def _layer_major(source, batches, **options):
    found = {}

    def keep(layer, place, batch, hidden):
        found[layer, place] = hidden.clone() * batch.inputs["attention_mask"][:, :, None]

    run = run_layer_major(source, batches, on_hidden_state=keep, **options)
    return found, run


def _sample_major(model, batches, modules):
    """The blocks' outputs by plain hooks, in one pass a batch."""
    found = {}
    outputs = []
    runner = model.get_encoder() if model.config.is_encoder_decoder else model

    def keep(_module, _inputs, output):
        outputs.append(output[0] if isinstance(output, tuple) else output)

    hooks = [module.register_forward_hook(keep) for module in dict.fromkeys(modules)]
    with torch.inference_mode():
        for place, batch in enumerate(batches):
            outputs.clear()
            runner(**batch.inputs)
            for layer, hidden in enumerate(outputs):
                found[layer, place] = hidden * batch.inputs["attention_mask"][:, :, None]
    for hook in hooks:
        hook.remove()
    return found


def _blocks(model):
    if model.config.model_type == "albert":
        return list(model.encoder.albert_layer_groups)
    if model.config.model_type == "deberta-v2":  # the stream goes through a convolution behind the first block
        return [model.encoder.conv, *model.encoder.layer[1:]]
    lists = [m for n, m in model.named_modules() if isinstance(m, torch.nn.ModuleList) and "decoder.layers" not in n]
    lists += [m for n, m in model.named_modules() if isinstance(m, torch.nn.ModuleList) and n == "decoder.layers"]
    return list(next(m for m in lists if len(m) == DEPTH))


def _assert_same(found, expected, atol=1e-5):
    assert found.keys() == expected.keys()
    for key, hidden in found.items():
        torch.testing.assert_close(hidden, expected[key], atol=atol, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_block_by_block_is_the_same_as_batch_by_batch(tmp_path, batches, family):
    torch.manual_seed(3)
    config = FAMILIES[family]()
    source = _saved(tmp_path / "model", AutoModel.from_config(config))
    assert len(list(source.path.glob("*.safetensors"))) > 1
    model = load_backbone(source)
    expected = _sample_major(model, batches, _blocks(model))
    assert len(expected) == DEPTH * len(batches)
    found, run = _layer_major(source, batches)
    _assert_same(found, expected)
    assert run.depth == DEPTH
    assert run.width == 32


@pytest.mark.parametrize("family", ["llama", "mixtral", "gpt2", "bloom", "bert", "t5", "mamba"])
def test_half_precision_is_the_same_too(tmp_path, batches, family):
    torch.manual_seed(4)
    source = _saved(tmp_path / "model", AutoModel.from_config(FAMILIES[family]()))
    model = load_backbone(source, dtype="bfloat16")
    expected = _sample_major(model, batches, _blocks(model))
    found, _ = _layer_major(source, batches, dtype="bfloat16")
    for key, hidden in found.items():
        assert hidden.dtype == expected[key].dtype
        assert torch.equal(hidden, expected[key])


@pytest.mark.parametrize(
    ("family", "auto_class"),
    [
        ("llama", AutoModelForCausalLM),
        ("llama", AutoModelForSequenceClassification),
        ("llama", AutoModelForQuestionAnswering),
        ("mixtral", AutoModelForCausalLM),
        ("gpt2", AutoModelForSequenceClassification),
        ("bert", AutoModelForQuestionAnswering),
        ("opt", AutoModelForCausalLM),
        ("t5", AutoModelForSequenceClassification),
    ],
)
def test_task_heads_are_left_in_the_file(tmp_path, batches, family, auto_class):
    torch.manual_seed(5)
    model = auto_class.from_config(FAMILIES[family]()).eval()
    source = _saved(tmp_path / "model", model)
    backbone = getattr(model, model.base_model_prefix)
    expected = _sample_major(backbone, batches, _blocks(backbone))
    _assert_same(_layer_major(source, batches)[0], expected)


def _adapter(folder, source, *, task="SEQ_CLS", **options):
    torch.manual_seed(6)
    auto_class = {"SEQ_CLS": AutoModelForSequenceClassification, "CAUSAL_LM": AutoModelForCausalLM, None: AutoModel}[
        task
    ]
    with quiet_transformers():
        model = auto_class.from_pretrained(source.path)
        adapted = get_peft_model(model, LoraConfig(task_type=task, r=3, lora_alpha=7, **options))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    with quiet_transformers():
        adapted.save_pretrained(folder, save_embedding_layers=False)
    return resolve_model(str(folder))


def _adapted_backbone(auto_class, source, adapter, dtype="float32"):
    with quiet_transformers():
        base = auto_class.from_pretrained(source.path, dtype=dtype)
        inner = PeftModel.from_pretrained(base, str(adapter.path)).eval().get_base_model()
    return getattr(inner, inner.base_model_prefix, inner)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("llama", {"target_modules": ["q_proj", "down_proj"], "use_rslora": True}),
        ("llama", {"target_modules": "all-linear", "rank_pattern": {"model.layers.1.self_attn.q_proj": 2}}),
        (
            "llama",
            {
                "target_modules": r"model\.layers\.[02]\..*v_proj",
                "alpha_pattern": {"model.layers.2.self_attn.v_proj": 30},
            },
        ),
        ("llama", {"target_modules": ["v_proj"], "layers_to_transform": [1]}),
        ("llama", {"target_modules": ["v_proj", "embed_tokens"]}),
        ("gpt2", {"target_modules": ["c_attn"], "fan_in_fan_out": True}),
        ("bert", {"target_modules": ["query", "value", "pooler.dense"]}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_lora_adapter_is_on_the_blocks(tmp_path, batches, family, options, dtype):
    torch.manual_seed(7)
    source = _saved(tmp_path / "base", AutoModel.from_config(FAMILIES[family]()))
    adapter = _adapter(tmp_path / "adapter", source, **options)
    backbone = _adapted_backbone(AutoModelForSequenceClassification, source, adapter, dtype)
    expected = _sample_major(backbone, batches, _blocks(backbone))
    found, _ = _layer_major(source, batches, adapter=adapter, dtype=dtype)
    _assert_same(found, expected)
    plain, _ = _layer_major(source, batches, dtype=dtype)
    assert not torch.allclose(plain[2, 0], found[2, 0], atol=1e-2)


@pytest.mark.parametrize(("task", "auto_class"), [("CAUSAL_LM", AutoModelForCausalLM), (None, AutoModel)])
def test_an_adapter_of_any_head_fits(tmp_path, batches, task, auto_class):
    torch.manual_seed(8)
    source = _saved(tmp_path / "base", AutoModelForCausalLM.from_config(FAMILIES["llama"]()))
    adapter = _adapter(tmp_path / "adapter", source, task=task, target_modules=["q_proj"])
    backbone = _adapted_backbone(auto_class, source, adapter)
    expected = _sample_major(backbone, batches, _blocks(backbone))
    _assert_same(_layer_major(source, batches, adapter=adapter)[0], expected)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "biases"),
        ({"modules_to_save": ["input_layernorm"]}, "input_layernorm"),
        ({"init_lora_weights": "pissa"}, "pissa"),
    ],
)
def test_adapters_that_are_no_plain_lora_are_refused(tmp_path, batches, options, named):
    source = _saved(tmp_path / "base", AutoModel.from_config(FAMILIES["llama"]()))
    adapter = _adapter(tmp_path / "adapter", source, target_modules=["q_proj"], **options)
    with pytest.raises(ModelError, match=named):
        _layer_major(source, batches, adapter=adapter)


def test_an_adapter_of_another_model_is_refused(tmp_path, batches):
    source = _saved(tmp_path / "base", AutoModel.from_config(FAMILIES["llama"]()))
    wider = _saved(tmp_path / "wider", AutoModel.from_config(LlamaConfig(**{**_ROPE, "hidden_size": 64})))
    bert = _saved(tmp_path / "bert", AutoModel.from_config(FAMILIES["bert"]()))
    with pytest.raises(ModelError, match="does not fit the model"):
        _layer_major(source, batches, adapter=_adapter(tmp_path / "a", wider, target_modules=["q_proj"]))
    with pytest.raises(ModelError, match="another base model"):
        _layer_major(source, batches, adapter=_adapter(tmp_path / "b", bert, target_modules=["query"]))


@pytest.mark.parametrize("family", ["llama", "t5", "bloom"])
def test_activations_in_a_file_give_equal_bits(tmp_path, batches, family):
    torch.manual_seed(9)
    source = _saved(tmp_path / "model", AutoModel.from_config(FAMILIES[family]()))
    held, in_memory = _layer_major(source, batches)
    for cap in (0, 3000):
        spilled, run = _layer_major(source, batches, activation_cap_bytes=cap, scratch_dir=tmp_path)
        assert run.file_bytes > 0
        assert run.memory_bytes <= cap
        assert all(torch.equal(spilled[key], held[key]) for key in held)
    assert in_memory.file_bytes == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


def test_only_what_is_asked_for_is_run(tmp_path, batches):
    source = _saved(tmp_path / "model", AutoModel.from_config(FAMILIES["llama"]()))
    everything, _ = _layer_major(source, batches)
    done = []
    found, run = _layer_major(source, batches, layers=[1], on_layer_done=done.append)
    assert run.layers == done == [1]
    assert sorted(found) == [(1, place) for place in range(len(batches))]
    assert all(torch.equal(found[key], everything[key]) for key in found)


def test_blocks_before_the_last_are_enough_of_the_checkpoint(tmp_path, batches):
    source = _saved(tmp_path / "model", AutoModel.from_config(FAMILIES["llama"]()), shard="5GB")
    _rewrite(source, lambda tensors: {n: t for n, t in tensors.items() if not n.startswith("layers.2.")})
    assert len(_layer_major(source, batches, layers=[0, 1])[0]) == 2 * len(batches)
    with pytest.raises(ModelError, match=r"lacks 9 weights of LlamaModel.*layers\.2\."):
        _layer_major(source, batches)


def _rewrite(source, change):
    from safetensors.torch import load_file, save_file

    path = source.path / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def test_faults_of_the_checkpoint_are_named(tmp_path, batches):
    model = AutoModel.from_config(FAMILIES["llama"]())
    shards = _saved(tmp_path / "shards", model)
    path = (
        shards.path
        / json.loads((shards.path / "model.safetensors.index.json").read_text())["weight_map"][
            "layers.1.mlp.up_proj.weight"
        ]
    )
    kept = path.read_bytes()
    path.write_bytes(kept[:-100])
    with pytest.raises(ModelError, match="truncated"):
        _layer_major(shards, batches)
    path.write_bytes(kept[:20])
    with pytest.raises(ModelError, match="truncated"):
        _layer_major(shards, batches)
    path.write_bytes(b"no tensors here at all")
    with pytest.raises(ModelError, match="no safetensors file"):
        _layer_major(shards, batches)
    path.unlink()
    with pytest.raises(ModelError, match=f"lacks 1 of .* weight shards: {path.name}"):
        _layer_major(shards, batches)
    single = _saved(tmp_path / "single", model, shard="5GB")
    _rewrite(single, lambda tensors: {**tensors, "layers.1.mlp.up_proj.weight": torch.zeros(3, 5)})
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj\.weight \(\(3, 5\), expected \(48, 32\)\)"):
        _layer_major(single, batches)
    _rewrite(single, lambda tensors: {n: t for n, t in tensors.items() if n != "embed_tokens.weight"})
    with pytest.raises(ModelError, match="embed_tokens"):
        _layer_major(single, batches, layers=[0])


def test_a_fused_weight_with_a_missing_part_is_refused(tmp_path, batches):
    source = _saved(tmp_path / "model", AutoModel.from_config(FAMILIES["mixtral"]()), shard="5GB")
    _rewrite(
        source, lambda tensors: {n: t for n, t in tensors.items() if "layers.1.block_sparse_moe.experts.2.w1" not in n}
    )
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.experts"):
        _layer_major(source, batches)


def test_decoder_and_other_formats_are_refused(tmp_path, batches):
    source = _saved(tmp_path / "model", AutoModel.from_config(FAMILIES["t5"]()))
    with pytest.raises(ModelError, match="decoder"):
        _layer_major(source, batches, stack="decoder")
    config = json.loads((source.path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (source.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="quantised"):
        _layer_major(source, batches)
    with pytest.raises(ModelError, match="GGUF"):
        _layer_major(ModelSource("m", tmp_path, "folder", gguf_file="m.gguf"), batches)


def test_configurations_round_trip():
    """The tests above rest on AutoModel finding each family."""
    for build in FAMILIES.values():
        assert AutoConfig.for_model(build().model_type)
