"""Alerts: list, take, assign, decide, export. Every change is a record appended to what is known."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from domain import alert as alerts
from domain import spoken, titles
from domain.alert import VERDICTS, Alert
from domain.alert_fold import fold, fold_all, rule_json, to_json
from domain.errors import ConflictError, UsageError
from domain.severity import LEVELS, rank
from domain.text import clean, csv_safe, one_line
from store.base import NewRecord, RecordStore

if TYPE_CHECKING:
    from jobs.runtime import Runtime

TRIES: Final = 5
"""How often a change is tried again when a scan wrote to the same alert in between."""


@dataclass(frozen=True)
class Filter:
    """Which alerts; what is empty does not matter."""

    status: tuple[str, ...] = ()
    """Of alerts.STATUSES; empty = all but silenced."""
    level: str = ""
    """This level or above."""
    rule: str = ""
    """Part of the rule's id or title, without regard to case."""
    entity: str = ""
    """`value` or `type=value`; part of the value is enough."""
    since: datetime | None = None
    """Last event at or after."""
    until: datetime | None = None
    """First event before."""
    incident: str = ""
    """Id or its beginning; `none` = in no incident."""
    assignee: str = ""
    exercise: bool | None = None
    kind: str = ""
    """sigma, correlation, anomaly."""
    retro: bool | None = None

    def __post_init__(self) -> None:
        for status in self.status:
            if status not in alerts.STATUSES:
                raise UsageError(f"--status {one_line(status, 40)}: {' | '.join(alerts.STATUSES)}")
        if self.level and self.level not in LEVELS:
            raise UsageError(f"--level {one_line(self.level, 40)}: {' | '.join(LEVELS)}")

    def holds(self, alert: Alert) -> bool:
        """Whether the alert is wanted."""
        status = alert.status in self.status if self.status else alert.status != "silenced"
        return (
            status
            and (not self.level or rank(alert.rule.level) >= rank(self.level))
            and (self.since is None or alert.last >= self.since)
            and (self.until is None or alert.first < self.until)
            and (not self.assignee or alert.assignee == self.assignee)
            and (self.exercise is None or alert.exercise == self.exercise)
            and (self.retro is None or alert.retro == self.retro)
            and (not self.kind or alert.rule.kind == self.kind)
            and self._named(alert)
        )

    def _named(self, alert: Alert) -> bool:
        rule = self.rule.lower()
        called = (alert.rule.id, alert.rule.title, titles.title(alert.rule), titles.title(alert.rule, "vi")) if rule else ()
        if rule and not any(rule in name.lower() for name in called):
            return False
        if self.incident == "none":
            return not alert.incident and self._about(alert)
        return alert.incident.startswith(self.incident) and self._about(alert)

    def _about(self, alert: Alert) -> bool:
        kind, sign, value = self.entity.rpartition("=")
        value = value.lower()
        return not value or any(
            value in e.value.lower() and (not sign or e.type == kind) for e in (*alert.entities, *alert.related)
        )  # fmt: skip


def every(records: RecordStore) -> dict[str, Alert]:
    """All alerts by id, oldest first."""
    return fold_all(records.find(alerts.STREAM))


def select(records: RecordStore, wanted: Filter, limit: int = 0) -> list[Alert]:
    """The alerts wanted, newest event first; `limit` 0 = all."""
    found = [a for a in every(records).values() if wanted.holds(a)]
    found.sort(key=lambda a: (a.last, a.id), reverse=True)
    return found[:limit] if limit else found


def resolve(known: Iterable[str], prefix: str, what: str = "alert", hint: str = "soc alerts list") -> str:
    """The id that begins so. UsageError when none or several do."""
    name = prefix.strip().lower()
    found = [key for key in known if key.lower().startswith(name)] if name else []
    if len(found) == 1:
        return found[0]
    exact = [key for key in found if key.lower() == name]
    if exact:
        return exact[0]
    if not found:
        raise UsageError(f"no {what} with this id: {one_line(prefix, 40)}", hint=hint)
    shown = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
    raise UsageError(f"{what} id {one_line(prefix, 40)} is not unique: {shown}", hint="give more characters")


def get(records: RecordStore, prefix: str) -> Alert:
    """One alert by its id or the beginning of it."""
    if len(prefix) == 20:  # a whole id: no need to read all others
        own = records.read(alerts.STREAM, prefix.lower())
        if own:
            return fold(own)
    known = every(records)
    return known[resolve(known, prefix)]


def change(runtime: Runtime, prefixes: Sequence[str], body: Callable[[Alert], tuple[str, Mapping[str, Any]]]) -> list[Alert]:
    """Append to each alert the record that `body` gives for it, all or nothing; tried again when a scan wrote in between.

    Returns the alerts as they are then.
    """
    records = runtime.store.records
    for attempt in range(TRIES):
        chosen = [get(records, p) for p in dict.fromkeys(prefixes)]
        new = [NewRecord(alerts.STREAM, a.id, *body(a), actor=runtime.actor) for a in chosen]
        try:
            records.append(new, runtime.clock.now(), {(alerts.STREAM, a.id): a.version for a in chosen})
        except ConflictError:
            if attempt == TRIES - 1:
                raise
        else:
            return [get(records, a.id) for a in chosen]
    return []


def ack(runtime: Runtime, prefixes: Sequence[str]) -> list[Alert]:
    """Take alerts: I am looking at them. A closed alert cannot be taken."""
    return change(runtime, prefixes, lambda a: ("ack", _still_open(a)))


def assign(runtime: Runtime, prefixes: Sequence[str], to: str) -> list[Alert]:
    """Give alerts to somebody."""
    name = clean(to.strip(), 100)
    if not name:
        raise UsageError("--to: a name is needed")
    return change(runtime, prefixes, lambda a: ("assigned", {**_still_open(a), "to": name}))


def _still_open(alert: Alert) -> dict[str, Any]:
    if alert.status == "closed":
        raise UsageError(f"alert {alert.id} is closed ({alert.verdict})", hint=f"soc alerts reopen {alert.id[:8]} --reason …")
    return {}


def verdict(runtime: Runtime, prefixes: Sequence[str], value: str, reason: str, duplicate_of: str = "") -> list[Alert]:
    """Decide. A reason is mandatory; a duplicate names the other alert. Deciding again replaces the verdict, the first stays on record."""
    if value not in VERDICTS:
        raise UsageError(f"verdict {one_line(value, 40)}: {' | '.join(VERDICTS)}")
    why = clean(reason.strip(), 2000)
    if not why:
        raise UsageError("--reason: why? (mandatory: it is what the next analyst, the scorecard and the report read)")
    if (value == "duplicate") != bool(duplicate_of):
        raise UsageError("duplicate goes with --of ID, and only duplicate does")
    other = get(runtime.store.records, duplicate_of).id if duplicate_of else ""
    body = {"verdict": value, "reason": why, "duplicate_of": other}
    return change(runtime, prefixes, lambda a: _decided(a, other, body))


def _decided(alert: Alert, other: str, body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if alert.id == other:
        raise UsageError(f"alert {alert.id} cannot be a duplicate of itself")
    return "verdict", body


def reopen(runtime: Runtime, prefixes: Sequence[str], reason: str) -> list[Alert]:
    """Take a verdict or a silence back."""
    why = clean(reason.strip(), 2000)
    if not why:
        raise UsageError("--reason: why?")

    def body(alert: Alert) -> tuple[str, Mapping[str, Any]]:
        if alert.is_open:
            raise UsageError(f"alert {alert.id} is open already")
        if alert.duplicate_of and alert.id in get(runtime.store.records, alert.duplicate_of).merged:
            raise UsageError(
                f"alert {alert.id} was merged: its events belong to {alert.duplicate_of}", hint=f"soc alerts show {alert.duplicate_of[:8]}"
            )  # fmt: skip
        return "reopened", {"reason": why}

    return change(runtime, prefixes, body)


def as_csv(found: Iterable[Alert]) -> str:
    """Alerts as CSV, one row each, lists joined by a space, disarmed for spreadsheets."""
    out = io.StringIO()
    writer = csv.writer(out)
    names: list[str] = []
    for alert in found:
        cells = {k: v for k, v in to_json(alert).items() if k not in ("rule", "reasons", "why")}
        rule = {**rule_json(alert.rule), "source": alert.rule.source}
        told = {"title_local": titles.headline(alert.rule, alert.entities), "sentence": spoken.sentence(alert.reasons)}
        cells = {**{f"rule.{k}": v for k, v in rule.items()}, **cells, **told}
        if not names:
            names = list(cells)
            writer.writerow(names)
        writer.writerow([csv_safe(_cell(cells[n])) for n in names])
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(f"{v['type']}={v['value']}" if isinstance(v, dict) else str(v) for v in value)
    return "" if value is None else str(value)
