"""Copies of representation sets, runs and results elsewhere: at any fsspec URL, or in a Weights & Biases artifact.

addresses        what a store is, and how its address is read
fsspec_url       folders, s3://, gs://, hf://, ... (`s3_etag`: checksums of S3)
wandb_artifact   wandb://
shared_folders   what is sent: sets, runs and results on this machine, with checksums
sending          file by file, and never looking complete before it is
store_contents   what a store holds, told from its listing and the heads of its folders
fetching         what is fetched, and held to its checksums
inspecting       ls and verify
moving           several files at once, with a bar
file_names       names that are taken from a store
"""

from collections.abc import Sequence
from pathlib import Path

from repdrift.core.reading import files_below
from repdrift.core.records.shared_files import SENT_FILES, SHARED_FILES, SharedKind
from repdrift.stores.remote.addresses import Remote, StoredFile, open_remote, require_address
from repdrift.stores.remote.fetching import Wanted, fetch_folder, pull
from repdrift.stores.remote.file_names import joined
from repdrift.stores.remote.inspecting import ListedFolder, StoreFault, listed_folders, store_faults
from repdrift.stores.remote.moving import USUAL_JOBS
from repdrift.stores.remote.shared_folders import KINDS, Sent, SharedFolder, found_to_share, shared_folders
from repdrift.stores.remote.store_contents import StoredFolder, read_folder

__all__ = [
    "KINDS",
    "USUAL_JOBS",
    "ListedFolder",
    "Remote",
    "Sent",
    "SharedFolder",
    "StoreFault",
    "StoredFile",
    "StoredFolder",
    "Wanted",
    "fetch_folder",
    "found_to_share",
    "is_store",
    "joined",
    "listed_folders",
    "open_remote",
    "pull",
    "push",
    "push_folders",
    "read_folder",
    "require_address",
    "shared_folders",
    "store_faults",
]


def push(
    root: Path, remote: Remote, *, kinds: Sequence[SharedKind] = KINDS, jobs: int = USUAL_JOBS, resend: bool = False
) -> list[str]:
    """Copy every set, run and folder of results at or below `root` to the remote; returns their names below `root`.

    All are verified first. Raises CorruptSetError if one is faulty or unfinished, and then sends nothing;
    MissingRunError if there is nothing of these kinds; StorageError if what is sent would not arrive.
    """
    folders = shared_folders(root, kinds)
    push_folders(folders, remote, jobs=jobs, resend=resend)
    return [folder.name for folder in folders]


def push_folders(
    folders: Sequence[SharedFolder], remote: Remote, *, jobs: int = USUAL_JOBS, resend: bool = False
) -> Sent:
    """Copy folders that were verified. resend: every file, whatever lies there. Raises StorageError if what is sent would not arrive."""
    remote.require_sending()
    return remote.send(folders, jobs=jobs, resend=resend)


def is_store(path: str) -> bool:
    """Tell whether `path` is to be read as a store: an address with a scheme, or a folder that a push has written to."""
    if "://" in path:
        return True
    root = Path(path)
    return root.is_dir() and any(file.name in (SENT_FILES, SHARED_FILES) for file in files_below(root))
