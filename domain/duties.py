"""Legal clocks of both regimes, as data (`duties.yml`): which notices an incident owes, to whom, until when.

All clocks are wall-clock and run from T0 (detection) or from the event the text names; nothing here asks the time of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from domain.clock import LOCAL
from domain.incident import Incident

State = Literal["waiting", "due", "overdue", "done"]
STATES: Final = ("overdue", "due", "waiting", "done")
_SOON: Final = 0.25
"""A duty is "due" when less than this share of its time remains."""


@dataclass(frozen=True)
class Clause:
    """One row of the table."""

    id: str
    """Also the `form` of the notice that stops it; unique within a profile. Name: catalogue `duties.<id>`."""
    profile: str
    """vn-2017, vn-2026, both."""
    starts: str
    """t0, opened, personal_data_t0, recovered, closed, flag.<flag>."""
    due: float
    """Hours."""
    stops: str
    """sent, classified."""
    to: tuple[str, ...]
    """Keys of addressees: catalogue `duties.to_<key>`."""
    law: bool
    """False: our own proposal."""
    source: str
    """Citation, as printed."""
    regime: str = "incident"
    """incident, personal_data: which profile of the incident counts."""
    flags: tuple[str, ...] = ()
    """Any of these makes it apply."""
    levels: tuple[str, ...] = ()
    """Any of these makes it apply; "" = not yet classified."""
    at_once: bool = False
    """The text says "ngay": `due` is the alarm."""
    every: bool = False
    """Starts again after each sending while the incident is open."""
    since: date | None = None
    """First local day of T0 to which it applies."""
    document: str = ""
    """Kind of `soc report` that makes the document; empty = none."""
    edition: str = ""
    """Which official form: tt20-mau03, nd356-mau08, ..."""

    def applies(self, incident: Incident) -> bool:
        """Whether this incident owes it."""
        profile = incident.profile if self.regime == "incident" else incident.personal_data_profile
        if self.profile not in ("both", profile) or incident.status == "merged":
            return False
        if self.since and incident.t0.astimezone(LOCAL).date() < self.since:
            return False
        conditional = bool(self.flags or self.levels)
        return not conditional or incident.level in self.levels or any(f in incident.flags for f in self.flags)


@dataclass(frozen=True)
class Duty:
    """What one incident owes under one clause, at one moment."""

    id: str
    state: State
    due_at: datetime | None
    """None = its clock has not started (the response has not ended yet)."""
    remaining: timedelta | None
    """Negative when late; None when done or not started."""
    started: datetime | None
    done_at: datetime | None
    clause: Clause

    @property
    def late(self) -> bool:
        """Overdue, or done after it was due."""
        return self.state == "overdue" or bool(self.done_at and self.due_at and self.done_at > self.due_at)


@cache
def table() -> tuple[Clause, ...]:
    """All clauses, in the order of the file."""
    text = (Path(__file__).parent / "duties.yml").read_text(encoding="utf-8")
    return tuple(_clause(row) for row in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506  safe loader


def _clause(row: Mapping[str, Any]) -> Clause:
    values = {k: v for k, v in row.items() if k not in ("when", "from")}
    when = row.get("when", {})
    conditions = {name: tuple(when.get(name, ())) for name in ("flags", "levels")}
    return Clause(**{**values, **conditions, "to": tuple(row["to"]), "since": row.get("from")})


def due(incident: Incident, now: datetime) -> list[Duty]:
    """What the incident owes at `now`, most pressing first: overdue, due, waiting (by time), done."""
    found = [_duty(clause, incident, now) for clause in table() if clause.applies(incident)]
    return sorted(found, key=_order)


def _order(duty: Duty) -> tuple[int, float]:
    return STATES.index(duty.state), duty.due_at.timestamp() if duty.due_at else float("inf")


def _duty(clause: Clause, incident: Incident, now: datetime) -> Duty:
    start = _start(clause, incident)
    done = _done(clause, incident)
    if clause.every and not (incident.recovered or incident.closed):
        start, done = done or start, None
    elif clause.every:
        done = done or incident.recovered or incident.closed
    due_at = start + timedelta(hours=clause.due) if start else None
    if done:
        return Duty(clause.id, "done", due_at, None, start, done, clause)
    if start is None or due_at is None:
        return Duty(clause.id, "waiting", None, None, None, None, clause)
    return Duty(clause.id, _state(clause, due_at, now), due_at, due_at - now, start, None, clause)


def _state(clause: Clause, due_at: datetime, now: datetime) -> State:
    if now >= due_at:
        return "overdue"
    return "due" if clause.at_once or due_at - now <= timedelta(hours=clause.due * _SOON) else "waiting"


def _start(clause: Clause, incident: Incident) -> datetime | None:
    if clause.starts.startswith("flag."):
        return incident.flags.get(clause.starts.removeprefix("flag."))
    if clause.starts == "personal_data_t0":
        return incident.personal_data_t0 or incident.t0
    start: datetime | None = getattr(incident, clause.starts)
    return start


def _done(clause: Clause, incident: Incident) -> datetime | None:
    if clause.stops == "classified":
        return incident.classified
    times = [notice.at for notice in incident.sent if notice.form == clause.id]
    if not times:
        return None
    return max(times) if clause.every else min(times)
