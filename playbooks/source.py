"""Reads a playbook file: YAML without surprises, with the line of every value.

Refused, each with its line: files over 512 KiB, aliases and anchors (YAML bombs), tags, nesting deeper than 16, more than 50,000 nodes,
keys that stand twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

MAX_BYTES: Final = 512 * 1024
MAX_DEPTH: Final = 16
MAX_NODES: Final = 50_000
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SCALARS: Final = yaml.constructor.SafeConstructor()

Where: TypeAlias = tuple[str | int, ...]
"""Place of a value: keys and list positions from the root."""


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in a content file."""

    file: str
    line: int
    """1-based; 0 = the whole file."""
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass
class Source:
    """A file as read."""

    file: str
    text: str
    data: Any = None
    """Plain values; None when the file cannot be read."""
    lines: dict[Where, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, where: Where) -> int:
        """Line of a value, or of the nearest thing around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def problem(self, where: Where, text: str) -> None:
        """Note something wrong at a place."""
        self.problems.append(Problem(self.file, self.line(where), text))


def read(path: Path, name: str = "") -> Source:
    """Read a file; what is wrong with it stands in `problems`, `data` is None when nothing can be used."""
    source = Source(name or str(path), "")
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        source.problem((), f"cannot be read: {error.strerror}")
        return source
    if len(raw) > MAX_BYTES:
        source.problem((), f"larger than {MAX_BYTES // 1024} KiB, the limit of a playbook")
        return source
    try:
        return parse(raw.decode("utf-8"), source.file)
    except UnicodeDecodeError as error:
        source.problem((), f"not UTF-8 at byte {error.start}")
        return source


def parse(text: str, name: str) -> Source:
    """The same for a text."""
    source = Source(name, text)
    try:
        if _harmless(text, source):
            source.data = _plain(yaml.compose(text, Loader=_LOADER), (), source)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        source.problems.append(Problem(name, mark.line + 1 if mark else 1, f"not valid YAML: {error.problem or error.context}"))
    except yaml.YAMLError as error:
        source.problem((), f"not valid YAML: {str(error).splitlines()[0]}")
    return source


def _harmless(text: str, source: Source) -> bool:
    """Look at the event stream, which needs no memory, before anything is built."""
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        trouble = _trouble(event, depth, nodes)
        if trouble:
            source.problems.append(Problem(source.file, line, trouble))
            return False
    return True


def _trouble(event: yaml.Event, depth: int, nodes: int) -> str:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return "anchors and aliases are not allowed in playbooks"
    if getattr(event, "tag", None) not in (None, "!"):
        return f"tags are not allowed in playbooks: {getattr(event, 'tag', '')}"
    if depth > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH}"
    return f"more than {MAX_NODES} values" if nodes > MAX_NODES else ""


def _plain(node: yaml.Node | None, where: Where, source: Source) -> Any:
    if node is None:
        return None
    source.lines[where] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, where, source)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*where, n), source) for n, child in enumerate(node.value)]
    return _SCALARS.construct_object(node)


def _mapping(node: yaml.MappingNode, where: Where, source: Source) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in out:
            source.problems.append(Problem(source.file, key_node.start_mark.line + 1, f"key {key} stands twice"))
        out[key] = _plain(value_node, (*where, key), source)
        source.lines[(*where, key)] = key_node.start_mark.line + 1
    return out
