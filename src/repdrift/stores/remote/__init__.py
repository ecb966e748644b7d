"""Copies of representation sets elsewhere: at any fsspec URL, or in a Weights & Biases artifact."""

from __future__ import annotations

from repdrift.core.errors import ConfigError
from repdrift.stores.remote.fsspec_url import FsspecRemote
from repdrift.stores.remote.transfer import Remote, pull, push
from repdrift.stores.remote.wandb_artifact import WANDB_SCHEME, WandbRemote

__all__ = ["Remote", "open_remote", "pull", "push"]


def open_remote(address: str) -> Remote:
    """Open the remote at `address`: `wandb://entity/project/artifact[:alias]`, or any address that fsspec understands.

    Such an address is a folder, s3://bucket/path, gs://, memory://, ... Raises ConfigError if it is empty or malformed.
    """
    if not address.strip():
        raise ConfigError("give a remote: a folder, a URL such as s3://bucket/path, or wandb://entity/project/artifact")
    if address.startswith(WANDB_SCHEME):
        return WandbRemote.parse(address)
    return FsspecRemote(address)
