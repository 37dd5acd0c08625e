"""Raw JSON events as an EventBatch, for `rules verify`: rules see the event as it is, nested or flat, JSON nulls included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from domain.event import SEP, Column, Rows
from domain.query import And, Expr, Not, Or, Test
from match.ops import text_of

_THERE: Final = "\ue000there "
_NULL: Final = "\ue000null "
_ALL: Final = "\ue000all"
"""Columns that no event has: whether a field is there, whether it holds a null, and every leaf value, for keywords."""
_ORIGINAL: Final = "event.original"


class JsonBatch:
    """Events looked up as Sigma says: the exact dotted key, else the path through nested maps; a list matches by any element.

    Expressions over it go through `raw` first: only raw events tell a null from a field that is not there.
    """

    def __init__(self, events: Sequence[Mapping[str, Any]]) -> None:
        self._events = events

    @property
    def rows(self) -> int:
        """Number of events."""
        return len(self._events)

    def fields(self) -> Sequence[str]:
        """What keywords search: one column of all leaf values but `event.original`."""
        return [_ALL]

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """Texts of one field; a null, an empty list and a map have none."""
        picked: Iterable[int] = range(len(self._events)) if rows is None else rows.tolist()
        known: dict[str, int] = {}
        codes = [-1 if text is None else known.setdefault(text, len(known)) for text in (self._text(n, name) for n in picked)]
        return Column(np.array(codes, np.int32), pa.array(list(known), pa.string()), multi=True) if known else None

    def _text(self, number: int, name: str) -> str | None:
        event = self._events[number]
        if name == _ALL:
            texts = list(_leaves(event))
        elif name.startswith(_THERE):
            texts = ["1"] if _values(event, name.removeprefix(_THERE)) else []
        elif name.startswith(_NULL):
            texts = ["1"] if any(one is None for one in _elements(_values(event, name.removeprefix(_NULL)))) else []
        else:
            texts = [_plain(one) for one in _elements(_values(event, name)) if one is not None and not isinstance(one, dict)]
        return SEP.join(texts) if texts else None

    def ids(self) -> pa.Array:
        """Row numbers: raw events carry no id."""
        return pa.array([n.to_bytes(16, "big") for n in range(self.rows)], pa.binary(16))


def raw(expr: Expr) -> Expr:
    """The expression for raw events: `exists` is true of a null, a map and an empty list too, `null` of a null and of what is missing."""
    if isinstance(expr, Not):
        return Not(raw(expr.child))
    if isinstance(expr, And):
        return And(tuple(raw(child) for child in expr.children))
    if isinstance(expr, Or):
        return Or(tuple(raw(child) for child in expr.children))
    if expr.op == "exists":
        return Test(f"{_THERE}{expr.field}", "exists", expr.values)
    if expr.op == "null":
        return Or((Test(f"{_THERE}{expr.field}", "exists", (False,)), Test(f"{_NULL}{expr.field}", "exists", (True,))))
    return expr


def _values(node: Any, path: str) -> list[Any]:
    """What stands at a dotted path: nothing when it is not there. A key that itself holds dots goes before nested maps."""
    if isinstance(node, list):
        return [value for one in _elements([node]) for value in _values(one, path)]
    if not isinstance(node, dict):
        return []
    if path in node:
        return [node[path]]
    found: list[Any] = []
    at = path.find(".")
    while at >= 0:
        if path[:at] in node:
            found += _values(node[path[:at]], path[at + 1 :])
        at = path.find(".", at + 1)
    return found


def _elements(values: Iterable[Any]) -> Iterator[Any]:
    """Lists within lists taken apart, however deep."""
    todo = list(values)[::-1]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value[::-1]
        else:
            yield value


def _leaves(event: Any) -> Iterator[str]:
    """Every value but `event.original`, however deep."""
    todo: list[tuple[Any, str]] = [(event, "")]
    while todo:
        node, path = todo.pop()
        if isinstance(node, dict):
            inner = [(value, f"{path}.{key}" if path else str(key)) for key, value in node.items()]
            todo += [one for one in inner[::-1] if one[1] != _ORIGINAL]
        elif isinstance(node, list):
            todo += [(value, path) for value in node[::-1]]
        elif node is not None:
            yield _plain(node)


def _plain(value: Any) -> str:
    return text_of(value).replace(SEP, " ")
