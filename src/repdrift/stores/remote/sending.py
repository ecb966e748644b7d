"""Sends folders file by file to a store that can replace single files: payload first, head last, and a list of what was sent.

look     list the store once; a file is not sent if the store's mark, its checksum or its content says that it is there
begin    if anything differs, the old head is removed: from here on the folder is not complete there
payload  several files at once; each that has arrived is noted with the store's mark of it
list     SENT_FILES: what has arrived, also after an error, so that the next push goes on from there
head     the last file
check    every file must have the mark that it had after it was sent; otherwise another push came between, and all is looked at again
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from repdrift.core.errors import DataError, MissingRunError, RepdriftError, StorageError
from repdrift.core.progress import say
from repdrift.core.records.shared_files import SENT_FILES, SentFile, SentFiles
from repdrift.stores.remote.addresses import Moved, Remote, StoredFile
from repdrift.stores.remote.file_names import joined
from repdrift.stores.remote.moving import MovedBytes, at_once
from repdrift.stores.remote.shared_folders import Sent, SharedFile, SharedFolder

_ATTEMPTS = 6
_WAIT_S = 0.5
_LOOKS_AT_A_WHOLE_FOLDER = 4
_LOOKS_AT_A_DEAD_PUSH = 60
"""How often in a row the list of another push may be found unchanged before that push is taken for dead: half a minute."""
_LISTED_EVERY_BYTES = 256 << 20
_LISTED_EVERY_S = 20.0
_READ_BACK_AT_MOST_BYTES = 1 << 20


class FileStore(Remote, Protocol):
    """A store in which single files are written and removed."""

    @property
    def reads_back_cheaply(self) -> bool:
        """Tells whether a file there is read as quickly as one here: a folder, or memory."""
        ...

    def put(self, path: Path, name: str, moved: Moved) -> StoredFile | None:
        """Copy one file there; returns what lies there then. May run on several threads at once."""
        ...

    def put_content(self, name: str, content: bytes) -> None:
        """Write one small file there."""
        ...

    def remove(self, name: str) -> None:
        """Remove one file, if it is there."""
        ...

    def look(self, name: str) -> StoredFile | None:
        """The file as it is there now; None if it is not there."""
        ...

    def mark_of(self, path: Path) -> str | None:
        """The mark that this file's content has there; None if the store makes no marks of contents, or others than can be told here."""
        ...

    def mark_of_content(self, content: bytes) -> str | None:
        """The mark of a small content there, likewise."""
        ...


class _CameBetween(Exception):  # noqa: N818  no error for a user: it leads to another attempt
    """Another push wrote to the same folder."""


@dataclass
class _Arrived:
    """The files of this push that a folder of the store holds: marks and checksums by path below the folder."""

    files: dict[str, SentFile] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    """Those whose mark is of a listing. Some stores give another one when they are asked for a single file."""

    def add(self, name: str, sha256: str, stored: StoredFile, *, listed: bool) -> None:
        """Note a file that is there."""
        if stored.mark is not None:
            self.files[name] = SentFile(sha256=sha256, mark=stored.mark)
            (self.listed.add if listed else self.listed.discard)(name)


def send_folders(store: FileStore, folders: Sequence[SharedFolder], *, jobs: int, resend: bool) -> Sent:
    """Send what is missing or differs of every folder. Raises StorageError if the store refuses, or others keep on writing there."""
    there = _listed(store, folders[0].name if len(folders) == 1 else "")
    plans = at_once(folders, lambda folder: _Plan.of(store, folder, there, resend), jobs=jobs)
    moving = [plan for plan in plans if not plan.is_there]
    nbytes = sum(plan.nbytes for plan in moving)
    n_files = sum(len(plan.missing) + (not plan.has_head) for plan in moving)
    total = sum(len(folder.files) + 1 for folder in folders)
    say(f"sending {n_files} of {total} files ({nbytes / 1e6:,.1f} MB) of {len(folders)} folder(s) to {store.address}")
    sent, push = Sent(), secrets.token_hex(8)
    with MovedBytes(f"sending to {store.address}", nbytes) as moved:
        for plan in moving:
            sent += _until_it_is_ours(store, plan, moved, jobs, push)
    return sent


def _listed(store: FileStore, below: str) -> dict[str, StoredFile]:
    try:
        return store.files(below)
    except MissingRunError:
        return {}


@dataclass(frozen=True)
class _Plan:
    """The files of a folder that are to be sent. left: files of an earlier push that do not belong to it any more."""

    folder: SharedFolder
    arrived: _Arrived
    missing: list[str]
    left: list[str]
    has_head: bool
    stands_there: bool

    @property
    def is_there(self) -> bool:
        return self.has_head and not self.missing

    @property
    def nbytes(self) -> int:
        return sum(self.folder.files[name].nbytes for name in self.missing)

    @classmethod
    def of(cls, store: FileStore, folder: SharedFolder, there: Mapping[str, StoredFile], resend: bool) -> _Plan:
        head = joined(folder.name, folder.head)
        sent = _sent_before(store, folder, there)
        arrived, missing = _Arrived(), list[str]()
        for name, file in folder.files.items():
            stored = there.get(joined(folder.name, name))
            if not resend and stored is not None and _is_same(store, folder, name, file, stored, sent.get(name)):
                arrived.add(name, file.sha256, stored, listed=True)
            else:
                missing.append(name)
        has_head = not resend and head in there and _content_there(store, head) == folder.content
        left = [name for name in sent if name not in folder.files and joined(folder.name, name) in there]
        if folder.kind != "set":
            left = []  # several machines may send parts of one folder of results
        return cls(folder, arrived, missing, left, has_head, head in there)


def _sent_before(store: FileStore, folder: SharedFolder, there: Mapping[str, StoredFile]) -> dict[str, SentFile]:
    name = joined(folder.name, SENT_FILES)
    if name not in there:
        return {}
    try:
        return SentFiles.parse(store.read(name), name).files
    except (DataError, MissingRunError):  # a list that is damaged only costs time
        return {}


def _content_there(store: FileStore, name: str) -> bytes | None:
    try:
        return store.read(name)
    except MissingRunError:  # another push has just removed it
        return None


def _is_same(
    store: FileStore, folder: SharedFolder, name: str, file: SharedFile, stored: StoredFile, sent: SentFile | None
) -> bool:
    if stored.nbytes is not None and stored.nbytes != file.nbytes:
        return False
    at = joined(folder.name, name)
    if sent is not None and sent.sha256 == file.sha256:
        now = stored if sent.mark == stored.mark else store.look(at)
        if now is not None and now.mark == sent.mark:
            return True
    if stored.mark is not None and stored.mark == store.mark_of(file.path):
        return True
    if not store.reads_back_cheaply and file.nbytes > _READ_BACK_AT_MOST_BYTES:
        return False
    try:
        return hashlib.sha256(store.read(at)).hexdigest() == file.sha256
    except (MissingRunError, StorageError):  # what cannot be read is sent anew
        return False


def _until_it_is_ours(store: FileStore, plan: _Plan, moved: MovedBytes, jobs: int, push: str) -> Sent:
    for attempt in range(_ATTEMPTS):
        if attempt:
            say(f"another push wrote to {store.address}/{plan.folder.name} at the same time: looking at it again")
            _give_way(store, plan.folder, push)
            plan = _Plan.of(store, plan.folder, _listed(store, plan.folder.name), resend=False)
        before = moved.nbytes
        with suppress(_CameBetween):
            files = 0 if plan.is_there else _send(store, plan, moved, jobs, push)
            return Sent(files, moved.nbytes - before, attempt)
    raise StorageError(
        f"{store.address}/{plan.folder.name}: others wrote there during each of {_ATTEMPTS} attempts. The copy there may not be complete. "
        "Push one after the other."
    )


def _give_way(store: FileStore, folder: SharedFolder, push: str) -> None:
    """Wait until the other push is done, if it is the one that goes first: that of the greater name. Both would else disturb each other for ever.

    It is done when its head stands there for some looks in a row: at one look alone, the head may be what it is about to remove. While
    its list grows it is waited for; one that has died is not, after `_LOOKS_AT_A_DEAD_PUSH`.
    """
    other = _push_there(store, folder)
    if other is None or other <= push:
        time.sleep(_WAIT_S)
        return
    stood, unchanged, last = 0, 0, None
    while stood < _LOOKS_AT_A_WHOLE_FOLDER and unchanged < _LOOKS_AT_A_DEAD_PUSH:
        time.sleep(_WAIT_S)
        has_head = _content_there(store, joined(folder.name, folder.head)) is not None
        stood = stood + 1 if has_head else 0
        now = _content_there(store, joined(folder.name, SENT_FILES))
        unchanged = unchanged + 1 if now == last else 0
        last = now


def _push_there(store: FileStore, folder: SharedFolder) -> str | None:
    """The push that has written its list to the folder last; None if there is no list."""
    name = joined(folder.name, SENT_FILES)
    try:
        return SentFiles.parse(store.read(name), name).push
    except (DataError, MissingRunError):
        return None


def _send(store: FileStore, plan: _Plan, moved: MovedBytes, jobs: int, push: str) -> int:
    folder, arrived = plan.folder, plan.arrived
    head = joined(folder.name, folder.head)
    list_of_sent = _ListOfSent(store, folder, arrived, push)
    list_of_sent.write()
    if plan.stands_there:  # else a push that breaks off would leave the old folder looking whole
        store.remove(head)

    def put(name: str) -> StoredFile | None:
        file = folder.files[name]
        stored = store.put(file.path, joined(folder.name, name), moved)
        file.require_unchanged()
        if stored is not None and list_of_sent.marks_are_of_contents and stored.mark != store.mark_of(file.path):
            return None
        return stored

    def note(name: str, stored: StoredFile | None) -> None:
        file = folder.files[name]
        if stored is None or (stored.nbytes is not None and stored.nbytes != file.nbytes):
            raise _CameBetween
        arrived.add(name, file.sha256, stored, listed=False)
        list_of_sent.write_now_and_then(file.nbytes)

    try:
        at_once(plan.missing, put, jobs=jobs, done=note)
        for name in plan.left:
            store.remove(joined(folder.name, name))
    except _CameBetween:
        raise
    except BaseException:
        with suppress(RepdriftError, _CameBetween):  # what broke the push off is what counts
            list_of_sent.write()
        raise
    list_of_sent.write()
    store.put_content(head, folder.content)
    moved(len(folder.content))
    list_of_sent.require_own()
    _require_ours(store, folder, arrived, jobs)
    return len(plan.missing) + 1


def _require_ours(store: FileStore, folder: SharedFolder, arrived: _Arrived, jobs: int) -> None:
    """Raises _CameBetween unless all files have the marks that they had when they were sent or found.

    Of two pushes, the one that ends last finds every file that the other has written.
    """

    if _content_there(store, joined(folder.name, folder.head)) != folder.content:
        raise _CameBetween
    there = _listed(store, folder.name)

    def is_ours(name: str) -> bool:
        at = joined(folder.name, name)
        if name not in arrived.files:
            return at in there
        stored = there.get(at)
        if stored is not None and stored.mark != arrived.files[name].mark and name not in arrived.listed:
            stored = store.look(at)
        return stored is not None and stored.mark == arrived.files[name].mark

    if not all(at_once(list(folder.files), is_ours, jobs=jobs)):
        raise _CameBetween


@dataclass
class _ListOfSent:
    """Writes SENT_FILES at the begin, from time to time and at the end; its name of the push tells whether another push does so too."""

    store: FileStore
    folder: SharedFolder
    arrived: _Arrived
    push: str
    since: float = field(default_factory=time.monotonic)
    waiting: int = 0
    is_written: bool = False
    marks_are_of_contents: bool = False
    """Known once it is written. A bucket that encrypts with keys of its own makes other ETags."""

    def write_now_and_then(self, nbytes: int) -> None:
        self.waiting += nbytes
        if self.waiting >= _LISTED_EVERY_BYTES or time.monotonic() - self.since >= _LISTED_EVERY_S:
            self.write()

    def write(self) -> None:
        if self.is_written:
            self.require_own()
        name = joined(self.folder.name, SENT_FILES)
        content = SentFiles(push=self.push, files=dict(self.arrived.files)).file_text().encode()
        self.store.put_content(name, content)
        if not self.is_written and (mark := self.store.mark_of_content(content)) is not None:
            stored = self.store.look(name)
            self.marks_are_of_contents = stored is not None and stored.mark == mark
        self.is_written = True
        self.since, self.waiting = time.monotonic(), 0

    def require_own(self) -> None:
        """Raises _CameBetween if another push has written its list here since."""
        if _push_there(self.store, self.folder) != self.push:
            raise _CameBetween
