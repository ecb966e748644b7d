"""Times pushes and pulls: the first beside the second of an unchanged set, and several files at once beside one by one.

    python -m benchmarks.stores.run [--layers 24] [--rows 500] [--width 1024] [--sets 2] [--repeats 3]

Stores: a folder, and moto in a process of its own on loopback, at once and with a pause before each answer. All are on one machine, so only the
ratios say something about others.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TypeVar

import torch
from tests.unit.stores.small_sets import fields

from repdrift.core import fingerprint
from repdrift.stores import RepresentationSetWriter
from repdrift.stores.remote import Sent, open_remote, pull, push_folders, shared_folders

T = TypeVar("T")


def write_sets(root: Path, *, sets: int, layers: int, rows: int, width: int) -> None:
    """Write sets of random numbers."""
    for number in range(sets):
        with RepresentationSetWriter(
            root / f"task{number}/step_000000", key=f"k{number}", layers=list(range(layers)), n_rows=rows
        ) as writer:
            for layer in range(layers):
                writer.write_layer(layer, torch.randn(rows, width))
            known = ("key", "layers", "shape", "dtype")
            content = fields(sample_ids=[str(n) for n in range(rows)], task=f"task{number}")
            writer.finish(**{name: value for name, value in content.items() if name not in known})


@contextmanager
def s3(pause_s: float) -> Generator[str]:
    """Yields the address of a bucket on loopback."""
    import boto3
    import s3fs

    command = [sys.executable, "-m", "benchmarks.stores.slow_s3", str(pause_s)]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        port = server.stdout.readline().strip() if server.stdout is not None else ""
        endpoint = f"http://127.0.0.1:{port}"
        os.environ |= {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        s3fs.S3FileSystem.clear_instance_cache()
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="drift")
        yield "s3://drift"
    finally:
        server.communicate()


def timed(action: Callable[[], T]) -> tuple[float, T]:
    """Seconds that an action took, and what it returned. No checksum is known before."""
    fingerprint._known_sha256.clear()  # pyright: ignore[reportPrivateUsage]
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def measure(root: Path, place: str, scratch: Path, jobs: int) -> dict[str, float]:
    """Seconds of the four moves with all checksums on this machine, as commands of their own take, and the files that the pushes moved."""

    def push() -> Sent:
        return push_folders(shared_folders(root), open_remote(place), jobs=jobs)

    def fetch() -> None:
        pull(open_remote(place), scratch, jobs=jobs)

    first, sent = timed(push)
    second, again = timed(push)
    fetched, _ = timed(fetch)
    refetched, _ = timed(fetch)
    shutil.rmtree(scratch)
    return {
        "push": first, "push again": second, "pull": fetched, "pull again": refetched, "files": sent.files, "files again": again.files,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("layers", 24), ("rows", 500), ("width", 1024), ("sets", 2), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        top = Path(folder)
        write_sets(top / "sets", sets=options.sets, layers=options.layers, rows=options.rows, width=options.width)
        for name, pause in (("folder", None), ("S3 stand-in", 0.0), ("S3 stand-in, 50 ms a request", 0.05)):
            rows: dict[int, dict[str, float]] = {}
            with redirect_stderr(nowhere):
                measure(top / "sets", str(top / "first"), top / "back", 1)  # libraries are loaded
            for jobs in (1, 8):
                found: list[dict[str, float]] = []
                for number in range(options.repeats):
                    with redirect_stderr(nowhere):
                        if pause is None:
                            found.append(measure(top / "sets", str(top / f"store{jobs}{number}"), top / "back", jobs))
                        else:
                            with s3(pause) as bucket:
                                found.append(measure(top / "sets", f"{bucket}/x", top / "back", jobs))
                rows[jobs] = {key: statistics.median(each[key] for each in found) for key in found[0]}
            for jobs, row in rows.items():
                print(
                    f"{name}, {jobs} at once: push {row['push']:.2f} s ({row['files']:.0f} files), again {row['push again']:.2f} s "
                    f"({row['files again']:.0f} files, {row['push again'] / row['push']:.2f} of the first); pull {row['pull']:.2f} s, again "
                    f"{row['pull again']:.2f} s ({row['pull again'] / row['pull']:.2f})"
                )
            print(
                f"{name}: 8 at once against 1: push {rows[1]['push'] / rows[8]['push']:.1f} x, pull {rows[1]['pull'] / rows[8]['pull']:.1f} x"
            )


if __name__ == "__main__":
    main()
