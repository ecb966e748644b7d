"""Models with task heads, adapters, compilation or quantisation give the numbers of the model inside."""

import copy

import numpy as np
import pytest
import torch
import transformers
from peft import IA3Config, LoraConfig, PromptTuningConfig, get_peft_model
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.extraction import extract
from repdrift.extraction.block_hooks import capture_hidden_states
from repdrift.models import backbone_of, find_blocks
from tests.oracles.architectures import ARCHITECTURES, DEPTH, VOCABULARY, cut_after, model_of, randomised

IDS = torch.randint(4, VOCABULARY, (4, 6), generator=torch.Generator().manual_seed(0))
INPUTS = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}


def expected_of(model, architecture):
    """Means over tokens from the model cut off after each block."""
    found = []
    for layer in range(DEPTH):
        cut = cut_after(model, layer, blocks=architecture.blocks, end=architecture.end)
        with torch.no_grad():
            found.append(torch.cat([cut(input_ids=row[None]).last_hidden_state.mean(1) for row in IDS]))
    return found


def require_equal(found, expected, *, atol=1e-5):
    for layer, reference in enumerate(expected):
        np.testing.assert_allclose(
            found[f"layer_{layer}"].double(), reference.double(), atol=atol, err_msg=f"layer {layer}"
        )


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "electra", "modernbert", "deberta_v2_conv"])
@pytest.mark.parametrize("head", ["SequenceClassification", "QuestionAnswering", "language modelling"])
def test_head_is_taken_off(name, head):
    if head == "language modelling":
        head = "CausalLM" if name in {"llama", "gpt2"} else "MaskedLM"
    architecture = ARCHITECTURES[name]
    model = model_of(architecture, getattr(transformers, f"AutoModelFor{head}"))
    bare = transformers.AutoModel.from_config(model.config).double().eval()
    _, extra = bare.load_state_dict(backbone_of(model).state_dict(), strict=False)  # some heads go without the pooler
    assert not extra
    assert find_blocks(backbone_of(model)).path == architecture.blocks
    require_equal(extract(model, INPUTS), expected_of(bare, architecture))


@pytest.mark.parametrize("name", ["llama", "bert", "deberta_v2_conv"])
@pytest.mark.parametrize("tuner", ["lora", "ia3", "lora in place"])
def test_adapter_is_active_and_gives_the_numbers_of_its_merged_weights(name, tuner):
    architecture = ARCHITECTURES[name]
    model = model_of(architecture, transformers.AutoModelForSequenceClassification)
    plain = extract(model, INPUTS)
    ends = ("q_proj", "v_proj") if name == "llama" else ("query", "query_proj", "dense")
    targets = [each for each, module in model.named_modules() if isinstance(module, nn.Linear) and each.endswith(ends)]
    if tuner == "ia3":
        adapted = get_peft_model(model, IA3Config(target_modules=targets, feedforward_modules=[]))
    elif tuner == "lora":
        adapted = get_peft_model(model, LoraConfig(r=2, target_modules=targets))
    else:
        model.add_adapter(LoraConfig(r=2, target_modules=targets))  # transformers' own way: no wrapper
        adapted = model
    randomised(adapted)
    assert find_blocks(backbone_of(adapted)).path == architecture.blocks
    found = extract(adapted, INPUTS)
    assert all((found[layer] - plain[layer]).abs().max() > 1e-2 for layer in plain)
    if tuner == "lora in place":
        merged = copy.deepcopy(adapted)
        for module in merged.modules():
            if hasattr(module, "merge") and hasattr(module, "lora_A"):
                module.merge()
    else:
        merged = copy.deepcopy(adapted).merge_and_unload()
    require_equal(found, expected_of(backbone_of(merged), architecture))


def test_what_does_not_run_a_learned_prompt_refuses_it():
    model = model_of(ARCHITECTURES["llama"], transformers.AutoModelForCausalLM)
    adapted = get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    with pytest.raises(ModelError, match="learned prompt"):
        backbone_of(adapted)


def _wrapped(model):
    return torch.compile(model, backend="eager")


def _in_place(model):
    model.compile(backend="eager")
    return model


def _forward(model):
    model.forward = torch.compile(model.forward, backend="eager")
    return model


def _block_by_block(model):
    for layer, block in enumerate(model.layers):
        model.layers[layer] = torch.compile(block, backend="eager")
    return model


@pytest.mark.parametrize("compiled_by", [_wrapped, _in_place, _forward, _block_by_block])
def test_compiled_model_is_captured_though_it_was_compiled_before_the_hooks(compiled_by):
    model = model_of(ARCHITECTURES["llama"])
    plain = extract(model, INPUTS)
    torch._dynamo.reset()
    compiled = compiled_by(model)
    found = {}
    with torch.inference_mode():
        compiled(**INPUTS)  # from here on, the compiler would run what it has, and no hook
        blocks = find_blocks(compiled)
        assert blocks.path == "layers"
        with capture_hidden_states(
            blocks, range(DEPTH), lambda layer, hidden: found.update({f"layer_{layer}": hidden.mean(1)})
        ):
            compiled(**INPUTS)
    require_equal(found, list(plain.values()))
    for again, before in zip(extract(compiled, INPUTS).values(), plain.values(), strict=True):
        assert torch.equal(again, before)
    torch._dynamo.reset()


def test_parallel_wrapper_is_taken_off():
    model = model_of(ARCHITECTURES["bert"])
    wrapped = nn.DataParallel(model)
    assert backbone_of(wrapped) is model
    assert backbone_of(torch.compile(wrapped, backend="eager")) is model


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch.ao is being moved to torchao
def test_dynamically_quantised_model_gives_the_numbers_of_its_quantised_blocks():
    architecture = ARCHITECTURES["llama"]
    model = model_of(architecture).float()
    plain = extract(model, INPUTS)
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    assert find_blocks(backbone_of(quantised)).path == architecture.blocks
    # One sample at a time: the scale of the activations is taken over the whole batch, so the batch shows in the numbers.
    found = extract(quantised, INPUTS, token_budget=IDS.shape[1])
    require_equal(found, expected_of(quantised, architecture))
    for layer, before in plain.items():
        assert 1e-4 < (found[layer] - before).norm() / before.norm() < 0.2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("bits", "error"), [(8, 0.1), (4, 0.6)])
def test_bitsandbytes_model_gives_the_numbers_of_its_quantised_blocks(bits, error, tmp_path):
    pytest.importorskip("bitsandbytes")
    architecture = ARCHITECTURES["llama"]
    model = model_of(architecture, hidden_size=64, intermediate_size=64).float()
    model.save_pretrained(tmp_path)
    plain = extract(model, INPUTS)
    config = transformers.BitsAndBytesConfig(**{f"load_in_{bits}bit": True})
    quantised = transformers.AutoModel.from_pretrained(
        tmp_path, quantization_config=config, device_map="cpu", dtype=torch.float32
    )
    found = extract(quantised, INPUTS, token_budget=IDS.shape[1])  # the batch decides which features count as outliers
    require_equal(found, expected_of(quantised, architecture), atol=1e-3)
    for layer, before in plain.items():
        assert 1e-4 < (found[layer] - before).norm() / before.norm() < error
