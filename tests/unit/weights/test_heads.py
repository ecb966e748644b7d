"""Heads beside the backbone: an untied head, a classifier, and what adapters do to them, against torch and peft's own merging."""

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BertForSequenceClassification, LlamaForCausalLM

from repdrift.models import quiet_transformers, resolve_model
from repdrift.weights import WeightName, base_matrices, changed_matrices, compare_weights, moved_weights
from repdrift.weights.change_likeness import change_likenesses
from tests.tiny_models import VOCABULARY, save_language_model
from tests.unit.weights.tuned_models import headed, rewritten

HEAD = WeightName(None, "lm_head.weight", in_head=True)


@pytest.fixture
def language_model(tmp_path):
    """A Llama whose head is a matrix of its own."""
    with quiet_transformers():
        model = LlamaForCausalLM.from_pretrained(save_language_model(tmp_path / "tied"))
        model.config.tie_word_embeddings = False
        torch.manual_seed(2)
        model.lm_head.weight = torch.nn.Parameter(0.1 * torch.randn(VOCABULARY, 16))
        model.save_pretrained(tmp_path / "base")
    stored = load_file(tmp_path / "base/model.safetensors")
    assert "lm_head.weight" in stored
    return resolve_model(str(tmp_path / "base")), stored["lm_head.weight"]


def adapter_on(base, folder, change, **options):
    """Saves an adapter of the language model whose head's parameters `change` set, and returns it with the head after merging."""
    torch.manual_seed(5)
    with quiet_transformers():
        model = get_peft_model(
            LlamaForCausalLM.from_pretrained(base.path), LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=6, **options)
        )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "lm_head" in name:
                parameter.add_(change(parameter))
    model.save_pretrained(folder, save_embedding_layers=False)
    return resolve_model(str(folder)), model.merge_and_unload().lm_head.weight.detach()


def noise(parameter):
    return 0.3 * torch.randn_like(parameter)


def only_model(found):
    assert found.missing == {}
    (model,) = found.models.values()
    return model


def require_float64(moved, before, after):
    """Size, stable rank and rank that carries 90 % are those of torch's decomposition in float64."""
    change = after.double() - before.double()
    values = torch.linalg.svdvals(change).numpy()
    norm = float(torch.linalg.norm(change))
    assert moved.change_norm == pytest.approx(norm, rel=1e-5)
    assert moved.relative_change == pytest.approx(norm / float(torch.linalg.norm(before.double())), rel=1e-5)
    assert moved.stable_rank == pytest.approx(norm**2 / values[0] ** 2, rel=1e-4)
    assert moved.rank_90 == int(np.searchsorted(np.cumsum(values**2), 0.9 * np.sum(values**2)) + 1)


def test_a_rank_1_edit_of_an_untied_head_is_named_and_nothing_else(language_model, tmp_path):
    base, before = language_model
    edit = torch.outer(torch.linspace(-1, 1, VOCABULARY), torch.linspace(1, 2, 16))
    tuned = rewritten(base.path, tmp_path / "edited", lambda tensors: {**tensors, "lm_head.weight": before + edit})
    found = only_model(moved_weights(base_matrices(base), {"edited": tuned}))
    (changed,) = [at for at in found.weights if at.change_norm > 0]
    assert (changed.kind, changed.layer, changed.module) == ("head", None, "lm_head.weight")
    assert changed.rank_90 == 1
    require_float64(changed, before, before + edit)
    assert not found.not_compared
    assert all(change.change_norm == 0 for change in compare_weights(base, tuned, "layers").changes), (
        "a random change of the same size moves the backbone alone"
    )


def test_a_head_of_more_rows_is_compared_on_those_that_both_have(language_model, tmp_path):
    base, before = language_model
    after = torch.cat([before + 0.1, torch.zeros(3, 16)])
    tuned = rewritten(base.path, tmp_path / "rows", lambda tensors: {**tensors, "lm_head.weight": after})
    found = changed_matrices(base_matrices(base), tuned)
    assert found.notes == [
        f"lm_head.weight has {VOCABULARY + 3} rows, in the base model {VOCABULARY}: the {VOCABULARY} rows that both have were compared"
    ]
    torch.testing.assert_close(found.read(HEAD).change(), torch.full((VOCABULARY, 16), 0.1))


def test_a_tied_head_is_counted_once(tiny_language_model, tmp_path):
    base = resolve_model(str(tiny_language_model))

    def untied(tensors):
        embedding = tensors["model.embed_tokens.weight"]
        return {**tensors, "lm_head.weight": embedding.clone()}

    before = rewritten(base.path, tmp_path / "base", untied)
    after = rewritten(
        base.path,
        tmp_path / "tuned",
        lambda t: untied({**t, "model.embed_tokens.weight": t["model.embed_tokens.weight"] * 2}),
    )
    found = changed_matrices(base_matrices(before), after)
    assert HEAD not in found.readers
    assert found.not_compared == ["lm_head.weight: tied to model.embed_tokens.weight, compared there"]


def test_a_classifier_is_compared_where_both_have_one(tiny_bert, tmp_path):
    base = headed(resolve_model(str(tiny_bert)), tmp_path / "base")
    tuned = headed(resolve_model(str(tiny_bert)), tmp_path / "tuned", amount=0.01)
    found = only_model(moved_weights(base_matrices(base), {"tuned": tuned}))
    of = {at.module: at for at in found.weights}
    assert (of["classifier.weight"].kind, of["classifier.bias"].kind) == ("head", "bias")
    parts = [BertForSequenceClassification.from_pretrained(at.path).classifier.weight for at in (base, tuned)]
    require_float64(of["classifier.weight"], *(part.detach() for part in parts))


def test_a_classifier_of_other_classes_is_another_head(tiny_bert, tmp_path):
    base = headed(resolve_model(str(tiny_bert)), tmp_path / "base")
    three = rewritten(
        base.path,
        tmp_path / "three",
        lambda tensors: {**tensors, "classifier.weight": torch.ones(3, 16), "classifier.bias": torch.ones(3)},
    )
    found = changed_matrices(base_matrices(base), three)
    assert [name for name in found.names if name.in_head] == []
    assert "classifier.bias, classifier.weight: outside the backbone" in found.not_compared


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": ["q_proj", "lm_head"], "use_rslora": True, "rank_pattern": {"lm_head": 3}, "alpha_pattern": {"lm_head": 5}},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    ],
    ids=["lora", "patterns", "saved"],
)  # fmt: skip
def test_an_adapter_on_the_head_is_read_from_its_files(language_model, tmp_path, options):
    base, before = language_model
    adapter, after = adapter_on(base, tmp_path / "adapter", noise, **options)
    found = changed_matrices(base_matrices(base), adapter)
    assert not found.in_memory or "modules_to_save" in options
    assert found.not_compared == []
    at = found.read(HEAD)
    assert (at.factors is not None) == ("modules_to_save" not in options)
    torch.testing.assert_close(at.change().float(), after - before, atol=1e-6, rtol=1e-5)
    (moved,) = [m for m in only_model(moved_weights(base_matrices(base), {"a": adapter})).weights if m.kind == "head"]
    require_float64(moved, before, after)


def test_a_head_under_dora_is_left_out_by_name_and_no_zero_in_a_likeness(language_model, tmp_path):
    base, before = language_model
    dora, _ = adapter_on(base, tmp_path / "dora", noise, target_modules=["q_proj", "lm_head"], use_dora=True)
    lora, _ = adapter_on(base, tmp_path / "lora", noise, target_modules=["q_proj", "lm_head"])
    full = rewritten(base.path, tmp_path / "full", lambda tensors: {**tensors, "lm_head.weight": before + 0.1})
    opened = base_matrices(base)
    found = changed_matrices(opened, dora)
    assert found.not_compared == ["lm_head.weight: changed by LORA, of which only plain LoRA is read in a head"]
    assert found.unread == {HEAD}
    with_unread = change_likenesses(opened, {"dora": dora, "lora": lora, "full": full})
    kinds = {pair: {g.group: g for g in groups if g.by == "kind"} for pair, groups in with_unread.groups.items()}
    assert "head" in kinds[1, 2]
    assert kinds[1, 2]["head"].cosine is not None
    assert kinds[0, 1]["head"].weights == kinds[0, 2]["head"].weights == 0, "its change is not known, and no 0"
    assert with_unread.not_compared["dora"] == found.not_compared


def test_a_new_classifier_of_an_adapter_is_outside(language_model, tiny_bert, tmp_path):
    base, _ = language_model
    adapter, _ = adapter_on(base, tmp_path / "adapter", noise, target_modules=["q_proj"], modules_to_save=["lm_head"])
    path = adapter.path / "adapter_model.safetensors"
    tensors = load_file(path)
    renamed = {name.replace("lm_head", "score"): tensor for name, tensor in tensors.items()}
    save_file(renamed, path)
    found = changed_matrices(base_matrices(base), adapter)
    assert HEAD not in found.readers
    assert any(line == "score.weight: outside the backbone" for line in found.not_compared), found.not_compared
