"""Copies at any address that fsspec reaches: a folder, s3://, gs://, memory://, ...

For S3, endpoint and credentials come from the usual variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from repdrift.core.errors import MissingDependencyError, MissingRunError, StorageError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.progress import Bar
from repdrift.core.reading import reading_errors
from repdrift.core.records.representation_set import METADATA_FILE
from repdrift.core.refusals import next_step_of_using
from repdrift.core.shown_text import without_secrets
from repdrift.stores.remote.addresses import ANY_OTHER_SCHEME, register

_EXTRAS = {"s3": "s3", "s3a": "s3"}
_READ_BACK_AT_MOST_BYTES = 1 << 20


class FsspecRemote:
    """The files below one fsspec URL."""

    def __init__(self, address: str) -> None:
        import fsspec

        self.address = without_secrets(address)
        try:
            self._files: Any
            self._files, root = fsspec.core.url_to_fs(address)
        except ImportError as error:
            scheme = address.split("://", 1)[0]
            raise MissingDependencyError.of(
                f"{scheme} support for fsspec", _EXTRAS.get(scheme, scheme), self.address
            ) from error
        except ValueError as error:
            raise StorageError(
                f"{self.address} is not an address that fsspec understands: {without_secrets(str(error))}"
            ) from error
        self._root = root.rstrip("/")

    def names(self) -> list[str]:
        """The names of all files below the address, sorted."""
        # A local folder that may not be listed would be left out, as if it held no sets.
        strict = {"on_error": "raise"} if self._is_local and self._files.exists(self._root) else {}
        found = self._guarded(lambda: self._files.find(self._root, **strict), "list")
        if not found:
            raise MissingRunError(f"nothing at {self.address}")
        root = PurePosixPath(self._root)
        return sorted(PurePosixPath(name).relative_to(root).as_posix() for name in found)

    def fetch(self, name: str, target: Path) -> None:
        """Copy one file to `target`."""
        self._guarded(lambda: self._files.get_file(f"{self._root}/{name}", str(target)), f"fetch {name} from")

    def require_sending(self) -> None:
        """Do nothing: whatever is sent is there, or sending fails."""

    def send(self, files: Sequence[tuple[str, Path]]) -> None:
        """Copy files there, one after the other."""
        with Bar(f"sending to {self.address}", len(files)) as bar:
            for name, path in files:
                target = f"{self._root}/{name}"
                self._guarded(
                    lambda t=target: self._files.makedirs(str(PurePosixPath(t).parent), exist_ok=True), "write to"
                )
                try:
                    self._guarded(lambda p=path, t=target: self._files.put_file(str(p), t), f"send {name} to")
                except StorageError:
                    with suppress(Exception):  # half a file, as of a full disk; what was said first is what counts
                        self._files.rm_file(target)
                    raise
                bar.advance()

    def remove(self, name: str) -> None:
        """Remove one file, if it is there."""
        target = f"{self._root}/{name}"
        self._files.invalidate_cache()
        if self._guarded(lambda: self._files.exists(target), "read"):
            self._guarded(lambda: self._files.rm_file(target), f"remove {name} from")

    def matches(self, name: str, path: Path) -> bool:
        """Tell whether the file is there with the same content.

        A file of more than a mebibyte on a distant server is not read back: the metadata there says its checksum.
        """
        target = f"{self._root}/{name}"
        try:
            self._files.invalidate_cache()
            size = self._files.size(target)
        except (FileNotFoundError, OSError):
            return False
        with reading_errors(path, StorageError):
            own_size = path.stat().st_size
        if size != own_size:
            return False
        if (
            path.name != METADATA_FILE
            and size > _READ_BACK_AT_MOST_BYTES
            and not self._is_local
            and self._files.protocol != "memory"
        ):
            return self._same_as_remote_metadata(name, path)
        with reading_errors(path, StorageError):
            return hashlib.sha256(self._files.cat_file(target)).hexdigest() == file_sha256(path)

    def _same_as_remote_metadata(self, name: str, path: Path) -> bool:
        folder = PurePosixPath(name).parent
        for parent in (folder, folder.parent):
            try:
                expected = json.loads(self._files.cat_file(f"{self._root}/{parent}/{METADATA_FILE}"))["files"]
            except (FileNotFoundError, OSError, KeyError, ValueError):
                continue
            relative = PurePosixPath(name).relative_to(parent).as_posix()
            with reading_errors(path, StorageError):
                return expected.get(relative) == file_sha256(path)
        return False

    @property
    def _is_local(self) -> bool:
        return self._files.protocol in ("file", ("file", "local"))

    def _guarded(self, action: Any, verb: str) -> Any:
        try:
            return action()
        except FileNotFoundError as error:
            raise MissingRunError(f"cannot {verb} {self.address}: not there") from error
        except OSError as error:
            if error.strerror is None:
                raise StorageError(f"cannot {verb} {self.address}: {without_secrets(str(error))}") from error
            raise StorageError(
                f"cannot {verb} {self.address}: {error.strerror}. {next_step_of_using(error)}"
            ) from error
        except Exception as error:  # fsspec's back ends raise their own kinds: botocore's, aiohttp's, ...
            raise StorageError(
                f"cannot {verb} {self.address}: {type(error).__name__}: {without_secrets(str(error))}"
            ) from error


register(ANY_OTHER_SCHEME, FsspecRemote)
