"""Filters: what their documents say, which rules they apply to, and what they would hide.

A filter is a Sigma filter document with three keys of ours beside: `owner`, `reason`, `expires` (a date; the last day on which it applies).
It is a part of the condition of every rule that it names and whose log source it covers. One that nobody can read, that cannot be
mapped or that is idle (expired, refused) hides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from detectors.sigma.model import Broken, LogSource, Other, Rule
from detectors.sigma.refs import reference
from detectors.sigma.route import Blind, feeds
from domain.query import Expr, Not, all_of, any_of, from_json, to_json
from domain.text import one_line

ANY: Final = "any"
WANTED: Final = ("owner", "reason", "expires")
"""What every filter should say of itself."""
_EVERY: Final = ("sysmon", "security")
"""Feeds of the generic Windows categories: which of them rules use makes no difference to what a filter says."""


@dataclass(frozen=True)
class Filter:
    """One filter that could be read."""

    key: str
    """Hash of what it says: another text is another filter."""
    id: str
    title: str
    file: str
    line: int
    rules: tuple[str, ...]
    """Ids or names; empty = every rule of the log source."""
    source: LogSource
    expr: Expr
    """What events must meet to be seen, over the rule's own field names."""
    owner: str = ""
    reason: str = ""
    expires: str = ""
    """Last day on which it applies, ISO 8601; empty = never ends."""

    @property
    def lacking(self) -> tuple[str, ...]:
        """Which of owner, reason, expires it does not say."""
        return tuple(name for name in WANTED if not getattr(self, name))

    def expired(self, today: date) -> bool:
        """Whether its last day is over."""
        return bool(self.expires) and date.fromisoformat(self.expires) < today

    def covers(self, rule_id: str, name: str, source: LogSource) -> bool:
        """Whether it applies to a rule: named (or any), and the rule's log source lies within the filter's."""
        named = not self.rules or rule_id in self.rules or (bool(name) and name in self.rules)
        return named and self.spans(source)

    def spans(self, source: LogSource) -> bool:
        """Whether a log source lies within the filter's: what the filter leaves open may be anything."""
        mine = (self.source.product, self.source.category, self.source.service)
        return all(not own or own == other for own, other in zip(mine, (source.product, source.category, source.service), strict=True))

    def hidden(self, source: LogSource) -> Expr:
        """Which events of a log source it hides, over event fields. Blind when no feed of it holds the fields of the filter.

        A feed that does not hold them is not filtered: what a filter cannot read it does not hide.
        """
        found: list[tuple[Expr, Expr]] = []
        reasons: list[Blind] = []
        for feed in feeds(source, _EVERY):
            try:
                found.append((feed.when, negated(feed.map.expr(self.expr))))
            except Blind as error:
                reasons.append(error)
        if not found:
            raise reasons[0]
        return found[0][1] if len(found) == 1 and not reasons else any_of(*(all_of(when, body) for when, body in found))

    def to_json(self) -> list[Any]:
        """For the cache."""
        where = [self.source.product, self.source.category, self.source.service]
        said = [self.owner, self.reason, self.expires]
        return [self.key, self.id, self.title, self.file, self.line, list(self.rules), where, to_json(self.expr), *said]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Filter:
        """The inverse."""
        key, own, title, file, line, rules, where, expr, *said = data
        return cls(key, own, title, file, line, tuple(rules), LogSource(*where), from_json(expr), *said)


def read(other: Other) -> Filter | list[Broken]:
    """A filter document, or what is wrong with it."""
    from detectors.sigma.load import Parsed, parse

    data, body = other.data, other.data.get("filter")
    problems = faults(data, body)
    if problems or not isinstance(body, dict):
        return [Broken(other.file, other.line, f"filter: {problem}") for problem in problems]
    detection = {name: value for name, value in body.items() if name != "rules"}
    parsed = parse(other.file, "", {"title": "filter", "logsource": data.get("logsource"), "detection": detection}, {})
    if not isinstance(parsed, Parsed):
        return [replace(one, line=other.line, reason=f"filter: {one.reason}") for one in parsed]
    if parsed.expr is None:
        return [Broken(other.file, other.line, f"filter: placeholder %{parsed.unfilled}% has no values")]
    ref = reference(data, "filter")
    owner, reason = (one_line(str(data.get(name) or "").strip(), 500) for name in ("owner", "reason"))
    return Filter(
        ref.version, ref.id, ref.title, other.file, other.line, _named(body["rules"]), parsed.source, parsed.expr,
        owner, reason, _day(data.get("expires")) or "",
    )  # fmt: skip


def faults(data: Mapping[str, Any], body: object) -> list[str]:
    """What is wrong with a filter beside its selections and condition: one sentence each."""
    found = []
    if not isinstance(body, dict):
        return ["it is a mapping: rules, a selection, condition"]
    rules = body.get("rules")
    if "rules" not in body:
        found.append("rules is missing: a list of rule ids or names, or any")
    elif not isinstance(rules, (str, list)) or (isinstance(rules, list) and not all(isinstance(one, str) for one in rules)):
        found.append("rules is a list of rule ids or names, or any")
    if isinstance(body.get("condition"), list):
        found.append("there is one condition, not a list")
    if not str(data.get("title") or "").strip():
        found.append("title is missing")
    if _day(data.get("expires")) is None:
        shown = one_line(str(data["expires"]), 40)
        found.append(f"expires {shown!r} is not a date such as 2027-01-31: the filter hides nothing until it is mended")
    return found


def _named(rules: object) -> tuple[str, ...]:
    """Empty list = any, as in pySigma."""
    if isinstance(rules, str):
        return () if rules.lower() == ANY else (rules,)
    return tuple(str(one) for one in rules) if isinstance(rules, list) else ()


def _day(value: object) -> str | None:
    """A date as ISO 8601; "" when there is none, None when it is no date."""
    if isinstance(value, date):
        return (value.date() if isinstance(value, datetime) else value).isoformat()
    text = "" if value is None else str(value).strip()
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        return None


def negated(expr: Expr) -> Expr:
    """What holds where the expression does not."""
    return expr.child if isinstance(expr, Not) else Not(expr)


def apply(rules: Sequence[Rule], filters: Sequence[Filter], idle: Collection[str]) -> tuple[list[Rule], dict[int, Expr], list[Broken]]:
    """The rules narrowed by those filters that are not idle; position -> own condition of each that was; filters that cannot read one."""
    out, bare, notes = list(rules), dict[int, Expr](), list[Broken]()
    for one in filters:
        for number, rule in enumerate(rules) if one.key not in idle else ():
            if one.covers(rule.ref.id, rule.name, rule.source):
                try:
                    passing = negated(one.hidden(rule.source))
                except Blind as error:
                    notes.append(Broken(one.file, one.line, f"filter does not apply to rule {rule.ref.id}: {error}"))
                    continue
                bare.setdefault(number, rule.body)
                out[number] = replace(out[number], body=all_of(out[number].body, passing))
    return out, bare, notes


def hiding(bare: Sequence[Rule], filters: Sequence[Filter]) -> Iterator[tuple[Filter, Rule]]:
    """Each filter with each rule that it applies to, as a rule that fires on what the filter hides. `bare`: rules without any filter."""
    for one in filters:
        for rule in bare:
            if one.covers(rule.ref.id, rule.name, rule.source):
                try:
                    yield one, replace(rule, body=all_of(rule.body, one.hidden(rule.source)))
                except Blind:
                    continue


def remarks(filters: Sequence[Filter], known: Mapping[str, LogSource | None]) -> Iterator[Broken]:
    """What people should mend in filters that work. `known`: id or name of every rule -> its log source; None = a correlation."""
    for one in filters:
        if one.lacking:
            yield Broken(one.file, one.line, f"filter lacks {', '.join(one.lacking)}: who answers for it, why, and until when")
        for name in one.rules:
            if name not in known:
                yield Broken(one.file, one.line, f"filter names a rule that is not loaded: {one_line(name, 60)}")
                continue
            source = known[name]
            if source is None:
                yield Broken(one.file, one.line, f"filter names a correlation, {one_line(name, 60)}: name the rules that it counts")
            elif not one.spans(source):
                reason = f"filter does not apply to {one_line(name, 60)}: its log source is {source}, the filter's {one.source}"
                yield Broken(one.file, one.line, reason)
