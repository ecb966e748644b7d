"""Inner products, subspaces and chance levels of changes, against float64 numpy and simulation; planted changes."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from scipy.stats import ortho_group
from transformers import MixtralConfig, MixtralModel

from repdrift.models import resolve_model
from repdrift.weights.base_matrices import base_matrices
from repdrift.weights.change_likeness import change_likenesses
from repdrift.weights.change_products import inner_products
from repdrift.weights.change_subspaces import leading_subspaces, subspace_likeness
from repdrift.weights.changed_matrices import changed_matrices
from repdrift.weights.changed_matrix import ChangedMatrix, MatrixFactors
from repdrift.weights.weight_names import WeightName
from tests.tiny_models import save_adapter, save_bert, save_tuned

NAME = WeightName(0, "dense.weight")
EDITED = "encoder.layer.1.output.dense.weight"
OTHER = "encoder.layer.2.attention.self.query.weight"


def whole(matrix):
    return ChangedMatrix(NAME, tuple(matrix.shape), lambda: torch.zeros_like(matrix), dense=matrix)


def factored(b, a):
    return ChangedMatrix(NAME, (b.shape[0], a.shape[1]), lambda: None, factors=MatrixFactors(b, a))


def reading(log, number, at):
    log.append(number)
    return at


@pytest.mark.parametrize("most_bytes", [1, 3000, 1 << 30])
def test_inner_products_are_those_of_the_whole_matrices_in_any_tiles(most_bytes):
    torch.manual_seed(0)
    dense = [torch.randn(20, 33) + 100 for _ in range(3)]
    pairs = [(torch.randn(20, r).double(), torch.randn(r, 33).double()) for r in (1, 4)]
    changes = [whole(dense[0]), factored(*pairs[0]), whole(dense[1]), factored(*pairs[1]), whole(dense[2])]
    matrices = [
        dense[0].double(),
        pairs[0][0] @ pairs[0][1],
        dense[1].double(),
        pairs[1][0] @ pairs[1][1],
        dense[2].double(),
    ]
    log = []
    readers = {i: partial(reading, log, i, at) for i, at in enumerate(changes)}
    found = inner_products(readers, 6, most_bytes=most_bytes)
    flat = np.stack([m.numpy().ravel() for m in matrices])
    np.testing.assert_allclose(found[:5, :5], flat @ flat.T, rtol=1e-12, atol=1e-9)
    assert np.isnan(found[5]).all()
    assert len(log) == {1: 5 + 2 + 1, 3000: 5 + 2 + 1, 1 << 30: 5}[most_bytes]


def test_another_shape_is_not_known_of_the_pair():
    changes = [
        whole(torch.ones(3, 4)),
        whole(torch.ones(2, 4)),
        factored(torch.ones(3, 1).double(), torch.ones(1, 4).double()),
    ]
    found = inner_products({i: partial(reading, [], i, at) for i, at in enumerate(changes)}, 3)
    assert np.isnan(found[0, 1])
    assert np.isnan(found[1, 2])
    assert found[0, 2] == 12
    assert found.diagonal().tolist() == [12, 8, 12]


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_subspaces_are_those_of_numpy_from_factors_and_from_the_whole(shape):
    torch.manual_seed(1)
    pairs = [(torch.randn(shape[0], 3).double(), torch.randn(3, shape[1]).double()) for _ in range(2)]
    matrices = [(b @ a).numpy() for b, a in pairs]
    decomposed = [np.linalg.svd(m) for m in matrices]
    ks = [int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), 0.9)) + 1 for _, s, _ in decomposed]
    k = min(ks)
    left = np.square(decomposed[0][0][:, :k].T @ decomposed[1][0][:, :k]).sum() / k
    right = np.square(decomposed[0][2][:k] @ decomposed[1][2][:k].T).sum() / k
    for made in ([factored(b, a) for b, a in pairs], [whole(torch.from_numpy(m)) for m in matrices]):
        alike = subspace_likeness(*(leading_subspaces(at, 10) for at in made))
        assert (alike.left, alike.right) == (pytest.approx(left, abs=1e-9), pytest.approx(right, abs=1e-9))
        assert (alike.left_chance, alike.right_chance) == (k / shape[0], k / shape[1])
        assert np.cos(np.deg2rad(alike.left_angle)) ** 2 <= 1
    same = subspace_likeness(*[leading_subspaces(factored(*pairs[0]), 10)] * 2)
    assert (same.left, same.right) == (pytest.approx(1), pytest.approx(1))
    assert subspace_likeness(leading_subspaces(whole(torch.zeros(shape)), 10), leading_subspaces(made[0], 10)) is None


def save_with(base, folder, changes):
    copied = save_bert(folder)
    tensors = load_file(base / "model.safetensors")
    for name, change in changes.items():
        tensors[name] = tensors[name] + change
    save_file(tensors, copied / "model.safetensors", {"format": "pt"})
    return copied


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("likeness")
    base = save_bert(folder / "base")
    u, v = torch.linspace(-1, 1, 16), torch.linspace(1, 2, 32)
    edit = torch.outer(u, v)
    other = torch.outer(torch.ones(16), v)  # u sums to 0: the two are orthogonal, and share their right vector
    made = {
        "edited": save_with(base, folder / "edited", {EDITED: edit}),
        "twice": save_with(base, folder / "twice", {EDITED: 2 * edit}),
        "back": save_with(base, folder / "back", {EDITED: -edit}),
        "orthogonal": save_with(base, folder / "orthogonal", {EDITED: other}),
        "elsewhere": save_with(base, folder / "elsewhere", {OTHER: torch.eye(16)}),
        "both": save_with(base, folder / "both", {EDITED: edit, OTHER: torch.eye(16)}),
        "same": save_with(base, folder / "same", {}),
        "broken": save_with(base, folder / "broken", {OTHER: torch.full((16, 16), float("nan"))}),
        "adapter": save_adapter(base, folder / "adapter", target_modules=["query", "value"]),
        "again": save_adapter(base, folder / "again", target_modules=["query", "value"]),
        "others": save_adapter(base, folder / "others", target_modules=["output.dense"], seed=3),
    }
    return base, made, likenesses(base, made)


def likenesses(base, made):
    return change_likenesses(
        base_matrices(resolve_model(str(base))), {n: resolve_model(str(p)) for n, p in made.items()}
    )


def pair(found, one, other, by="all", group="all"):
    i, j = sorted((found.names.index(one), found.names.index(other)))
    return next((at for at in found.groups[i, j] if (at.by, at.group) == (by, group)), None)


def test_the_same_edit_is_alike_and_orthogonal_ones_are_not(planted):
    _, _, found = planted
    assert pair(found, "edited", "twice").cosine == pytest.approx(1, abs=1e-6)
    assert pair(found, "edited", "back").cosine == pytest.approx(-1, abs=1e-6)
    assert pair(found, "edited", "orthogonal").cosine == pytest.approx(0, abs=1e-6)
    assert pair(found, "adapter", "again").cosine == pytest.approx(1, abs=1e-12)
    alike = pair(found, "edited", "twice", "layer", "1")
    assert (alike.left, alike.right, alike.weights) == (pytest.approx(1), pytest.approx(1), 1)
    shared = pair(found, "edited", "orthogonal", "kind", "down")
    assert (shared.left, shared.right) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert (shared.left_chance, shared.right_chance) == (1 / 16, 1 / 32)


def test_the_whole_model_is_the_cosine_of_all_numbers(planted):
    base, made, found = planted
    edit, both = load_file(made["edited"] / "model.safetensors"), load_file(made["both"] / "model.safetensors")
    before = load_file(base / "model.safetensors")
    x, y = (
        np.concatenate([(m[n].double() - before[n].double()).numpy().ravel() for n in before]) for m in (edit, both)
    )
    assert pair(found, "edited", "both").cosine == pytest.approx(
        x @ y / np.linalg.norm(x) / np.linalg.norm(y), abs=1e-6
    )
    assert pair(found, "edited", "both", "layer", "2").cosine is None


def test_modules_that_an_adapter_is_not_on_add_nothing(planted):
    _, _, found = planted
    at = pair(found, "adapter", "others")
    assert at.cosine == 0.0
    assert at.missing is None
    assert pair(found, "adapter", "elsewhere").cosine != 0
    assert pair(found, "adapter", "edited").cosine == 0.0
    assert pair(found, "adapter", "edited", "kind", "down").missing is not None


def test_a_model_that_changed_nothing_or_cannot_be_read_is_missing_with_the_reason(planted):
    _, _, found = planted
    at = pair(found, "edited", "same")
    assert (at.cosine, at.chance) == (None, None)
    assert at.missing == "the second model changed none of these weights that are known of both"
    assert list(found.missing) == ["broken"]
    assert "layer 2, attention.self.query.weight: NaN or Inf" in found.missing["broken"]
    assert "broken" not in found.names


def test_rounding_that_two_models_share_is_said_beside_their_likeness(planted, tmp_path):
    base, _, _ = planted
    before, made = load_file(base / "model.safetensors"), {}
    for number in range(2):
        generator = torch.Generator().manual_seed(number)
        moved = {n: w + 1e-5 * torch.randn(w.shape, generator=generator) for n, w in before.items()}
        for name, dtype in (("fine", torch.float32), ("coarse", torch.bfloat16)):
            made[f"{name}{number}"] = copied = save_bert(tmp_path / f"{name}{number}")
            save_file({n: w.to(dtype) for n, w in moved.items()}, copied / "model.safetensors", {"format": "pt"})
    found = likenesses(base, made)
    assert abs(pair(found, "fine0", "fine1").cosine) < 0.05
    assert pair(found, "coarse0", "coarse1").cosine > 0.9, "unrelated changes, and the same rounding"
    (said,) = found.cautions
    assert said.startswith(
        "coarse0; coarse1: float32 in the base model, bfloat16 in the tuned one: part of the change is rounding. Models "
    )


def test_embeddings_of_which_other_rows_are_known_are_named_and_chance_is_that_of_the_pair(planted, tmp_path):
    base, _, _ = planted
    embedding = "embeddings.word_embeddings.weight"
    before, made = load_file(base / "model.safetensors"), {}
    for name, rows in (("long", 50), ("short", 40), ("other", 40)):
        made[name] = copied = save_bert(tmp_path / name)
        changed = before[embedding][:rows] + torch.randn(rows, 16, generator=torch.Generator().manual_seed(len(made)))
        save_file({**before, embedding: changed}, copied / "model.safetensors", {"format": "pt"})
    found = likenesses(base, made)
    assert pair(found, "short", "other").chance == pytest.approx(1 / np.sqrt(40 * 16))
    assert pair(found, "long", "short").missing == "neither model changed any of these weights that are known of both"
    assert found.notes[-1] == (
        f"{embedding} is compared only between models of which as much of it is known: 16 x 50 in long, 16 x 40 in short; other."
    )


def test_heads_and_lists_of_positions_are_no_weights_of_the_body(planted, tmp_path):
    base, _, _ = planted
    tuned = save_tuned(base, tmp_path / "headed")
    tensors = load_file(tuned / "model.safetensors")
    save_file(
        {**tensors, "bert.embeddings.position_ids": torch.arange(64)[None]},
        tuned / "model.safetensors",
        {"format": "pt"},
    )
    source = resolve_model(str(tuned))
    assert changed_matrices(base_matrices(resolve_model(str(base))), source).not_compared == [
        "classifier.bias, classifier.weight: outside the backbone"
    ]
    assert likenesses(base, {"one": tuned, "other": tuned}).not_compared == {}


def test_an_adapter_on_stacked_experts_is_not_unchanged_where_files_keep_them_one_by_one(tmp_path):
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, intermediate_size=12,
        num_local_experts=2, initializer_range=0.2,
    )  # fmt: skip
    model, experts = MixtralModel(config), ["mlp.experts.gate_up_proj"]
    model.save_pretrained(tmp_path / "base")
    for name, parameters in (("experts", experts), ("attention", None)):
        lora = LoraConfig(r=2, target_modules=["q_proj"], target_parameters=parameters)
        adapted = get_peft_model(copy.deepcopy(model), lora)
        for parameter in (p for n, p in adapted.named_parameters() if "lora_" in n):
            torch.nn.init.normal_(parameter, std=0.3)
        adapted.save_pretrained(tmp_path / name)
        adapted.merge_and_unload().save_pretrained(tmp_path / f"{name}_merged")
    names = ("experts", "experts_merged", "attention", "attention_merged")
    found = likenesses(tmp_path / "base", {name: tmp_path / name for name in names})
    same = pair(found, "experts", "experts_merged")
    assert (same.cosine, same.weights) == (pytest.approx(1, abs=1e-6), 1), "the queries; the experts have other names"
    assert pair(found, "attention", "attention_merged").cosine == pytest.approx(1, abs=1e-6)
    beside = [pair(found, "attention", name).cosine for name in ("experts", "experts_merged")]
    assert beside == [pytest.approx(beside[0], abs=1e-6)] * 2
    assert abs(beside[0]) < 0.9, "its experts are known not to have changed"
    (said,) = found.cautions
    assert said.startswith(
        "experts changes weights that the base model's files keep under other names (layer 0, mlp.experts."
    )


def test_chance_is_the_mean_square_over_random_singular_vectors():
    """Two weights of different sizes and spectra; the vectors of one model's changes are drawn anew."""
    generator = np.random.default_rng(0)
    one = [generator.normal(size=(4, 6)), generator.normal(size=(5, 3)) * 2]
    other = [np.outer(*(generator.normal(size=n) for n in (4, 6))), generator.normal(size=(5, 3))]
    norms = [np.sqrt(sum(np.square(m).sum() for m in model)) for model in (one, other)]
    expected = sum(np.square(a).sum() * np.square(b).sum() / a.size for a, b in zip(one, other, strict=True))
    drawn = []
    for _ in range(4000):
        turned = [
            ortho_group.rvs(a.shape[0], random_state=generator)
            @ a
            @ ortho_group.rvs(a.shape[1], random_state=generator)
            for a in one
        ]
        drawn.append(sum((t * b).sum() for t, b in zip(turned, other, strict=True)) / norms[0] / norms[1])
    assert np.sqrt(expected) / norms[0] / norms[1] == pytest.approx(np.sqrt(np.mean(np.square(drawn))), rel=0.05)


def test_chance_of_two_models_is_summed_over_their_weights(planted):
    base, made, found = planted
    before = load_file(base / "model.safetensors")
    x, y = (load_file(made[n] / "model.safetensors") for n in ("both", "elsewhere"))
    squares = [[float((m[n].double() - before[n].double()).square().sum()) for n in before] for m in (x, y)]
    sizes = [before[n].numel() for n in before]
    expected = sum(a * b / n for a, b, n in zip(*squares, sizes, strict=True)) / sum(squares[0]) / sum(squares[1])
    assert pair(found, "both", "elsewhere").chance == pytest.approx(np.sqrt(expected), rel=1e-6)
