"""The notebooks in examples/: they run without an error, and what is kept in them is what they say, small, and of no one's machine."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest

nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
pytest.importorskip("ipykernel", reason="pip install nbclient ipykernel")

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
LARGEST_BYTES = 500_000
OF_A_MACHINE = re.compile(r"(?<![\w.<])/(?:home|root|tmp|Users|work|usr|opt|mnt|var)/\w")


def kinds(cell):
    """What a cell puts out: the type of each output with its formats."""
    return [(out.output_type, sorted(out.get("data", {}))) for out in cell.outputs]


def texts(notebook):
    """Every text that is kept in the outputs, but for pictures."""
    for cell in notebook.cells:
        for out in cell.get("outputs", []):
            yield out.get("text", "")
            yield from (str(value) for kind, value in out.get("data", {}).items() if not kind.startswith("image/"))


def test_both_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == ["compare_two_models", "read_a_study"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_is_small_whole_and_of_no_machine(path):
    assert path.stat().st_size < LARGEST_BYTES
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "executed from top to bottom"
    assert {out.output_type for cell in code for out in cell.outputs} <= {"execute_result", "stream", "display_data"}
    assert not [out for cell in code for out in cell.outputs if out.get("name") == "stderr"]
    assert any("image/png" in out.get("data", {}) for cell in code for out in cell.outputs)
    for text in texts(notebook):
        assert not OF_A_MACHINE.search(text)
        assert "<script" not in text
    for cell in code:
        for out in cell.outputs:
            if "image/png" in out.get("data", {}):
                assert out.metadata["image/png"]["alt"], "a picture has a text for readers who cannot see it"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jupyter's own packages
@pytest.mark.timeout(900)
def test_a_notebook_runs_and_puts_out_what_is_kept_in_it(path, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(path, as_version=4)
    kept = [kinds(cell) for cell in notebook.cells if cell.cell_type == "code"]
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    with TemporaryDirectory(prefix="nb") as sockets:  # of a short name, as sockets need; no port is opened
        client.create_kernel_manager()
        client.km.transport, client.km.ip = "ipc", f"{sockets}/kernel"
        client.execute()  # raises for a failed cell, but not for one whose output is captured
    failed = [out.evalue for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "error"]
    assert failed == []
    assert [kinds(cell) for cell in notebook.cells if cell.cell_type == "code"] == kept
    for text in texts(notebook):
        assert str(tmp_path) not in text
