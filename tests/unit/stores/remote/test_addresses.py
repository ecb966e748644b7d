from pathlib import Path

import pytest

from repdrift.core.errors import ConfigError, MissingRunError, RepdriftError
from repdrift.stores.remote import open_remote, pull
from repdrift.stores.remote.fsspec_url import FsspecRemote
from repdrift.stores.remote.wandb_artifact import WandbRemote


@pytest.mark.parametrize(
    ("address", "kind"),
    [("wandb://team/drift/base:v3", WandbRemote), ("memory://base", FsspecRemote), ("some/folder", FsspecRemote)],
)
def test_scheme_of_an_address_decides_the_remote(address, kind):
    remote = open_remote(address)
    assert isinstance(remote, kind)
    assert remote.address == address


def test_addresses_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="should be wandb://entity/project/artifact"):
        open_remote("wandb://only/two")
    with pytest.raises(ConfigError, match="give a remote"):
        open_remote(" ")
    with pytest.raises(MissingRunError, match="nothing at"):
        pull(open_remote("/nonexistent/place"), Path("unused"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://KEY:SECRET@bucket/x", "holds keys in front of the bucket.*AWS_ACCESS_KEY_ID"),
        ("S3://KEY:SEC/RET@bucket/x", "holds keys in front of the bucket"),
        ("abfs://me:SECRET@bucket/x", "AZURE_STORAGE_ACCOUNT_KEY"),
        ("s3:///x", "names no bucket"),
        ("s3://bucket/x?X-Amz-Signature=SECRET", "has a query"),
        ("https://host/x#SECRET1", "has a query or a fragment"),
        ("simplecache::s3://bucket/x", "is chained.*without simplecache::"),
        ("s4://bucket/x", r"not an address that fsspec understands.*Did you mean s3://\?"),
        ("reference://x", "cannot open reference://x.*Check the address"),
        ("sftp://me:SECRET@host/x", "needs a package that is not installed"),
        ("webhdfs://me:SEC/RET@host/x", "not an address"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_message_without_its_secret(address, said):
    with pytest.raises(RepdriftError, match=said) as refused:
        open_remote(address)
    chain = f"{refused.value!r} {refused.value.__cause__!r}"
    assert "SEC" not in chain
    assert "RET" not in chain
