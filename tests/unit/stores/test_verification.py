import json

import pytest
from typer.testing import CliRunner

from repdrift.cli.main import app
from repdrift.stores import find_sets, verify_set
from tests.unit.stores.small_sets import batch, write_all, writer_of


@pytest.fixture(params=["pt", "safetensors"])
def made(request, tmp_path):
    with writer_of(tmp_path / "made", payload=request.param) as writer:
        write_all(writer)
    return tmp_path / "made"


def _unfinished(folder):
    with writer_of(folder) as writer:
        for number in (0, 4):
            writer.write_batch(number, *batch(number))


def _only_fault(folder):
    [fault] = verify_set(folder)
    return str(fault)


def test_flipped_byte_is_found(made):
    payload = next(made.glob("layer_2.*"))
    data = bytearray(payload.read_bytes())
    data[-5] ^= 1
    payload.write_bytes(bytes(data))
    assert "changed or truncated: SHA-256" in _only_fault(made)
    assert "Run the same extract or pull command again" in _only_fault(made)


def test_missing_and_truncated_layers_are_found(made):
    payload = next(made.glob("layer_2.*"))
    payload.write_bytes(payload.read_bytes()[:500])
    assert "truncated: 500 bytes, its rows alone take 552. Run the same" in _only_fault(made)
    payload.unlink()
    assert f"{payload.name}: missing. Run the same" in _only_fault(made)


def test_file_that_is_not_of_the_set_is_found(made):
    (made / "notes.txt").write_text("x")
    assert _only_fault(made).endswith("notes.txt: is not part of the set. Move it out of the folder.")


def test_what_is_left_beside_a_finished_set_is_found(made):
    _unfinished(made.parent / "other")
    (made.parent / "other/.partial").replace(made / ".partial")
    assert _only_fault(made).endswith("the finished set does not need it. Delete it.")


def test_unfinished_set_says_how_far_it_is_and_how_to_go_on(tmp_path):
    _unfinished(tmp_path)
    assert _only_fault(tmp_path) == (
        f"{tmp_path}: unfinished: 2 of 6 batches are written. Run the same extract command again: it goes on from there."
    )
    (tmp_path / ".partial/journal.jsonl").unlink()
    assert "no batch is written. Run the same extract command again: it begins anew" in _only_fault(tmp_path)


def test_interrupted_pull_is_unfinished(made):
    (made / "metadata.json").unlink()
    assert "unfinished: no metadata.json. Run the same extract or pull" in _only_fault(made)


def test_unfinished_set_is_found_by_its_own_folder(tmp_path, made):
    _unfinished(tmp_path / "deep" / "er")
    assert list(find_sets(tmp_path)) == [tmp_path / "deep" / "er", made]
    assert list(find_sets(tmp_path / "deep/er/.partial")) == [tmp_path / "deep" / "er"]


def test_command_says_what_is_wrong_and_fails(tmp_path, made):
    runner = CliRunner()
    whole = runner.invoke(app, ["verify", str(made)])
    assert (whole.exit_code, whole.stdout) == (0, "1 set(s), 0 fault(s)\n")
    _unfinished(tmp_path / "other")
    found = runner.invoke(app, ["verify", str(tmp_path)])
    assert found.exit_code == 1
    assert "2 of 6 batches are written. Run the same extract command again: it goes on from there." in found.stdout
    assert found.stdout.endswith("2 set(s), 1 fault(s)\n")
    told = json.loads(runner.invoke(app, ["verify", str(tmp_path), "--json"]).stdout)
    assert told["faults"][0]["problem"] == "unfinished: 2 of 6 batches are written"
