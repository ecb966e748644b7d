import ast
import errno
import os
from pathlib import Path

import pytest

import repdrift
from repdrift.core.errors import DataError, ModelError, StorageError
from repdrift.core.reading import files_below, folders_below, listed_folder, reading_errors, stands_there, why_absent
from repdrift.core.refusals import refused

SOURCE = Path(repdrift.__file__).parent
READS = {
    "open", "read_text", "read_bytes", "readinto", "iterdir", "glob", "rglob", "stat", "lstat", "walk", "scandir", "listdir",
    "safe_open", "read_parquet", "read_csv", "ParquetFile", "memory_map", "from_file", "file_sha256",
    "unchanged_file_sha256", "files_sha256",
}  # fmt: skip
BOUNDARIES = {"reading_errors", "storage_errors", "writing", "atomic_path", "loader_errors", "suppress"}
SYSTEM_ERRORS = {"OSError", "Exception", "RuntimeError"}
NOT_A_USERS_FILE = {
    "core/reading.py": "the boundary itself",
    "core/atomic.py": "the boundary for writing",
    "core/temporary_file.py": "inside the boundary for writing: `atomic_path` holds it",
    "core/fingerprint.py": "its callers hold the boundary: they know what the file is for",
    "stores/disk.py": "its callers hold the boundary",
    "stores/set_folder.py: _payload_files": "its callers hold the boundary",
    "stores/set_folder.py: remove_temporaries": "its callers hold the boundary",
    "stores/set_folder.py: require_space": "counts what will be removed; what it cannot see is not counted",
    "stores/set_folder.py: remove_finished_files": "its callers hold the boundary",
    "stores/journal.py: read_lines": "lists the set's own journals, which it has just made",
    "stores/journal.py: write_journal": "lists the set's own journals",
    "stores/unfinished_set.py: join": "not a file's open() but that of `LayerFiles`, which has the boundary",
    "stores/unfinished_set.py: complete": "not a file's open() but that of `LayerFiles`, which has the boundary",
    "study/disk_space.py: _is_there": "its callers hold the boundary",
    "tasks/data_folders.py": "`read_table` holds the boundary around `folder_files`",
    "tasks/sources.py: _packaged": "a folder of this package",
    "drift/result_files.py: shipped_schema": "a file of this package",
    "study/config.py: packaged_studies": "a folder of this package",
    "study/config.py: packaged_study_text": "a file of this package",
}


def callee(call):
    name = call.func
    return name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""


def unguarded(tree):
    """Every call in `tree` that reads, outside of a boundary: (line, name of the function around it, call)."""

    def visit(node, function, guarded):
        if isinstance(node, ast.FunctionDef):
            function, guarded = node.name, False
        if isinstance(node, ast.With):
            names = {callee(item.context_expr) for item in node.items if isinstance(item.context_expr, ast.Call)}
            guarded = guarded or bool(names & BOUNDARIES)
        if isinstance(node, ast.Call) and callee(node) in READS and not guarded:
            yield node.lineno, function, callee(node)
        for child in ast.iter_child_nodes(node):
            caught = isinstance(node, ast.Try) and child in node.body and any(map(catches, node.handlers))
            yield from visit(child, function, guarded or caught)

    yield from visit(tree, "", False)


def catches(handler):
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in SYSTEM_ERRORS for kind in kinds)


def test_every_file_is_read_inside_of_a_boundary():
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        for line, function, call in unguarded(ast.parse(path.read_text(encoding="utf-8"))):
            if name not in NOT_A_USERS_FILE and f"{name}: {function}" not in NOT_A_USERS_FILE:
                found.append(f"{name}:{line}: {call}() in {function}")
    assert not found, "read inside of `reading_errors(path, ...)`:\n" + "\n".join(found)


def test_the_search_finds_a_read_outside_of_a_boundary():
    text = "def f(p):\n    with reading_errors(p):\n        p.read_text()\n    return p.read_bytes()"
    assert list(unguarded(ast.parse(text))) == [(4, "f", "read_bytes")]


@pytest.mark.parametrize(
    ("number", "next_step"),
    [
        (errno.EACCES, "Get the right to read it"),
        (errno.EIO, "disk or the network folder failed"),
        (errno.ESTALE, "mounted anew"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "close other programs"),
        (errno.ELOOP, "leads back to itself"),
        (errno.ENAMETOOLONG, "shorter name"),
        (errno.EISDIR, "move it away"),
        (errno.ENOENT, "Copy it again"),
        (errno.EILSEQ, "Copy it again"),
    ],
)
def test_each_refusal_has_a_reason_and_a_next_step(number, next_step):
    with pytest.raises(ModelError) as caught, reading_errors(Path("a/b"), ModelError, "Copy it again."):
        raise OSError(number, os.strerror(number), "a/b")
    assert str(caught.value).startswith(f"a/b cannot be read: {os.strerror(number)}. ")
    assert next_step in str(caught.value)


def test_an_error_of_ours_passes():
    with pytest.raises(StorageError, match="^ours$"), reading_errors(Path("a")):
        raise StorageError("ours")


def test_the_last_net_names_the_file_or_says_what_the_system_said():
    assert refused(OSError(errno.EIO, "Input/output error", "x.pt")).startswith("cannot use x.pt: Input/output error. ")
    assert refused(OSError("no words\nsecond line")).startswith("the system refused: no words. ")
    assert refused(OSError()).startswith("the system refused: OSError. ")


def test_what_may_not_be_listed_is_refused_and_not_left_out(tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "file").write_text("x")
    closed = tmp_path / "closed"
    closed.mkdir()
    assert files_below(tmp_path) == [tmp_path / "open" / "file"]
    assert folders_below(tmp_path) == [tmp_path, closed, tmp_path / "open"]
    real = os.scandir

    def scandir(path):
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for search in (files_below, folders_below):
        with pytest.raises(StorageError, match="Permission denied.*closed.*Get the right"):
            search(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        listed_folder(tmp_path / "none")


def test_links_that_lead_nowhere_stand_there_and_are_named(tmp_path):
    dangling, loop = tmp_path / "dangling", tmp_path / "loop"
    dangling.symlink_to(tmp_path / "nowhere")
    loop.symlink_to(loop)
    assert stands_there(dangling)
    assert stands_there(loop)
    assert not stands_there(tmp_path / "none")
    assert "is a link to" in why_absent(dangling)
    assert "nowhere, which does not exist" in why_absent(dangling)
    assert "cannot be followed" in why_absent(loop)
    assert why_absent(tmp_path / "none") == "does not exist"
    with pytest.raises(StorageError, match="File name too long"):
        stands_there(tmp_path / ("n" * 300))


def test_a_name_below_a_file_does_not_stand_there(tmp_path):
    (tmp_path / "file").write_text("x")
    assert not stands_there(tmp_path / "file" / "below")
    with pytest.raises(DataError, match="Not a directory"), reading_errors(tmp_path / "file" / "below"):
        (tmp_path / "file" / "below").read_bytes()
