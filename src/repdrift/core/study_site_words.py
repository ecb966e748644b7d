"""Words for a study's drift by site: the section of summary and page."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.claims import HypothesisTest
from repdrift.core.records.results import ALL_TASKS, DriftResults
from repdrift.core.records.site_drift import SiteDrift, SiteDrifts
from repdrift.core.records.sites import RESID_POST
from repdrift.core.site_words import (
    SCALE_NOTE,
    PlaceDrift,
    adapter_sentence,
    attention_or_mlp_sentence,
    drift_number,
    entry_sentence,
    in_site_order,
    is_in_block,
    massive_sentence,
    most_sentence,
    site_title,
)
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import listed, method_title, percent, pvalue, sentence_case, task_title

SITES_SECTION = "sites"
_HEADER = ("task", "method", "site", "drift", "relative change", "between seeds", "random change", "mispaired", "noise")


def study_sites(results: DriftResults) -> WordedSection | None:
    """Returns the section on drift by site; None if only the residual stream was read."""
    if not results.sites:
        return None
    study = results.study
    answer: list[str] = []
    first, *others = _together_first(results.sites)
    for of in (first, *others):
        on = "over all tasks" if of.task == ALL_TASKS else f"on {task_title(of.task)}"
        for found in of.attention_or_mlp:
            who = f"{method_title(found.method)} {on}"
            answer.append(attention_or_mlp_sentence(found, who, alpha=study.alpha, confidence=study.confidence))
        for method in dict.fromkeys(at.method for at in of.drifts):
            answer += _about_method(method, of, f"{method_title(method)} {on}", whole=of is first)
        answer += [test.sentence for test in of.tests if of is first and test.layer is None]
    notes = [*massive_sentence(first.massive), SCALE_NOTE, _correction_note(results.sites)]
    return WordedSection(
        SITES_SECTION,
        "Sites inside the block: attention or MLP?",
        answer=answer,
        tables=[_by_site(results.sites), *_by_layer(results.sites), _claims(results.sites)],
        notes=[note for note in notes if note],
        left_out=_left_out(results.sites),
    )


def _together_first(sites: Sequence[SiteDrifts]) -> list[SiteDrifts]:
    return [*(of for of in sites if of.task == ALL_TASKS), *(of for of in sites if of.task != ALL_TASKS)]


def _about_method(method: str, of: SiteDrifts, who: str, *, whole: bool) -> list[str]:
    """Sentences on one method. whole: of the first of all `SiteDrifts`, which says which site drifts most."""
    drifts = [at for at in of.drifts if at.method == method]
    most = most_sentence({at.site: at.drift for at in drifts if at.drift is not None}, who)
    entry = None
    if of.task != ALL_TASKS:
        places = [place for at in drifts for place in _places(at)]
        entry = entry_sentence(places)
    said = [most if whole else None, None if entry is None else f"{sentence_case(who)}: {entry[0].lower()}{entry[1:]}"]
    said.append(adapter_sentence([size for size in of.adapter_sizes if size.method == method], who))
    return [sentence for sentence in said if sentence is not None]


def _places(at: SiteDrift) -> list[PlaceDrift]:
    unknown: list[float | None] = [None] * len(at.layers)
    columns = (at.noise_by_layer or unknown, at.change_by_layer or unknown, at.change_noise_by_layer or unknown)
    return [
        PlaceDrift(at.site, layer, drift, floor, change, change_floor)
        for layer, drift, floor, change, change_floor in zip(at.layers, at.by_layer, *columns, strict=True)
        if drift is not None
    ]


def _by_site(sites: Sequence[SiteDrifts]) -> CaptionedTable:
    rows = [
        [
            task_title(of.task),
            method_title(at.method),
            site_title(at.site),
            drift_number(at.drift),
            percent(at.relative_change, missing="not known"),
            *(
                drift_number(value, missing="not at hand")
                for value in (at.seed_ceiling_drift, at.random_change_drift, at.mispaired_drift, at.noise_floor)
            ),
        ]
        for of in sites
        for at in of.drifts
    ]
    caption = "Means over layers and final models. The last four columns are controls: drift between two seeds, of a random change of the same size, with shuffled rows, and of the base model against itself."
    return CaptionedTable("Drift by site", caption, _HEADER, rows)


def _by_layer(sites: Sequence[SiteDrifts]) -> list[CaptionedTable]:
    found: list[CaptionedTable] = []
    for of in sites:
        for method in dict.fromkeys(at.method for at in of.drifts):
            by_site = {at.site: at for at in of.drifts if at.method == method}
            names = in_site_order(list(by_site))
            layers = sorted({layer for at in by_site.values() for layer in at.layers})
            rows = [[_layer_title(layer, by_site), *(_at(by_site[name], layer) for name in names)] for layer in layers]
            title = f"Drift by site and layer: {method_title(method)}, {task_title(of.task)}"
            found.append(CaptionedTable(title, "Mean over final models.", ["layer", *map(site_title, names)], rows))
    return found


def _layer_title(layer: int, by_site: dict[str, SiteDrift]) -> str:
    if layer < 0:
        return "before the blocks"
    stream = by_site.get(RESID_POST)
    return "after the blocks" if stream is not None and layer > max(stream.layers, default=layer) else str(layer)


def _at(of: SiteDrift, layer: int) -> str:
    return drift_number(of.by_layer[of.layers.index(layer)]) if layer in of.layers else ""


def _layer_of(test: HypothesisTest) -> str:
    if test.layer is None:
        return "mean"
    if is_in_block(test.site):
        return str(test.layer)
    return "before the blocks" if test.layer < 0 else "after the blocks"


def _claims(sites: Sequence[SiteDrifts]) -> CaptionedTable:
    rows = [
        [
            task_title(test.task),
            method_title(test.comparison or ""),
            site_title(test.site),
            _layer_of(test),
            percent(test.estimate, missing="not known"),
            pvalue(test.deciding_pvalue, missing=""),
            pvalue(test.smallest_deciding_pvalue, missing=""),
            test.verdict,
        ]
        for of in sites
        for test in of.tests
    ]
    header = ("task", "method", "site", "layer", "reduction", "p", "smallest p", "verdict")
    caption = "Does the method drift less than the reference at this site? Means over layers are corrected over sites, single layers over sites and layers."
    return CaptionedTable("Reduction by site", caption, header, rows)


def _correction_note(sites: Sequence[SiteDrifts]) -> str:
    if not any(of.tests for of in sites):
        return ""
    return "Claims by site are in addition to those about the residual stream, which they do not change; p-values are corrected over the sites (and over layers where a layer is named)."


def _left_out(sites: Sequence[SiteDrifts]) -> list[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for of in sites:
        for site, reason in of.not_found.items():
            if of.task != ALL_TASKS:
                reasons.setdefault((site, reason), []).append(task_title(of.task))
    found = [
        f"No drift of the {site_title(site)} on {listed(tasks)}: {reason}." for (site, reason), tasks in reasons.items()
    ]
    return [*found, *(note for of in sites for note in of.notes)]
