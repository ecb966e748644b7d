"""Copies at any address that fsspec reaches: a folder, s3://, gs://, memory://, ...

For S3, endpoint and credentials come from the usual variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.callbacks import Callback

from repdrift.core.atomic import atomic_path
from repdrift.core.errors import MissingDependencyError, MissingRunError, StorageError, nearest_name
from repdrift.core.hidden_secrets import HIDDEN, cause_without_secrets, without_secrets
from repdrift.core.reading import reading_errors
from repdrift.core.refusals import next_step_of_using
from repdrift.stores.remote.addresses import (
    ANY_OTHER_SCHEME,
    LARGEST_RECORD_BYTES,
    Moved,
    StoredFile,
    checked_address,
    register,
)
from repdrift.stores.remote.s3_etag import s3_etag, s3_etag_of, s3_part_bytes
from repdrift.stores.remote.sending import send_folders
from repdrift.stores.remote.shared_folders import Sent, SharedFolder

_EXTRAS = {"s3": "s3", "s3a": "s3"}
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci")
"""Stores that have buckets and no folders. Making a folder there would make a bucket of a misspelled name."""
_ONE_BY_ONE = ("hf",)
"""Stores in which every file is a commit: two at the same time would refuse each other."""
_MARKS = (
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "generation",
    "blob_id",
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "created",
)
"""What listings say of a file that changes with it; the first that is there is taken."""
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
        self._scheme = scheme
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

    def files(self, below: str = "") -> dict[str, StoredFile]:
        """All files below the address, or below a folder there, by name, sorted."""
        place = f"{self._root}/{below}" if below and below != "." else self._root
        # A local folder that may not be listed would be left out, as if it held no sets.
        strict = {"on_error": "raise"} if self._is_local and self._files.exists(place) else {}
        self._files.invalidate_cache()
        found: dict[str, Any] = self._guarded(lambda: self._files.find(place, detail=True, **strict), "list")
        if not found:
            with suppress(MissingRunError):  # a web server that cannot be reached is found out here, not above
                self._guarded(lambda: self._files.ls(self._root), "list")
            raise MissingRunError(f"nothing at {self.address}")
        root = PurePosixPath(self._root)
        return {
            PurePosixPath(name).relative_to(root).as_posix(): _stored(found[name])
            for name in sorted(found)
            if self._is_file(name)
        }

    def read(self, name: str) -> bytes:
        """The content of one small file. Raises StorageError if it is larger than any record."""
        target = f"{self._root}/{name}"
        if not self._is_file(target):
            raise MissingRunError(
                f"cannot read {name} in {self.address}: no regular file is there. Push that folder anew."
            )
        self._files.invalidate_cache()
        size: int | None = self._guarded(lambda: self._files.size(target), f"read {name} in")
        if size is not None and size > LARGEST_RECORD_BYTES:
            raise StorageError(
                f"{name} in {self.address} has {size:,} bytes; a record has {LARGEST_RECORD_BYTES:,} at most. If you have that folder, "
                "push it anew."
            )
        return self._guarded(lambda: self._files.cat_file(target), f"read {name} in")

    def fetch(self, name: str, target: Path, moved: Moved) -> None:
        """Copy one file to `target`."""
        source, counted = f"{self._root}/{name}", _Counted(moved)
        self._guarded(lambda: self._files.get_file(source, str(target), callback=counted), f"fetch {name} from")
        with reading_errors(target, StorageError):
            counted.complete(target.stat().st_size)

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

    def send(self, folders: Sequence[SharedFolder], *, jobs: int, resend: bool) -> Sent:
        """Copy what is missing or differs there, file by file."""
        return send_folders(self, folders, jobs=1 if self._scheme in _ONE_BY_ONE else jobs, resend=resend)

    def put(self, path: Path, name: str, moved: Moved) -> StoredFile | None:
        """Copy one file there; returns what lies there then. In a folder it gets its name when it is whole.

        Raises StorageError if another push was seen to write the file at the same time.
        """
        target, counted = f"{self._root}/{name}", _Counted(moved)
        with reading_errors(path, StorageError):
            size = path.stat().st_size
        if self._is_local:
            with atomic_path(Path(target)) as temporary:
                self._guarded(lambda: self._files.put_file(str(path), str(temporary)), f"send {name} to")
                counted.complete(size)
                return _stored(self._files.info(str(temporary)))
        self._make_folder_of(target)
        options = {"chunksize": s3_part_bytes(size)} if self._is_s3 else {}
        try:
            self._guarded(
                lambda: self._files.put_file(str(path), target, callback=counted, **options), f"send {name} to"
            )
        except StorageError:
            with suppress(Exception):  # half a file, as of a full disk; what was said first is what counts
                if not self._object_store:  # where a file is whole or not there
                    self._files.rm_file(target)
            raise
        counted.complete(size)
        return self.look(name)

    def put_content(self, name: str, content: bytes) -> None:
        """Write one small file there, whole or not at all in a folder."""
        target = f"{self._root}/{name}"
        if self._is_local:
            with atomic_path(Path(target)) as temporary:
                temporary.write_bytes(content)
            return
        self._make_folder_of(target)
        self._guarded(lambda: self._files.pipe_file(target, content), f"send {name} to")

    def remove(self, name: str) -> None:
        """Remove one file, if it is there."""
        if self.look(name) is not None:
            with suppress(MissingRunError):
                self._guarded(lambda: self._files.rm_file(f"{self._root}/{name}"), f"remove {name} from")

    def look(self, name: str) -> StoredFile | None:
        """The file as it is there now; None if it is not there."""
        self._files.invalidate_cache()
        if not self._is_file(f"{self._root}/{name}"):
            return None
        try:
            return _stored(self._files.info(f"{self._root}/{name}"))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None  # S3 denies to look at what is not there to those who may not list the bucket
        except Exception as error:
            raise self._refusal("read", error) from self._cause(error)

    def mark_of(self, path: Path) -> str | None:
        """The mark that this file's content has there: an ETag of S3 is made of the MD5 of its parts."""
        return s3_etag(path) if self._is_s3 else None

    def mark_of_content(self, content: bytes) -> str | None:
        """The mark of a small content there."""
        return s3_etag_of(content) if self._is_s3 else None

    @property
    def reads_back_cheaply(self) -> bool:
        """Tells whether a file there is read as quickly as one here."""
        return self._is_local or self._files.protocol == "memory"

    def _make_folder_of(self, target: str) -> None:
        if not self._object_store:
            self._guarded(lambda: self._files.makedirs(str(PurePosixPath(target).parent), exist_ok=True), "write to")

    def _is_file(self, path: str) -> bool:
        """Tell whether a path in a folder is a regular file or leads to one: a pipe would never answer. Elsewhere all are files."""
        return not self._is_local or Path(path).is_file()

    @property
    def _is_s3(self) -> bool:
        return self._scheme in ("s3", "s3a")

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


class _Counted(Callback):
    """Counts the bytes that fsspec moves. Some of its stores tell the sum so far, and some nothing at all."""

    def __init__(self, moved: Moved) -> None:
        super().__init__()
        self._moved = moved
        self._told = 0

    def call(self, hook_name: str | None = None, **kwargs: Any) -> None:
        """Told by fsspec: `value` has changed."""
        del hook_name, kwargs
        self.complete(self.value)

    def complete(self, nbytes: int) -> None:
        """Count up to `nbytes`."""
        if nbytes > self._told:
            self._moved(nbytes - self._told)
            self._told = nbytes


def _stored(info: dict[str, Any]) -> StoredFile:
    lfs = info.get("lfs")  # of the Hugging Face hub
    named = next(((name, info[name]) for name in _MARKS if info.get(name) is not None), None)
    if isinstance(lfs, dict) and "sha256" in lfs:
        mark = str(lfs["sha256"])
    elif named is None:
        mark = None
    elif named[0] in ("ETag", "etag", "md5Hash", "blob_id", "generation"):
        mark = str(named[1]).strip('"')
    else:
        value = named[1].timestamp() if isinstance(named[1], datetime) else named[1]
        mark = f"{value} {info.get('size')} {info.get('ino', '')}".strip()
    return StoredFile(info.get("size"), mark)


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
