"""The section on samples of a study: seeds that agree are told from those that do not, and groups are judged over models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from repdrift.core.errors import DataError
from repdrift.core.records.outcomes import ITEM_COLUMNS, OutcomeInfo, RunOutcomes
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, DriftResults
from repdrift.core.records.sample_moves import SAMPLE_COLUMNS, SAMPLES_TABLE, StudySamples, TaskSamples
from repdrift.core.records.sites import SiteLayer
from repdrift.core.study_sample_words import study_samples_section
from repdrift.drift import analyze
from repdrift.drift.analysis_plan import PlannedOutcomes
from repdrift.drift.sample_drift import SampleSplit, place_shares
from repdrift.drift.sample_groupings import Grouping
from repdrift.drift.sample_moves import ModelShares, SampleView
from repdrift.drift.samples_over_models import SeedShares, agreement, groups_over_models
from repdrift.outcomes.outcome_files import write_items
from repdrift.similarity import Representation
from repdrift.similarity.kernels.sample_shares import SampleShares
from repdrift.tasks import SampleSet
from repdrift.tasks.sample_facts import SampleFacts
from tests.unit.drift.study_on_disk import LAYERS, N, Study, write_set

MOVED = list(range(0, N, 5))
_HOSTILE = "<script>|\x1b[31m=1+1"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Full fine-tuning turns some samples round in every seed; LoRA moves others in each seed."""
    study = Study(tmp_path_factory.mktemp("planted"), tasks=("sst2",), seeds=(1, 2, 3, 4))
    g = np.random.default_rng(5)
    base = [g.normal(size=(N, 12)) * np.linspace(0.3, 2, 12) + 5 for _ in range(LAYERS)]
    write_set(study.base("sst2"), "sst2", "base", None, base)
    write_set(study.identity("sst2"), "sst2", "base", None, [b + 1e-6 * g.normal(size=b.shape) for b in base])
    for seed in study.seeds:
        for method, chosen in (("full_finetune", MOVED), ("lora", g.permutation(N)[:6])):
            tuned = []
            for rows in base:
                change = 0.05 * g.normal(size=(12, 12)) * (method == "full_finetune")
                moved = rows @ (np.eye(12) + change)
                moved[chosen] = 2 * moved.mean(axis=0) - moved[chosen]
                tuned.append(moved)
            write_set(study.folder("sst2", method, seed), "sst2", method, seed, tuned)
    return study


def samples_of(_task: str) -> SampleSet:
    ids = tuple(str(i) for i in range(N))
    facts = SampleFacts(
        texts=tuple(f"text {i} {_HOSTILE}" for i in range(N)),
        labels=tuple(f"{_HOSTILE}{int(i in MOVED)}" for i in range(N)),
    )
    return SampleSet("sst2", ids, tuple([1] * (4 + i % 3) for i in range(N)), None, 0, "here", facts=facts)


@pytest.fixture
def known(planted, monkeypatch):
    monkeypatch.setattr(SampleSet, "fingerprint", "fingerprint-sst2")
    return planted.plan(sections=("samples",), samples_of=samples_of)


def test_seeds_that_agree_are_told_from_seeds_that_do_not(known, tmp_path):
    results, _ = analyze(known, tmp_path)
    (task,) = results.moved.samples.tasks
    agrees = {of.method: of for of in task.agreement}
    assert agrees["full_finetune"].p < 0.01
    assert agrees["full_finetune"].w > 0.5
    assert agrees["lora"].p > 0.05
    most = {of.method: of for of in task.methods}
    assert {s.sample for s in most["full_finetune"].most[: len(MOVED)]} == {str(i) for i in MOVED}
    assert most["lora"].in_all == []
    tested = [g for g in task.groups if g.ratio > 1]
    first = min(tested, key=lambda g: g.p)
    assert (first.method, first.by, first.value[-1]) == ("full_finetune", "label", "1")
    assert first.p < 0.02  # of eight samples in forty
    assert first.samples_low < first.low < first.ratio < first.high < first.samples_high
    assert all(g.p > 0.1 for g in tested if g is not first)
    summary = (tmp_path / SUMMARY_FILE).read_text(encoding="utf-8")
    assert "the same samples move in all seeds (4 models" in summary
    assert "the seeds do not agree on which samples move (4 models" in summary
    assert "<script>" not in summary
    assert "\x1b" not in summary
    assert DriftResults.read(tmp_path / RESULTS_FILE).moved == results.moved


def test_what_a_random_change_does_too_is_no_agreement_of_training() -> None:
    g = np.random.default_rng(0)
    x = g.normal(size=(150, 20)) * np.arange(1, 21) ** -0.7

    def moved(rows: np.ndarray) -> tuple[ModelShares, np.ndarray]:
        at = place_shares(SiteLayer("resid_post", 0), Representation(x), Representation(rows))
        shares = ModelShares([at])
        return shares, shares.times_expected()

    def changed() -> np.ndarray:
        return x @ (np.eye(20) + 0.2 * g.normal(size=(20, 20)) / 20**0.5)

    chance = np.exp(np.mean([np.log(moved(changed())[1]) for _ in range(12)], axis=0))
    view = SampleView([str(i) for i in range(150)])
    alone = [SeedShares(seed, moved(changed())[0]) for seed in range(3)]
    beside = [SeedShares(of.seed, of.shares, chance) for of in alone]
    by_place, by_training = agreement("lora", alone, view, "group"), agreement("lora", beside, view, "group")
    assert by_place.p is not None
    assert by_place.p < 0.01
    assert by_training.correlation is not None
    assert by_training.correlation < by_place.correlation / 2
    assert by_training.random_correlation > 0.3
    assert (by_place.random_models, by_training.random_models) == (0, 3)


def test_random_change_of_one_seed_alone_is_said_as_that() -> None:
    g = np.random.default_rng(1)
    x = g.normal(size=(60, 10))
    y = x @ (np.eye(10) + 0.1 * g.normal(size=(10, 10)))
    shares = ModelShares([place_shares(SiteLayer("resid_post", 0), Representation(x), Representation(y))])
    chance = np.exp(g.normal(size=60))
    models = [SeedShares(0, shares, chance), SeedShares(1, shares), SeedShares(2, shares)]
    view = SampleView([str(i) for i in range(60)])
    of = agreement("lora", models, view, "group")
    assert (of.models, of.random_models) == (3, 1)
    assert of.correlation == pytest.approx(1)  # not beside the random change
    assert of.random_correlation == pytest.approx(spearmanr(shares.times_expected(), chance).statistic)
    task = TaskSamples(task="sst2", samples=60, models=[], methods=[], agreement=[of], groups=[])
    (said,) = study_samples_section(StudySamples(tasks=[task])).answer
    assert "was run for 1 of the 3 models, and each needs its own (random_change: all in the study)" in said
    none = agreement("lora", [SeedShares(seed, shares) for seed in range(3)], view, "group")
    (said,) = study_samples_section(StudySamples(tasks=[task.model_copy(update={"agreement": [none]})])).answer
    assert "No random change of the weights stands beside it" in said


def test_group_stands_beside_what_a_random_change_of_the_weights_does_to_it() -> None:
    g = np.random.default_rng(2)
    place = SiteLayer("resid_post", 0)
    x = g.normal(size=(60, 8))
    member = np.arange(60) < 20

    def moved(size: float) -> Representation:
        return Representation(x + g.normal(size=x.shape) * np.where(member, size, 1.0)[:, None] * 0.3)

    base, split = Representation(x), SampleSplit(None, np.arange(60) % 20)
    random = [SampleShares(base, moved(2.0)).parts() for _ in range(2)]
    changes = [{place: random[0]}, {place: random[1]}, {}]
    models = [
        SeedShares(
            seed, ModelShares([place_shares(place, base, moved(2.0), split)], of, np.arange(60) if of else None, 19)
        )
        for seed, of in enumerate(changes)
    ]
    (group,) = groups_over_models({"lora": models}, [Grouping("label", "a", member)])
    ratios = [of.share[member].mean() / of.share[~member].mean() for of in random]
    assert group.random_ratio == pytest.approx(np.sqrt(ratios[0] * ratios[1]))
    assert (group.models, group.random_models) == (3, 2)
    assert group.random_ratio > 1.3  # as large as after training: no sign of what was learnt
    task = TaskSamples(task="sst2", samples=60, models=[], methods=[], agreement=[], groups=[group])
    section = study_samples_section(StudySamples(tasks=[task]))
    assert group.p_adjusted is not None
    assert group.p_adjusted < 0.05
    assert (
        f"After a random change of the weights as large it is {group.random_ratio:.2f} (run for 2 of 3 models)."
        in section.answer[0]
    )
    assert section.tables[-1].rows[0][-2] == f"{group.random_ratio:.2f}"


def test_table_has_every_sample_and_its_shares_add_up_to_the_drift(known, tmp_path):
    _, drift = analyze(known, tmp_path)
    table = pd.read_parquet(tmp_path / SAMPLES_TABLE)
    assert list(table.columns) == list(SAMPLE_COLUMNS)
    assert len(table) == 2 * 4 * LAYERS * N
    keys = ["method", "seed", "layer"]
    sums = table.groupby(keys)["share"].sum()
    cka = drift[drift["measure"] == "cka"].set_index(keys)["drift"]
    assert sums.to_numpy() == pytest.approx(cka.loc[sums.index].to_numpy(), abs=1e-12)


def test_without_the_data_or_with_other_data_samples_have_their_ids_alone(planted, tmp_path):
    def gone(_task: str) -> SampleSet:
        raise DataError("no validation data for task 'sst2'")

    plan = planted.plan(sections=("samples",))
    for number, (of, reason) in enumerate(
        [
            (None, "not at hand"),
            (gone, "no validation data"),
            (samples_of, "another one than when the sets were extracted"),
        ]
    ):
        results, _ = analyze(replace(plan, samples_of=of), tmp_path / str(number))
        (task,) = results.moved.samples.tasks
        assert reason in task.notes[0]
        assert task.groups == []
        assert task.methods[0].most[0].text is None
        assert task.methods[0].most[0].label is None


def test_texts_are_left_out_where_they_are_not_wanted(known, tmp_path, monkeypatch):
    notes = ["The text is each line of a.txt. 40 rows read; the first is 'text 0 <script>'."]
    monkeypatch.setattr("repdrift.drift.analysis.data_notes", lambda _metadata: notes)
    with_texts, _ = analyze(known, tmp_path / "shown")
    assert with_texts.study.data_notes == {"sst2": notes}
    results, _ = analyze(replace(known, sample_texts=False), tmp_path)
    assert results.study.data_notes == {"sst2": ["The text is each line of a.txt. 40 rows read."]}
    (task,) = results.moved.samples.tasks
    assert task.methods[0].most[0].label is not None
    for path in tmp_path.glob("*.*"):
        assert b"text 0 " not in path.read_bytes(), path


def test_one_seed_gives_no_agreement(tmp_path):
    study = Study(tmp_path / "one", tasks=("sst2",), seeds=(1,))
    results, _ = analyze(study.plan(sections=("samples",)), tmp_path / "out")
    (task,) = results.moved.samples.tasks
    assert all(of.w is None and of.note == "one model, and two are needed" for of in task.agreement)
    assert "is not known: one model" in (tmp_path / "out" / SUMMARY_FILE).read_text()


def write_answers(folder, method, seed, wrong, scored=N):
    """Task scores of one final model, which answers the samples of these numbers wrong."""
    right = [0.0 if i in wrong else 1.0 for i in range(scored)]
    run = {"task": "sst2", "method": method, "seed": seed, "step": 0}
    items = pd.DataFrame(
        {
            **run,
            "outcome": "accuracy",
            "inputs": "task",
            "layer": pd.array([None] * scored, dtype="Int64"),
            "item": [str(i) for i in range(scored)],
            "group": "",
            "value": right,
            "base_value": np.nan,
            "weight": 1.0,
        }
    )[list(ITEM_COLUMNS)]
    info = OutcomeInfo(name="accuracy", title="accuracy", unit="share of rows", higher_is_better=True)
    record = RunOutcomes(
        **run, name="task_scores", key="k", outcomes=[info], weights_digest=f"{method}{seed}", base_weights_digest="base0",
        sample_set_fingerprint="fingerprint-sst2", options={}, n_items=scored, created="now", versions={},
    )  # fmt: skip
    write_items(folder, record, items)
    return PlannedOutcomes("sst2", method, seed, 0, folder, "evaluate", ["task_scores"])


def test_samples_that_are_answered_wrong_are_set_beside_the_others(known, tmp_path):
    g = np.random.default_rng(3)
    chosen = {
        (method, seed): set(MOVED[seed % 2 :]) if method == "full_finetune" else set(g.permutation(N)[:8].tolist())
        for method in ("full_finetune", "lora")
        for seed in (1, 2, 3, 4)
    }
    outcomes = [write_answers(tmp_path / f"{m}{s}", m, s, wrong) for (m, s), wrong in chosen.items()]
    results, _ = analyze(replace(known, outcomes=outcomes), tmp_path / "out")
    (task,) = results.moved.samples.tasks
    found = {(of.method, of.value): of for of in task.groups if of.by == "answer"}
    assert len(found) == 4
    table = pd.read_parquet(tmp_path / "out" / SAMPLES_TABLE)
    for method in ("full_finetune", "lora"):
        logs: list[float] = []
        for seed in (1, 2, 3, 4):
            share = table[(table["method"] == method) & (table["seed"] == seed)].groupby("sample")["share"].sum()
            is_wrong = share.index.astype(int).isin(chosen[method, seed])
            logs.append(float(np.log(share[is_wrong].mean() / share[~is_wrong].mean())))
        wrong, right = found[method, "wrong"], found[method, "right"]
        assert wrong.ratio == pytest.approx(np.exp(np.mean(logs)))
        assert right.ratio == pytest.approx(1 / wrong.ratio)
        assert right.p == pytest.approx(wrong.p)
        assert (wrong.n, right.n, wrong.column) == (8, 32, "accuracy")
    assert found["full_finetune", "wrong"].p < 0.02  # of eight samples in forty
    assert found["full_finetune", "wrong"].ratio > 1
    assert found["lora", "wrong"].p > 0.05
    smallest = min((of for of in task.groups if of.p is not None), key=lambda of: of.p)
    of_each_method = 1 + 3 + 1  # labels, three lengths, answers: both sides of a test count once
    assert smallest.p_adjusted == pytest.approx(2 * of_each_method * smallest.p)
    assert "a wrong answer (accuracy)" in (tmp_path / "out" / SUMMARY_FILE).read_text(encoding="utf-8")


def test_answers_of_a_part_of_the_samples_make_no_groups_and_it_is_said(known, tmp_path):
    outcomes = [write_answers(tmp_path / str(s), "lora", s, {1, 2}, scored=N - 3) for s in (1, 2, 3, 4)]
    results, _ = analyze(replace(known, outcomes=outcomes), tmp_path / "out")
    (task,) = results.moved.samples.tasks
    assert not any(of.by == "answer" for of in task.groups)
    assert [note for note in task.notes if "right and wrong" in note] == [
        "LoRA: samples are not grouped by right and wrong answers, since 3 samples of 40 are not among the rows that were scored."
    ]
