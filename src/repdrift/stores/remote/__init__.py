"""Copies of representation sets elsewhere: any fsspec URL, or a Weights & Biases artifact."""

from __future__ import annotations

from repdrift.core.errors import ConfigError
from repdrift.stores.remote.base import Remote, pull, push
from repdrift.stores.remote.fsspec_url import FsspecRemote
from repdrift.stores.remote.wandb_artifact import WANDB_SCHEME, WandbRemote

__all__ = ["Remote", "open_remote", "pull", "push"]


def open_remote(address: str) -> Remote:
    """The remote at `address`: `wandb://entity/project/artifact[:alias]`, or what fsspec understands (a folder,
    s3://bucket/path, gs://, memory://, ...). Raises ConfigError if the address is empty or malformed."""
    if not address.strip():
        raise ConfigError("give a remote: a folder, a URL such as s3://bucket/path, or wandb://entity/project/artifact")
    if address.startswith(WANDB_SCHEME):
        return WandbRemote.parse(address)
    return FsspecRemote(address)
