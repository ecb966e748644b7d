import json
import re

import pytest
import torch
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.extraction import RepresentationExtractor
from repdrift.models import load_adapted, load_task_model, load_tokenizer, resolve_model
from repdrift.tasks import Rows, TaskSpec, build_sample_set
from repdrift.training import Arm, tuning_kinds
from repdrift.training.arms import counted_tuning, prepared
from tests.tiny_models import sentence

SPEC = TaskSpec("own", "classification", ("text",), "label", "own", files={})
OPTIONS = {"layers": {"last": 1}, "pissa": {"rank": 4}, "dora": {"rank": 4}}
NO_BIASES = ("tiny_llama", "biases")
EVERY = [
    (model, kind)
    for model in ("tiny_bert", "tiny_llama")
    for kind in tuning_kinds.names()
    if (model, kind) != NO_BIASES
]


def arm_of(kind, **options):
    return Arm.of_kind(kind, **(OPTIONS.get(kind, {}) | options))


def loaded(base):
    torch.manual_seed(3)
    return load_task_model(base, "classification", num_labels=2)


def samples_of(base):
    rows = [{"text": sentence(i, 6 + i), "label": i % 2} for i in range(6)]
    return build_sample_set(SPEC, Rows(rows, "made").rows, load_tokenizer(base), max_length=32)


def train_a_little(model, base):
    """Two large steps with a loss in which every logit counts."""
    rows = samples_of(base)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.05)
    model.train()
    for _ in range(2):
        loss = sum(
            (model(input_ids=torch.tensor([ids])).logits - torch.tensor([[1.0, -1.0]])).square().sum()
            for ids in rows.input_ids
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_saved_arm_has_the_representations_of_the_trained_model(name, kind, request, tmp_path):
    base = resolve_model(str(request.getfixturevalue(name)))
    samples, plain = samples_of(base), loaded(base)
    before = RepresentationExtractor(plain).extract(samples)
    arm = arm_of(kind, **({"dropout": 0.0} if hasattr(tuning_kinds.get(kind).options, "dropout") else {}))
    tuned = prepared(loaded(base), arm, "classification")
    started = RepresentationExtractor(tuned.model).extract(samples)
    train_a_little(tuned.model, base)
    trained = RepresentationExtractor(tuned.model).extract(samples)
    tuned.save_to(load_tokenizer(base), tmp_path / "model")
    saved = resolve_model(str(tmp_path / "model"))
    again = (
        load_adapted(base, saved, "classification", num_labels=2)
        if saved.is_adapter
        else load_task_model(saved, "classification", num_labels=2)
    )
    found = RepresentationExtractor(again.eval()).extract(samples)
    last = max(before)
    for layer in before:
        if not arm.virtual_tokens:  # no other arm starts with a change
            torch.testing.assert_close(started[layer], before[layer], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[layer], trained[layer], rtol=1e-4, atol=1e-5)
    assert (found[last] - before[last]).abs().max() > 0.01


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_only_counted_parameters_move(name, kind, request):
    base = resolve_model(str(request.getfixturevalue(name)))
    arm = arm_of(kind)
    model = prepared(loaded(base), arm, "classification").model
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train_a_little(model, base)
    moved = sum(p.numel() for name, p in model.named_parameters() if not torch.equal(p, before[name]))
    counted = counted_tuning(model, arm, "classification")
    assert counted.head_parameters == 2 * 16 + (2 if name == "tiny_bert" else 0)
    assert moved <= counted.trained_parameters <= counted.all_parameters
    frozen = [p for p in model.parameters() if not p.requires_grad]
    assert (counted.trained_parameters == counted.all_parameters) == (not frozen)
    gradients = sum(p.numel() for p in model.parameters() if p.grad is not None)
    assert gradients >= 0.9 * counted.trained_parameters  # an unused embedding row has a gradient too


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama"])
def test_lora_adapts_every_linear_layer_of_the_blocks_and_no_other(name, request):
    model = prepared(
        loaded(resolve_model(str(request.getfixturevalue(name)))), Arm.of_kind("lora"), "classification"
    ).model
    adapted = {n.removesuffix(".lora_A") for n, _ in model.named_modules() if n.endswith(".lora_A")}
    linear = {
        n.removesuffix(".base_layer")
        for n, m in model.named_modules()
        if isinstance(m, nn.Linear) and re.search(r"\.layers?\.\d", n) and ".lora_" not in n
    }
    assert adapted == linear
    assert len(adapted) == 3 * (6 if name == "tiny_bert" else 7)


def test_arm_that_finds_nothing_names_what_there_is(tiny_llama, tiny_bert):
    llama, bert = (resolve_model(str(folder)) for folder in (tiny_llama, tiny_bert))
    with pytest.raises(ModelError, match=r"arm 'biases': .* has no biases to train; kinds that fit"):
        prepared(loaded(llama), Arm.of_kind("biases"), "classification")
    with pytest.raises(ModelError, match="3 blocks, 0 to 2, so layer 7 cannot be trained"):
        prepared(loaded(bert), Arm.of_kind("layers", layers=(0, 7)), "classification")
    with pytest.raises(ModelError, match="so the last 4 cannot be trained"):
        prepared(loaded(bert), Arm.of_kind("layers", last=4), "classification")
    with pytest.raises(ModelError, match=r"(?s)arm 'ia3': .*some of: .*query"):
        prepared(
            loaded(bert), Arm.of_kind("ia3", target_modules=("nope",), feedforward_modules=("nope",)), "classification"
        )


def test_pissa_is_saved_as_plain_lora_of_twice_the_rank(tiny_bert, tmp_path):
    base = resolve_model(str(tiny_bert))
    tuned = prepared(loaded(base), Arm.of_kind("pissa", rank=4, rslora=True), "classification")
    tuned.save_to(load_tokenizer(base), tmp_path / "model")
    config = json.loads((tmp_path / "model/adapter_config.json").read_text())
    assert (config["r"], config["use_rslora"], config["init_lora_weights"]) == (8, False, True)
    assert config["lora_alpha"] / config["r"] == pytest.approx(16 / 4**0.5)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("lora", {}, "LoRA, rank 8"),
        ("lora", {"rank": 64, "target_modules": ("query", "value")}, "LoRA, rank 64, target modules query, value"),
        ("dora", {"rank": 4}, "DoRA, rank 4"),
        ("layers", {"last": 2}, "some layers, last 2"),
        ("full_finetune", {}, "full fine-tuning"),
    ],
)
def test_an_arm_in_words(kind, options, words):
    assert Arm.of_kind(kind, **options).words == words


def test_options_that_contradict_are_refused():
    with pytest.raises(ValueError, match="dora sets it itself"):
        Arm.of_kind("dora", dora=False)
    with pytest.raises(ValueError, match="dora does not go with initialisation 'pissa'"):
        Arm.of_kind("dora", initialisation="pissa")
    with pytest.raises(ValueError, match="either last"):
        Arm.of_kind("layers")
    with pytest.raises(ValueError, match="an adapter on no module"):
        Arm.of_kind("lora", target_modules=())
    assert Arm.of_kind("lora", dora=True).tuning.identity(Arm.of_kind("lora", dora=True).options) == Arm.of_kind(
        "dora"
    ).tuning.identity(Arm.of_kind("dora").options)
