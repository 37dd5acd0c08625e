"""A correlation document -> Correlation. Everything that is wrong is told at once, each with its place in the document."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from detectors.sigma import terms
from detectors.sigma.refs import reference
from domain.alert import RuleRef
from domain.severity import LEVELS

COUNTS: Final = ("event_count", "value_count")
TEMPORAL: Final = ("temporal", "temporal_ordered")
NUMERIC: Final = ("value_sum", "value_avg", "value_percentile", "value_median")
TYPES: Final = (*COUNTS, *TEMPORAL, *NUMERIC)
OPS: Final = ("gt", "gte", "lt", "lte", "eq", "neq")
MOST_RULES: Final = 62
"""Distinct rules of one correlation."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2629746, "y": 31556952}
_KEYS: Final = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")
_MEANT: Final = {"timeframe": "timespan", "group_by": "group-by", "groupby": "group-by", "window": "timespan", "alias": "aliases"}
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_MICRO: Final = 1_000_000
_HUGE: Final = 1e300
_LONGEST: Final = 10 * 31556952


@dataclass(frozen=True)
class Fault:
    """Something wrong in a correlation document."""

    path: tuple[str, ...]
    """Keys that lead to the place, such as ("correlation", "condition", "gte"); the last one may be a value of a list."""
    reason: str


class WrongError(ValueError):
    """A document that cannot be used; `faults` says everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f.reason for f in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Correlation:
    """A correlation rule."""

    ref: RuleRef
    type: str
    """One of TYPES."""
    rules: tuple[str, ...]
    """Ids or names of the rules it looks at, as written; ids once it is `linked`."""
    group_by: tuple[str, ...]
    seconds: int
    """Timespan."""
    conditions: tuple[tuple[str, float], ...]
    """(operator, limit); all must hold. Empty for a temporal correlation without numbers."""
    value_fields: tuple[str, ...] = ()
    """The fields that value_* types look at; several (value_count only): distinct combinations."""
    percentile: float = 50
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Alias -> rule -> field."""
    term: terms.Term | None = None
    """Which rules must be seen, when the condition says so in words."""
    name: str = ""
    file: str = ""
    generate: bool = False
    """The rules it names also give alerts of their own."""

    @property
    def span(self) -> int:
        """Timespan in microseconds."""
        return self.seconds * _MICRO

    @property
    def distinct(self) -> tuple[str, ...]:
        """The rules, each once, in order."""
        return tuple(dict.fromkeys(self.rules))

    @property
    def names(self) -> frozenset[str]:
        """What others call it."""
        return frozenset({self.ref.id, self.name} - {""})

    @property
    def growing(self) -> bool:
        """Whether one more event never makes a window fail that held: late events then only add."""
        if self.type in NUMERIC:
            return False
        return all(op in ("gt", "gte") for op, _ in self.conditions) and not (self.term and self.term.negates)

    def groups_of(self, rule: str) -> tuple[str, ...]:
        """Names of the group-by fields in events of one rule."""
        return tuple(self._field(name, rule) for name in self.group_by)

    def values_of(self, rule: str) -> tuple[str, ...]:
        """Names of the value fields in events of one rule."""
        return tuple(self._field(name, rule) for name in self.value_fields)

    def _field(self, name: str, rule: str) -> str:
        return self.aliases.get(name, {}).get(rule, name)

    def linked(self, ids: Mapping[str, str]) -> Correlation:
        """The same with the ids of the rules in place of names."""

        def new(name: str) -> str:
            return ids.get(name, name)

        aliases = {alias: {new(rule): name for rule, name in each.items()} for alias, each in self.aliases.items()}
        return replace(self, rules=tuple(map(new, self.rules)), aliases=aliases, term=self.term.renamed(new) if self.term else None)


def read(data: Mapping[str, Any], file: str = "") -> Correlation:
    """A correlation document; WrongError names all faults. Whether the rules exist is seen by `correlation_check`."""
    return _Reader(data).read(file)


def named(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The rules that a correlation document names, whatever else is wrong with it."""
    try:
        return read(data).distinct
    except WrongError:
        spec = data.get("correlation")
        rules = spec.get("rules") if isinstance(spec, dict) else None
        return tuple(map(str, rules)) if isinstance(rules, list) else (rules,) if isinstance(rules, str) else ()


class _Reader:
    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.faults: list[Fault] = []
        self.spec: Mapping[str, Any] = {}

    def read(self, file: str) -> Correlation:
        spec = self.data.get("correlation")
        if not isinstance(spec, dict):
            raise WrongError([Fault(("correlation",), "correlation: a mapping is expected")])
        self.spec = spec
        for key in ("detection", "logsource", "filter"):
            if key in self.data:
                self.faults.append(Fault((key,), f"{key} says nothing in a correlation"))
        for key in spec:
            if key not in _KEYS:
                self._fault(f"correlation: unknown key {key}; {_allowed(str(key), _KEYS)}", str(key))
        kind = self._kind()
        conditions, term, fields, percentile = self._condition(kind)
        rules = self._rules(term)
        found = Correlation(
            reference(self.data, "correlation"), kind, rules, self._group_by(), self._seconds(), conditions, fields, percentile,
            self._aliases(), term, str(self.data.get("name") or ""), file, self._generate(),
        )  # fmt: skip
        self._level()
        if self.faults:
            raise WrongError(self.faults)
        return found

    def _fault(self, reason: str, *path: str) -> None:
        self.faults.append(Fault(("correlation", *path), reason))

    def _kind(self) -> str:
        kind = self.spec.get("type")
        if kind not in TYPES:
            self._fault(f"correlation type {'(missing)' if kind is None else kind}: {' | '.join(TYPES)}", "type")
            return ""
        return str(kind)

    def _rules(self, term: terms.Term | None) -> tuple[str, ...]:
        rules = self.spec.get("rules")
        if isinstance(rules, (str, int)) and not isinstance(rules, bool):
            rules = [rules]
        if rules is None and term is not None:
            return tuple(term.names())
        if not isinstance(rules, list) or not rules:
            self._fault(f"correlation: rules are {'missing' if not rules else 'a list of ids or names'}", "rules")
            return ()
        names = tuple(str(r) for r in rules)
        if any(not isinstance(r, (str, int)) or isinstance(r, bool) or not str(r).strip() for r in rules):
            self._fault("correlation rules: each is the id or name of a rule", "rules")
        if len(set(names)) > MOST_RULES:
            self._fault(f"correlation rules: {len(set(names))} rules; at most {MOST_RULES}", "rules")
        if term is not None:
            self._same(names, tuple(term.names()))
        return names

    def _same(self, names: Sequence[str], used: Sequence[str]) -> None:
        for name in dict.fromkeys(names):
            if name not in used:
                self._fault(f"correlation condition: rule {name} is listed but not used", "rules", name)
        for name in used:
            if name not in names:
                self._fault(f"correlation condition: {name} is not one of the rules: {', '.join(dict.fromkeys(names))}", "condition")

    def _group_by(self) -> tuple[str, ...]:
        given = self.spec.get("group-by")
        if given is None:
            return ()
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list) or not all(isinstance(n, (str, int)) and str(n).strip() for n in names):
            self._fault("correlation group-by: a list of field names", "group-by")
            return ()
        return tuple(dict.fromkeys(str(n) for n in names))

    def _seconds(self) -> int:
        given = self.spec.get("timespan")
        text = "(missing)" if given is None else str(given)
        found = re.fullmatch(r"([0-9]{1,9})([smhdwMy])", text)
        seconds = int(found[1]) * _UNITS[found[2]] if found else 0
        if not 0 < seconds <= _LONGEST:
            self._fault(f"correlation timespan {text}: a number above 0 and one of s m h d w M y, such as 5m, at most 10y", "timespan")
        return seconds

    def _aliases(self) -> Mapping[str, Mapping[str, str]]:
        given = self.spec.get("aliases")
        if given is None:
            return {}
        if not isinstance(given, dict):
            self._fault("correlation aliases: alias -> rule -> field is expected", "aliases")
            return {}
        for alias, each in given.items():
            if not isinstance(each, dict) or not each or not all(isinstance(f, str) and f for f in each.values()):
                self._fault(f"correlation alias {alias}: rule -> field is expected", "aliases", str(alias))
        return {str(a): {str(r): str(f) for r, f in each.items()} for a, each in given.items() if isinstance(each, dict)}

    def _generate(self) -> bool:
        given = self.spec.get("generate", self.data.get("generate", False))
        if not isinstance(given, bool):
            self._fault(f"correlation generate {given}: true | false", "generate")
        return given is True

    def _level(self) -> None:
        level = self.data.get("level")
        if level is not None and level not in LEVELS:
            self.faults.append(Fault(("level",), f"level {level}: {' | '.join(LEVELS)}"))

    def _condition(self, kind: str) -> tuple[tuple[tuple[str, float], ...], terms.Term | None, tuple[str, ...], float]:
        spec = self.spec.get("condition")
        nothing: tuple[tuple[tuple[str, float], ...], terms.Term | None, tuple[str, ...], float] = ((), None, (), 50)
        if not kind or (spec is None and kind in TEMPORAL):
            return nothing
        if isinstance(spec, str):
            return (), self._term(kind, spec), (), 50
        if not isinstance(spec, dict):
            wrong = ": condition is missing" if spec is None else " condition: a mapping is expected"
            self._fault(f"correlation{wrong}", "condition")
            return nothing
        self._condition_keys(kind, spec)
        limits = tuple((op, self._number(spec[op], op)) for op in OPS if op in spec)
        if not limits:
            self._fault(f"correlation condition: one of {', '.join(OPS)} is needed", "condition")
        return limits, None, self._fields(kind, spec), self._percentile(spec)

    def _condition_keys(self, kind: str, spec: Mapping[str, Any]) -> None:
        allowed = [*OPS, *(["field"] if kind.startswith("value_") else []), *(["percentile"] if kind == "value_percentile" else [])]
        for key in spec:
            if key not in allowed:
                known = "says nothing for" if key in ("field", "percentile") else "is an unknown key of"
                self._fault(f"correlation condition: {key} {known} {kind}; {_allowed(str(key), allowed)}", "condition", str(key))

    def _term(self, kind: str, text: str) -> terms.Term | None:
        if kind not in TEMPORAL:
            self._fault(f"correlation condition {text}: only temporal and temporal_ordered take a condition in words", "condition")
            return None
        try:
            found = terms.parse(text)
            if kind == "temporal_ordered":
                terms.branches(found)
        except (ValueError, RecursionError) as error:
            self._fault(f"correlation condition {text[:200]}: {error}", "condition")
            return None
        return found

    def _fields(self, kind: str, spec: Mapping[str, Any]) -> tuple[str, ...]:
        if not kind.startswith("value_"):
            return ()
        given = spec.get("field")
        names = given if isinstance(given, list) else [given]
        if not all(isinstance(n, str) and n for n in names) or not names:
            reason = "is missing" if given is None else "is the name of a field"
            self._fault(f"correlation {kind}: condition.field {reason}", "condition", *(["field"] if given is not None else []))
            return ()
        if len(names) > 1 and kind != "value_count":
            self._fault(f"correlation {kind}: condition.field is one field; only value_count takes several", "condition", "field")
        return tuple(dict.fromkeys(names))

    def _percentile(self, spec: Mapping[str, Any]) -> float:
        value = self._number(spec.get("percentile", 50), "percentile")
        if not 0 <= value <= 100:
            self._fault(f"correlation condition: percentile {value:g} is not between 0 and 100", "condition", "percentile")
        return value

    def _number(self, value: object, key: str) -> float:
        number = _number(value)
        if not math.isfinite(number):
            self._fault(f"correlation condition: {key} {str(value)[:80]} is no number", "condition", key)
            return 0.0
        return number


def number(text: str) -> float:
    """A decimal number; NaN for other text and what no float64 holds."""
    found = float(text) if _NUMBER.fullmatch(text) else math.nan
    return found if math.isfinite(found) else math.nan


def _number(value: object) -> float:
    if isinstance(value, str):
        return number(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    return float(value) if abs(value) < _HUGE else math.nan


def _allowed(key: str, known: Sequence[str]) -> str:
    close = _MEANT.get(key.lower()) or next(iter(difflib.get_close_matches(key, known, 1)), "")
    return f"allowed: {', '.join(sorted(known))}" + (f"; did you mean {close}?" if close in known else "")
