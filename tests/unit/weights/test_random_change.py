"""The size-matched random change of a loaded model."""

import pytest
import torch

from repdrift.core.errors import ModelError
from repdrift.models import load_backbone, resolve_model
from repdrift.weights import apply_random_change, compare_adapter, compare_weights
from tests.unit.weights.tuned_models import PATHS, QUERY, adapted_model, headed


def _parameters(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def test_random_change_moves_what_changed_by_the_same_norm_and_nothing_else(kind, base, tmp_path):
    prefix = {"tiny_bert": "bert.", "tiny_llama": "model."}[kind]
    tuned = headed(
        base, tmp_path / "tuned", **{f"{prefix}{PATHS[kind]}.{i}.{QUERY[kind]}": 0.01 * (i + 1) for i in (0, 2)}
    )
    changes = compare_weights(base, tuned, PATHS[kind]).changes
    model = load_backbone(base)
    before = _parameters(model)
    applied = apply_random_change(model, changes, seed=5)
    after = _parameters(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {a.parameter for a in applied} == {f"{PATHS[kind]}.{i}.{QUERY[kind]}" for i in (0, 2)}
    for a in applied:
        arrived = float((after[a.parameter].double() - before[a.parameter].double()).norm())
        assert a.applied_norm == pytest.approx(arrived, rel=1e-6)
        assert a.applied_norm == pytest.approx(a.change_norm, rel=1e-4)
    assert {round(a.change_norm, 5) for a in applied} == {0.16, 0.48}


def test_noise_depends_on_seed_and_place_alone(base, kind):
    changes = compare_adapter(adapted_model(base)).changes
    models = [load_backbone(base) for _ in range(4)]
    apply_random_change(models[0], changes, seed=1)
    torch.manual_seed(99)
    apply_random_change(models[1], changes[::-1], seed=1)
    apply_random_change(models[2], changes[:1], seed=1)
    apply_random_change(models[3], changes, seed=2)
    name = f"{PATHS[kind]}.0.{changes[0].module}"
    first, again, alone, other = (model.get_parameter(name) for model in models)
    assert torch.equal(first, again)
    assert torch.equal(first, alone)
    assert not torch.equal(first, other)
    noise = [
        models[0].get_parameter(n) - load_backbone(base).get_parameter(n) for n in (name, name.replace("0", "1", 1))
    ]
    assert abs(float(torch.nn.functional.cosine_similarity(*(x.flatten() for x in noise), dim=0))) < 0.3


def test_random_change_under_an_adapter_moves_the_base_weight(tiny_llama):
    adapted = adapted_model(resolve_model(str(tiny_llama)))
    changes = compare_adapter(adapted).changes
    applied = apply_random_change(adapted, changes, seed=1)
    assert applied[0].parameter == "layers.0.self_attn.q_proj.base_layer.weight"
    assert [c.change_norm for c in compare_adapter(adapted).changes] == [c.change_norm for c in changes]


def test_unchanged_weights_draw_no_noise(base):
    model = load_backbone(base)
    before = _parameters(model)
    assert apply_random_change(model, compare_adapter(adapted_model(base, std=0.0)).changes, seed=1) == []
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_changes_of_another_model_are_refused_before_anything_moves(tiny_bert, tiny_llama):
    model = load_backbone(resolve_model(str(tiny_bert)))
    before = _parameters(model)
    own = compare_adapter(adapted_model(resolve_model(str(tiny_bert)))).changes
    foreign = compare_adapter(adapted_model(resolve_model(str(tiny_llama)))).changes
    with pytest.raises(ModelError, match=r"layer 0, self_attn\.q_proj\.weight is not in BertModel"):
        apply_random_change(model, [*own, *foreign], seed=1)
    with pytest.raises(ModelError, match="one parameter"):
        apply_random_change(model, [own[0], own[0]], seed=1)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_noise_that_the_precision_cannot_hold_is_an_error(tiny_bert):
    source = resolve_model(str(tiny_bert))
    small = [
        c.model_copy(update={"change_norm": 1e-3 * c.norm}) for c in compare_adapter(adapted_model(source)).changes
    ]
    with pytest.raises(ModelError, match="after rounding to bfloat16.*float32"):
        apply_random_change(load_backbone(source, dtype="bfloat16"), small, seed=1)
