"""The choice of the models that are made again: drawn at random, or named."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.words import listed
from repdrift.sharing.reproduction.published import PublishedModel, PublishedStudy


@dataclass(frozen=True)
class Drawn:
    """The models that were chosen, in the study's order. random_seed: of the draw; None where they were named. of: how many they were drawn from."""

    models: list[PublishedModel]
    random_seed: int | None
    of: int


def draw(
    study: PublishedStudy,
    count: int,
    *,
    picks: Sequence[str] = (),
    tasks: Sequence[str] = (),
    random_seed: int | None = None,
) -> Drawn:
    """Returns `count` models of a study, each as likely as any other, or those that `picks` names as TASK/METHOD/SEED.

    tasks: draws from models of these alone; empty for all.
    random_seed: draws the same models of the same results again; None takes a new one from the operating system, so that nobody knows beforehand
    which models will be looked at. Raises ConfigError if more models are asked for than there are or one is named twice, UnknownNameError for a name that is none of the study's.
    """
    if picks:
        return Drawn(_named(study, picks), None, len(study.models))
    there = list(dict.fromkeys(model.run.task for model in study.models))
    for name in tasks:
        if name not in there:
            raise UnknownNameError.of("task with models of this study", name, there)
    models = [model for model in study.models if not tasks or model.run.task in tasks]
    if not 1 <= count <= len(models):
        of = f" of {listed(list(tasks))}" if tasks else ""
        raise ConfigError(
            f"{count} models were asked for; the results at {study.where} describe the training of {len(models)}{of}. Take 1 to {len(models)}."
        )
    seed = secrets.randbelow(10**6) if random_seed is None else random_seed
    numbers = np.random.default_rng(seed).choice(len(models), size=count, replace=False)
    return Drawn([models[int(i)] for i in sorted(numbers)], seed, len(models))


def _named(study: PublishedStudy, picks: Sequence[str]) -> list[PublishedModel]:
    by_name = {model.name: model for model in study.models}
    for number, name in enumerate(picks):
        if name not in by_name:
            raise UnknownNameError.of("model of this study (TASK/METHOD/SEED)", name, list(by_name))
        if name in picks[:number]:
            raise ConfigError(f"--pick {name} is given twice")
    return [model for model in study.models if model.name in picks]
