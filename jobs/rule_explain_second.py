"""`soc rules explain CORRELATION EVENT`: which of its rules the event feeds, its group, and what the window before it held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from detectors.sigma.gathered import Gathered, place_of
from detectors.sigma.second import Second
from domain import spoken, titles
from domain.alert import Reason
from domain.clock import iso_local, show_local
from domain.event import TableBatch
from domain.i18n import t
from domain.query import Query, Test, all_of
from domain.text import one_line
from domain.window import TimeWindow
from jobs import rule_explain
from jobs import rule_explain_words as words
from jobs.rule_explain_find import Event, Found

if TYPE_CHECKING:
    from detectors.sigma.correlate import Round
    from detectors.sigma.correlation import Correlation
    from detectors.sigma.model import Rule
    from jobs.rule_explain import Explained
    from jobs.runtime import Runtime

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Counted:
    """The window that ends with the event, both ends in, as far as the store holds it."""

    group: Mapping[str, str | None]
    """Group-by field as the correlation names it -> value of the event; None = it lacks the field, so it belongs to no group."""
    start: datetime | None = None
    end: datetime | None = None
    measure: float = float("nan")
    """The number that is compared with the limits; for temporal correlations the number of rules seen."""
    holds: bool = False
    rules: Mapping[str, int] = field(default_factory=dict)
    """Rule id -> hits in the window."""


def explain(runtime: Runtime, found: Found, event: Event) -> Explained:
    """The base rules over the event; when one fires and the event is stored, the window."""
    rule = found.correlation
    assert rule is not None  # noqa: S101  the caller looked
    second = Second(found.rules)
    bases = list(_bases(runtime, found, event, second))
    fed = [base for base in bases if base.holds and base.found.rule is not None]
    counted = _counted(runtime, second, rule, event, [b.found.rule for b in fed if b.found.rule]) if fed else None
    holds = counted is not None and counted.holds
    return rule_explain.Explained(found, event, holds, _conclusion(rule, bases, counted), bases=bases, counted=counted)


def _bases(runtime: Runtime, found: Found, event: Event, second: Second) -> Iterator[Explained]:
    """Each rule that it looks at; of correlations that it looks at, theirs."""
    rule = found.correlation
    assert rule is not None  # noqa: S101  the caller looked
    rules = {r.ref.id: n for n, r in enumerate(found.rules.rules)}
    inner = {c.ref.id: c for c in second.correlations}
    for name in rule.distinct:
        if name in rules:
            base = found.rules.rules[rules[name]]
            yield rule_explain.rule(runtime, Found(found.rules, base, found.rules.bare.get(rules[name], base.body)), event)
        elif name in inner:
            yield from _bases(runtime, Found(found.rules, correlation=inner[name]), event, second)


def _counted(runtime: Runtime, second: Second, rule: Correlation, event: Event, fed: Sequence[Rule]) -> Counted | None:
    direct = next((r for r in fed if r.ref.id in rule.distinct), None)
    if direct is None:
        return None
    group = _group(second, rule, direct, event.table)
    if any(value is None for value in group.values()) or not event.stored:
        return Counted(group)
    at: datetime = event.table["@timestamp"][0].as_py()
    first = at - timedelta(seconds=sum(c.seconds for c in _chain(second, rule)))
    hits = [g for base in _detections(second, rule) for g in _gather(runtime, second, rule, base, TimeWindow(first, at + _TICK), group)]
    place = next(n for n, c in enumerate(second.correlations) if c.ref.id == rule.ref.id)
    for number, done in second.plan.run(hits):
        if number == place:
            return _window(done, group, event.table["event.id"][0].as_py())
    return Counted(group)


def _group(second: Second, rule: Correlation, base: Rule, table: pa.Table) -> dict[str, str | None]:
    out: dict[str, str | None] = {}
    for name, written in zip(rule.group_by, _mapped(second, rule, base), strict=True):
        value = table[written][0].as_py() if written in table.column_names else None
        out[name] = None if value is None else str(value)
    return out


def _mapped(second: Second, rule: Correlation, base: Rule) -> tuple[str, ...]:
    """Group-by fields as the events of a base rule name them."""
    for place, feed in second.plan.feeds.get(base.ref.id, ()):
        if second.correlations[place].ref.id == rule.ref.id:
            return feed.groups
    return rule.groups_of(base.ref.id)


def _chain(second: Second, rule: Correlation) -> Iterator[Correlation]:
    """The correlation and those below it."""
    yield rule
    for inner in second.correlations:
        if inner.ref.id in rule.distinct:
            yield from _chain(second, inner)


def _detections(second: Second, rule: Correlation) -> Iterator[tuple[int, Rule]]:
    names = {name for one in _chain(second, rule) for name in one.distinct}
    return ((number, base) for number, base in enumerate(second.rules.rules) if base.ref.id in names)


def _gather(
    runtime: Runtime, second: Second, rule: Correlation, numbered: tuple[int, Rule], window: TimeWindow, group: Mapping[str, str | None]
) -> Iterator[Gathered]:  # fmt: skip
    """What a base rule finds in the store within the window, in the event's group."""
    number, base = numbered
    same = []
    if base.ref.id in rule.distinct:
        written = zip(_mapped(second, rule, base), group.values(), strict=True)
        same = [Test(name, "eq", (value,), cased=True) for name, value in written if name and value is not None]
    for table in runtime.store.events.search(Query(all_of(base.route, base.body, *same), window)):
        batch, rows = TableBatch(table), np.arange(table.num_rows, dtype=np.int32)
        at = table["@timestamp"].combine_chunks().cast(pa.int64()).to_numpy(zero_copy_only=False)
        yield second.gather(number, batch, rows, place_of(batch, rows, at))


def _window(done: Round, group: Mapping[str, str | None], event: bytes) -> Counted:
    found = [n for n, key in enumerate(done.hits.event) if key.tobytes() == event]
    if not found:
        return Counted(group)
    row = found[-1]
    inside = slice(int(done.left[row]), row + 1)
    bits = done.hits.rules[inside]
    rules = {name: int(np.count_nonzero(bits & (1 << bit))) for bit, name in enumerate(done.rule.distinct)}
    start, end = (datetime.fromtimestamp(int(done.hits.at[n]) / 1_000_000, UTC) for n in (inside.start, row))
    return Counted(group, start, end, float(done.answer.measure[row]), bool(done.answer.holds[row]), rules)


def lines(one: Explained, *, whole: bool) -> Iterator[str]:
    """Base rules, group and window as text."""
    for base in one.bases:
        yield f"{t('explain.holds') if base.holds else t('explain.fails')} {titles.full(base.found.ref)} ({base.found.ref.id[:8]})"
        if whole or not base.holds:
            yield from ("  " + line for line in words.lines(base.terms, whole=whole))
    counted = one.counted
    if counted is None:
        return
    for name, value in counted.group.items():
        text = t("explain.no_group", name=name) if value is None else t("explain.group", name=spoken.field(name), value=value)
        yield one_line(text, 300)
    if counted.start and counted.end:
        yield t("explain.window", start=show_local(counted.start), end=show_local(counted.end))
        for name, n in counted.rules.items():
            yield "  " + t("explain.window_rule", name=_title(one, name), n=n)


def _title(one: Explained, name: str) -> str:
    known = {base.found.ref.id: base.found.ref for base in one.bases}
    said = spoken.base(name, known[name].title) if name in known else name
    return one_line(said, 120)


def _conclusion(rule: Correlation, bases: Sequence[Explained], counted: Counted | None) -> str:
    if not any(base.holds for base in bases):
        return t("explain.end_feeds_none", n=len(bases))
    lacking = [name for name, value in counted.group.items() if value is None] if counted else []
    if lacking:
        return t("explain.end_no_group", list=", ".join(lacking))
    if counted is None or counted.start is None:
        return t("explain.end_not_stored")
    known = {base.found.ref.id: base.found.ref.title for base in bases}
    missing = [spoken.base(name, known.get(name, name)) for name, n in counted.rules.items() if not n]
    rest = t("explain.end_rule_missing", list=", ".join(missing)) if missing and not counted.holds else ""
    if rule.type.startswith("temporal") and not rule.conditions and not counted.holds:
        key = "end_signs" if missing else "end_order"
        seen = len(counted.rules) - len(missing)
        return t(f"explain.{key}", "", n=seen, of=len(counted.rules), span=spoken.span(rule.seconds)) + rest
    said = spoken.reason(Reason(
        rule.type, f"{counted.measure:g}", ", ".join(f"{op} {limit:g}" for op, limit in rule.conditions),
        values={
            "seconds": rule.seconds, "group": dict(counted.group), "fields": list(rule.value_fields), "percentile": rule.percentile,
            "of": [(b.found.ref.id, b.found.ref.title) for b in bases if b.found.ref.id in rule.distinct],
        },
    ))  # fmt: skip
    return t("explain.end_counted_yes" if counted.holds else "explain.end_counted_no", text=said) + rest


def to_json(one: Explained) -> dict[str, Any]:
    """Base rules, group and window as plain values."""
    counted = one.counted
    return {
        "bases": [{"rule": {"id": b.found.ref.id, "title": b.found.ref.title}, "holds": b.holds, "conclusion": b.conclusion,
                   "tree": [term.to_json() for term in b.terms]} for b in one.bases],
        "group": dict(counted.group) if counted else None,
        "window": {
            "from": iso_local(counted.start), "to": iso_local(counted.end), "measure": counted.measure, "rules": dict(counted.rules),
        } if counted and counted.start and counted.end else None,
    }  # fmt: skip
