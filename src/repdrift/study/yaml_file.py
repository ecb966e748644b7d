"""Reads a YAML file from anywhere: bounded in size, depth and aliases, and every key only once."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from repdrift.core.errors import ConfigError
from repdrift.core.refusals import refused_reading

_LARGEST_BYTES = 1 << 20
_MOST_NODES = 100_000
"""Values in the file, where a value that is repeated by an alias counts each time."""
_DEEPEST = 64
_NO_VALUE = ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")
"""Tags of the keys `<<` and `=`, which stand for no value."""
_LONGEST_NUMBER = 400


def read_yaml(path: Path) -> Any:
    """Returns the content of a YAML file: plain mappings, lists, texts and numbers.

    Raises FileNotFoundError if it is absent; ConfigError if it is no regular file, cannot be read, is larger than a study
    file can be, or as `parse_yaml` does.
    """
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no regular file"
            raise ConfigError(f"{path} is {kind}; expected a YAML file")
        if path.stat().st_size > _LARGEST_BYTES:
            raise ConfigError(f"{path} has {path.stat().st_size:,} bytes; a study file has {_LARGEST_BYTES:,} at most")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(refused_reading(path, error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid YAML: it is no UTF-8 text (byte {error.start})") from error
    return parse_yaml(text, where=str(path))


def parse_yaml(text: str, *, where: str) -> Any:
    """Returns the content of a YAML text. where: names it in messages.

    Raises ConfigError if it is not valid YAML, has a key twice in one mapping, or is nested or repeated beyond bounds.
    """
    try:
        loader = yaml.SafeLoader(text)  # reads the first characters, and refuses those that YAML does not have
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _require_bounded(node, where, loader)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except ConfigError:
        raise
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deep; a study file has {_DEEPEST} levels at most") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{where}, line {line}: not valid YAML: the character U+{ord(text[error.position]):04X} is not allowed; take it out"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error
    except (ValueError, OverflowError) as error:  # a date or number that Python does not have
        raise ConfigError(f"{where} is not valid YAML: {error}") from error
    except (AttributeError, KeyError) as error:  # PyYAML, of a value that its tag does not fit
        raise ConfigError(f"{where} is not valid YAML: a value does not fit the tag before it ({error})") from error


def _require_bounded(root: yaml.Node, where: str, loader: yaml.SafeLoader) -> None:
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        """The number of values in a node, those of its aliases included."""
        if depth > _DEEPEST:
            raise ConfigError(f"{where} is nested too deep; a study file has {_DEEPEST} levels at most")
        if isinstance(node, yaml.ScalarNode) and not _is_whole_text(node.value):
            raise ConfigError(f"{where}, line {node.start_mark.line + 1}: a text holds half a character (a surrogate)")
        if node.tag.endswith(":int") and len(str(node.value)) > _LONGEST_NUMBER:
            raise ConfigError(f"{where}, line {node.start_mark.line + 1}: a number has {len(node.value):,} digits")
        if id(node) in open_nodes:
            raise ConfigError(f"{where}, line {node.start_mark.line + 1}: a value contains itself, by an alias")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(size(child, depth + 1) for child in _children(node, where, loader))
            open_nodes.discard(id(node))
        if sizes[id(node)] > _MOST_NODES:
            raise ConfigError(f"{where} has more than {_MOST_NODES:,} values, counting what its aliases repeat")
        return sizes[id(node)]

    size(root, 0)


def _is_whole_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _children(node: yaml.Node, where: str, loader: yaml.SafeLoader) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        seen: dict[object, tuple[str, int]] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line, value = key.start_mark.line + 1, _meaning(key, loader)
            if value in seen:
                first, at = seen[value]
                same = "" if first == key.value else f", which means the same as {first!r},"
                raise ConfigError(
                    f"{where}, line {line}: the key {key.value!r}{same} stands twice, first in line {at}. "
                    "Only one of them would count: delete the other."
                )
            seen[value] = (key.value, line)
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _meaning(key: yaml.ScalarNode, loader: yaml.SafeLoader) -> object:
    """The value of a key as the mapping will have it: `yes` and `true` are one, as are `1` and `0x1`."""
    if key.tag in _NO_VALUE:
        return (key.tag, key.value)
    value = loader.construct_object(key)
    return value if isinstance(value, Hashable) else (key.tag, key.value)
