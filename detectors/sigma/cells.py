"""A YAML document as values that know where they stand: every value, key and character has a line and a column, both from 1."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from detectors.sigma.dialect import Loader

MAX_DEPTH: Final = 40
MAX_NODES: Final = 200_000
_DEEP: Final = 2000
"""Nesting that the parser, which recurses in C, bears on any thread."""
_LONG: Final = 100_000
"""Characters from which a file is worth a look beforehand."""
_TEXT: Final = "tag:yaml.org,2002:str"
_MERGE: Final = "tag:yaml.org,2002:merge"
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)

_BLANKS: Final = ("t", "n", "r", "v", "f", " ", "\n", "N", "_", "L", "P")
"""Escapes of double quotes that stand for white space."""


@dataclass
class Cell:
    """A value and its place."""

    value: Any
    """The Python value; mappings and lists hold plain values too."""
    line: int = 1
    column: int = 1
    pairs: Sequence[tuple[Cell, Cell]] = ()
    """Keys and values of a mapping, in order; a key that stands twice is here twice."""
    items: Sequence[Cell] = ()
    """Elements of a list."""
    source: str = field(default="", repr=False)
    """A scalar as it is written, quotes and all; empty for other values and where only plain data is known."""
    style: str = ""
    """How a scalar is written: ' " | > or nothing."""

    def __iter__(self) -> Iterator[tuple[Cell, Cell]]:
        return iter(self.pairs)

    def get(self, key: object) -> Cell | None:
        """The value of a key of a mapping; the last one when the key stands twice."""
        found = None
        for name, value in self.pairs:
            if name.value == key and type(name.value) is type(key):
                found = value
        return found

    def key(self, key: object) -> Cell | None:
        """The key itself, for its place."""
        return next((name for name, _ in self.pairs if name.value == key or str(name.value) == key), None)

    def find(self, path: Sequence[str]) -> Cell:
        """The key or value that a path names; the last step may be a value of a list. What is missing stands where it should have stood."""
        cell = found = self
        for step in path:
            inner = next((value for key, value in cell if str(key.value) == step), None)
            if inner is None:
                return next((item for item in cell.items if str(item.value) == step), None) or found
            found = inner if step == path[-1] and not isinstance(inner.value, (dict, list)) else cell.key(step) or inner
            cell = inner
        return found

    def at(self, offset: int) -> Cell:
        """The place of a character of a text value: past quotes, escapes and line breaks of the file."""
        if not self.source or not isinstance(self.value, str):
            return self
        wanted = sum(not c.isspace() for c in self.value[:offset])
        place = _walk(self.source, self.style, wanted)
        before = self.source[:place]
        breaks = list(_BREAK.finditer(before))
        if not breaks:
            return Cell(self.value, self.line, self.column + place)
        return Cell(self.value, self.line + len(breaks), place - breaks[-1].end() + 1)


def _walk(source: str, style: str, wanted: int) -> int:
    """Where in the source the character stands before which there are `wanted` others that are not white space."""
    place = 1 if style in ("'", '"') else 0
    if style in ("|", ">"):
        header = _BREAK.search(source)
        place = header.end() if header else 0
    seen = 0
    while place < len(source):
        step = 1
        if style == '"' and (escape := _ESCAPE.match(source, place)):
            step = escape.end() - place
            if escape[0][1:] in _BLANKS:
                place += step
                continue
        elif style == "'" and source.startswith("''", place):
            step = 2
        if source[place].isspace():
            place += 1
            continue
        if seen == wanted:
            return place
        seen += 1
        place += step
    return max(0, len(source) - 1)


def plain(data: Any) -> Cell:
    """A cell of data whose text is not known: all places are the first."""
    return _plain(data, 0)


def _plain(data: Any, depth: int) -> Cell:
    if depth > MAX_DEPTH:
        raise ValueError(UNFOLDS)
    if isinstance(data, dict):
        return Cell(data, pairs=[(Cell(k), _plain(v, depth + 1)) for k, v in data.items()])
    if isinstance(data, list):
        return Cell(data, items=[_plain(v, depth + 1) for v in data])
    return Cell(data)


UNFOLDS: Final = "it unfolds to more than is sensible (aliases or nesting)"


def guard(text: str) -> None:
    """Refuse what would exhaust the stack or the memory before it is known to: nesting and nodes are counted, one event after the other.

    ValueError; yaml.YAMLError. Costs nothing for files that are small and flat: no nesting is deeper than what its brackets and the columns
    of its longest line allow.
    """
    deepest = text.count("[") + text.count("{") + 2 * max(map(len, text.split("\n")))
    if deepest <= _DEEP and len(text) <= _LONG:
        return
    depth = nodes = 0
    for event in yaml.parse(text, Loader=Loader):
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise ValueError(UNFOLDS)


def compose(text: str) -> list[Cell]:
    """The documents of a file that hold anything. yaml.YAMLError; ValueError for aliases or nesting without end."""
    guard(text)
    loader = Loader(text)
    maker = _Maker(text)
    out = []
    try:
        while loader.check_node():
            cell = maker.cell(loader.get_node(), 0)
            if cell.value is not None:
                out.append(cell)
    finally:
        loader.dispose()
    return out


class _Maker:
    """Cells from the nodes of one file."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]
        self._scalars = yaml.constructor.SafeConstructor()
        self._left = MAX_NODES

    def cell(self, node: Any, depth: int) -> Cell:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise ValueError(UNFOLDS)
        mark = node.start_mark
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode):
            items = [self.cell(child, depth + 1) for child in node.value]
            return Cell([item.value for item in items], mark.line + 1, mark.column + 1, items=items)
        pairs = list(self._pairs(node, depth))
        return Cell({k.value: v.value for k, v in pairs}, mark.line + 1, mark.column + 1, pairs=pairs)

    def _pairs(self, node: Any, depth: int) -> Iterator[tuple[Cell, Cell]]:
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is text, not a list or a mapping", key.start_mark)
            if key.tag != _MERGE:
                yield self.cell(key, depth + 1), self.cell(value, depth + 1)
                continue
            own = {k.value for k, _ in node.value}
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(merged, yaml.MappingNode):
                    inner = self.cell(merged, depth + 1)
                    yield from ((k, v) for k, v in inner if str(k.value) not in own)

    def _scalar(self, node: Any) -> Cell:
        start, end = node.start_mark, node.end_mark
        try:
            value = node.value if node.tag == _TEXT else self._scalars.construct_object(node)
        except ValueError:  # 2026-13-45: looks like a date and is none
            value = node.value
        except (KeyError, AttributeError, TypeError, IndexError):  # !!bool perhaps, !!int ''
            value = []
        if isinstance(value, (set, dict, list)):
            raise yaml.constructor.ConstructorError(None, None, f"the tag {node.tag} does not fit", start)
        source = self._text[self._offset(start) : self._offset(end)]
        return Cell(value, start.line + 1, start.column + 1, source=source, style=node.style or "")

    def _offset(self, mark: Any) -> int:
        """Place of a mark in the text; marks of what is missing may stand behind its end."""
        return self._starts[mark.line] + int(mark.column) if mark.line < len(self._starts) else len(self._text)
