"""The folder that transformers is given: the model's own, or a view of it without what would be loaded in its place."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repdrift.core.errors import StorageError
from repdrift.models.folder_contents import ADAPTER_CONFIG, names_in
from repdrift.models.model_files import ModelSource, weight_files

# Beside these, transformers would put the adapter on the model, or take the parts in place of the weights that were chosen.
_TAKES_OVER = rf"{re.escape(ADAPTER_CONFIG)}|shard-\d+-model-\d+-of-\d+\.safetensors"


@contextmanager
def loadable_folder(source: ModelSource) -> Iterator[Path]:
    """Gives the folder to load the full model of `source` from.

    transformers puts an adapter that lies in the folder on the model, and takes the parts of a distributed save first. Then
    this is a folder of links to the configuration and the chosen weights alone, removed on leaving.
    Raises StorageError if it cannot be made.
    """
    if source.gguf_file or not _is_taken_over(source.path):
        yield source.path
        return
    index = source.path / "model.safetensors.index.json"
    files = [source.path / "config.json", *([index] if index.is_file() else []), *weight_files(source)]
    with tempfile.TemporaryDirectory(prefix="repdrift-") as name:
        view = Path(name)
        for file in files:
            _link(file.resolve(), view / file.name)
        yield view


def _is_taken_over(folder: Path) -> bool:
    return any(re.fullmatch(_TAKES_OVER, name) for name in names_in(folder))


def _link(file: Path, at: Path) -> None:
    try:
        at.symlink_to(file)
    except (OSError, NotImplementedError):  # Windows without the right to make links
        try:
            shutil.copyfile(file, at)
        except OSError as error:
            raise StorageError(f"cannot copy {file} to {at}: {error.strerror or error}. Make room there.") from error
