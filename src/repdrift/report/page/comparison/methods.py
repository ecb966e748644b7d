"""A paragraph for the methods section of a paper, and where the numbers of a comparison come from."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.comparison_words import how_sure, interval_method
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.records.sites import SITE_WORDS
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.words import counted, listed, pooling_words
from repdrift.report.page.comparison.filters import drift_is


def methods_text(result: Comparison) -> str:
    """Returns the paragraph: models, samples, representations, measure, intervals, controls, versions and fingerprints."""
    models = result.compared or result.by_grid
    revision = f", revision {result.base_revision}" if result.base_revision else ""
    said = [
        f"We compared {counted(len(models), 'tuned model')} with {result.base} (SHA-256 of its weights {result.base_digest[:12]}{revision}) on "
        f"{counted(result.samples, 'sample')} ({result.tokens} tokens) from {result.data} (sample set {result.sample_set_fingerprint[:12]}), with "
        f"repdrift {result.versions.get('repdrift', 'of an unknown version')}{_libraries(result)}.",
        f"All models ran in {result.compute_dtype}; the pooling of hidden states was {pooling_words(result.pooling)}.",
    ]
    if result.sinks is not None:
        said.append(sinks_in_words(result.sinks))
    if result.compared:
        said.append(
            f"Drift is {drift_is(result, PRIMARY_MEASURE)} (linear CKA, Kornblith et al. 2019, with the unbiased estimator of HSIC of Song et al. 2012) "
            "between the base model's and the tuned model's representations after the same block."
        )
        if result.measure_titles and (
            others := [drift_is(result, n) for n in result.measure_titles if n != PRIMARY_MEASURE]
        ):
            said.append(f"Other measures: {listed(others)}.")
        if sites := list(dict.fromkeys(of.site for model in result.compared for of in model.sites)):
            words = {str(name): title for name, title in SITE_WORDS.items()}
            said.append(f"It was measured at these sites too: {listed([words.get(site, site) for site in sites])}.")
        if any(at.drift_low is not None for model in result.compared for at in model.layers):
            said.append(f"Intervals are 95 % ({interval_method(result)}), conditional on the models.")
        said += how_sure(result)
    if refused := [model.name for model in result.models if model.status == "not comparable"]:
        said.append(f"{counted(len(refused), 'model')} could not be compared.")
    return " ".join(said)


def _libraries(result: Comparison) -> str:
    others = [f"{name} {version}" for name, version in result.versions.items() if name != "repdrift"]
    return f" ({', '.join(others)})" if others else ""


def provenance(result: Comparison, left_out: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Returns labels and texts: files, versions, digests, fingerprints. left_out: sentences on files that this page does not hold."""
    found = [
        ("Made", result.created),
        ("Took", f"{result.wall_time_s:.0f} s"),
        *((f"Version of {name}", version) for name, version in result.versions.items()),
        ("Base model", result.base),
        ("Revision of the base model", result.base_revision or "not given"),
        ("SHA-256 of the base model's weights", result.base_digest),
        *((f"SHA-256 of the base model's {name}", digest) for name, digest in result.base_settings.items()),
        ("Data", result.data),
        ("Fingerprint of the sample set", result.sample_set_fingerprint),
        ("Samples", f"{result.samples}, of them cut at the maximum length: {result.truncated_samples}"),
        ("Tokens", str(result.tokens)),
        ("Pooling", result.pooling),
        ("Number format", result.compute_dtype),
        ("Kept", "pooled rows" if result.accumulated == "rows" else "sums alone"),
        *((f"SHA-256 of the weights of {model.name}", model.weights_digest or "not known") for model in result.models),
    ]
    return [*found, *(("Not in this page", line) for line in left_out)]
