"""Readings of single models: kept by key, left out with a reason, one state at a beginning, and models of both directions of reading."""

import shutil
from dataclasses import replace

import pytest
import torch

from repdrift.core.errors import DataError, ModelError, OutcomeNotApplicable
from repdrift.core.first_tokens_words import first_tokens_section
from repdrift.core.records.first_tokens import FirstTokensFile, RunFirstTokens, StudyFirstTokens
from repdrift.drift.first_tokens import run_tokens
from repdrift.drift.first_tokens.run_tokens import read_runs
from repdrift.drift.first_tokens.texts import first_tokens
from repdrift.drift.task_sets import find_runs, open_task
from repdrift.extraction import ExtractionJob, ExtractionOptions
from repdrift.extraction.kept_rows import extract_rows
from repdrift.models import resolve_model
from tests.tiny_models import save_adapter, save_bert
from tests.unit.drift.first_tokens.shifted_models import (
    EMBEDDINGS,
    LAYERS,
    TARGET,
    changed,
    documents,
    language_model,
    planted,
    samples_of,
    study,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A base model and the plan of a study of one model, moved toward the target on the words of general text."""
    root = tmp_path_factory.mktemp("run_tokens")
    base = language_model(root / "base_model")
    changed(base, root / "runs/lora/final_model", planted(base))
    general = documents(root)
    return base, root, study(root, base, {("lora", 1): root / "runs/lora"}, lambda: samples_of(general, base))


def read(plan):
    found = find_runs(plan.sets)
    return read_runs(plan, [open_task("sst2", plan.bases["sst2"], found.runs, [])])


def with_text(plan, path, base, **changes):
    """The plan on other general text, keeping nothing."""
    sets = [replace(planned, first_tokens_folder=None) for planned in plan.sets]
    settings = replace(plan.first_tokens, general_text=lambda: samples_of(path, base), **changes)
    return replace(plan, sets=sets, first_tokens=settings)


def beyond(found):
    return {t.token for s in found.shifts if s.tokens for t in (*s.tokens.top, *s.tokens.bottom) if t.beyond_chance}


def worded(read_, plan):
    class Results:
        class moved:  # noqa: N801
            first_tokens = StudyFirstTokens(
                runs=[RunFirstTokens(task=p.task, method=p.method, seed=p.seed, found=f) for p, f in read_.found],
                source="a file", documents=len(read_.texts.samples), positions=plan.first_tokens.positions,
                draws=plan.first_tokens.draws, causal=read_.texts.causal, left_out=read_.left_out,
            )  # fmt: skip

    return first_tokens_section(Results)


def test_what_was_read_is_kept_and_read_anew_for_other_settings_or_a_damaged_file(made, monkeypatch, capsys):
    _, _, plan = made
    first = read(plan)
    path = plan.sets[0].first_tokens_folder / "first_tokens.json"
    assert FirstTokensFile.read(path).found == first.found[0][1]

    def refused(job):
        raise ModelError("it was run")

    with monkeypatch.context() as patched:
        patched.setattr(run_tokens, "extract_rows", refused)
        assert read(plan).found[0][1] == first.found[0][1]
        for changes in ({"positions": 2}, {"draws": 2}):
            with pytest.raises(ModelError, match="it was run"):
                read(replace(plan, first_tokens=replace(plan.first_tokens, **changes)))
        assert "of other weights, texts or settings" in capsys.readouterr().err
        kept = path.read_text()
        path.write_text(kept.replace('"position": 1', '"position": 2', 1))
        with pytest.raises(ModelError, match="it was run"):
            read(plan)
    read(plan)
    assert path.read_text().replace("\r", "")[:200] == kept[:200]


def test_where_all_documents_begin_alike_there_is_one_state_and_no_test(made):
    base, root, plan = made
    same = documents(root, first="the", name="same.txt")
    at = with_text(plan, same, base, draws=0)
    found = read(at).found[0][1]
    first = [shift for shift in found.shifts if shift.position == 0]
    assert [(s.documents, s.beginnings, s.pvalue, s.adjusted_pvalue) for s in first] == [(12, 1, None, None)] * LAYERS
    assert all(s.adjusted_pvalue is not None for s in found.shifts if s.position == 1)
    assert TARGET in {t.token for s in first for t in s.tokens.top if t.beyond_chance}
    assert "At position 0 all documents have the same tokens" in " ".join(worded(read(at), at).notes)


def test_few_documents_name_nothing_and_positions_that_few_documents_have_say_so(made):
    base, root, plan = made
    few = documents(root, count=5, name="few.txt")
    at = with_text(plan, few, base, draws=0, positions=7)
    found = read(at)
    assert beyond(found.found[0][1]) == set()
    missing = {shift.position: shift.missing for shift in found.found[0][1].shifts}
    assert missing[0] is None
    assert missing[6] == "2 of the documents are so long, and 4 at least are needed."
    section = worded(found, at)
    assert "so few documents that differ" in " ".join(section.notes)
    assert "2 of the documents are so long" in " ".join(section.left_out)


def test_model_whose_first_tokens_did_not_move_names_nothing(made, tmp_path):
    base, root, _ = made

    def elsewhere(tensors):
        tensors[EMBEDDINGS][-1] += 1.0

    changed(base, tmp_path / "runs/still/final_model", elsewhere)
    still = study(
        tmp_path, base, {("lora", 1): tmp_path / "runs/still"}, lambda: samples_of(root / "general.txt", base)
    )
    found = read(still)
    assert all(shift.tokens is None and shift.shift == 0 for shift in found.found[0][1].shifts)
    assert found.found[0][1].chance is None
    assert worded(found, still).answer == ["SST-2, LoRA: nothing could be read from the first tokens of general text."]


def test_missing_text_models_and_sizes_of_changes_are_reasons(made):
    base, root, plan = made
    with pytest.raises(DataError, match="no general text: give `general_text:`"):
        read(replace(plan, first_tokens=replace(plan.first_tokens, general_text=lambda: None)))
    at = with_text(plan, root / "general.txt", base)
    gone = replace(at, sets=[replace(planned, weights={}) for planned in at.sets])
    left_out = read(gone)
    assert left_out.found == []
    assert "SST-2, LoRA, seed 1: its weights are not on this machine" in left_out.left_out[0]


def test_without_the_sizes_of_changes_there_is_no_random_change_and_it_says_so(made):
    base, root, plan = made
    at = with_text(plan, root / "general.txt", base)
    found = find_runs(at.sets)
    task = open_task("sst2", at.bases["sst2"], found.runs, [])
    run = task.runs[0]
    unknown = replace(run.stored, metadata=run.stored.metadata.model_copy(update={"weight_changes": None}))
    result = read_runs(at, [replace(task, runs=[replace(run, stored=unknown)])])
    model = result.found[0][1]
    assert model.draws == 0
    assert beyond(model) == {TARGET}
    assert "No random change of the weights could be read: how far training moved the weights is not known" in " ".join(
        worded(result, at).left_out
    )


@pytest.mark.parametrize("causal", [True, False])
def test_rows_of_first_tokens_are_those_of_whole_documents(made, tmp_path, causal):
    base, root, _ = made
    at = base if causal else save_bert(tmp_path / "bert")
    source, samples = resolve_model(str(at)), samples_of(root / "general.txt", at)
    options = ExtractionOptions(pooling="tokens", samples=None)
    whole = extract_rows(ExtractionJob("general_text", "base", None, 0, source, samples, options))
    texts = first_tokens(samples, 3, causal=causal)
    only = options.model_copy(update={"pool_over": texts.samples.pool_over})
    cut = extract_rows(ExtractionJob("general_text", "base", None, 0, source, texts.samples, only))
    starts = torch.tensor([0, *samples.lengths[:-1]]).cumsum(0)
    for layer, rows in cut.items():
        for position in range(3):
            expected = whole[layer][starts + position]
            torch.testing.assert_close(rows[texts.rows_at(position)], expected, rtol=1e-4, atol=1e-4)


def test_beginnings_of_a_model_that_sees_what_follows_are_whole_documents(made):
    base, root, _ = made
    samples = samples_of(documents(root, first="the", name="alike.txt"), base)
    assert len(set(first_tokens(samples, 3, causal=True).beginnings_at(0))) == 1
    assert len(set(first_tokens(samples, 3, causal=False).beginnings_at(0))) == len(samples)


def test_masked_language_model_is_read_on_whole_documents_and_an_encoder_without_a_head_not_at_all(made, tmp_path):
    from transformers import BertConfig, BertForMaskedLM

    _, root, _ = made
    headless = save_bert(tmp_path / "headless")
    shutil.copytree(headless, tmp_path / "masked")
    BertForMaskedLM(BertConfig.from_pretrained(headless)).save_pretrained(tmp_path / "masked")

    def change(tensors):
        generator = torch.Generator().manual_seed(1)
        for name in tensors:
            if "output.dense.weight" in name:
                tensors[name] += 0.05 * torch.randn(tensors[name].shape, generator=generator)

    text = root / "general.txt"
    for name, is_read in (("masked", True), ("headless", False)):
        base, at = tmp_path / name, tmp_path / f"of_{name}"

        changed(base, at / "runs/final_model", change)
        plan = study(at, base, {("lora", 1): at / "runs"}, lambda base=base: samples_of(text, base))
        if not is_read:
            with pytest.raises(OutcomeNotApplicable, match="head"):
                read(plan)
            continue
        found = read(plan)
        assert not found.texts.causal
        assert all(shift.tokens is not None and len(shift.random) == 1 for shift in found.found[0][1].shifts)
        assert "Whole documents were run" in " ".join(worded(found, plan).notes)


def test_adapter_is_read_on_its_base_model(made, tmp_path):
    base, root, _ = made
    adapter = save_adapter(base, tmp_path / "runs/final_model", target_modules=["q_proj", "down_proj"])
    text = root / "general.txt"
    plan = study(tmp_path, base, {("lora", 1): adapter.parent}, lambda: samples_of(text, base))
    model = read(plan).found[0][1]
    assert model.draws == 1
    assert all(shift.shift > 0 for shift in model.shifts)
