"""Expr -> query DSL, twice: what holds at most (`over`) and what holds at least (`under`). `match/` decides what lies between.

An operator that Lucene cannot answer as `match/` does is "the field is there" above and nothing below; `not` swaps the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain import fields
from domain.query import And, Expr, Not, Test, Value
from match.ops import network, text_of
from store.opensearch.mapping import UNINDEXED, indexed

Dsl: TypeAlias = Mapping[str, Any]
ALL: Final[Dsl] = {"match_all": {}}
NONE: Final[Dsl] = {"match_none": {}}
_MOST: Final = 400
"""Clauses of a bound. The cluster takes 1,024 of a query, in which both may stand, and a time and what is grouped by."""
_CLAUSES: Final = 200
"""More patterns than this for one test are not sent: the cluster would refuse them."""
_MAPPED: Final = 0xFFFF << 32
_LONG: Final = 1 << 62


@dataclass(frozen=True)
class Bounds:
    """Queries around an expression: every event for which `under` holds fulfils it, every event that fulfils it is in `over`."""

    over: Dsl
    under: Dsl


def bounds(expr: Expr) -> Bounds:
    """Of a whole expression. Where it has more clauses than a cluster takes, the bounds are wider."""
    if isinstance(expr, Test):
        return _test(expr)
    if isinstance(expr, Not):
        inner = bounds(expr.child)
        return Bounds(_not(inner.under), _not(inner.over))
    parts = [bounds(child) for child in expr.children]
    over, under = [p.over for p in parts], [p.under for p in parts]
    if isinstance(expr, And):
        return Bounds(every(_as_fit(over)), every(under) if _fits(under) else NONE)
    return Bounds(some(over) if _fits(over) else ALL, some(_as_fit(under)))


def _fits(queries: Sequence[Dsl]) -> bool:
    return sum(map(_clauses, queries)) <= _MOST


def _as_fit(queries: Sequence[Dsl]) -> list[Dsl]:
    """Those that a cluster takes together, the smallest first: one less is wider, or narrower, and never wrong."""
    sizes = np.array([_clauses(q) for q in queries])
    order = np.argsort(sizes, kind="stable")
    return [queries[n] for n in np.sort(order[np.cumsum(sizes[order]) <= _MOST])]


def _clauses(query: Dsl) -> int:
    """Clauses of a query, as the cluster counts them: what is not `bool` is one."""
    inner = query.get("bool")
    return sum(_clauses(q) for queries in inner.values() if isinstance(queries, list) for q in queries) if inner else 1


def every(queries: Sequence[Dsl]) -> Dsl:
    """All of them."""
    if NONE in queries:
        return NONE
    rest = [q for q in queries if q != ALL]
    return ALL if not rest else rest[0] if len(rest) == 1 else {"bool": {"filter": rest}}


def some(queries: Sequence[Dsl]) -> Dsl:
    """Any of them."""
    if ALL in queries:
        return ALL
    rest = [q for q in queries if q != NONE]
    return NONE if not rest else rest[0] if len(rest) == 1 else {"bool": {"should": rest, "minimum_should_match": 1}}


def but(query: Dsl, other: Dsl) -> Dsl:
    """The first without the second."""
    return every([query, _not(other)])


def _not(query: Dsl) -> Dsl:
    return NONE if query == ALL else ALL if query == NONE else {"bool": {"must_not": [query]}}


def _test(test: Test) -> Bounds:
    name = test.field
    if name is None or test.op == "fold":
        return Bounds(ALL, NONE)
    if test.op in ("exists", "null"):
        present = _present(name)
        wanted = test.op == "exists" and bool(test.values[0])
        query = present if wanted else _not(present)
        return Bounds(query, query)
    if not indexed(name):
        return Bounds(elsewhere(name), NONE)
    entry = fields.lookup(name)
    kind = entry.type if entry is not None else "keyword"
    found = _ANSWERS.get(kind, {}).get(test.op)
    answer = found(name, test) if found is not None else None
    if answer is None:
        return Bounds(_present(name) if kind != "bytes" else ALL, NONE)
    return Bounds(some([answer, elsewhere(name)]), NONE if test.cased else answer)


def _present(name: str) -> Dsl:
    return some([{"exists": {"field": name}}, elsewhere(name)]) if indexed(name) else elsewhere(name)


def elsewhere(name: str) -> Dsl:
    """Events that have the field, but not in the index."""
    return {"term": {UNINDEXED: name}}


def _lowered(values: Sequence[Value]) -> list[str]:
    return list(pc.utf8_lower(pa.array([text_of(v) for v in values], pa.string())).to_pylist())


def _equal(name: str, test: Test) -> Dsl | None:
    texts = _lowered(test.values)
    return {"terms": {name: texts}} if all(len(t.encode()) <= fields.LONGEST for t in texts) else None


def _wildcards(name: str, patterns: Sequence[str]) -> Dsl | None:
    """`*` and `?` are wild, a backslash makes the next character plain. None when there are too many or too long ones."""
    if len(patterns) > _CLAUSES or any(len(p) > 1000 for p in patterns):
        return None
    return some([_wildcard(name, p) for p in patterns])


def _wildcard(name: str, pattern: str) -> Dsl:
    if not pattern:
        return {"term": {name: ""}}
    return {"exists": {"field": name}} if set(pattern) == {"*"} else {"wildcard": {name: {"value": pattern}}}


def _plain(text: str) -> str:
    return re.sub(r"([\\*?])", r"\\\1", text)


def _contains(name: str, test: Test) -> Dsl | None:
    return _wildcards(name, [f"*{_plain(t)}*" for t in _lowered(test.values)])


def _starts(name: str, test: Test) -> Dsl | None:
    return _wildcards(name, [f"{_plain(t)}*" for t in _lowered(test.values)])


def _ends(name: str, test: Test) -> Dsl | None:
    return _wildcards(name, [f"*{_plain(t)}" for t in _lowered(test.values)])


def _like(name: str, test: Test) -> Dsl | None:
    """A backslash before any other character stands for itself."""
    return _wildcards(name, [re.sub(r"\\(?![*?\\])|\\(.)", lambda m: m[0] if m[1] else r"\\", t) for t in _lowered(test.values)])


def _cidr(name: str, test: Test) -> Dsl | None:
    parts: list[Dsl] = []
    for value in test.values:
        net = network(str(value))
        if net.version == 6 and int(net.network_address) <= _MAPPED <= int(net.broadcast_address):
            return None  # the cluster counts v4 among these
        parts.append({"term": {f"{name}.ip": str(net)}})
    return some(parts)


def _number(name: str, test: Test) -> Dsl | None:
    """A number equals the text that it is written as."""
    texts = [text_of(v) for v in test.values]
    return {"terms": {name: [int(t) for t in texts if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", t)]}}


def _truth(name: str, test: Test) -> Dsl | None:
    return {"terms": {name: [t == "true" for t in _lowered(test.values) if t in ("true", "false")]}}


def _range(name: str, test: Test) -> Dsl | None:
    parts: list[Dsl] = []
    for value in test.values:
        try:
            limit = float(value)
        except (TypeError, ValueError):
            continue
        if not -_LONG < limit < _LONG:
            return None
        parts.append({"range": {name: {test.op: int(limit) if limit.is_integer() else limit}}})
    return some(parts)


def _identity(_name: str, test: Test) -> Dsl | None:
    return {"ids": {"values": _lowered(test.values)}}


def _prefix(name: str, test: Test) -> Dsl | None:
    return some([{"prefix": {name: {"value": t}}} for t in _lowered(test.values)])


_Answer: TypeAlias = Callable[[str, Test], "Dsl | None"]
_TEXTS: Final[Mapping[str, _Answer]] = {"eq": _equal, "contains": _contains, "startswith": _starts, "endswith": _ends, "like": _like}
_RANGES: Final[Mapping[str, _Answer]] = dict.fromkeys(("lt", "lte", "gt", "gte"), _range)
_ANSWERS: Final[Mapping[str, Mapping[str, _Answer]]] = {
    "keyword": _TEXTS, "ip": {**_TEXTS, "cidr": _cidr}, "long": {"eq": _number, **_RANGES}, "double": _RANGES,
    "boolean": {"eq": _truth}, "id": {"eq": _identity, "startswith": _prefix},
}  # fmt: skip
