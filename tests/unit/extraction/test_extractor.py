import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from repdrift.batches.batching import BatchPlan
from repdrift.core.errors import DataError, ModelError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.extraction import LoRARepresentationExtractor, RepresentationExtractor, extract
from repdrift.models import load_adapted, load_backbone, load_task_model, resolve_model, save_model

INPUTS = {"input_ids": torch.arange(4, 24).reshape(5, 4), "attention_mask": torch.ones((5, 4), dtype=torch.long)}


@pytest.fixture
def backbone(tiny_bert):
    return load_backbone(resolve_model(str(tiny_bert)))


def _hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_hooks_are_removed_even_when_the_forward_pass_fails(backbone, monkeypatch):
    before = _hooks(backbone)
    extract(backbone, INPUTS)
    assert _hooks(backbone) == before

    def fail(*_args, **_kwargs):
        raise RuntimeError("device fell over")

    monkeypatch.setattr(backbone.encoder.layer[1], "forward", fail)
    with pytest.raises(RuntimeError, match="fell over"):
        extract(backbone, INPUTS)
    assert _hooks(backbone) == before


def test_unknown_layer_is_refused_before_any_work(backbone):
    with pytest.raises(UnknownNameError, match=r"layer 3 not in BertModel \(3 layers, 0 to 2\)"):
        RepresentationExtractor(backbone, layers=[0, 3])


def test_chosen_layers_are_the_same_as_among_all(backbone):
    every = extract(backbone, INPUTS)
    some = extract(backbone, INPUTS, layers=[2, 0])
    assert list(some) == ["layer_0", "layer_2"]
    assert all(torch.equal(some[name], every[name]) for name in some)


def test_nan_is_named_with_layer_and_sample(backbone):
    with torch.no_grad():
        backbone.embeddings.word_embeddings.weight[INPUTS["input_ids"][3, 1]] = float("nan")
    with pytest.raises(NonFiniteError, match="layer 0, sample '3'"):
        extract(backbone, INPUTS)


def test_overflow_of_the_payload_type_is_named(backbone):
    with torch.no_grad():
        for block in backbone.encoder.layer:
            block.output.LayerNorm.weight.fill_(1e5)
    with pytest.raises(NonFiniteError, match="too large for float16"):
        extract(backbone, INPUTS, dtype="float16")


def test_sample_longer_than_the_model_is_refused(backbone):
    long = {"input_ids": torch.full((4, 70), 5), "attention_mask": torch.ones((4, 70), dtype=torch.long)}
    with pytest.raises(DataError, match="has 70 tokens, the model takes 64"):
        extract(backbone, long)


def test_inputs_of_the_wrong_shape_are_refused(backbone):
    with pytest.raises(ShapeError, match="lack 'input_ids'"):
        extract(backbone, {"attention_mask": INPUTS["attention_mask"]})
    with pytest.raises(ShapeError, match=r"\(5, 4\) and \(5, 3\)"):
        extract(backbone, {"input_ids": INPUTS["input_ids"], "attention_mask": torch.ones((5, 3))})


@pytest.mark.parametrize("fixture", ["tiny_bert", "tiny_llama"])
def test_task_head_and_adapter_do_not_hide_the_blocks(fixture, request):
    source = resolve_model(str(request.getfixturevalue(fixture)))
    plain = extract(load_backbone(source), INPUTS)
    headed = load_task_model(source, "classification", num_labels=2)
    for name, tensor in extract(headed, INPUTS).items():
        assert torch.equal(tensor, plain[name])
    adapted = get_peft_model(headed, LoraConfig(task_type="SEQ_CLS", r=2))
    for name, tensor in extract(adapted, INPUTS).items():  # B is zero at first
        assert torch.equal(tensor, plain[name])


@pytest.fixture
def adapter(tiny_llama, tmp_path):
    """A LoRA adapter on disk whose B is not zero."""
    from repdrift.models import load_tokenizer

    source = resolve_model(str(tiny_llama))
    torch.manual_seed(0)
    model = get_peft_model(
        load_task_model(source, "classification", num_labels=2), LoraConfig(task_type="SEQ_CLS", r=2, lora_alpha=6)
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    save_model(model, load_tokenizer(source), tmp_path / "adapter")
    return tmp_path / "adapter"


def test_adapter_changes_representations_and_its_matrices_are_those_on_disk(tiny_llama, adapter):
    source = resolve_model(str(tiny_llama))
    adapted = load_adapted(source, resolve_model(str(adapter)), "classification", num_labels=2)
    extractor = LoRARepresentationExtractor(adapted)
    plain, moved = extract(load_backbone(source), INPUTS), extractor.extract(INPUTS)
    assert all((plain[f"layer_{i}"] - moved[i]).abs().max() > 1e-3 for i in range(3))
    stored = load_file(adapter / "adapter_model.safetensors")
    layers = extractor.adapter_layers()
    assert [layer.layer for layer in layers] == [0, 1, 2]
    assert set(layers[1].a) == {"self_attn.q_proj", "self_attn.v_proj"}
    assert layers[1].scaling["self_attn.q_proj"] == 3.0
    assert torch.equal(
        layers[1].b["self_attn.v_proj"], stored["base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight"]
    )


def test_adapter_of_another_model_is_refused(tiny_bert, adapter):
    with pytest.raises(ModelError, match="(does not fit|did not arrive)"):
        load_adapted(resolve_model(str(tiny_bert)), resolve_model(str(adapter)), "classification", num_labels=2)


def test_base_model_has_no_adapter_layers(backbone):
    with pytest.raises(ModelError, match="no LoRA matrices"):
        LoRARepresentationExtractor(backbone).adapter_layers()


class _OutOfMemory:
    """The forward pass of a backbone, with memory for so many tokens and no more."""

    def __init__(self, backbone, most):
        self.forward, self.most, self.seen = backbone.forward, most, []

    def __call__(self, *args, **kwargs):
        tokens = kwargs["input_ids"].numel()
        self.seen.append(tokens)
        if tokens > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self.forward(*args, **kwargs)


def test_batches_are_halved_when_memory_runs_out_and_the_numbers_stay(tiny_bert, samples, capsys):
    model = load_backbone(resolve_model(str(tiny_bert)))
    plain = extract(model, samples, token_budget=200)
    extractor = RepresentationExtractor(model, token_budget=200)
    limited = _OutOfMemory(extractor.backbone, 45)
    extractor.backbone.forward = limited
    try:
        found = extractor.extract(samples)
    finally:
        del extractor.backbone.forward
    assert sum(tokens > 45 for tokens in limited.seen) <= 3  # it learns, and does not fail at every batch
    assert "out of memory" in capsys.readouterr().err
    for layer, rows in found.items():
        assert torch.allclose(rows, plain[f"layer_{layer}"], atol=1e-5)


def test_one_sample_that_memory_does_not_hold_is_said_with_the_way_out(tiny_bert, samples):
    extractor = RepresentationExtractor(load_backbone(resolve_model(str(tiny_bert))), token_budget=40)
    extractor.backbone.forward = _OutOfMemory(extractor.backbone, 20)
    with pytest.raises(ModelError, match=r"one sample of 30 tokens.*--max-length.*--schedule layer"):
        extractor.extract(samples)


def test_streaming_forward_says_that_memory_does_not_suffice(tiny_bert, samples, monkeypatch):
    extractor = RepresentationExtractor(load_backbone(resolve_model(str(tiny_bert))), token_budget=60)

    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(extractor, "_forward_part", fail)
    with pytest.raises(ModelError, match=r"batch of 60 tokens .*CUDA out of memory.*--memory-cap"):
        extractor.forward(BatchPlan(samples, token_budget=60)[0], lambda *_: None)
