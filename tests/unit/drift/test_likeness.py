"""Likeness in a study: planted changes of weights and directions, the contrast of methods, and what lies on no disk."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from repdrift.core.errors import StorageError
from repdrift.core.likeness_words import contrast_sentence, likeness_section
from repdrift.core.records.likeness import LikenessModel
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE
from repdrift.drift import analyze
from repdrift.drift.likeness import stored
from repdrift.drift.likeness.measuring import clustered, contrasts_of, profile_pairs
from repdrift.models import resolve_model
from repdrift.report.figures import figures
from repdrift.report.report_data import read_report_data
from tests.tiny_models import save_adapter, save_bert
from tests.unit.drift.study_on_disk import LAYERS, NOISE, N, P, Study, write_set

EDITED = "encoder.layer.1.output.dense.weight"
TASKS, METHODS, SEEDS = ("mrpc", "sst2"), ("full_finetune", "lora"), (1, 2)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Full fine-tunes of one task share an edit, adapters of one seed share their factors, methods move rows in directions of their own."""
    root = tmp_path_factory.mktemp("likeness")
    base = save_bert(root / "model")
    tensors = load_file(base / "model.safetensors")
    study = object.__new__(Study)
    study.root, study.tasks, study.seeds, study.methods = root, list(TASKS), list(SEEDS), list(METHODS)
    g = np.random.default_rng(0)
    digest = resolve_model(str(base)).weights_digest()
    runs = {}
    for number, task in enumerate(TASKS):
        rows = [g.normal(size=(N, P)) + 5 for _ in range(LAYERS)]
        named = {"model": str(base), "base_weights_digest": digest}
        for folder, noise in ((study.base(task), 0), (study.identity(task), 1e-6)):
            write_set(
                folder,
                task,
                "base",
                None,
                [b + noise * g.normal(size=b.shape) for b in rows],
                **named,
                weights_digest=digest,
            )
        edit = torch.outer(torch.eye(16)[number], torch.ones(32))
        for method in METHODS:
            shift = np.eye(P)[METHODS.index(method)]
            for seed in SEEDS:
                run = root / "results" / f"{task}_{method}_{seed}"
                final = run / "final_model"
                if method == "lora":
                    save_adapter(base, final, seed=seed)
                else:
                    save_bert(final)
                    noise = 0.01 * torch.randn(16, 32, generator=torch.Generator().manual_seed(10 * number + seed))
                    save_file(
                        {**tensors, EDITED: tensors[EDITED] + edit + noise},
                        final / "model.safetensors",
                        {"format": "pt"},
                    )
                weights = resolve_model(str(final)).weights_digest()
                runs[task, method, seed] = (run, weights)
                moved = [b + (at + 1) * (shift + NOISE[method] * g.normal(size=b.shape)) for at, b in enumerate(rows)]
                write_set(study.folder(task, method, seed), task, method, seed, moved, **named, weights_digest=weights)
    plan = study.plan(sections=("likeness",), model=None)
    sets = [
        replace(s, weights={runs[s.task, s.method, s.seed][1]: runs[s.task, s.method, s.seed][0]}) for s in plan.sets
    ]
    return replace(plan, sets=sets), root


@pytest.fixture(scope="module")
def analysed(planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("analysed")
    results, _ = analyze(planted[0], folder)
    return results.moved.likeness, folder


def pairs_of(found, pairs):
    names = [(m.task, m.method, m.seed) for m in found.models]
    return {(names[p.first], names[p.second]): p for p in pairs}


def test_planted_edits_are_alike_within_a_task_and_not_between(analysed):
    found, _ = analysed
    pairs = pairs_of(found, found.pairs)
    assert len(pairs) == 28
    for (one, other), pair in pairs.items():
        if one[1] == other[1] == "full_finetune":
            expected = 1.0 if one[0] == other[0] else 0.0
            assert pair.whole.cosine == pytest.approx(expected, abs=0.03), (one, other)
        elif one[1] == other[1]:
            expected = 1.0 if one[2] == other[2] else 0.0  # the same factors were saved for both tasks
            assert pair.whole.cosine == pytest.approx(expected, abs=0.25), (one, other)
    assert found.left_out == []


def test_directions_are_compared_within_a_task_and_are_those_of_the_method(analysed):
    found, _ = analysed
    for (one, other), pair in ((k, p) for p in found.directions for k in pairs_of(found, [p])):
        assert one[0] == other[0]
        assert (pair.cosine > 0.8) == (one[1] == other[1]), (one, other, pair)


def test_likeness_of_an_encoder_decoder_is_that_of_the_stack_that_was_extracted(tmp_path):
    import transformers

    config = transformers.T5Config(
        vocab_size=20, d_model=8, d_kv=4, d_ff=16, num_layers=2, num_decoder_layers=2, num_heads=2
    )
    torch.manual_seed(0)
    base = transformers.T5Model(config)
    base.save_pretrained(tmp_path / "base")
    for number, name in enumerate(("one", "other")):
        tuned = transformers.T5Model(config)
        tuned.load_state_dict(base.state_dict())
        with torch.no_grad():  # one change in the decoder, orthogonal ones in the encoder
            tuned.decoder.block[1].layer[2].DenseReluDense.wi.weight[0] += 1
            tuned.encoder.block[1].layer[1].DenseReluDense.wi.weight[number] += 1
        tuned.save_pretrained(tmp_path / name)
    models = {name: resolve_model(str(tmp_path / name)) for name in ("one", "other")}
    source = resolve_model(str(tmp_path / "base"))

    def whole(stack):
        found = stored.stored_likenesses(source, models, tmp_path / "results", stack=stack)
        return next(group.cosine for group in found.groups[0, 1] if group.by == "all")

    # The decoder reads the encoder, so that both belong to it: half of each change is the common one.
    assert [whole(stack) for stack in ("decoder", None, "decoder")] == pytest.approx([0.5, 0, 0.5], abs=1e-6)


def test_contrast_has_its_smallest_p(analysed):
    found, folder = analysed
    contrasts = {(c.of, c.within, c.label): c for c in found.contrasts}
    of = contrasts["directions", "MRPC", "method"]
    assert (of.models, of.labels) == (4, ["full_finetune", "lora"])
    assert of.pvalue == of.smallest_pvalue == pytest.approx(2 / 4)
    assert contrasts["weights", "full fine-tuning", "task"].difference == pytest.approx(1, abs=0.03)
    summary = (folder / SUMMARY_FILE).read_text(encoding="utf-8")
    assert "How alike the changes are" in summary
    assert "smallest possible: 0.5" in summary


def test_what_a_seed_gives_is_tested_over_pairs_of_different_methods():
    """Two methods with six seeds; a pair of one seed has 0.9, one of one method 0.5, any other 0.1."""
    models = [
        LikenessModel(name=f"{method} {seed}", task="sst2", method=method, seed=seed)
        for method in METHODS
        for seed in range(6)
    ]
    values = np.array(
        [[0.9 if a.seed == b.seed else 0.5 if a.method == b.method else 0.1 for b in models] for a in models]
    )
    found = {contrast.label: contrast for contrast in contrasts_of("directions", values, models)}
    of_seed, of_method = found["seed"], found["method"]
    assert (of_seed.mean_within, of_seed.mean_between) == (pytest.approx(0.9), pytest.approx(0.1))
    assert (of_method.mean_within, of_method.mean_between) == (pytest.approx(0.5), pytest.approx(0.1))
    assert of_seed.pvalue == of_seed.smallest_pvalue == pytest.approx(1 / 720), (
        "the orders of one method's seeds beside the other's"
    )
    assert of_seed.exact
    assert contrast_sentence(of_seed).startswith(
        "SST-2: directions of two models of one seed are more alike than those of models of different seeds (6 seeds): mean cosine 0.90 against 0.10 over pairs "
        "of different methods, p = 0.0"
    )
    assert contrast_sentence(of_seed).endswith("labels of 12 models permuted within methods.")


def test_words_have_a_matrix_of_each_kind_of_likeness(analysed):
    found, _ = analysed
    tables = {table.title: table for table in likeness_section(found).tables}
    names_of = {
        title: [found.models[place].name for place in order]
        for title, order in (
            ("Cosines of the changes of weights", found.order),
            ("Rank correlations of drift by layer", found.profile_order),
            ("Cosines of the mean differences", found.direction_order),
        )
    }
    for title, names in names_of.items():
        assert sorted(names) == sorted(model.name for model in found.models)
        assert [row[0] for row in tables[title].rows] == names
        assert all(row[at + 1] == "1" for at, row in enumerate(tables[title].rows))
    pair = found.profiles[0]
    one, other = found.models[pair.first].name, found.models[pair.second].name
    names = names_of["Rank correlations of drift by layer"]
    profile = tables["Rank correlations of drift by layer"].rows[names.index(one)][names.index(other) + 1]
    assert profile == ("none" if pair.spearman is None else f"{pair.spearman:.3f}")
    same = [
        p for p in found.directions if (p.first, p.second) == (found.directions[0].first, found.directions[0].second)
    ]
    names = names_of["Cosines of the mean differences"]
    place = [names.index(found.models[at].name) for at in (same[0].first, same[0].second)]
    mean = np.mean([p.cosine for p in same])
    assert tables["Cosines of the mean differences"].rows[place[0]][place[1] + 1] == f"{mean:.3f}"


def test_table_has_groups_of_weights_and_the_figure_is_drawn(analysed):
    _found, folder = analysed
    table = pd.read_parquet(folder / "likeness.parquet")
    weights = table[table["of"] == "weights"]
    assert set(weights["by"]) == {"all", "kind", "layer", "module"}
    one = weights[
        (weights["task"] == "mrpc") & (weights["other_task"] == "mrpc") & (weights["method"] == "full_finetune")
    ]
    one = one[(one["other_method"] == "full_finetune") & one["cosine"].notna()]
    assert one["group"].tolist() == ["all", "down", "1", "down of layer 1"]
    assert one["layer"].tolist()[2:] == [1, 1]
    assert one["cosine"].nunique() == 1  # one matrix alone changed
    data = read_report_data(folder / RESULTS_FILE)
    (spec,) = (spec for spec in figures() if spec.name == "likeness")
    assert spec.possible(data)
    assert "A matrix of 8 models. Most alike: " in spec.describe(data)
    assert len(spec.draw(data).axes) == 2


def test_the_same_weights_are_not_compared_again(planted, analysed, tmp_path, monkeypatch):
    plan, root = planted
    (kept,) = (root / "results" / "weights").glob("likeness_*.json")
    monkeypatch.setattr(stored, "change_likenesses", lambda *_: pytest.fail("computed again"))
    again, _ = analyze(plan, tmp_path)
    assert again.moved.likeness == analysed[0]
    monkeypatch.undo()
    text = json.loads(kept.read_text(encoding="utf-8"))
    text["pairs"] = []
    kept.write_text(json.dumps(text), encoding="utf-8")  # its checksum no longer fits
    assert analyze(plan, tmp_path)[0].moved.likeness == analysed[0]


def test_results_that_cannot_be_kept_are_reported_all_the_same(planted, analysed, tmp_path, monkeypatch, capsys):
    def refuse(self, path):
        raise StorageError(f"{path} cannot be written.")

    kept = next((planted[1] / "results" / "weights").glob("likeness_*.json"))
    text = kept.read_bytes()
    kept.unlink()
    monkeypatch.setattr(stored.StoredLikenesses, "write", refuse)
    found = analyze(planted[0], tmp_path)[0].moved.likeness
    kept.write_bytes(text)
    assert found == analysed[0]
    assert "cannot be written. The next analysis compares these weights anew." in capsys.readouterr().err


def test_models_that_are_not_here_are_named(planted, tmp_path):
    plan, root = planted
    copied = shutil.copytree(root / "results" / "mrpc_lora_2", tmp_path / "copied")
    (copied / "final_model" / "adapter_model.safetensors").write_bytes(b"damaged")
    sets = [
        replace(
            s,
            weights={}
            if s.method == "full_finetune"
            else dict.fromkeys(s.weights, copied)
            if s.seed == 2
            else s.weights,
        )
        for s in plan.sets
    ]
    found = analyze(replace(plan, sets=sets), tmp_path / "out")[0].moved.likeness
    assert len(found.pairs) == 1
    said = " ".join(found.left_out)
    assert "MRPC, full fine-tuning, seed 1; MRPC, full fine-tuning, seed 2" in said
    assert "Weights of MRPC, LoRA, seed 2: the files in " in said
    nothing = analyze(replace(plan, sets=[replace(s, weights={}) for s in plan.sets]), tmp_path / "out")[
        0
    ].moved.likeness
    assert nothing.pairs == []
    assert nothing.profiles
    assert "0 of 8 models can be compared" in nothing.left_out[-1]


def test_noise_has_no_profile():
    found = profile_pairs(
        {0: {0: 0.1, 1: 0.2, 2: 0.4}, 1: {}, 2: {0: 1e-16, 1: 2e-16, 2: 3e-16}, 3: {0: 0.2, 1: 0.1, 2: 0.1}}
    )
    reasons = {(p.first, p.second): p.missing for p in found}
    assert reasons[0, 1] == reasons[0, 2] == "the drift of the second model is above noise in no layer"
    assert reasons[0, 3] is None
    expected = (
        np.array([0.1, 0.2, 0.4]) @ [0.2, 0.1, 0.1] / np.linalg.norm([0.1, 0.2, 0.4]) / np.linalg.norm([0.2, 0.1, 0.1])
    )
    assert next(p for p in found if (p.first, p.second) == (0, 3)).cosine == pytest.approx(expected)


def test_models_without_any_likeness_come_last_and_are_not_tested():
    values = np.array(
        [[1, np.nan, 0.1, 0.9], [np.nan, 1, np.nan, np.nan], [0.1, np.nan, 1, 0.2], [0.9, np.nan, 0.2, 1.0]]
    )
    order = clustered(values)
    assert order[-1] == 1
    assert abs(order.index(0) - order.index(3)) == 1
    assert contrasts_of("weights", values, []) == []
