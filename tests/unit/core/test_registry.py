"""Registries fill themselves at the first look-up."""

import threading

import pytest

from repdrift.core.errors import UnknownNameError
from repdrift.core.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a package of entries, whose modules take a while to import; returns a function that makes its registry."""
    made = []

    def make(**modules):
        name = f"registered_{tmp_path.name}_{len(made)}"
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(
            "from repdrift.core.registry import Registry\nkept = Registry('kind', __name__)\n"
        )
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(f"from {name} import kept\n{text}\n")
        monkeypatch.syspath_prepend(tmp_path)
        made.append(name)
        return __import__(name).kept

    return make


def test_every_thread_that_looks_up_first_finds_all_entries(package):
    kept: Registry[int] = package(a="import time\ntime.sleep(0.2)\nkept.add('a', 1)", b="kept.add('b', 2)")
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(kept.names())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["a", "b"]] * 4


def test_a_module_that_looks_up_while_it_is_imported_sees_what_there_is(package):
    kept = package(a="kept.add('a', 1)", b="kept.add('b', kept.get('a') + 1)")
    assert dict(zip(kept.names(), kept, strict=True)) == {"a": 1, "b": 2}


def test_a_module_that_fails_says_so_again_and_not_that_nothing_is_registered(package):
    kept = package(a="raise ImportError('no such library')")
    for _ in range(2):
        with pytest.raises(ImportError, match="no such library"):
            kept.get("a")


def test_an_unknown_name_is_refused_with_those_that_are_known(package):
    kept = package(alpha="kept.add('alpha', 1)", _hidden="kept.add('hidden', 2)")
    assert "hidden" not in kept
    with pytest.raises(UnknownNameError, match="alpha"):
        kept.get("alphax")
