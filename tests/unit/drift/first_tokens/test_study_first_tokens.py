"""A shift planted on the first tokens of general text alone is named by this section and by no other; noise names nothing; what is kept is held to its key."""

from dataclasses import replace

import pandas as pd
import pytest

from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE
from repdrift.core.study_sections import study_sections
from repdrift.drift import analyze
from tests.unit.drift.first_tokens.shifted_models import (
    LAYERS,
    POSITIONS,
    TARGET,
    changed,
    documents,
    language_model,
    noise,
    planted,
    samples_of,
    study,
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("first_tokens")


@pytest.fixture(scope="module")
def base(root):
    return language_model(root / "base_model")


@pytest.fixture(scope="module")
def plan(root, base):
    """LoRA's seeds move the words of general text toward the target; full fine-tuning's seeds move the blocks at random."""
    runs = {}
    for seed in (1, 2):
        changed(base, root / f"runs/lora_{seed}/final_model", planted(base, seed=seed))
        changed(base, root / f"runs/full_{seed}/final_model", noise(seed))
        runs |= {("lora", seed): root / f"runs/lora_{seed}", ("full_finetune", seed): root / f"runs/full_{seed}"}
    general = documents(root)
    return study(root, base, runs, lambda: samples_of(general, base))


@pytest.fixture(scope="module")
def analysed(plan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    results, _ = analyze(plan, folder)
    return results, folder


def named(found):
    return {t.token for s in found.shifts if s.tokens for t in (*s.tokens.top, *s.tokens.bottom) if t.beyond_chance}


def test_planted_token_is_named_for_every_seed_and_nothing_by_noise(analysed):
    assert analysed[0].moved.left_out == {}
    found = analysed[0].moved.first_tokens
    assert (found.documents, found.positions, found.causal) == (12, POSITIONS, True)
    assert [(run.method, run.seed) for run in found.runs] == [
        ("lora", 1), ("full_finetune", 1), ("lora", 2), ("full_finetune", 2)
    ]  # fmt: skip
    for run in found.runs:
        assert {(s.layer, s.position) for s in run.found.shifts} == {
            (a, b) for a in range(LAYERS) for b in range(POSITIONS)
        }
        assert named(run.found) == ({TARGET} if run.method == "lora" else set())
        assert run.found.draws == 1
        assert all(len(shift.random) == 1 for shift in run.found.shifts)


def test_no_other_section_names_it(analysed):
    sections = {section.name: section for section in study_sections(analysed[0])}
    assert f'toward "{TARGET}"' in " ".join(sections["first_tokens"].answer)
    assert "in all 2 seeds" in " ".join(sections["first_tokens"].answer)
    assert TARGET not in str(sections["directions"])


def test_table_and_summary_have_what_was_read(analysed):
    _, folder = analysed
    table = pd.read_parquet(folder / "first_tokens.parquet")
    assert set(table["change"]) == {"trained", "random_change"}
    first = table[(table["method"] == "lora") & (table["change"] == "trained") & (table["side"] == "raised")]
    assert (first[first["rank"] == 1]["token"] == TARGET).all()
    text = (folder / SUMMARY_FILE).read_text()
    assert "What tuning left on the first tokens of unrelated text" in text
    assert "Read at positions 0 to 2 of 12 documents of general text" in text


def test_without_texts_no_document_is_quoted(plan, analysed, tmp_path):
    assert "the first is '" in (analysed[1] / SUMMARY_FILE).read_text()
    results, _ = analyze(replace(plan, sample_texts=False), tmp_path)
    assert results.moved.first_tokens.runs == analysed[0].moved.first_tokens.runs
    for name in (SUMMARY_FILE, RESULTS_FILE):
        assert "the first is '" not in (tmp_path / name).read_text()
