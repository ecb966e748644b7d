"""Layer-major extraction with a LoRA adapter gives the numbers of the adapted model run as a whole."""

import pytest
import torch
from peft import EvaConfig, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
)

from repdrift.core.errors import ModelError
from repdrift.models import quiet_transformers, resolve_model
from tests.oracles.checkpoints import (
    a_few_batches,
    assert_same,
    blocks_of,
    layer_major,
    sample_major,
    saved,
    tiny_model,
)


@pytest.fixture
def batches():
    return a_few_batches()


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
        ("llama", {"target_modules": ["v_proj"], "init_lora_weights": "eva", "eva_config": EvaConfig()}),
        ("llama", {"target_modules": ["v_proj", "embed_tokens"]}),
        ("gpt2", {"target_modules": ["c_attn"], "fan_in_fan_out": True}),
        ("bert", {"target_modules": ["query", "value", "pooler.dense"]}),
    ],
)
@pytest.mark.filterwarnings("ignore:lora with eva initialization used with low_cpu_mem_usage")
def test_a_lora_adapter_is_on_the_blocks(tmp_path, batches, family, options):
    source = saved(tmp_path / "base", tiny_model(family))
    adapter = _adapter(tmp_path / "adapter", source, **options)
    for dtype in ("float32", "bfloat16"):
        backbone = _adapted_backbone(AutoModelForSequenceClassification, source, adapter, dtype)
        expected = sample_major(backbone, batches, blocks_of(backbone, family))
        found = layer_major(source, batches, adapter=adapter, dtype=dtype)
        assert_same(found, expected)
    plain = layer_major(source, batches, dtype=dtype)
    assert not torch.allclose(plain[2, 0], found[2, 0], atol=1e-2)


@pytest.mark.parametrize(("task", "auto_class"), [("CAUSAL_LM", AutoModelForCausalLM), (None, AutoModel)])
def test_an_adapter_of_any_head_fits(tmp_path, batches, task, auto_class):
    source = saved(tmp_path / "base", tiny_model("llama", AutoModelForCausalLM))
    adapter = _adapter(tmp_path / "adapter", source, task=task, target_modules=["q_proj"])
    backbone = _adapted_backbone(auto_class, source, adapter)
    expected = sample_major(backbone, batches, blocks_of(backbone, "llama"))
    assert_same(layer_major(source, batches, adapter=adapter), expected)


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
    source = saved(tmp_path / "base", tiny_model("llama"))
    adapter = _adapter(tmp_path / "adapter", source, target_modules=["q_proj"], **options)
    with pytest.raises(ModelError, match=named):
        layer_major(source, batches, adapter=adapter)


def test_files_with_the_adapters_name_in_them_are_read_and_files_that_lack_tensors_refused(tmp_path, batches):
    source = saved(tmp_path / "base", tiny_model("llama"))
    adapter = _adapter(tmp_path / "adapter", source, target_modules=["q_proj", "v_proj"])
    expected = layer_major(source, batches, adapter=adapter)
    path = adapter.path / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({name.replace(".weight", ".default.weight"): t for name, t in tensors.items()}, path)
    assert_same(layer_major(source, batches, adapter=adapter), expected)
    for left_out, said in (
        ("layers.1.", r"calls for matrices in 6 modules, and those of 2 .*layers\.1\."),
        ("lora_A", "lacks"),
    ):
        save_file({name: t for name, t in tensors.items() if left_out not in name}, path)
        with pytest.raises(ModelError, match=said):
            layer_major(source, batches, adapter=adapter)


def test_an_adapter_of_another_model_is_refused(tmp_path, batches):
    source = saved(tmp_path / "base", tiny_model("llama"))
    wider = saved(tmp_path / "wider", tiny_model("llama", hidden_size=64))
    bert = saved(tmp_path / "bert", tiny_model("bert"))
    with pytest.raises(ModelError, match="does not fit the model"):
        layer_major(source, batches, adapter=_adapter(tmp_path / "a", wider, target_modules=["q_proj"]))
    with pytest.raises(ModelError, match="another base model"):
        layer_major(source, batches, adapter=_adapter(tmp_path / "b", bert, target_modules=["query"]))
