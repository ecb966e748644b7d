"""Measures that were chosen for an analysis: distances, measures without a value, and names that are refused."""

import numpy as np
import pytest
import torch

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.records.results import SUMMARY_FILE
from repdrift.drift import analyze
from repdrift.drift.chosen_measures import require_measures
from repdrift.similarity import measures
from tests.unit.drift.study_on_disk import LAYERS, NOISE, N, write_set


def test_a_distance_is_a_drift_as_it_is(study, tmp_path):
    results, table = analyze(study.plan(measures=("cka", "relative_change")), tmp_path / "out")
    rows = table[table["measure"] == "relative_change"]
    assert len(rows) == len(table[table["measure"] == "cka"])
    assert (rows["drift"] == rows["value"]).all()
    assert (rows["drift"] > 0).all()
    assert results.study.distances == ["relative_change"]
    assert set(results.study.measure_titles) == {"cka", "relative_change"}
    ceilings = [c for c in results.controls if c.measure == "relative_change" and c.name == "mispaired"]
    assert all(c.drift == c.value for c in ceilings)
    assert "relative_change" in (tmp_path / "out" / SUMMARY_FILE).read_text()


def test_a_measure_that_is_undefined_somewhere_has_no_number_there_and_is_named(study, tmp_path):
    folder = study.folder("mrpc", "lora", 2)
    tensors = [torch.load(folder / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
    tensors[1][3] = 0  # a sample without a direction: it has no cosine
    write_set(folder, "mrpc", "lora", 2, tensors)
    results, table = analyze(study.plan(measures=("cka", "cosine")), tmp_path / "out")
    at = table[(table["task"] == "mrpc") & (table["measure"] == "cosine")]
    assert set(at["layer"]) == {0, 2}
    assert set(table[(table["task"] == "mrpc") & (table["measure"] == "cka")]["layer"]) == {0, 1, 2}
    (said,) = [w for w in results.warnings if w.startswith("No value of cosine on MRPC in layer 1: ")]
    assert "sample 3" in said
    assert str(folder) in said


def test_measures_undefined_for_one_reason_share_a_sentence_and_the_others_are_in_the_summary(study, tmp_path):
    _widen(study)  # more features than samples
    names = ("cka", "cca", "pwcca", "procrustes", "norm_change")
    results, table = analyze(study.plan(measures=names), tmp_path / "out")
    assert set(table["measure"]) == {"cka", "procrustes", "norm_change"}
    (said,) = [w for w in results.warnings if "No value" in w]
    assert said.startswith(
        "No value of cca, pwcca on MRPC, SST-2 in any layer: canonical correlations need more samples"
    )
    assert str(tmp_path) not in said
    drifts, controls = (tmp_path / "out" / SUMMARY_FILE).read_text().split("## Controls")
    (row,) = [line for line in drifts.splitlines() if line.startswith("| procrustes | Procrustes distance |")]
    means = table[table["measure"] == "procrustes"].groupby(["task", "method"], sort=False)["drift"].mean()
    assert row.strip("| ").split(" | ")[2:] == [f"{value:.3f}" for value in means]
    (row,) = [line for line in controls.splitlines() if line.startswith("| norm_change |")]
    assert row.split(" | ")[2] == "no control"  # it does not depend on which sample is which
    assert "| cca |" not in drifts + controls


def _widen(study):
    g = np.random.default_rng(1)
    for task in study.tasks:
        base = [g.normal(size=(N, 2 * N)) for _ in range(LAYERS)]
        write_set(study.base(task), task, "base", None, base, shape=[N, 2 * N])
        write_set(study.identity(task), task, "base", None, base, shape=[N, 2 * N])
        for method in study.methods:
            for seed in study.seeds:
                tuned = [b + NOISE[method] * g.normal(size=b.shape) for b in base]
                write_set(study.folder(task, method, seed), task, method, seed, tuned, shape=[N, 2 * N])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ckaa", "Did you mean 'cka'.*repdrift measures"),
        ("disagreement", "measure of predictions"),
        ("anisotropy", "describes one representation"),
    ],
)
def test_what_is_no_measure_of_representations_is_refused_with_the_reason(name, message):
    with pytest.raises(UnknownNameError, match=message):
        require_measures(("cka", name))


def test_a_measure_that_stands_twice_is_refused():
    with pytest.raises(ConfigError, match="measure 'cosine' stands twice"):
        require_measures(("cka", "cosine", "cosine"))
    require_measures(measures("representations"))
