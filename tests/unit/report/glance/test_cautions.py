"""The most serious cautions are never dropped: by rank, and by name where there is no room for their sentence."""

import re
from itertools import permutations

import pytest

from repdrift.comparison.cautions import cautions as comparison_sentences
from repdrift.core.learnt_words import JudgedModel, learnt_cautions
from repdrift.core.records.quantised_base import measured_on_full_base
from repdrift.report.glance.cautions import Caution, Kind, caution_lines, kind_of
from repdrift.report.glance.comparison_glance import comparison_cautions
from repdrift.report.glance.screen import Screen
from repdrift.report.glance.study_glance import study_cautions
from tests.unit.drift.study_on_disk import judged
from tests.unit.report.glance.endings import compared, comparison, comparison_end, study_end
from tests.unit.report.synthetic_results import Synthetic

SERIOUS = {
    Kind.NOT_COMPARED: "tuned-b was not compared: it has another tokenizer.",
    Kind.OTHER_BASE: "a: It was trained on 'other', whose weights are not those of 'base'.",
    Kind.STALE: "x was measured with another base model (1) than the representations: one of the two is older.",
    Kind.FAILED_CONTROL: "Check failed: identity drift is noise. It is 0.3.",
    Kind.NOT_LEARNT: "3 of 6 trained models have not learnt their task.",
}
NAMES = {
    Kind.NOT_COMPARED: "not compared",
    Kind.OTHER_BASE: "another base model",
    Kind.STALE: "files that do not belong together",
    Kind.FAILED_CONTROL: "a failed control",
    Kind.NOT_LEARNT: "models that have not learnt",
}


def test_serious_kinds_come_first_whatever_their_order():
    others = [Caution(Kind.OTHER, f"Small matter {i}.") for i in range(9)]
    for order in list(permutations(SERIOUS))[::7]:
        lines = caution_lines([*others, *(Caution(k, SERIOUS[k]) for k in order)], Screen(120), where="here.md")
        text = " ".join(lines)
        shown = [kind for kind, said in SERIOUS.items() if said in text]
        assert shown == [Kind.NOT_COMPARED, Kind.OTHER_BASE, Kind.STALE]
        assert "11 more cautions in here.md" in text
        for kind in set(SERIOUS) - set(shown):
            assert NAMES[kind] in text.partition("more cautions")[2]


def test_many_of_one_kind_take_one_place():
    many = [Caution(Kind.OTHER_BASE, f"m{i}: It was trained on 'x{i}'.") for i in range(30)]
    lines = caution_lines(
        [*many, Caution(Kind.FAILED_CONTROL, SERIOUS[Kind.FAILED_CONTROL]), Caution(Kind.NOT_LEARNT, "n")],
        Screen(100),
        where="w",
    )
    assert lines[0] == "mind: m0: It was trained on 'x0'. (and 29 more of this kind)"
    assert SERIOUS[Kind.FAILED_CONTROL] in lines[1]
    assert lines[2] == "mind: n"
    assert len(lines) == 3


def test_a_long_sentence_is_cut_with_a_sign():
    lines = caution_lines([Caution(Kind.OTHER, "word " * 200)], Screen(80), where="w")
    assert len(lines) == 2
    assert lines[-1].endswith("…")


def test_sentences_of_comparisons_are_known_by_their_words(samples_of_two):
    """The sentences are made where they come from, so that a change of their words is seen here."""
    zero = compared("zero", [0.0, 0.0], kind="PEFT adapter")
    high = compared("high", [0.9, 0.9])
    left = compared("left", [], status="not comparable", reason="no tokenizer")
    grid = compared("grid", [], status="compared by grid", reason="It has 4 layers.")
    twins = [compared(name, [0.1, 0.2], weights_digest="d") for name in "pq"]
    found = comparison_sentences([zero, high, left, grid, *twins], samples_of_two)
    kinds = {kind_of(sentence) for sentence in found}
    assert {Kind.NOT_COMPARED, Kind.OTHER_BASE, Kind.UNCHANGED} <= kinds
    assert [kind_of(s) for s in found if s.startswith("left")] == [Kind.NOT_COMPARED]
    assert [kind_of(s) for s in found if s.startswith("grid has")] == [Kind.NOT_COMPARED]
    assert [kind_of(s) for s in found if s.startswith("high")] == [Kind.OTHER_BASE]
    assert [kind_of(s) for s in found if s.startswith(("zero", "p and q"))] == [Kind.UNCHANGED] * 2


@pytest.fixture
def samples_of_two():
    class Samples:
        truncated_samples = 0
        fingerprint = "f" * 12

        def __len__(self):
            return 2

    return Samples()


def test_sentences_on_models_that_have_not_learnt_are_known():
    models = [JudgedModel("sst2", "lora", 1, judged(False, 0.5)), JudgedModel("sst2", "lora", 2, None)]
    assert [kind_of(said) for said in learnt_cautions(models)] == [Kind.NOT_LEARNT] * 2


def test_an_arm_whose_base_was_in_few_bits_is_known():
    assert kind_of(f"qlora {measured_on_full_base(0.05)}") == Kind.ROUNDED


def test_a_failed_check_of_a_study_is_a_failed_control():
    study = Synthetic(layers=3)
    found = study_cautions(study.results(study.table()))
    assert found[0] == Caution(
        Kind.FAILED_CONTROL, "Check failed: first layer drifts little. The largest drift in layer 0 is 0.41."
    )


def test_models_at_chance_stand_before_missing_runs_and_rates_and_are_marked():
    study = Synthetic(
        layers=3, not_learnt=(("sst2", "lora", 42), ("sst2", "lora", 123)), missing=(("rte", "lora", 42),), warnings=["The learning rates were not tuned."]
    )  # fmt: skip
    kinds = [c.kind for c in study_cautions(study.results(study.table()))]
    assert kinds == sorted(kinds)
    assert kinds.index(Kind.NOT_LEARNT) < kinds.index(Kind.LEARNING_RATES)
    lines = study_end(study)
    assert "; 2 of 23 models have not learnt their task; " in " ".join(lines[: lines.index("")])
    assert any(line.startswith("mind: 2 of 23 trained models have not learnt") for line in lines)
    assert any(re.search(r"LoRA .*\d\*", line) for line in lines)
    assert "*: not all models have learnt the task" in " ".join(lines)


def test_nothing_compared_is_said_first():
    study = Synthetic(layers=3, methods=("full_finetune", "lora"), missing=tuple((t, "lora", s) for t in ("squad_v2", "mrpc", "sst2", "rte") for s in (42, 123, 456)))  # fmt: skip
    lines = study_end(study)
    assert lines[0].startswith("LoRA cannot be compared with full fine-tuning: no task has final models of both; mean")
    mind = next(line for line in lines if line.startswith("mind: "))
    assert "could be compared with another" in mind


def test_a_comparison_without_controls_says_so():
    lines = comparison_end(comparison(compared("a", [0.1, 0.2]), control_samples=None))
    assert any(line.startswith("mind: No controls were run") for line in lines)


def test_a_feature_that_holds_the_variance_is_ranked_by_its_place_in_the_record():
    said = "In layer 3 of the base model one feature holds over half of the variance."
    result = comparison(
        compared("a", [0.1], notes=["Its weights are rounded to float16."]), headline=[said], warnings=[said]
    )
    assert [c.kind for c in comparison_cautions(result)] == [Kind.ONE_FEATURE, Kind.ROUNDED]


def test_what_changes_every_number_stands_before_the_first_one():
    said = "In layer 0 of the base model one feature holds over half of the variance (up to 90%)."
    lines = comparison_end(comparison(compared("a", [0.1]), headline=[said], warnings=[said]))
    assert lines[0] == f"mind: {said}"
    assert lines[1].startswith("a against base")
    assert sum(said in line for line in lines) == 1
