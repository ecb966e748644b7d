"""How weights moved, for planted changes and against numpy's decomposition in float64."""

import numpy as np
import pytest
import torch
from peft import LoraConfig
from transformers import BertConfig, BertModel

from repdrift.core.weights_words import model_weights_worded
from repdrift.models import load_backbone, resolve_model
from repdrift.weights import WeightOptions, base_matrices, moved_weights
from tests.unit.weights.test_changed_matrices import TARGETS, adapter_on
from tests.unit.weights.test_singular_subspaces import by_svd
from tests.unit.weights.tuned_models import rewritten

EDITED = "encoder.layer.1.intermediate.dense.weight"


@pytest.fixture(scope="module")
def wide_bert(tmp_path_factory):
    """A BERT of width 48, so that 10 singular vectors are a part of each space."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("wide")
    config = BertConfig(
        vocab_size=70, hidden_size=48, num_hidden_layers=3, num_attention_heads=2, intermediate_size=96,
        max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def edited(folder, target, changes):
    """A copy of a saved model with `changes` (name: what is added)."""
    return rewritten(folder, target, lambda old: {n: t + changes[n] if n in changes else t for n, t in old.items()})


def only(found, name="tuned"):
    assert not found.missing
    return found.models[name].weights


def test_rank_one_edit_is_named_by_module_and_layer(wide_bert, tmp_path):
    base = base_matrices(resolve_model(str(wide_bert)))
    before = load_backbone(base.source).get_parameter(EDITED).double().numpy()
    _, _, vt = np.linalg.svd(before, full_matrices=False)
    outside = np.linalg.svd(before)[0][:, 90]  # an output that no left singular vector of the base reaches
    edit = torch.from_numpy(50.0 * np.outer(outside, vt[3])).float()
    tuned = edited(wide_bert, tmp_path / "tuned", {EDITED: edit})
    moved = only(moved_weights(base, {"tuned": tuned}))
    changed = [at for at in moved if at.change_norm > 0]
    assert [(at.layer, at.module, at.kind) for at in changed] == [(1, "intermediate.dense.weight", "up")]
    (at,) = changed
    assert (at.outputs, at.inputs, at.rank_90, at.intruders, at.k) == (96, 48, 1, 1, 10)
    assert at.stable_rank == pytest.approx(1.0, abs=1e-6)
    assert at.relative_change == pytest.approx(50.0 / np.linalg.norm(before), rel=1e-5)
    for still in moved:
        if still.inputs is not None and still is not at:
            assert (still.stable_rank, still.rank_90, still.intruders) == (0, 0, 0)
            assert still.alignment_right in (1.0, None)


def test_small_rank_one_edit_has_no_intruder(wide_bert, tmp_path):
    base = base_matrices(resolve_model(str(wide_bert)))
    edit = 0.02 * torch.outer(torch.ones(96), torch.ones(48)) / np.sqrt(96 * 48)
    tuned = edited(wide_bert, tmp_path / "tuned", {EDITED: edit})
    at = next(at for at in only(moved_weights(base, {"tuned": tuned})) if at.change_norm > 0)
    assert (at.rank_90, at.intruders) == (1, 0)
    assert at.alignment_left is not None
    assert at.alignment_left > 0.99


def test_rotation_of_a_layers_output_turns_left_vectors_only(wide_bert, tmp_path):
    """Q W has the right singular vectors of W, and left ones turned by Q."""
    base = base_matrices(resolve_model(str(wide_bert)))
    name = "encoder.layer.2.attention.output.dense.weight"
    before = load_backbone(base.source).get_parameter(name).double()
    generator = torch.Generator().manual_seed(1)
    rotation = torch.linalg.qr(torch.randn(48, 48, generator=generator, dtype=torch.float64)).Q
    tuned = edited(wide_bert, tmp_path / "tuned", {name: (rotation @ before - before).float()})
    at = next(at for at in only(moved_weights(base, {"tuned": tuned})) if at.change_norm > 0)
    assert (at.layer, at.kind) == (2, "output")
    assert at.alignment_right == pytest.approx(1.0, abs=1e-4)
    assert at.alignment_left is not None
    assert at.alignment_left < 0.5


def test_every_number_of_a_full_fine_tune(wide_bert, tmp_path):
    source = resolve_model(str(wide_bert))
    generator = torch.Generator().manual_seed(4)
    tuned = rewritten(
        wide_bert,
        tmp_path / "tuned",
        lambda old: {n: t + 0.05 * torch.randn(t.shape, generator=generator) for n, t in old.items()},
    )
    before, after = (dict(load_backbone(one).named_parameters()) for one in (source, tuned))
    for at in only(moved_weights(base_matrices(source), {"tuned": tuned})):
        name = at.module if at.layer is None else f"encoder.layer.{at.layer}.{at.module}"
        w, x = (one[name].detach().double().numpy() for one in (before, after))
        assert at.norm == pytest.approx(np.linalg.norm(w), rel=1e-6)
        assert at.change_norm == pytest.approx(np.linalg.norm(x - w), rel=1e-5)
        if w.ndim == 1:
            assert (at.inputs, at.stable_rank, at.rank_90, at.k, at.intruders) == (None,) * 5
            continue
        if at.kind == "embedding":
            w, x = w.T, x.T
        assert (at.outputs, at.inputs) == w.shape
        values = np.linalg.svd(x - w, compute_uv=False)
        carried = np.cumsum(values**2) / np.sum(values**2)
        assert at.stable_rank == pytest.approx(np.sum(values**2) / values[0] ** 2, rel=1e-5)
        assert at.rank_90 == int(np.argmax(carried >= 0.9)) + 1
        left, right, intruders = by_svd(w, x, k=at.k)
        assert at.alignment_right == (pytest.approx(right, abs=1e-5) if at.k < w.shape[1] else None)
        assert at.alignment_left == (pytest.approx(left, abs=1e-5) if at.k < w.shape[0] else None)
        assert at.intruders == intruders


def test_lora_is_measured_as_its_merged_model(kind, base, tmp_path):
    config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=TARGETS[kind])
    adapter, _ = adapter_on(base, tmp_path / "lora", config)
    dora = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=TARGETS[kind], use_dora=True)
    other, after = adapter_on(base, tmp_path / "dora", dora)
    found = moved_weights(base_matrices(base), {"lora": adapter, "dora": other}, WeightOptions(leading=3))
    assert not found.missing
    opened = base_matrices(base)
    before = dict(load_backbone(base).named_parameters())
    for at in found.models["dora"].weights:
        w, x = (
            one[f"{opened.blocks_path}.{at.layer}.{at.module}"].detach().double().numpy() for one in (before, after)
        )
        assert at.change_norm == pytest.approx(np.linalg.norm(x - w), rel=1e-4)
        assert at.intruders == by_svd(w, x, k=3)[2]
    for at in found.models["lora"].weights:
        assert at.adapter_rank == 2
        assert at.rank_90 in (1, 2)
        assert at.stable_rank is not None
        assert 1.0 <= at.stable_rank <= 2.0


def test_models_that_cannot_be_measured_are_named_and_others_go_on(wide_bert, tmp_path):
    base = base_matrices(resolve_model(str(wide_bert)))
    nan = torch.zeros(96, 48)
    nan[3, 4] = float("nan")
    broken = edited(wide_bert, tmp_path / "broken", {EDITED: nan})
    fine = edited(wide_bert, tmp_path / "fine", {EDITED: torch.ones(96, 48)})
    found = moved_weights(base, {"broken": broken, "fine": fine})
    assert "layer 1, intermediate.dense.weight: NaN or Inf" in found.missing["broken"]
    assert list(found.models) == ["fine"]


def test_resized_embedding_is_compared_in_common_rows(wide_bert, tmp_path):
    base = base_matrices(resolve_model(str(wide_bert)))
    name = "embeddings.word_embeddings.weight"
    longer = rewritten(
        wide_bert, tmp_path / "longer", lambda old: {**old, name: torch.cat([old[name] * 1.5, torch.ones(6, 48)])}
    )
    same = edited(wide_bert, tmp_path / "same", {name: torch.ones(70, 48)})
    shorter = rewritten(wide_bert, tmp_path / "shorter", lambda old: {**old, name: old[name][:60]})
    found = moved_weights(base, {"longer": longer, "same": same, "shorter": shorter})
    (note,) = found.models["longer"].notes
    assert "76 rows, in the base model 70: the 70 rows that both have were compared" in note
    by_model = {n: next(a for a in m.weights if a.module == name) for n, m in found.models.items()}
    assert (by_model["longer"].inputs, by_model["shorter"].inputs) == (70, 60)
    assert by_model["longer"].relative_change == pytest.approx(0.5, rel=1e-6)
    assert by_model["shorter"].change_norm == 0.0


def test_zero_matrices_have_a_change_but_no_relative_one(wide_bert, tmp_path):
    zeroed = rewritten(wide_bert, tmp_path / "zero", lambda old: {**old, EDITED: torch.zeros(96, 48)})
    base = base_matrices(zeroed)
    tuned = resolve_model(str(wide_bert))
    at = next(a for a in only(moved_weights(base, {"tuned": tuned})) if a.layer == 1 and a.kind == "up" and a.inputs)
    assert (at.relative_change, at.k, at.alignment_left, at.intruders) == (None, 0, None, None)
    assert at.change_norm > 0


def test_quantised_weights_are_named_first_and_a_model_of_them_alone_is_refused(wide_bert, tmp_path):
    base = base_matrices(resolve_model(str(wide_bert)))

    def packed(old, names):
        return {n: torch.zeros(t.numel() // 2, 1, dtype=torch.uint8) if n in names else t for n, t in old.items()}

    one = rewritten(wide_bert, tmp_path / "one", lambda old: packed(old, [EDITED]))
    every = rewritten(
        wide_bert,
        tmp_path / "every",
        lambda old: packed(old, [n for n, t in old.items() if "layer." in n and t.dim() == 2]),
    )
    found = moved_weights(base, {"one": one, "every": every})
    assert model_weights_worded(found.models["one"]).answer[0] == (
        f"1 weight is quantised in the files of a model and not among these numbers: {EDITED}."
    )
    assert "no matrix of the blocks" in found.missing["every"]
    assert "holds no ordinary floating-point weights" in found.missing["every"]


def test_other_precision_is_noted_beside_the_numbers(wide_bert, tmp_path):
    base = base_matrices(resolve_model(str(wide_bert)))
    rounded = rewritten(wide_bert, tmp_path / "rounded", lambda old: {n: t.bfloat16() for n, t in old.items()})
    (model,) = moved_weights(base, {"rounded": rounded}).models.values()
    notes = " ".join(model_weights_worded(model).notes)
    assert "float32 in the base model, bfloat16 in the tuned one: part of the change is rounding" in notes
    assert any("a part of the change is rounding" in said for said in model_weights_worded(model).answer)
    finer = moved_weights(base_matrices(rounded), {"finer": resolve_model(str(wide_bert))}).models["finer"]
    assert all("may be the rounding of the base model's files" in at.note for at in finer.weights)
    assert not any("rounding" in said for said in model_weights_worded(finer).answer)


def test_a_small_change_is_no_change_of_0(wide_bert, tmp_path):
    base = base_matrices(resolve_model(str(wide_bert)))
    grown = rewritten(wide_bert, tmp_path / "grown", lambda old: {n: t * (1 + 2**-14) for n, t in old.items()})
    (model,) = moved_weights(base, {"grown": grown}).models.values()
    assert "changed, by 0.0061 % of their size together" in model_weights_worded(model).answer[0]


def test_model_of_another_depth_is_refused(wide_bert, tmp_path):
    shallow = rewritten(wide_bert, tmp_path / "two", lambda old: {n: t for n, t in old.items() if "layer.2" not in n})
    found = moved_weights(base_matrices(resolve_model(str(wide_bert))), {"two": shallow})
    assert "it has 2 blocks of weights, the base model 3" in found.missing["two"]
