"""Copies at any address that fsspec reaches: a folder, s3://, gs://, memory://, ...

For S3, endpoint and credentials come from the usual variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...).
"""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from repdrift.core.errors import MissingDependencyError, MissingRunError, StorageError, nearest_name
from repdrift.core.fingerprint import file_sha256
from repdrift.core.hidden_secrets import HIDDEN, cause_without_secrets, without_secrets
from repdrift.core.progress import Bar
from repdrift.core.reading import reading_errors
from repdrift.core.records.representation_set import METADATA_FILE
from repdrift.core.refusals import next_step_of_using
from repdrift.stores.remote.addresses import ANY_OTHER_SCHEME, checked_address, register

_EXTRAS = {"s3": "s3", "s3a": "s3"}
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci")
"""Stores that have buckets and no folders. Making a folder there would make a bucket of a misspelled name."""
_READ_BACK_AT_MOST_BYTES = 1 << 20
_LONGEST_WORDS = 300
_NEXT_STEPS = (
    (re.compile("NotImplemented"), "A store of this kind cannot do that: choose another."),
    (
        re.compile("region|Redirect|AuthorizationHeaderMalformed", re.IGNORECASE),
        "Set AWS_DEFAULT_REGION to the region of the bucket.",
    ),
    (
        re.compile(
            "Credential|Permission|Denied|Forbidden|Unauthori|SignatureDoesNotMatch|InvalidAccessKey|log.?in",
            re.IGNORECASE,
        ),
        "Check the credentials (for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), and what they allow there.",
    ),
    (
        re.compile("connect|time.?out|resol|gaierror|unreachable|DNS|SSL", re.IGNORECASE),
        "Check the network, and the server's address (for S3: AWS_ENDPOINT_URL), then run the same command again.",
    ),
    (re.compile(""), "Check the address, then run the same command again."),
)
"""Next steps by what the error says; the first that fits."""


class FsspecRemote:
    """The files below one fsspec URL."""

    def __init__(self, address: str) -> None:
        import fsspec

        self.address = without_secrets(address)
        scheme, address = checked_address(address)
        self._object_store = scheme in _OBJECT_STORES
        try:
            self._files: Any
            self._files, root = fsspec.core.url_to_fs(address)
        except ImportError as error:
            if scheme in _EXTRAS:
                raise MissingDependencyError.of(
                    f"{scheme} support for fsspec", _EXTRAS[scheme], self.address
                ) from error
            raise MissingDependencyError(
                f"{self.address} needs a package that is not installed: {error}. Install it beside repdrift."
            ) from self._cause(error)
        except ValueError as error:
            known = fsspec.available_protocols()
            near = None if scheme in known else nearest_name(scheme, known)
            raise StorageError(
                f"{self.address} is not an address that fsspec understands: {_words(self.address, error)}."
                f"{f' Did you mean {near}://?' if near else ''} Give a folder, or an address such as s3://bucket/path."
            ) from self._cause(error)
        except Exception as error:  # some stores connect at once, and raise their own kinds
            raise StorageError(_refused("open", self.address, error)) from self._cause(error)
        self._root = root.rstrip("/")

    def names(self) -> list[str]:
        """The names of all files below the address, sorted."""
        # A local folder that may not be listed would be left out, as if it held no sets.
        strict = {"on_error": "raise"} if self._is_local and self._files.exists(self._root) else {}
        found = self._guarded(lambda: self._files.find(self._root, **strict), "list")
        if not found:
            with suppress(MissingRunError):  # a web server that cannot be reached is found out here, not above
                self._guarded(lambda: self._files.ls(self._root), "list")
            raise MissingRunError(f"nothing at {self.address}")
        root = PurePosixPath(self._root)
        return sorted(PurePosixPath(name).relative_to(root).as_posix() for name in found)

    def fetch(self, name: str, target: Path) -> None:
        """Copy one file to `target`."""
        self._guarded(lambda: self._files.get_file(f"{self._root}/{name}", str(target)), f"fetch {name} from")

    def require_sending(self) -> None:
        """Raises StorageError if the bucket does not exist or the store cannot be reached."""
        if not self._object_store:
            return
        bucket = self._root.split("/", 1)[0]
        try:
            with suppress(PermissionError):  # who may write need not be allowed to look at the bucket itself
                self._files.info(bucket)
        except FileNotFoundError as error:
            raise StorageError(
                f"cannot write to {self.address}: the bucket {bucket!r} does not exist, and none is made by a push. "
                "Make it first, or correct the address."
            ) from self._cause(error)
        except Exception as error:
            raise StorageError(_refused("write to", self.address, error)) from self._cause(error)

    def send(self, files: Sequence[tuple[str, Path]]) -> None:
        """Copy files there, one after the other."""
        with Bar(f"sending to {self.address}", len(files)) as bar:
            for name, path in files:
                target = f"{self._root}/{name}"
                if not self._object_store:
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
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False  # S3 denies to look at what is not there to those who may not list the bucket
        except Exception as error:
            raise self._refusal("read", error) from self._cause(error)
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
        content = self._guarded(lambda: self._files.cat_file(target), f"read {name} in")
        with reading_errors(path, StorageError):
            return hashlib.sha256(content).hexdigest() == file_sha256(path)

    def _same_as_remote_metadata(self, name: str, path: Path) -> bool:
        folder = PurePosixPath(name).parent
        for parent in (folder, folder.parent):
            try:
                expected = json.loads(self._files.cat_file(f"{self._root}/{parent}/{METADATA_FILE}"))["files"]
            except (OSError, KeyError, ValueError):
                continue
            except Exception as error:
                raise StorageError(_refused("read", self.address, error)) from self._cause(error)
            relative = PurePosixPath(name).relative_to(parent).as_posix()
            with reading_errors(path, StorageError):
                return expected.get(relative) == file_sha256(path)
        return False

    @property
    def _is_local(self) -> bool:
        return self._files.protocol in ("file", ("file", "local"))

    def _cause(self, error: Exception) -> BaseException | None:
        return None if HIDDEN in self.address else cause_without_secrets(error)

    def _guarded(self, action: Any, verb: str) -> Any:
        try:
            return action()
        except FileNotFoundError as error:
            why = "the bucket does not exist" if "bucket" in str(error).lower() else "not there"
            raise MissingRunError(f"cannot {verb} {self.address}: {why}. Check the address.") from self._cause(error)
        except Exception as error:  # fsspec's back ends raise their own kinds: botocore's, aiohttp's, ...
            raise self._refusal(verb, error) from self._cause(error)

    def _refusal(self, verb: str, error: Exception) -> StorageError:
        """The error for what a store refused; a local folder is refused by the operating system."""
        if self._is_local and isinstance(error, OSError) and error.strerror is not None:
            return StorageError(f"cannot {verb} {self.address}: {error.strerror}. {next_step_of_using(error)}")
        return StorageError(_refused(verb, self.address, error))


def _words(address: str, error: Exception) -> str:
    """The message of a store in one line. Where the address holds a secret, what it quotes may be a part of that."""
    text = textwrap.shorten(without_secrets(str(error)), _LONGEST_WORDS, placeholder=" …")
    return re.sub(r"'[^']*'?|\"[^\"]*\"?", HIDDEN, text) if HIDDEN in address else text


def _refused(verb: str, address: str, error: Exception) -> str:
    """Says what a store refused, and what to do; told from the error's name and words, since stores share no error tree."""
    text = _words(address, error)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"cannot {verb} {address}: {said.rstrip('.')}. {next(step for words, step in _NEXT_STEPS if words.search(said))}"


register(ANY_OTHER_SCHEME, FsspecRemote)
