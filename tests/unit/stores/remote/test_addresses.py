from pathlib import Path

import pytest

from repdrift.core.errors import ConfigError, MissingRunError
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
