"""Changes of known kind, planted into one model: the section on what moved that it concerns finds and names it, and no other does."""

import json

import pytest
import torch

from repdrift.comparison import compare
from repdrift.core.directions_words import directions_answer
from tests.tiny_models import VOCABULARY, _save_tokenizer, sentence

LAYERS = 4
WIDTH = 64
TOKEN = 17
"""The token along whose direction one layer is shifted."""
RARE = "bridge"
"""A word that stands in 20 of the texts, and in no other."""
EDITED_LAYER = 1


def _save(model, folder):
    model.save_pretrained(folder)
    _save_tokenizer(folder, separates=False)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    lines = [sentence(number, 6 + number % 5).replace(RARE, "town") for number in range(120)]
    lines = [f"{line} {RARE} {RARE}" if number % 6 == 5 else line for number, line in enumerate(lines)]
    path = tmp_path_factory.mktemp("planted") / "texts.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The folders of the base model and of one model for each planted change."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models")
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=2, num_key_value_heads=1, mlp_bias=True,
        intermediate_size=2 * WIDTH, max_position_embeddings=64, initializer_range=0.15, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip

    def base():
        torch.manual_seed(4)
        return LlamaForCausalLM(config)

    generator = torch.Generator().manual_seed(0)
    models = {"base": base(), "same": base()}
    with torch.no_grad():
        rank_one = models["rank_one"] = base()
        up = rank_one.model.layers[EDITED_LAYER].mlp.up_proj.weight
        left, right = (torch.randn(size, generator=generator) for size in up.shape)
        up += 4.0 * torch.outer(left / left.norm(), right / right.norm())
        shifted = models["shifted"] = base()
        direction = shifted.lm_head.weight[TOKEN] - shifted.lm_head.weight.mean(dim=0)
        shifted.model.layers[-1].mlp.down_proj.bias += 2.0 * direction / direction.norm()
        rare = models["rare"] = base()
        number = _number_of(RARE, _save(models["base"], folder / "base"))
        rare.model.embed_tokens.weight[number] += 1.5 * torch.randn(WIDTH, generator=generator)
        models["rotated"] = _rotated(base(), generator)
    return {name: _save(model, folder / name) for name, model in models.items()}


def _number_of(word, folder):
    from repdrift.models import load_tokenizer, resolve_model

    (number,) = load_tokenizer(resolve_model(str(folder)))(word, add_special_tokens=False)["input_ids"]
    return number


def _rotated(model, generator):
    """Turns the residual stream of every layer by one rotation. With gains of 1 the norms turn along, and the outputs stay what they were."""
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator)).Q
    model.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight @ turn)
    model.lm_head.weight.copy_(model.lm_head.weight @ turn)
    for block in model.model.layers:
        attention, mlp = block.self_attn, block.mlp
        for reads in (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj):
            reads.weight.copy_(reads.weight @ turn)
        for writes in (attention.o_proj, mlp.down_proj):
            writes.weight.copy_(turn.T @ writes.weight)
        mlp.down_proj.bias.copy_(mlp.down_proj.bias @ turn)
    return model


@pytest.fixture(scope="module")
def found(planted, texts):
    names = [name for name in planted if name != "base"]
    result = compare(
        str(planted["base"]), [str(planted[name]) for name in names], data=str(texts), pooling="mean", sections=("all",), controls=False
    )  # fmt: skip
    assert result.moved is None or not result.moved.left_out
    return dict(zip(names, result.models, strict=True))


def _layer(model, number):
    return next(at for at in model.moved.directions.layers if at.layer == number)


def _share(at, kind):
    return next(share.share for share in at.shares if share.kind == kind)


def _changed(model):
    return [(w.layer, w.kind) for w in model.moved.weights.weights if w.change_norm > 0]


def test_no_change_is_found_nowhere(found):
    same = found["same"]
    assert _changed(same) == []
    assert all(at.drift == pytest.approx(0, abs=1e-12) for at in same.layers)
    assert all(best.moved is None for best in same.moved.grid.of_tuned)


def test_rank_one_edit_is_named_by_matrix_and_layer_and_by_nothing_else(found):
    model = found["rank_one"]
    (edited,) = [w for w in model.moved.weights.weights if w.change_norm > 0]
    assert (edited.layer, edited.kind, edited.rank_90, edited.intruders) == (EDITED_LAYER, "up", 1, 1)
    assert edited.change_norm == pytest.approx(4.0, rel=1e-5)
    assert edited.stable_rank == pytest.approx(1.0, rel=1e-5)
    assert model.layers[0].drift == pytest.approx(0, abs=1e-6)
    assert all(best.moved is None for best in model.moved.grid.of_tuned)


def test_rank_one_edit_is_seen_first_at_the_site_that_it_feeds(planted, texts):
    result = compare(
        str(planted["base"]), [str(planted["rank_one"])], data=str(texts), pooling="mean", sections=("sites",), controls=False
    )  # fmt: skip
    drift = {(of.site, at.layer): at.drift for of in result.models[0].sites for at in of.layers}
    before = [("attn_out", 0), ("mlp_out", 0), ("attn_out", EDITED_LAYER)]
    assert [drift[place] for place in before] == pytest.approx([0, 0, 0], abs=1e-6)
    assert drift["mlp_out", EDITED_LAYER] > 1e-3


def test_shift_along_a_token_is_named_by_direction_and_token(found):
    model = found["shifted"]
    last = _layer(model, LAYERS - 1)
    assert _share(last, "shift") == pytest.approx(1, abs=1e-4)
    assert last.shift == pytest.approx(2.0, rel=1e-4)
    assert last.tokens.top[0].token_id == TOKEN
    assert last.tokens.top[0].beyond_chance
    assert all(at.drift == pytest.approx(0, abs=1e-5) for at in model.layers)
    assert _changed(model) == [(LAYERS - 1, "bias")]
    assert all(best.moved is None for best in model.moved.grid.of_tuned)


def test_rotation_is_named_as_one_and_neither_drift_nor_outputs_see_it(found):
    model = found["rotated"]
    for number in range(LAYERS):
        at = _layer(model, number)
        assert at.rotation_alone == pytest.approx(1, abs=1e-3)
        assert model.layers[number].drift == pytest.approx(0, abs=1e-5)
    kl = next(change for change in model.outputs.changes if change.outcome == "output_kl")
    assert kl.value == pytest.approx(0, abs=1e-6)
    assert all(best.moved is None for best in model.moved.grid.of_tuned)


def test_rotation_of_one_layer_alone_is_named_there_and_nowhere_else(tmp_path, texts):
    """The last norm of a post-norm encoder with the signs of an even number of features turned round turns that layer about the origin."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=3, num_attention_heads=2, intermediate_size=2 * WIDTH, max_position_embeddings=64,
        initializer_range=0.15,
    )  # fmt: skip
    torch.manual_seed(4)
    base = BertModel(config)
    generator = torch.Generator().manual_seed(5)
    norm = base.encoder.layer[-1].output.LayerNorm
    with torch.no_grad():
        norm.weight += 0.2 * torch.randn(WIDTH, generator=generator)
        norm.bias += 0.2 * torch.randn(WIDTH, generator=generator)
        _save(base, tmp_path / "base")
        turned = torch.randperm(WIDTH, generator=generator)[: WIDTH // 2]
        for vector in (norm.weight, norm.bias):
            vector[turned] *= -1
        _save(base, tmp_path / "tuned")
    result = compare(
        str(tmp_path / "base"), [str(tmp_path / "tuned")], data=str(texts), pooling="mean", sections=("all",), controls=False
    )  # fmt: skip
    (model,) = result.models
    last = _layer(model, 2)
    assert last.rotation_alone == pytest.approx(1, abs=1e-3)
    assert last.scaling_alone < 0.7
    assert abs(_share(last, "rest")) < 1e-3
    assert last.scale == pytest.approx(1, abs=1e-6)
    assert [_layer(model, number).relative_change for number in (0, 1)] == pytest.approx([0, 0], abs=1e-9)
    assert any(
        "layer 2 a rotation about the origin accounts by itself for more" in line
        for line in directions_answer(model.moved.directions)
    )
    assert all(at.drift == pytest.approx(0, abs=1e-9) for at in model.layers)
    assert _changed(model) == [(2, "norm"), (2, "norm")]
    assert _named(model) == set()
    assert all(best.moved is None for best in model.moved.grid.of_tuned)


def _named(model):
    return {sample for place in model.moved.samples.places for sample in place.named}


def test_samples_that_hold_one_changed_word_are_named_and_no_others(found, texts):
    model = found["rare"]
    lines = texts.read_text().splitlines()
    holding = [number for number, line in enumerate(lines) if RARE in line]
    assert len(holding) == 20
    first = model.moved.samples.places[0]
    assert first.layer == 0
    assert {int(sample.split("-")[-1]) for sample in first.named} == set(holding)
    assert [(w.layer, w.kind, w.rank_90) for w in model.moved.weights.weights if w.change_norm > 0] == [
        (None, "embedding", 1)
    ]
    assert all(best.moved is None for best in model.moved.grid.of_tuned)


def _trained(model, inputs, labels, steps):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if float(loss.detach()) < 0.01:
            break
    return model


def test_samples_that_were_relabelled_before_training_went_on_are_named_and_their_group_too(tmp_path):
    """A classifier learns its labels, and then twenty of them turned round: what it read before must move to the other side."""
    from transformers import BertConfig, BertForSequenceClassification

    from repdrift.models import load_tokenizer, resolve_model

    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=3, num_attention_heads=2, intermediate_size=2 * WIDTH, max_position_embeddings=64,
        hidden_dropout_prob=0, attention_probs_dropout_prob=0,
    )  # fmt: skip
    lines = [sentence(number, 6 + number % 5) for number in range(120)]
    turned = set(torch.randperm(120, generator=torch.Generator().manual_seed(1))[:20].tolist())
    data = tmp_path / "texts.jsonl"
    rows = [{"text": line, "labels": "turned" if n in turned else "kept"} for n, line in enumerate(lines)]
    data.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    torch.manual_seed(0)
    model = BertForSequenceClassification(config)
    _save(model, tmp_path / "base")
    tokens = load_tokenizer(resolve_model(str(tmp_path / "base")))(lines, padding=True, return_tensors="pt")
    labels = torch.tensor([number % 2 for number in range(120)])
    base = _save(_trained(model, tokens, labels, 200), tmp_path / "base")
    relabelled = torch.tensor([1 - int(of) if n in turned else int(of) for n, of in enumerate(labels)])
    tuned = _save(_trained(model, tokens, relabelled, 300), tmp_path / "tuned")

    result = compare(
        str(base),
        [str(tuned)],
        data=str(data),
        pooling="first",
        sections=("samples",),
        sample_columns=("labels",),
        controls=False,
    )
    samples = result.models[0].moved.samples
    last = samples.places[-1]
    named = {int(sample.split("-")[-1]) for sample in last.named}
    assert len(named & turned) >= 12
    assert len(named - turned) <= len(named & turned) / 2
    groups = {(of.by, of.value): of for of in samples.groups}
    assert groups["column", "turned"].low > 1.5
    assert groups["column", "turned"].p_adjusted < 0.001
    assert all(of.p_adjusted > 0.05 for (by, _), of in groups.items() if by == "length")


@pytest.mark.parametrize("name", ["same", "shifted", "rotated"])
def test_changes_of_all_samples_alike_name_none(found, name):
    assert _named(found[name]) == set()


def test_shares_of_samples_add_up_to_the_drift(found):
    for model in found.values():
        drifts = {at.layer: at.drift for at in model.layers}
        for place in model.moved.samples.places:
            assert sum(place.shares) == pytest.approx(drifts[place.layer], abs=1e-9)
