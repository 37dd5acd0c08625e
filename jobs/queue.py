"""What to work on now (`soc queue`) and the note for the next shift (`soc handover`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from detectors.alert_index import AlertIndex
from detectors.ranking import Item, Point
from detectors.ranking import queue as ranked
from domain import spoken
from domain.alert import Alert
from domain.alert_fold import pairs, rule_json
from domain.clock import iso_local
from domain.i18n import t
from domain.incident import Incident, Note
from domain.incident import fold as fold_incident

if TYPE_CHECKING:
    from jobs.runtime import Runtime

__all__ = ["Handover", "Item", "Queue", "handover", "item_json", "queue", "sentence"]


@dataclass(frozen=True)
class Queue:
    """The work, the most urgent first."""

    items: tuple[Item, ...]
    """As many as were asked for."""
    more: int
    """Items that did not fit."""
    folded: int
    """Events and episodes behind the items: what folding spared."""
    silenced: int
    """Alerts that silences keep quiet: counted, not dropped."""
    empty: str = ""
    """Why there is no item: no_events, unscanned, assignee (none of that person), done; "" when there are some."""
    unscanned: int = 0
    """Events that no scan has seen yet; counted when there is no item."""


def queue(runtime: Runtime, size: int, assignee: str = "") -> Queue:
    """The `size` most urgent items (0 = all), or those of one person."""
    index = AlertIndex.load(runtime.store.records)
    everything = ranked(index.alerts, index.cases, runtime.clock.now())
    items = [i for i in everything if i.assignee == assignee] if assignee else everything
    chosen = items[:size] if size else items
    quiet = sum(a.status == "silenced" for a in index.alerts.values())
    if not chosen:
        return _empty(runtime, quiet, others=bool(everything))
    return Queue(tuple(chosen), len(items) - len(chosen), sum(a.count for i in chosen for a in i.alerts), quiet)


def _empty(runtime: Runtime, quiet: int, *, others: bool) -> Queue:
    """No work, and why: that nothing was found is no news when nothing was looked at."""
    head = runtime.store.events.head()
    behind = max(0, head - runtime.store.coordination.cursor("sigma"))
    why = "assignee" if others else "no_events" if not head else "unscanned" if behind else "done"
    return Queue((), 0, 0, quiet, why, behind)


def sentence(point: Point) -> str:
    """A reason of the score in the language of the process, with its points."""
    text = t(f"alerts.why_{point.key}", "", **{k: _word(k, v) for k, v in point.values.items()})
    return f"{text} ({point.points:+d})"


def _word(name: str, value: object) -> object:
    if name == "level":
        return t(f"alerts.level_{value}")
    return ", ".join(map(spoken.tactic, str(value).split(", "))) if name == "names" else value


def item_json(item: Item) -> dict[str, Any]:
    """An item as `--json` shows it."""
    return {
        "kind": item.kind, "id": item.id, "title": item.title, "rule": rule_json(item.alerts[0].rule), "level": item.level,
        "score": item.score,
        "why": [{"key": p.key, "points": p.points, "values": dict(p.values), "text": sentence(p)} for p in item.why],
        "alerts": [a.id for a in item.alerts], "entities": pairs(item.entities), "first": iso_local(item.first),
        "last": iso_local(item.last), "opened_at": iso_local(item.opened), "status": item.status, "assignee": item.assignee or None,
        "exercise": item.exercise,
    }  # fmt: skip


@dataclass(frozen=True)
class Handover:
    """What the next shift must know."""

    since: datetime
    now: datetime
    opened: tuple[Alert, ...]
    """Alerts found during the shift."""
    closed: tuple[Alert, ...]
    """Alerts decided during the shift."""
    waiting: tuple[Item, ...]
    """Open work, the most urgent first."""
    notes: tuple[tuple[str, Note], ...]
    """(incident id, note) written during the shift."""
    silences: tuple[tuple[str, datetime, str], ...]
    """(rule and entities, until, reason) that hold now."""

    @property
    def verdicts(self) -> Mapping[str, int]:
        """Decisions of the shift."""
        return Counter(a.verdict for a in self.closed)


def handover(runtime: Runtime, since: datetime) -> Handover:
    """What happened since then and what is still open."""
    now = runtime.clock.now()
    records = runtime.store.records
    index = AlertIndex.load(records)
    found = tuple(a for a in index.alerts.values() if a.opened_at >= since and a.status != "silenced")
    closed = tuple(a for a in index.alerts.values() if a.closed_at is not None and a.closed_at >= since)
    cases = [fold_incident(records.read("incident", key)) for key, case in index.cases.items() if case.open]
    quiet = tuple(
        (" ".join([s.rule, *(f"{e.type}={e.value}" for e in s.entities)]), s.until, s.reason)
        for s in index.silences if s.revoked is None and s.until > now
    )  # fmt: skip
    return Handover(since, now, found, closed, tuple(ranked(index.alerts, index.cases, now)), _notes(cases, since), quiet)


def _notes(cases: list[Incident], since: datetime) -> tuple[tuple[str, Note], ...]:
    found = [(case.id, note) for case in cases for note in case.notes if note.at >= since]
    return tuple(sorted(found, key=lambda n: n[1].at))
