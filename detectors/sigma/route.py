"""From a rule's log source to the events that can feed it, and from its field names to those of events. Both are data: rules/pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from detectors.sigma.model import LogSource
from domain import fields
from domain.query import And, Expr, Not, Or, Test, all_of

PIPELINES: Final = Path(__file__).parents[2] / "rules" / "pipelines"
_KEYS: Final = ("product", "category", "service")


class Blind(Exception):
    """No event of ours can feed the rule; the message says why."""


@cache
def _load(name: str) -> Sequence[Mapping[str, Any]]:
    text = (PIPELINES / name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or []  # noqa: S506


def _first(name: str, source: LogSource) -> Mapping[str, Any] | None:
    for entry in _load(name):
        if all(entry.get(k, getattr(source, k)) == getattr(source, k) for k in _KEYS):
            return entry
    return None


@cache
def route(source: LogSource) -> Expr:
    """The events that can feed rules of this log source. Blind when there are none."""
    entry = _first("routing.yml", source)
    if entry is None:
        raise Blind(f"no log source {source}: no parser yields such events")
    if "blind" in entry:
        raise Blind(str(entry["blind"]))
    return all_of(*(_when(name, tuple(values)) for name, values in entry["when"].items()))


def _when(name: str, values: tuple[str, ...]) -> Expr:
    return Test(name, "exists", (True,)) if values == ("*",) else Test(name, "eq", values)


class FieldMap:
    """Names of one log source."""

    def __init__(self, source: LogSource) -> None:
        entry = _first("fields.yml", source) or {}
        self._names: Mapping[str, str] = entry.get("fields") or {}
        self._prefix = str(entry.get("prefix", ""))
        self._source = source

    def name(self, field: str) -> str:
        """The event's name for a rule's field. Blind when no event of this log source holds it."""
        if field in self._names:
            return self._names[field]
        if "." in field and not self._prefix:
            return field
        if self._prefix:
            return field if fields.lookup(field) is not None and "." in field else self._prefix + field
        if fields.lookup(field) is not None:
            return field
        raise Blind(f"field {field}: no event of {self._source} holds it")

    def expr(self, expr: Expr) -> Expr:
        """The same expression over event names."""
        if isinstance(expr, Test):
            name = None if expr.field is None else self.name(expr.field)
            values = tuple(self.name(str(v)) for v in expr.values) if expr.op.startswith("fieldref") else expr.values
            return Test(name, expr.op, values, expr.cased)
        if isinstance(expr, Not):
            return Not(self.expr(expr.child))
        children = tuple(self.expr(child) for child in expr.children)
        return And(children) if isinstance(expr, And) else Or(children)


@cache
def field_map(source: LogSource) -> FieldMap:
    """The map of one log source, made once."""
    return FieldMap(source)
