"""Directions in a study on disk: a common shift of all seeds, seeds alike or not, the control's directions, tokens from the base model's files."""

import numpy as np
import pandas as pd
import pytest

from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, DriftResults
from repdrift.core.study_sections import study_sections
from repdrift.drift import analyze
from repdrift.drift.directions import shift_pairs
from repdrift.drift.directions.measuring import model_directions
from repdrift.drift.directions.random_change import RandomRows
from repdrift.drift.directions.unembedding import Unembedding
from repdrift.drift.what_moved.directions import StoredRows, settings_of, token_readings
from repdrift.models import model_on_this_machine, resolve_model
from repdrift.stores import open_set
from tests.tiny_models import save_language_model
from tests.unit.drift.study_on_disk import LAYERS, N, P, Study, write_set

SHIFT = np.linspace(-2, 2, P)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Seeds of LoRA shift all samples alike; seeds of full fine-tuning each in a direction of their own."""
    study = Study(tmp_path_factory.mktemp("study"), tasks=("sst2",))
    g = np.random.default_rng(3)
    base = [open_set(study.base("sst2")).layer(layer).double().numpy() for layer in range(LAYERS)]
    for method in study.methods:
        for seed in study.seeds:
            own = g.normal(size=P) * np.linalg.norm(SHIFT) / np.sqrt(P)
            shift = SHIFT if method == "lora" else own
            tuned = [b + shift * (layer > 0) + 0.3 * g.normal(size=b.shape) for layer, b in enumerate(base)]
            write_set(study.folder("sst2", method, seed), "sst2", method, seed, tuned)
    return study


@pytest.fixture(scope="module")
def analysed(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    results, _ = analyze(study.plan(sections=("directions",)), folder)
    return results, folder


def test_every_final_model_is_measured_and_the_shift_found_where_it_is(analysed):
    results, folder = analysed
    runs = results.moved.directions.runs
    assert len(runs) == 6
    for run in runs:
        kinds = {at.layer: max(at.shares, key=lambda share: share.share).kind for at in run.found.layers}
        assert kinds == {0: "rest", 1: "shift", 2: "shift"}
        beyond = [at.layer for at in run.found.layers if at.adjusted_pvalue <= 0.05]
        assert beyond == [1, 2]
    table = pd.read_parquet(folder / "directions.parquet")
    assert len(table) == 6 * LAYERS
    assert set(DriftResults.read(folder / RESULTS_FILE).table_sha256) >= {
        "directions.parquet",
        "direction_likeness.parquet",
    }


def test_seeds_that_shift_alike_are_told_from_seeds_that_do_not(analysed):
    results, _ = analysed
    likeness = results.moved.directions.likeness
    assert len(likeness) == 2 * 3 * LAYERS
    for pair in likeness:
        if pair.method == "lora" and pair.layer > 0:
            assert pair.cosine > max(0.9, pair.chance)
            assert abs(pair.unbiased_cosine - 1) < 0.01
            assert pair.low < pair.unbiased_cosine < pair.high
        elif pair.layer == 0:
            assert pair.cosine < 0.8
    text = " ".join(study_sections(results)[0].answer)
    assert "LoRA: the shifts of two seeds are alike beyond chance in" in text
    assert "LoRA: a shift that all samples share is beyond chance in 6 of 9 layers" in text


def test_summary_has_the_section_and_why_no_tokens_are_read(analysed):
    _, folder = analysed
    text = (folder / SUMMARY_FILE).read_text()
    assert "In which directions the representations moved" in text
    assert "the base model 'tiny' is not on this machine, and nothing is downloaded for this" in text


def test_directions_of_the_random_change_stand_beside(tmp_path):
    study = Study(tmp_path / "s", tasks=("sst2",), seeds=(1, 2), methods=("full_finetune", "lora"))
    base = open_set(study.base("sst2"))
    rows = [base.layer(layer).double().numpy() for layer in range(LAYERS)]
    g = np.random.default_rng(5)
    one_direction = [b + g.normal(size=(N, 1)) * SHIFT for b in rows]
    write_set(tmp_path / "control", "sst2", "lora", 1, one_direction)
    run = open_set(study.folder("sst2", "lora", 1))
    control = RandomRows(StoredRows(open_set(tmp_path / "control")))

    found = model_directions(StoredRows(base), StoredRows(run), settings_of(base), random_change=control)
    beside = [at.beside_random for at in found.layers]
    assert [of.random_centred.carrying for of in beside] == [1] * LAYERS
    assert [of.own_centred for of in beside] == [at.centred for at in found.layers]
    assert all(of.own_centred.carrying > 5 for of in beside)
    assert [of.own_shift_share for of in beside] == pytest.approx(
        [next(share.share for share in at.shares if share.kind == "shift") for at in found.layers]
    )


def test_tokens_are_read_with_the_base_models_own_files_alone(tmp_path):
    source = resolve_model(str(save_language_model(tmp_path / "lm")))
    rows = [np.random.default_rng(1).normal(size=(N, 16))] * LAYERS
    fields = {"model": str(source.path), "shape": [N, 16]}
    write_set(tmp_path / "right", "sst2", "base", None, rows, **fields, weights_digest=source.weights_digest())
    write_set(tmp_path / "other", "sst2", "base", None, rows, **fields, weights_digest="another")
    assert not isinstance(token_readings(open_set(tmp_path / "right")), str)
    assert "not those that the representations were extracted with" in token_readings(open_set(tmp_path / "other"))


def test_tokens_are_read_behind_the_blocks_that_were_extracted(tmp_path, monkeypatch):
    source = resolve_model(str(save_language_model(tmp_path / "lm")))
    rows = [np.random.default_rng(1).normal(size=(N, 16))] * LAYERS
    fields = {"model": str(source.path), "shape": [N, 16], "weights_digest": source.weights_digest()}
    write_set(tmp_path / "set", "sst2", "base", None, rows, **fields, extraction={"blocks": "layers"})
    asked = []
    whole = Unembedding.of
    monkeypatch.setattr(Unembedding, "of", lambda *args, **options: asked.append(options) or whole(*args, **options))
    assert not isinstance(token_readings(open_set(tmp_path / "set")), str)
    assert asked == [{"dtype": "float32", "blocks": "layers"}]


def test_model_that_is_not_here_is_not_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert model_on_this_machine("owner/no-such-model") is None
    assert model_on_this_machine("tiny") is None
    assert model_on_this_machine(str(tmp_path / "gone")) is None


def test_tokens_of_a_sample_and_questions_of_a_paragraph_belong_together(tmp_path):
    rows = [np.random.default_rng(1).normal(size=(N, P))] * LAYERS
    ids, counts = [f"s{k}" for k in range(10)], [4] * 10
    write_set(tmp_path / "t", "sst2", "base", None, rows, pooling="tokens", sample_ids=ids, tokens_per_sample=counts)
    settings = settings_of(open_set(tmp_path / "t"))
    assert settings.unit == "sample"
    assert list(settings.groups) == [f"s{k // 4}" for k in range(N)]
    groups = [f"p{k // 2}" for k in range(10)]
    write_set(
        tmp_path / "g", "sst2", "base", None, rows, pooling="tokens", sample_ids=ids, tokens_per_sample=counts,
        sample_groups=groups, sample_group_unit="paragraph",
    )  # fmt: skip
    settings = settings_of(open_set(tmp_path / "g"))
    assert (settings.unit, settings.groups[-1], len(settings.groups)) == ("paragraph", "p4", N)


def test_pairs_of_seeds_are_computed_once_for_both_sections_that_tell_of_them(study, analysed, tmp_path, monkeypatch):
    counted = []
    real = shift_pairs.likeness_of_shifts
    monkeypatch.setattr(shift_pairs, "likeness_of_shifts", lambda *a, **k: counted.append(k) or real(*a, **k))
    both, _ = analyze(study.plan(sections=("likeness", "directions")), tmp_path)
    assert len(counted) == 15 * LAYERS  # every two of six models
    assert both.moved.directions.likeness == analysed[0].moved.directions.likeness
    pairs = {(p.first, p.second, p.layer): p for p in both.moved.likeness.directions}
    models = [(m.method, m.seed) for m in both.moved.likeness.models]
    for of in both.moved.directions.likeness:
        at = models.index((of.method, of.seed)), models.index((of.method, of.other_seed)), of.layer
        assert (pairs[at].cosine, pairs[at].unbiased) == (of.cosine, of.unbiased_cosine)
