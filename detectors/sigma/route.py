"""From a rule's log source to the events that can feed it, and from its field names to those of events. Both are data: rules/pipelines.

A log source may have several feeds: `process_creation` of Linux comes from Sysmon and from auditd, each with names of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from detectors.sigma.model import LogSource
from domain import fields
from domain.i18n import t
from domain.query import FALSE, TRUE, And, Expr, Not, Or, Test, all_of, any_of, fields_of

PIPELINES: Final = Path(__file__).parents[2] / "rules" / "pipelines"
SYSMON: Final = "sysmon"
_KEYS: Final = ("product", "category", "service")


class Blind(Exception):
    """No event of ours can feed the rule; the message says why, in English."""

    def __init__(self, message: str, why: str = "", what: str = "") -> None:
        """`why`: key of `logsources.why_*`; `what`: the field, placeholder or log source that is meant."""
        super().__init__(message)
        self.why = why
        self.what = what


@dataclass(frozen=True)
class Feed:
    """Events of one kind that can feed rules of a log source."""

    name: str
    """"" where there is only one."""
    when: Expr
    """Which events, over event fields."""
    map: FieldMap


def load(name: str) -> Sequence[Mapping[str, Any]]:
    """One of the two files, as data."""
    return _load(name)


@cache
def _load(name: str) -> Sequence[Mapping[str, Any]]:
    text = (PIPELINES / name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or []  # noqa: S506


def _first(name: str, source: LogSource, feed: str = "") -> Mapping[str, Any] | None:
    for entry in _load(name):
        if all(entry.get(k, getattr(source, k)) == getattr(source, k) for k in _KEYS) and entry.get("feed", feed) == feed:
            return entry
    return None


@cache
def feeds(source: LogSource, windows: tuple[str, ...] = (SYSMON,)) -> tuple[Feed, ...]:
    """All that can feed rules of this log source. Blind when there is nothing.

    `windows`: which feeds of the generic Windows categories are used, `[rules] windows` of soc.toml: sysmon, security.
    """
    entry = _first("routing.yml", source)
    if entry is None:
        raise blind("unknown", str(source))
    if "blind" in entry:
        raise blind(str(entry["blind"]), str(source))
    whens = entry["feeds"] if "feeds" in entry else {"": entry["when"]}
    chosen = [name for name in whens if source.product != "windows" or len(whens) == 1 or name in windows]
    return tuple(Feed(name, _when(whens[name]), FieldMap(source, name)) for name in chosen)


def blind(why: str, what: str) -> Blind:
    """A reason of the catalogue `logsources`, with its English text."""
    return Blind(t(f"logsources.why_{why}", "en", what=what), why, what)


def _when(tests: Mapping[str, Sequence[str]]) -> Expr:
    return all_of(*(Test(n, "exists", (True,)) if values == ["*"] else Test(n, "eq", tuple(values)) for n, values in tests.items()))


def route(source: LogSource) -> Expr:
    """The events that can feed rules of this log source. Blind when there are none."""
    return any_of(*(feed.when for feed in feeds(source)))


def compiled(source: LogSource, expr: Expr, windows: tuple[str, ...] = (SYSMON,)) -> tuple[Expr, Expr]:
    """Route and body of a rule over event fields: one branch for each feed in which it can hold. Blind when it can hold in none."""
    found: list[tuple[Expr, Expr]] = []
    reasons: list[Blind] = []
    for feed in feeds(source, windows):
        try:
            body = feed.map.expr(expr)
        except Blind as error:
            reasons.append(error)
            continue
        if body == FALSE:
            reasons.append(feed.map.unseen(expr))
        else:
            found.append((feed.when, body))
    if not found:
        raise reasons[0]
    if len(found) == 1:
        return found[0]
    return any_of(*(when for when, _ in found)), any_of(*(all_of(when, body) for when, body in found))


class FieldMap:
    """Names of one feed of one log source."""

    def __init__(self, source: LogSource, feed: str = "") -> None:
        entry = _first("fields.yml", source, feed) or {}
        self._names: Mapping[str, Any] = entry.get("fields") or {}
        self._absent: frozenset[str] = frozenset(entry.get("absent") or ())
        self._prefix = str(entry.get("prefix", ""))
        self._source = f"{source} ({feed})" if feed else str(source)

    def name(self, field: str) -> str:
        """The event's name for a rule's field. Blind when no event of this log source holds it."""
        known = self._names.get(field)
        if isinstance(known, dict):
            known = known.get("name")
            if known is None:
                raise self._unheld(field)
        if known is not None:
            return str(known)
        if "." in field and not self._prefix:
            return field
        if self._prefix:
            return field if fields.lookup(field) is not None and "." in field else self._prefix + field
        if fields.lookup(field) is not None:
            return field
        raise self._unheld(field)

    def asked(self, name: str) -> str:
        """A name by which rules of this log source ask for an event's field; "" where there is none."""
        short = name.removeprefix(self._prefix) if self._prefix else name
        others = [rule for rule, known in self._names.items() if known == name]
        for own in (short, *others, name) if self._prefix else (name, *others):
            with contextlib.suppress(Blind):
                if self.name(own) == name:
                    return own
        return ""

    def names(self) -> list[str]:
        """Names of rules that stand in the map."""
        return [*self._names, *self._absent]

    @property
    def absent(self) -> frozenset[str]:
        """Names of rules that these events never hold."""
        return self._absent

    def _unheld(self, *names: str) -> Blind:
        return blind("field", f"{', '.join(names)} - {self._source}")

    def unseen(self, expr: Expr) -> Blind:
        """Why an expression that cannot hold does not: the fields that these events never have."""
        return self._unheld(*sorted(fields_of(expr) & self._absent))

    def expr(self, expr: Expr) -> Expr:
        """The same expression over event names; what is known beforehand is folded away, so that FALSE = it can never hold."""
        if isinstance(expr, Test):
            return self._test(expr)
        if isinstance(expr, Not):
            child = self.expr(expr.child)
            return FALSE if child == TRUE else TRUE if child == FALSE else Not(child)
        children = [self.expr(child) for child in expr.children]
        same, other = (TRUE, FALSE) if isinstance(expr, And) else (FALSE, TRUE)
        if other in children:
            return other
        left = tuple(c for c in children if c != same)
        if len(left) == len(children):
            return And(left) if isinstance(expr, And) else Or(left)
        return left[0] if len(left) == 1 else And(left) if isinstance(expr, And) else Or(left)

    def _test(self, test: Test) -> Expr:
        if test.field in self._absent:
            return TRUE if test.op == "null" or (test.op == "exists" and not test.values[0]) else FALSE
        known = self._names.get(test.field or "")
        if isinstance(known, dict):
            return self._translated(test, known)
        name = None if test.field is None else self.name(test.field)
        values = tuple(self.name(str(v)) for v in test.values) if test.op.startswith("fieldref") else test.values
        return Test(name, test.op, values, test.cased)

    def _translated(self, test: Test, known: Mapping[str, Any]) -> Expr:
        """A field whose values are other words here (`High` is `S-1-16-12288`), or that always says the same (`is`)."""
        if test.op in ("exists", "null"):
            there = test.op == "exists" and bool(test.values[0])
            return Test(known["name"], test.op, test.values) if "name" in known else TRUE if there else FALSE
        if test.op != "eq":
            raise blind("values", f"{test.field}|{test.op} - {self._source}")
        asked = [str(v).lower() for v in test.values]
        if "is" in known:
            return TRUE if str(known["is"]).lower() in asked else FALSE
        words = {str(k).lower(): v for k, v in known["values"].items()}
        return any_of(*(Test(known["name"], "eq", (words[a],)) for a in asked if a in words))


@cache
def field_map(source: LogSource) -> FieldMap:
    """The map of the first feed of one log source, made once."""
    try:
        return feeds(source)[0].map
    except Blind:
        return FieldMap(source)
