"""Sets of one task that hold a site, at the same layers: which there are, and why others take no part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.sites import RESID_POST, SITES
from repdrift.core.site_words import site_title
from repdrift.core.words import listed, method_title, task_title
from repdrift.drift.task_sets import OpenedSet, TaskSets
from repdrift.stores import RepresentationSet

ADAPTER_SITE = "adapter_out"
"""The one site without a drift: the base model has no such branch."""
_AGAIN = (
    "make it anew with the site asked for (`sites` under `extraction:` in the study, or `repdrift extract --site NAME`)"
)


@dataclass(frozen=True)
class SiteSets:
    """The sets of a task that hold one site. layers: those of the base model's set. notes: sentences on sets without the site."""

    site: str
    layers: list[int]
    sets: TaskSets
    notes: list[str]


def asked_sites(sets: TaskSets) -> list[str]:
    """Returns the sites, besides the residual stream, that any set of the task holds or says it has not, in their usual order."""
    found: set[str] = set()
    for stored in _all_sets(sets):
        found |= {*stored.metadata.sites, *stored.metadata.sites_left_out}
    return [site for site in SITES if site != RESID_POST and site in found]


def site_sets(sets: TaskSets, site: str) -> SiteSets | str:
    """Returns the sets of the task with the site at the base model's layers; or the reason, as a clause, why it has no drift there."""
    base = sets.base
    layers = layers_with(base.metadata, site)
    if not layers:
        return f"{_lack('the base model', base.metadata, site)}"
    runs = [run for run in sets.runs if layers_with(run.stored.metadata, site) == layers]
    if not runs:
        first = sets.runs[0].stored.metadata if sets.runs else None
        return "there is no run" if first is None else f"no run has it; {_lack(_run(sets.runs[0]), first, site)}"
    notes = _notes_on_runs([run for run in sets.runs if run not in runs], sets, site)
    identity = sets.identity
    if identity is not None and layers_with(identity.metadata, site) != layers:
        notes.append(
            f"{_at(sets, site)} there is no noise floor: the second extraction of the base model lacks it; {_AGAIN}."
        )
        identity = None
    random = [opened for opened in sets.random_changes if layers_with(opened.stored.metadata, site) == layers]
    lacking = [opened for opened in sets.random_changes if opened not in random]
    if lacking:
        notes.append(
            f"{_at(sets, site)} the control of a random change is missing for {_runs(lacking)}: its set lacks the site; {_AGAIN}."
        )
    narrowed = replace(sets, identity=identity, runs=runs, random_changes=random)
    return SiteSets(site, layers, narrowed, notes)


def layers_with(metadata: SetMetadata, site: str) -> list[int]:
    """Returns the layers at which a set holds a site."""
    return metadata.layers if site == RESID_POST else metadata.site_layers.get(site, [])


def _notes_on_runs(lacking: Sequence[OpenedSet], sets: TaskSets, site: str) -> list[str]:
    if not lacking:
        return []
    reason = _lack("its set", lacking[0].stored.metadata, site)
    return [f"{_at(sets, site)} nothing is said of {_runs(lacking)}: {reason}."]


def _lack(whose: str, metadata: SetMetadata, site: str) -> str:
    """The reason why a set lacks a site, as a clause."""
    if (reason := metadata.sites_left_out.get(site)) is not None:
        return f"{whose} has none: {reason.rstrip('.')}"
    if layers_with(metadata, site):
        return f"{whose} has it at other layers than the base model"
    return f"{whose} was extracted without it; {_AGAIN}"


def _at(sets: TaskSets, site: str) -> str:
    return f"Task {task_title(sets.task)}, {site_title(site)}:"


def _run(opened: OpenedSet) -> str:
    plan = opened.plan
    return f"{method_title(plan.method)} seed {plan.seed}" + (f" step {plan.step}" if plan.step else "")


def _runs(opened: Sequence[OpenedSet]) -> str:
    return listed([_run(each) for each in opened])


def _all_sets(sets: TaskSets) -> list[RepresentationSet]:
    return [sets.base, *(opened.stored for opened in sets.runs)]
