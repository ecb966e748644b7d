"""A pull that ends anywhere, and stores that lie about what they hold."""

import itertools
import json
import shutil

import pytest

from repdrift.core.errors import ConfigError, CorruptSetError, MissingRunError, StorageError
from repdrift.core.records.shared_files import SharedFiles
from repdrift.stores.remote import Wanted, listed_folders, open_remote, pull, push, shared_folders, store_faults
from repdrift.stores.remote.file_names import is_plain_name
from tests.unit.stores.remote.breaking_stores import Killed
from tests.unit.stores.remote.conftest import write_small_set
from tests.unit.stores.small_sets import contents, require_equal

_numbers = itertools.count()


@pytest.fixture
def memory():
    """An empty place in memory."""
    return f"memory://fetching{next(_numbers)}"


def counting(address):
    """A store, and the list of what is fetched from it."""
    remote, fetched = open_remote(address), []
    fetch = remote.fetch
    remote.fetch = lambda name, target, moved: (fetched.append(name), fetch(name, target, moved))  # pyright: ignore
    return remote, fetched


@pytest.fixture
def results(tmp_path):
    """A folder of results, as far as stores know one: records, tables, and what is left out."""
    root = tmp_path / "results"
    for name, text in {
        "drift_analysis/drift_analysis_results.json": "{}", "drift_analysis/drift.csv": "a,b\n", "drift_analysis/weights/kept.csv": "c\n",
        "outcomes/mrpc_lora_seed1/step_000000/scores.json": "{}", "outcomes/mrpc_lora_seed1/step_000000/scores.parquet": "p",
        "outcomes/base_states/mrpc.safetensors": "large", "outcomes/mrpc_lora_seed1/step_000000/passed/sums.json": "{}",
        "weights/likeness_1.json": "[]", "weights/mrpc_lora_seed1/step_000000/weights.json": "{}", "journal.jsonl": "", ".jobs/state.json": "{}",
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_pull_killed_anywhere_never_looks_complete_and_is_finished_by_the_next(memory, tmp_path):
    write_small_set(tmp_path / "sets/mrpc/identity", layers=(0, 1, 2))
    push(tmp_path / "sets", open_remote(memory))
    for number, half in itertools.product(range(3), (False, True)):
        remote, here = open_remote(memory), tmp_path / f"here{number}{half}"
        fetch, calls = remote.fetch, []

        def dies(name, target, moved, number=number, half=half, fetch=fetch, calls=calls):
            calls.append(name)
            if len(calls) > number:
                if half:
                    target.write_bytes(b"half")
                raise Killed
            fetch(name, target, moved)

        remote.fetch = dies  # pyright: ignore
        with pytest.raises(Killed):
            pull(remote, here, jobs=1)
        assert not (here / "mrpc/identity/metadata.json").exists()
        assert len(list(here.glob("mrpc/identity/layer_*.pt"))) == number
        again, fetched = counting(memory)
        pull(again, here)
        assert len(fetched) == 3 - number, "what had arrived is not fetched again"
        require_equal(tmp_path / "sets", here)


def test_results_are_sent_part_by_part_and_come_back(results, memory, tmp_path):
    assert push(results, open_remote(memory)) == [
        "drift_analysis",
        "outcomes/mrpc_lora_seed1",
        "weights",
        "weights/mrpc_lora_seed1",
    ]
    pull(open_remote(memory), tmp_path / "back")
    back = contents(tmp_path / "back")
    left_out = ("outcomes/base_states", "outcomes/mrpc_lora_seed1/step_000000/passed", "journal", ".jobs")
    assert back == {name: content for name, content in contents(results).items() if not name.startswith(left_out)}
    assert [row.kind for row in listed_folders(open_remote(memory))] == ["results"] * 4


def test_records_come_last_and_results_here_are_not_written_over_unasked(results, memory, tmp_path):
    push(results, open_remote(memory))
    remote, order = counting(memory)
    pull(remote, tmp_path / "here", wanted=Wanted(patterns=["drift_analysis"]))
    assert order[-1] == "drift_analysis/drift_analysis_results.json"
    (tmp_path / "here/drift_analysis/drift.csv").write_text("mine")
    with pytest.raises(
        StorageError, match=r"1 file\(s\) here have another content.*drift\.csv: nothing was fetched.*--replace"
    ):
        pull(open_remote(memory), tmp_path / "here")
    assert not (tmp_path / "here/weights").exists()
    pull(open_remote(memory), tmp_path / "here", replace=True)
    assert (tmp_path / "here/drift_analysis/drift.csv").read_text() == "a,b\n"


def test_results_do_not_go_where_base_sets_usually_go(results, memory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    push(results, open_remote(memory))
    with pytest.raises(
        ConfigError, match="holds runs or results too, such as drift_analysis: say where they go by --output-dir"
    ):
        pull(open_remote(memory), None)
    write_small_set(tmp_path / "sets/mrpc/identity")
    push(tmp_path / "sets", open_remote(memory))
    assert list(map(str, pull(open_remote(memory), None, wanted=Wanted(kinds=("set",))))) == [
        "base_representations/mrpc/identity"
    ]


def test_part_of_a_store_is_named_by_pattern_and_kind(results, memory, tmp_path):
    push(results, open_remote(memory))
    write_small_set(tmp_path / "sets/mrpc/identity")
    push(tmp_path / "sets", open_remote(memory))
    assert pull(open_remote(memory), tmp_path / "a", wanted=Wanted(patterns=["outcomes/mrpc_*"])) == [
        tmp_path / "a/outcomes/mrpc_lora_seed1"
    ]
    assert pull(open_remote(memory), tmp_path / "a", wanted=Wanted(kinds=("set",))) == [tmp_path / "a/mrpc/identity"]
    with pytest.raises(MissingRunError, match="holds nothing called so; it has 5 folders, such as drift_analysis"):
        pull(open_remote(memory), tmp_path / "a", wanted=Wanted(patterns=["outcome"]))
    with pytest.raises(MissingRunError, match="no run folder at or below"):
        push(results, open_remote(memory), kinds=("run",))


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "/etc/x",
        "a/../../x",
        ".bashrc",
        "a\\b",
        "c:x",
        "con.json",
        "a//b",
        "",
        "a/",
        "x\ny",
        "store_files.json",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(memory, tmp_path, name):
    remote = open_remote(memory)
    record = SharedFiles(kind="results", files={name: "0" * 64}, file_sizes={name: 1})
    remote.put_content("drift_analysis/store_files.json", record.file_text().encode())  # pyright: ignore
    with pytest.raises(CorruptSetError, match="which is not a file of results"):
        pull(open_remote(memory), tmp_path / "here")
    assert not (tmp_path / "here").exists()
    assert name == "store_files.json" or not is_plain_name(name)


@pytest.mark.parametrize(("change", "said"), [
    ({"file_sizes": {"layer_0.pt": 1}}, None),
    ({"shape": [60, 4]}, "has 764 bytes, expected"),
    ({"layers": [0, 1, 2]}, r"has no checksum of layer_2\.pt"),
    ({"dtype": "nothing"}, "describes no layer"),
    ({"files": {"../layer_0.pt": "0" * 64}}, "has no checksum of layer_0"),
])  # fmt: skip
def test_a_manifest_that_contradicts_itself_or_the_listing_is_refused(memory, tmp_path, change, said):
    write_small_set(tmp_path / "sets/mrpc/identity")
    (folder,) = shared_folders(tmp_path / "sets")
    push(tmp_path / "sets", open_remote(memory))
    content = {**json.loads(folder.content), **change}
    content.pop("content_sha256")
    open_remote(memory).put_content("mrpc/identity/metadata.json", json.dumps(content).encode())  # pyright: ignore
    if said is None:  # the size follows from the shape
        pull(open_remote(memory), tmp_path / "here")
        return
    with pytest.raises(CorruptSetError, match=said):
        pull(open_remote(memory), tmp_path / "here")
    assert [row.problem is None for row in listed_folders(open_remote(memory))] == [False]
    assert len(store_faults(open_remote(memory))[1]) == 1


def test_a_file_without_end_is_stopped(memory, tmp_path):
    write_small_set(tmp_path / "sets/mrpc/identity")
    push(tmp_path / "sets", open_remote(memory))
    remote = open_remote(memory)

    def endless(_name, target, moved):
        with target.open("wb") as stream:
            for _ in range(1000):
                stream.write(b"x" * 100)
                moved(100)
        pytest.fail("it was fetched to its end")

    remote.fetch = endless  # pyright: ignore
    with pytest.raises(CorruptSetError, match="has more than the 764 bytes that it should have"):
        pull(remote, tmp_path / "here")


def test_room_on_the_disk_is_asked_for_before_anything_is_fetched(memory, tmp_path, monkeypatch):
    write_small_set(tmp_path / "sets/mrpc/identity")
    push(tmp_path / "sets", open_remote(memory))
    monkeypatch.setattr("repdrift.stores.remote.fetching.free_bytes", lambda _: 1000)
    with pytest.raises(StorageError, match=r"takes 1,528 bytes .* has 1,000 .* Nothing was fetched"):
        pull(open_remote(memory), tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_a_store_with_much_else_in_it_is_listed(memory, tmp_path):
    write_small_set(tmp_path / "sets/mrpc/identity")
    remote = open_remote(memory)
    for number in range(3000):
        remote.put_content(f"other/{number % 50}/{number}.bin", b"")  # pyright: ignore
    push(tmp_path / "sets", remote)
    assert [row.name for row in listed_folders(open_remote(memory))] == ["mrpc/identity"]


def test_what_is_being_extracted_is_not_sent_with_results(results, memory):
    shutil.copytree(results / "drift_analysis", results / "other")
    (results / "phase3_representations/x/step_000000/.partial").mkdir(parents=True)
    with pytest.raises(CorruptSetError, match="not sent.*unfinished"):
        push(results, open_remote(memory))
    assert push(results, open_remote(memory), kinds=("results",))[:2] == ["drift_analysis", "other"]
