"""Docstrings: names in backticks exist, so that no reader looks for a function that is gone; first lines say a thing."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import repdrift

_ROOT = Path(repdrift.__file__).parent
_REFERENCE = re.compile(r"`([A-Za-z][\w.]*?)(?:\(\))?`")
_OF_OTHER_LIBRARIES = {"hidden_states", "inner_group_num"}  # arguments and settings of transformers


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines or uses, and the words of its string constants (keys of files, options)."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.Constant(value=str(text)) if re.fullmatch(r"[\w.-]+", text):
                yield text
            case _:
                pass


def _prose(source: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def test_names_in_backticks_exist():
    sources = {path: path.read_text(encoding="utf-8") for path in _ROOT.rglob("*.py")}
    trees = {path: ast.parse(source) for path, source in sources.items()}
    known = {name for tree in trees.values() for name in _defined(tree)} | _OF_OTHER_LIBRARIES
    known |= {part for path in _ROOT.rglob("*") for part in (path.name, path.stem)}
    gone = sorted(
        f"{path.relative_to(_ROOT)}: `{name}`"
        for path, source in sources.items()
        for prose in _prose(source, trees[path])
        for name in _REFERENCE.findall(prose)
        if ("_" in name or "." in name) and name not in known and name.rpartition(".")[2] not in known
    )
    assert not gone


_RIDDLES = {"As", "How", "If", "Its", "Of", "That", "What", "Where", "Whether", "Which", "Why"}


def test_no_docstring_opens_with_a_riddle():
    """A first line has a subject or a verb: "Returns the base model's rows", not "Of the base model, the rows"."""
    docstrings = [
        (path, text)
        for path in sorted(_ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node))
    ]
    riddles = [
        f"{path.relative_to(_ROOT)}: {text.splitlines()[0]}"
        for path, text in docstrings
        if text.split()[0].strip(",:") in _RIDDLES or text.startswith("The same")
    ]
    assert len(docstrings) > 1000
    assert not riddles
