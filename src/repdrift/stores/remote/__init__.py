"""Copies of representation sets elsewhere: at any fsspec URL, or in a Weights & Biases artifact."""

from repdrift.stores.remote.addresses import Remote, open_remote
from repdrift.stores.remote.transfer import pull, push

__all__ = ["Remote", "open_remote", "pull", "push"]
