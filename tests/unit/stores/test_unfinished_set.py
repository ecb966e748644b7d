"""Whatever stops a writer, the next one goes on, and the files are those of a run that nothing stopped."""

import json
import random
import shutil
import signal
import time

import pytest
import torch

from repdrift.core.errors import ShapeError, StorageError, UnfinishedSetError
from repdrift.core.fingerprint import config_sha256
from repdrift.stores import verify_set
from repdrift.stores.journal import read_header
from tests.unit.stores.killed_writers import context, write_and_die, write_as_rank, write_slowly
from tests.unit.stores.small_sets import (
    BATCHES,
    LAYERS,
    WIDTH,
    batch,
    contents,
    finish,
    finishing,
    write_all,
    writer_of,
)


@pytest.fixture(autouse=True)
def quick_fsync(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    with writer_of(folder) as writer:
        write_all(writer)
    return contents(folder)


def _started(target, *args, **kwargs):
    process = context().Process(target=target, args=args, kwargs=kwargs)
    process.start()
    return process


def _interrupted(folder, numbers):
    with pytest.raises(KeyboardInterrupt), writer_of(folder) as writer:
        write_all(writer, only=numbers)
        raise KeyboardInterrupt


def _write_zeros_where_found(writer, found):
    """Finish the set; zeros take the place of each (batch, layer) in `found`, which a writer that goes on passes over."""
    for number in range(len(BATCHES)):
        row_index, tensors, sites = batch(number)
        writer.write_batch(
            number,
            row_index,
            {n: torch.zeros_like(t) if (number, n) in found else t for n, t in tensors.items()},
            sites,
        )
    finish(writer)


# A writer of the small set makes its system calls in this order. It is killed before each step that leaves another state.
# Last: how many batches the next writer finds; None where the moment decides (two threads), or where the set is finished.
STEPS = {
    "the lock is taken, an old set would be gone": ("mkdir", 3, 0),
    "the first file has a name and no size": ("ftruncate", 1, 0),
    "the third file has no space": ("posix_fallocate", 3, 0),
    "the third file has no head": ("pwrite", 3, 0),
    "all files are there, the header is not": ("replace", 1, 0),
    "the header is there, no row is": ("pwrite", 6, 0),
    "the rows of a batch are there, its line is not": ("write", 1, 0),
    "some rows of the second batch are there": ("pwrite", 13, 1),
    "three batches are noted": ("write", 4, 3),
    "LoRA's A has its bytes and no name": ("replace", 2, None),
    "A is there, B is not": ("replace", 3, None),
    "the last batch is not noted": ("write", 6, 5),
    "the first tail is missing": ("pwrite", 46, 6),
    "the last tail is missing": ("pwrite", 50, 6),
    "the files are complete, none has moved": ("replace", 4, 6),
    "one layer has moved": ("replace", 5, 6),
    "two layers have moved": ("replace", 6, 6),
    "all layers have moved, other sites have not": ("replace", 7, 6),
    "all sites have moved, A has not": ("replace", 9, 6),
    "A has moved, B has not": ("replace", 10, 6),
    "everything has moved, metadata has no name": ("replace", 11, 6),
    "metadata is there, and so is the journal": ("unlink", 2, None),
    "metadata is there, .partial is empty": ("rmdir", 2, None),
    "metadata is there, only the lock is left": ("unlink", 3, None),
}


def test_writer_killed_before_any_step_is_gone_on_with(tmp_path, reference):
    for index, (state, (function, number, n_done)) in enumerate(STEPS.items()):
        folder = tmp_path / str(index)
        process = _started(write_and_die, folder, function, number)
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"no step comes after: {state}"
        with writer_of(folder) as writer:
            assert (writer.finished is not None) == state.startswith("metadata is there"), state
            assert n_done in (None, len(writer.done)), state
            if writer.finished is None:
                write_all(writer)
        assert contents(folder) == reference, state
        assert verify_set(folder) == [], state


@pytest.mark.parametrize("old", ["finished", "unfinished"])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_writer_killed_while_it_removes_an_old_set_leaves_none_that_looks_finished(tmp_path, reference, old, number):
    """A finished set loses its metadata first, an unfinished one its journal; then come the layers."""
    folder = tmp_path / "set"
    with writer_of(folder, key="old") as writer:
        write_all(writer, only=None if old == "finished" else [0, 1])
    before = contents(folder)
    process = _started(write_and_die, folder, "unlink", number)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    if number == 1:
        assert contents(folder) == before
    else:
        assert not (folder / "metadata.json").exists()
        assert read_header(folder) is None
        assert verify_set(folder) != []
    with writer_of(folder) as writer:
        write_all(writer)
    assert contents(folder) == reference


def test_writer_killed_at_random_moments_again_and_again_comes_to_the_same_end(tmp_path, reference):
    rng, folder, kills = random.Random(5), tmp_path / "set", 0
    while kills < 8:
        process = _started(write_slowly, folder, tmp_path / "log", 0.05)
        process.join(rng.uniform(0.05, 0.4))
        if process.exitcode is not None:
            assert process.exitcode == 0
            break
        process.kill()
        process.join()
        kills += 1
    with writer_of(folder) as writer:
        if writer.finished is None:
            write_all(writer)
    layers = {name: data for name, data in reference.items() if name.startswith("layer_")}
    assert {name: data for name, data in contents(folder).items() if name.startswith("layer_")} == layers


def test_error_in_the_middle_keeps_what_was_handed_over(tmp_path, reference):
    _interrupted(tmp_path, [0, 3, 1])
    with writer_of(tmp_path, plan={"other": 1}, n_batches=99) as writer:
        assert writer.done == {0, 1, 3}
        assert writer.plan == {"token_budget": 64, "windows": [1, 2]}
        assert writer.n_batches == len(BATCHES)
        assert write_all(writer) == [2, 4, 5]
    assert contents(tmp_path) == reference


def test_torn_line_ends_a_journal_and_its_batch_is_done_again(tmp_path, reference):
    _interrupted(tmp_path, [0, 1, 2])
    journal = tmp_path / ".partial/journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-7])
    with writer_of(tmp_path) as writer:
        assert writer.done == {0, 1}
        write_all(writer)
    assert contents(tmp_path) == reference


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "empty"])
def test_batch_whose_data_did_not_arrive_is_done_again(tmp_path, reference, damage, capsys):
    _interrupted(tmp_path, [0, 1, 2, 3])
    victim = tmp_path / ".partial/layer_2.pt"
    data = bytearray(victim.read_bytes())
    row_bytes = WIDTH * 4
    first = reference["layer_2.pt"].index(batch(0)[1][2].numpy().tobytes())
    if damage == "flip":
        data[first + 8 * row_bytes + 3] ^= 1  # a row of batch 1
        victim.write_bytes(bytes(data))
    elif damage == "truncate":
        victim.write_bytes(bytes(data[: first + 20 * row_bytes]))  # ends among the rows of batch 3
    elif damage == "remove":
        victim.unlink()
    else:
        victim.write_bytes(b"")
    expected = {"flip": {0, 2, 3}, "truncate": {0, 1, 2}}.get(damage, set())
    with writer_of(tmp_path) as writer:
        assert writer.done == expected
        write_all(writer)
    assert f"{4 - len(expected)} written batches do not have their checksums" in capsys.readouterr().err
    assert contents(tmp_path) == reference


def test_state_of_another_key_or_without_a_header_is_discarded(tmp_path, reference):
    _interrupted(tmp_path, [0, 1])
    with writer_of(tmp_path, key="k2") as writer:
        assert writer.done == frozenset()
    assert (tmp_path / ".partial").is_dir(), "nothing is lost before there is something to put in its place"
    (tmp_path / ".partial/journal.jsonl").write_text("{}\n")
    with writer_of(tmp_path) as writer:
        assert writer.done == frozenset()
        write_all(writer)
    assert contents(tmp_path) == reference


OTHER_SET = [
    pytest.param({"key": "k2"}, id="other key"),
    pytest.param({"key": "k2", "layers": [0, 2]}, id="fewer layers"),
    pytest.param({"key": "k2", "layers": [1, 7]}, id="other layers"),
    pytest.param({"key": "k2", "n_rows": 4, "n_batches": 1}, id="fewer samples"),
    pytest.param({"key": "k2", "n_batches": 9}, id="more batches"),
    pytest.param({"payload": "safetensors"}, id="other payload of the key"),
]


@pytest.mark.parametrize("written", [[0], list(range(len(BATCHES)))], ids=["begun", "complete"])
@pytest.mark.parametrize("changes", OTHER_SET)
def test_unfinished_set_of_another_key_counts_for_nothing_in_a_set_without_a_batch(tmp_path, changes, written):
    _interrupted(tmp_path, written)
    before = contents(tmp_path)
    with writer_of(tmp_path, **changes) as writer:
        assert writer.done == frozenset()
        n = writer.n_batches
        with pytest.raises(UnfinishedSetError, match=rf"{n} of {n} batches are not written \(the first is 0\)"):
            writer.finish(**finishing())
    assert contents(tmp_path) == before, "nothing is lost before there is something to put in its place"
    with writer_of(tmp_path, **changes) as writer:
        matrices = {"query": torch.ones(2, WIDTH)}
        writer.write_adapter(0, matrices, matrices)
        with pytest.raises(UnfinishedSetError, match=rf"{n} of {n} batches are not written"):
            writer.finish(**finishing())


def test_complete_unfinished_set_of_the_same_key_is_finished_without_a_batch(tmp_path, reference):
    _interrupted(tmp_path, range(len(BATCHES)))
    with writer_of(tmp_path) as writer:
        assert write_all(writer) == []
        with pytest.raises(ShapeError, match="is finished already"):
            writer.finish(**finishing())
    assert contents(tmp_path) == reference
    with writer_of(tmp_path) as writer, pytest.raises(ShapeError, match="is finished already"):
        writer.finish(**finishing())
    assert contents(tmp_path) == reference


def test_set_without_samples_is_refused_and_leaves_what_is_there(tmp_path):
    _interrupted(tmp_path, [0])
    with pytest.raises(ShapeError, match="at least one row and one batch.*got 0 rows"):
        writer_of(tmp_path, key="k2", n_rows=0)
    with pytest.raises(ShapeError, match="at least one row and one batch.*0 batches"):
        writer_of(tmp_path, key="k2", n_batches=0)
    with writer_of(tmp_path) as writer:
        assert writer.done == {0}


def test_old_set_goes_metadata_first_and_only_when_the_new_one_begins(tmp_path, reference):
    with writer_of(tmp_path, key="old", payload="safetensors") as writer:
        write_all(writer)
    with writer_of(tmp_path) as writer:
        assert (tmp_path / "metadata.json").exists()
        writer.write_batch(0, *batch(0))
        assert not (tmp_path / "metadata.json").exists()
        assert not list(tmp_path.glob("layer_*"))
    with writer_of(tmp_path) as writer:
        assert writer.done == {0}
        write_all(writer)
    assert contents(tmp_path) == reference


def test_set_put_beside_an_unfinished_one_does_not_get_into_it(tmp_path, reference):
    _interrupted(tmp_path, [0, 1])
    other = tmp_path.with_name(f"{tmp_path.name}_other")
    with writer_of(other, key="other") as writer:
        write_all(writer)
    (tmp_path / "adapter_weights").mkdir()
    for path in [*other.glob("layer_*"), other / "metadata.json"]:
        path.replace(tmp_path / path.name)
    (tmp_path / ".partial/layer_5.pt").unlink()
    with writer_of(tmp_path) as writer:
        assert writer.done == frozenset(), "a layer of both batches is gone"
        _write_zeros_where_found(writer, {(0, 0), (0, 2), (1, 0), (1, 2)})
    shutil.rmtree(other)
    assert contents(tmp_path) == reference


def test_layers_written_one_after_the_other_are_gone_on_with(tmp_path, reference):
    with writer_of(tmp_path) as writer:
        for number in range(len(BATCHES)):
            rows, tensors, _ = batch(number)
            writer.write_batch(number, rows, {0: tensors[0]})
            if number < 3:
                writer.write_batch(number, rows, {2: tensors[2]})
    with writer_of(tmp_path) as writer:
        assert writer.done == frozenset()
        _write_zeros_where_found(writer, {(number, 0) for number in range(len(BATCHES))} | {(n, 2) for n in range(3)})
    assert contents(tmp_path) == reference


def test_two_processes_that_want_one_set_write_it_once(tmp_path, reference):
    processes = [_started(write_slowly, tmp_path / "set", tmp_path / f"log{n}", 0.1) for n in (1, 2)]
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    logs = [(tmp_path / f"log{n}").read_text() for n in (1, 2)]
    waited = [log for log in logs if "is being written by another process: waiting" in log]
    assert len(waited) == 1
    assert waited[0].count("waiting") == 1
    assert "found it finished" in waited[0]
    assert verify_set(tmp_path / "set") == []
    assert contents(tmp_path / "set")["layer_2.pt"] == reference["layer_2.pt"]


@pytest.mark.parametrize("killed_first", [False, True])
def test_two_ranks_write_one_set(tmp_path, reference, killed_first):
    folder = tmp_path / "set"
    if killed_first:  # three ranks before, two now
        writers = [writer_of(folder, rank=rank, world_size=3) for rank in range(3)]
        for writer in writers:
            writer.__enter__()
            writer.write_batch(writer.rank, *batch(writer.rank))
        for writer in writers:
            writer.__exit__(None, None, None)
        assert len(list((folder / ".partial").glob("journal*"))) == 3
    barrier = context().Barrier(2)
    processes = [_started(write_as_rank, folder, rank, 2, barrier) for rank in (0, 1)]
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert verify_set(folder) == []
    assert all(contents(folder)[f"layer_{layer}.pt"] == reference[f"layer_{layer}.pt"] for layer in LAYERS)


def test_first_rank_refuses_to_finish_what_another_did_not_write(tmp_path):
    with writer_of(tmp_path, world_size=2) as first, writer_of(tmp_path, rank=1, world_size=2) as second:
        for number in range(3):
            first.write_batch(number, *batch(number))
        second.write_batch(3, *batch(3))
        second.flush()
        with pytest.raises(UnfinishedSetError, match=r"2 of 6 batches are not written \(the first is 4\)"):
            first.finish(**finishing())
        for number in (4, 5):
            second.write_batch(number, *batch(number))
        second.flush()
        first.finish(**finishing())
    assert verify_set(tmp_path) == []


def test_rank_that_waits_in_vain_for_the_first_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("repdrift.stores.set_writer._WAIT_FOR_FIRST_RANK_S", 0.1)
    clock = time.monotonic()
    with (
        writer_of(tmp_path, rank=1, world_size=2) as writer,
        pytest.raises(StorageError, match="rank 1: .*journal.jsonl, which rank 0 makes, did not appear"),
    ):
        writer.write_batch(1, *batch(1))
    assert time.monotonic() - clock < 5


def test_journal_can_be_read_by_people(tmp_path):
    _interrupted(tmp_path, [1])
    header, line = map(json.loads, (tmp_path / ".partial/journal.jsonl").read_text().splitlines())
    assert header.pop("content_sha256") == config_sha256(header)
    assert header == {
        "format": 1, "key": "k1", "settings": {}, "plan": {"token_budget": 64, "windows": [1, 2]}, "n_batches": 6, "layers": [0, 2, 5], "sites": {"attn_out": [2], "embeddings": [-1]}, "rows": 23, "d": 6,
        "dtype": "float32", "payload": "pt",
    }  # fmt: skip
    assert line["rows"] == [[4, 2], [8, 2]]
    assert set(line["crc"]) == {"0", "2", "5"}
    assert {site: list(found) for site, found in line["site_crc"].items()} == {"attn_out": ["2"], "embeddings": ["-1"]}


def test_finished_set_is_found_and_left_alone(tmp_path, reference):
    with writer_of(tmp_path) as writer:
        write_all(writer)
    (tmp_path / ".partial").mkdir()  # as if killed just before its end
    with writer_of(tmp_path) as writer:
        assert writer.finished is not None
        assert writer.finished.key == "k1"
    assert contents(tmp_path) == reference
    assert torch.load(tmp_path / "layer_0.pt", weights_only=True).shape == (23, 6)
