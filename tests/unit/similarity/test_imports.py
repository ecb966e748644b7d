"""No file of similarity imports itself, by whatever way; imports for types count too."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import repdrift

SOURCE = Path(repdrift.__file__).parents[1]
ROOM = "repdrift.similarity"


def _imported(file, files):
    """The files that a file imports from; `from package import module` is of the module."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & files.keys()) or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & files.keys()


def test_no_file_imports_in_a_circle():
    files = {
        ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): file
        for file in (SOURCE / ROOM.replace(".", "/")).rglob("*.py")
    }
    graph = {name: _imported(file, files) for name, file in files.items()}
    assert "repdrift.similarity.streaming.result" in graph["repdrift.similarity.measure"]
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the files
