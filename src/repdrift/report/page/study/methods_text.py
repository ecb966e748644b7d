"""A paragraph for the methods section of a paper: only what was done in this study, with versions and fingerprints."""

from __future__ import annotations

from repdrift.core.claim_parts import OVER
from repdrift.core.hypotheses import LESS_AT_EQUAL_SKILL
from repdrift.core.measure_words import drift_definition
from repdrift.core.records.claims import HypothesisTest
from repdrift.core.records.sites import SITE_WORDS
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.words import chosen_percent, counted, listed, method_title, pooled_part, pooling_words
from repdrift.report.page.study.training_text import training_text
from repdrift.report.page.titles import task_titles
from repdrift.report.report_data import ReportData

LETTERS = 12
"""Letters of a digest that a text gives; the provenance has all."""

_MEASURES = {
    "cka": "linear CKA (Kornblith et al. 2019) with the unbiased estimator of HSIC (Song et al. 2012)",
    "cka_biased": "linear CKA (Kornblith et al. 2019) with the biased estimator of HSIC",
}
_CONTROLS = {
    "identity": "a second extraction of the base model with other batches (noise of extraction)",
    "mispaired": "samples paired at random",
    "seed_ceiling": "pairs of models that differ in their seed alone",
    "random_change": "the base model after a random change of the same norm in every weight that training moved",
}


def methods_text(data: ReportData) -> str:
    """Returns the paragraph."""
    said = [
        _compared(data),
        *training_text(data),
        _representations(data),
        *(
            f"{task_titles(data)[task]}: {sinks_in_words(sinks)}"
            for task, sinks in data.results.study.sinks.items()
            if task in data.tasks
        ),
        *_measures(data),
        *_controls(data),
        *_tests(data),
        *_intervals(data),
        _versions(data),
    ]
    return " ".join(sentence for sentence in said if sentence)


def _compared(data: ReportData) -> str:
    study = data.results.study
    revision = f", revision {study.model_revision}" if study.model_revision else ""
    digest = f", SHA-256 of the weights {study.base_digest[:LETTERS]}" if study.base_digest else ""
    model = f"{study.model} ({counted(study.n_layers, 'layer')}{revision}{digest})"
    return f"We measured how far fine-tuning moves the hidden states of {model} on {listed([_samples(data, task) for task in data.tasks])}."


def _samples(data: ReportData, task: str) -> str:
    """A task with its samples: `MRPC (100 samples, sample set c8617dada726)`."""
    runs = [run for run in data.results.runs if run.task == task and run.n_samples is not None]
    title = task_titles(data)[task]
    if not runs:
        return f"{title} (no model was measured)"
    said = [counted(runs[0].n_samples or 0, "sample")]
    if cut := data.results.study.truncated_samples.get(task):
        said.append(f"{cut} of them cut at the maximum length")
    if fingerprint := runs[0].sample_set_fingerprint:
        said.append(f"sample set {fingerprint[:LETTERS]}")
    return f"{title} ({', '.join(said)})"


def _representations(data: ReportData) -> str:
    study = data.results.study
    ran = f"; models ran in {study.compute_dtype}" if study.compute_dtype else ""
    what = (
        "every real token is a row"
        if study.pooling == "tokens"
        else f"hidden states are pooled by {pooling_words(study.pooling)}"
    )
    return f"After each block {what}{pooled_part(study.pool_over)}{ran}."


def _measures(data: ReportData) -> list[str]:
    study = data.results.study
    primary = _MEASURES.get(study.primary_measure, "")
    said = [
        f"Drift is {drift_definition(study, study.primary_measure)}{f', {primary},' if primary else ''} between the base model's and the "
        "trained model's representations of the same samples in the same layer."
    ]
    others = [drift_definition(study, name) for name in data.drift_measures if name != study.primary_measure]
    if others:
        said.append(
            f"{'Other measures' if len(others) > 1 else 'Another measure'}, on which nothing is tested: {listed(others)}."
        )
    words = {str(name): title for name, title in SITE_WORDS.items()}
    sites: list[str] = [] if data.other_sites is None else [str(site) for site in data.other_sites["site"].unique()]
    if sites:
        said.append(f"Drift was measured at these sites too: {listed([words.get(site, site) for site in sites])}.")
    return said


def _controls(data: ReportData) -> list[str]:
    there = [words for name, words in _CONTROLS.items() if data.at_hand(name)]
    return [f"{'Controls' if len(there) > 1 else 'The control'}: {listed(there)}."] if there else []


def _tests(data: ReportData) -> list[str]:
    study, tests = data.results.study, [test for test in data.results.tests if test.pvalue is not None]
    if not tests:
        return []
    reference = method_title(study.reference_method)
    said = [
        f"The unit of every test is the trained model. Tests: {listed(_kinds(tests))}; significance level {study.alpha:g}."
    ]
    if any(test.exact for test in tests):
        every = all(test.exact for test in tests if test.n_permutations is not None)
        said.append(
            "All arrangements were enumerated."
            if every
            else "Arrangements were enumerated where they are few, else drawn at random."
        )
    corrections: list[str] = [
        *(["by max-T over layers"] if any(t.correction == "max-T" for t in tests) else []),
        *(
            ["by Holm's method over layers"]
            if any(t.correction == "Holm" and t.layer is not None for t in tests)
            else []
        ),
        *(
            [f"by Holm's method over the methods that are compared with {reference}"]
            if any(t.n_arms > 1 for t in tests)
            else []
        ),
    ]
    if corrections:
        said.append(f"p-values were corrected {listed(corrections)}.")
    if any(test.hypothesis == "reduction_exceeds_target" for test in tests):
        said.append(f"The target was a reduction of {chosen_percent(study.target_reduction)}.")
    if study.equivalence_margin is not None and any(test.hypothesis == "methods_equivalent" for test in tests):
        said.append(f"Drifts within a factor of {study.equivalence_margin:g} counted as alike.")
    if any(
        found.test is not None and found.test.hypothesis == LESS_AT_EQUAL_SKILL for found in data.results.equal_skill
    ):
        said.append(
            "Methods were also compared at equal skill, where the smoothed paths of score and drift over checkpoints reach the same score."
        )
    return said


def _kinds(tests: list[HypothesisTest]) -> list[str]:
    return list(dict.fromkeys(test.test for test in tests))


def _intervals(data: ReportData) -> list[str]:
    study = data.results.study
    ways: dict[str, list[str]] = {}
    for reduction in data.results.reductions:
        for interval in reduction.intervals:
            kinds = ways.setdefault(OVER[interval.over], [])
            if (kind := interval.method.rstrip(", ")) not in kinds:
                kinds.append(kind)
    of_drift = [name for name in dict.fromkeys(data.primary["interval"].dropna()) if name]
    said = [f"{over}: {' or '.join(kinds)}" for over, kinds in ways.items()]
    if of_drift:
        said.append(f"of single drifts over samples: {' or '.join(of_drift)}")
    if not said:
        return []
    drawn = any("bootstrap" in text or "resample" in text for text in said)
    resampled = f", with {study.replicates:,} resamples" if study.replicates and drawn else ""
    return [
        f"Intervals are two-sided with {chosen_percent(study.confidence)} confidence{resampled} ({'; '.join(said)})."
    ]


def _versions(data: ReportData) -> str:
    versions = dict(data.results.versions)
    own = versions.pop("repdrift", None)
    others = f" ({', '.join(f'{name} {version}' for name, version in versions.items())})" if versions else ""
    return f"Analysed with repdrift {own or 'of an unknown version'}{others}."
