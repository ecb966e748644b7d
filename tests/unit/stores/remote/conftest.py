"""Sets to send, and an S3 server to send them to."""

import pytest
import torch

from repdrift.core.records.sites import SiteLayer
from repdrift.stores import RepresentationSetWriter
from tests.unit.stores.small_sets import fields


def write_base_sets(folder):
    """Two tasks with two sets each, named as the base model's are."""
    for task in ("sst2", "mrpc"):
        for name in ("step_000000", "identity"):
            sites = {"attn_out": [0, 1], "embeddings": [-1]}
            with RepresentationSetWriter(
                folder / task / name, key="k1", layers=[0, 1], sites=sites, n_rows=6
            ) as writer:
                others = {SiteLayer(site, n): torch.randn(6, 4) for site, layers in sites.items() for n in layers}
                writer.write_batch(0, torch.arange(6), {n: torch.randn(6, 4) for n in (0, 1)}, others)
                writer.finish(**fields(task=task))


def write_small_set(folder, *, key="k1", rows=6, layers=(0, 1)):
    """One set and nothing else, in place of what is in the folder."""
    with RepresentationSetWriter(folder, key=key, layers=list(layers), n_rows=rows) as writer:
        for layer in layers:
            writer.write_layer(layer, torch.randn(rows, 4))
        changes = {"key": key, "sample_ids": [str(n) for n in range(rows)], "shape": [rows, 4]}
        writer.finish(
            **{
                name: value
                for name, value in fields(**changes).items()
                if name not in ("key", "layers", "shape", "dtype")
            }
        )


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Sets that no test changes."""
    folder = tmp_path_factory.mktemp("sets") / "base"
    write_base_sets(folder)
    return folder


@pytest.fixture(scope="module")
def s3_server():
    """The address of an S3 server on loopback, with a bucket `drift`."""
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="drift")
        s3fs.S3FileSystem.clear_instance_cache()
        yield "s3://drift"
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def address(request, tmp_path):
    """An empty place to send sets to: a folder, or a prefix in a bucket."""
    if request.param == "folder":
        return str(tmp_path / "remote")
    return f"{request.getfixturevalue('s3_server')}/{tmp_path.name}"
