"""Likeness of the weights of a study's models, from the run folders on this machine; computed once, and found again by key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from repdrift.core.errors import ModelError, RepdriftError, StorageError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.progress import say
from repdrift.core.reading import stands_there
from repdrift.core.records.base import Record
from repdrift.core.records.likeness import GroupLikeness
from repdrift.models import ModelSource, model_on_this_machine
from repdrift.models.backbone import Stack
from repdrift.stores import RepresentationSet
from repdrift.weights.base_matrices import base_matrices
from repdrift.weights.change_likeness import ChangeLikenesses, change_likenesses
from repdrift.weights.singular_subspaces import LEADING

_FORMAT = 3
_FOLDER = "weights"


class StoredPair(Record):
    """Likeness of two models, by their places in `names`."""

    first: int
    second: int
    groups: list[GroupLikeness]


class StoredLikenesses(Record):
    """The content of `results/weights/likeness_KEY.json`: what `change_likenesses` found, and the key of what determines it."""

    format_version: Literal[3] = _FORMAT
    key: str
    names: list[str]
    pairs: list[StoredPair]
    missing: dict[str, str]
    not_compared: dict[str, list[str]]
    cautions: list[str]
    notes: list[str]
    leading: int


def base_on_this_machine(base: RepresentationSet) -> ModelSource:
    """Returns the base model of a set. Raises ModelError if it is not on this machine, or its weights are others."""
    metadata = base.metadata
    source = model_on_this_machine(metadata.model, revision=metadata.model_revision)
    if source is None:
        raise ModelError(
            f"the base model {metadata.model!r} is not on this machine, and nothing is downloaded for this"
        )
    if source.weights_digest() != metadata.weights_digest:
        raise ModelError(
            f"the files of {metadata.model!r} on this machine are not those that the representations were extracted with"
        )
    return source


def stored_likenesses(
    base: ModelSource,
    tuned: Mapping[str, ModelSource],
    results_dir: Path,
    *,
    blocks: str | None = None,
    stack: Stack | None = None,
) -> ChangeLikenesses:
    """Returns the likeness of every two of the tuned models: that of an earlier analysis of the very same weights, or anew.

    blocks, stack: where the blocks lie, and the stack of an encoder-decoder, as the representations were extracted.

    Raises ModelError if the base model's files cannot be read. A result that cannot be written is there all the same.
    """
    digests = {name: source.weights_digest() for name, source in tuned.items()}
    key = config_sha256(
        {
            "format": _FORMAT,
            "base": base.weights_digest(),
            "models": digests,
            "leading": LEADING,
            "blocks": blocks,
            "stack": stack,
        }
    )
    path = results_dir / _FOLDER / f"likeness_{key[:32]}.json"
    if (known := _read(path, key)) is not None:
        return known
    found = change_likenesses(base_matrices(base, blocks=blocks, stack=stack), tuned)
    pairs = [StoredPair(first=i, second=j, groups=groups) for (i, j), groups in found.groups.items()]
    record = StoredLikenesses(
        key=key,
        names=found.names,
        pairs=pairs,
        missing=found.missing,
        not_compared=found.not_compared,
        cautions=found.cautions,
        notes=found.notes,
        leading=found.leading,
    )
    try:
        record.write(path)
    except StorageError as error:  # the numbers are there all the same
        say(f"{error} The next analysis compares these weights anew.")
    return found


def _read(path: Path, key: str) -> ChangeLikenesses | None:
    if not stands_there(path):
        return None
    try:
        stored = StoredLikenesses.read(path)
    except RepdriftError as error:
        say(f"note: {path} cannot be used, and is computed anew: {error}")
        return None
    if stored.key != key:
        return None
    groups = {(pair.first, pair.second): pair.groups for pair in stored.pairs}
    return ChangeLikenesses(
        stored.names, groups, stored.missing, stored.not_compared, stored.cautions, stored.notes, stored.leading
    )
