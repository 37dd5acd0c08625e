"""Responding to incidents: open, write down, classify, merge, split, send, close. Each verb is one atomic append."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from domain import alert_fold, duties, titles
from domain import incident as inc
from domain.alert import Alert, Entity
from domain.clock import iso_local
from domain.errors import ConflictError, ContentError, UsageError
from domain.incident import Change, Incident, Notice, Opening
from domain.registers import Registers
from jobs import audit, registers
from jobs.runtime import Runtime
from playbooks.journal import Case, Desk, case, settle, write
from store.base import NewRecord, Record

ALERTS = "alert"


def desk(runtime: Runtime) -> Desk:
    """Who works, when, on what. Registers are read when an address is looked up, once."""
    known = cache(lambda: registers_of(runtime))
    return Desk(runtime.store, runtime.state_dir, runtime.actor, runtime.clock.now(), lambda address: known().is_own(address))


def registers_of(runtime: Runtime) -> Registers:
    """Registers that are wrong must not stop the response to an incident: `soc register check` and `soc doctor` report them."""
    try:
        return registers.load(runtime)
    except ContentError:
        return Registers()


def log(runtime: Runtime, action: str, target: str, **detail: object) -> None:
    """One line in the chained log of who did what."""
    audit.note(runtime.store.records, audit.Entry(0, runtime.clock.now(), runtime.actor, action, target, detail))


def incidents(runtime: Runtime, *, closed: bool = False) -> list[Incident]:
    """All incidents that are open (or all), oldest T0 first."""
    by_key: dict[str, list[Record]] = {}
    for record in runtime.store.records.find(inc.STREAM):
        by_key.setdefault(record.key, []).append(record)
    found = [inc.fold(records) for records in by_key.values() if records[0].type == "opened"]
    return sorted((i for i in found if closed or i.is_open), key=lambda i: (i.t0, i.id))


def resolve(runtime: Runtime, prefix: str) -> str:
    """The id that a unique prefix means, in any case of letters; UsageError says what it could mean."""
    if runtime.store.records.read(inc.STREAM, prefix):
        return prefix
    keys = {record.key for record in runtime.store.records.find(inc.STREAM)}
    found = sorted(k for k in keys if k.lower().startswith(prefix.lower()))
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{prefix} could be: {', '.join(found[:5])}")
    raise UsageError(f"no incident {prefix}", hint="soc incident list --all")


def get(runtime: Runtime, prefix: str) -> Incident:
    """The incident that a prefix means."""
    return case(desk(runtime), resolve(runtime, prefix)).incident


@dataclass(frozen=True)
class Wish:
    """What somebody asks for when opening an incident."""

    title: str = ""
    t0: datetime | None = None
    """None = detection time of the first alert, else now."""
    alerts: tuple[str, ...] = ()
    """Ids or unique prefixes."""
    entities: tuple[Entity, ...] = ()
    detected_by: str = ""
    level: str = ""
    category: str = ""
    flags: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    exercise: bool = False
    split_from: str = field(default="")


def open_incident(runtime: Runtime, wish: Wish) -> tuple[Incident, bool]:
    """Open an incident: (incident, whether it is new). Opening the same again (first alert or title, T0) finds it."""
    incident, new = settle(lambda: _open(runtime, desk(runtime), wish))
    if new:
        log(runtime, "incident.open", incident.id, t0=iso_local(incident.t0), alerts=list(incident.alerts))
    return incident, new


def _open(runtime: Runtime, work: Desk, wish: Wish) -> tuple[Incident, bool]:
    alerts = [find_alert(runtime, prefix) for prefix in wish.alerts]
    taken = next((a for a in alerts if a.incident and a.incident != wish.split_from), None)
    if taken:
        hint = f"soc incident split {taken.incident} --alert {taken.id}"
        raise UsageError(f"alert {taken.id} belongs to incident {taken.incident}", hint=hint)
    if not wish.title and not alerts:
        raise UsageError("an incident needs a title or an alert", hint="soc incident open --title TEXT | --alert ID")
    opening = _opening(runtime, wish, alerts, work.now)
    try:
        change = inc.opened(opening)
    except ValueError as error:
        raise UsageError(str(error)) from None
    records = [NewRecord(inc.STREAM, opening.id, *change, actor=work.actor), *_links(alerts, opening.id, work.actor)]
    try:
        runtime.store.records.append(records, work.now, {(inc.STREAM, opening.id): 0, **{(ALERTS, a.id): a.version for a in alerts}})
    except ConflictError:
        if not runtime.store.records.read(inc.STREAM, opening.id):
            raise
        return case(work, opening.id).incident, False
    return case(work, opening.id).incident, True


def _opening(runtime: Runtime, wish: Wish, alerts: Sequence[Alert], now: datetime) -> Opening:
    t0 = wish.t0 or min((a.opened_at for a in alerts), default=now)
    if t0 > now:
        raise UsageError(f"T0 lies in the future: {t0.isoformat()}", hint="--t0 is the time of detection")
    entities = tuple(dict.fromkeys([*wish.entities, *(e for a in alerts for e in (*a.entities, *a.related))]))
    known = registers_of(runtime)
    assets = [asset.id for e in entities for asset in [known.asset_of(e.value, t0)] if asset]
    units = [unit.code for e in entities for unit in [known.unit_of(e.value, t0)] if unit]
    kind = wish.detected_by or (alerts[0].rule.kind if alerts else "user")
    flags = tuple(dict.fromkeys([*wish.flags, *(["external_notice"] if kind == "notice" else [])]))
    return Opening(
        id=inc.incident_id(alerts[0].id if alerts else wish.title, t0), t0=t0, title=wish.title or titles.title(alerts[0].rule),
        detected_by=kind, alerts=tuple(a.id for a in alerts), entities=entities,
        assets=tuple(dict.fromkeys([*wish.assets, *assets])), units=tuple(dict.fromkeys([*wish.units, *units])),
        category=wish.category, level=wish.level, flags=flags, split_from=wish.split_from,
        exercise=wish.exercise or (bool(alerts) and all(a.exercise for a in alerts)),
    )  # fmt: skip


def find_alert(runtime: Runtime, prefix: str) -> Alert:
    """The alert that an id or unique prefix means."""
    records = list(runtime.store.records.read(ALERTS, prefix))
    if not records:
        keys = sorted({r.key for r in runtime.store.records.find(ALERTS) if r.key.startswith(prefix)})
        if len(keys) != 1:
            raise UsageError(f"alert {prefix}: {'could be ' + ', '.join(keys[:5]) if keys else 'there is none'}", hint="soc alerts list")
        records = list(runtime.store.records.read(ALERTS, keys[0]))
    return alert_fold.fold(records)


def _links(alerts: Sequence[Alert], incident: str, actor: str) -> list[NewRecord]:
    return [NewRecord(ALERTS, a.id, "incident", {"incident": incident, "why": {"type": "person", "value": actor}}, actor) for a in alerts]


def change(runtime: Runtime, prefix: str, decide: Callable[[Case], Sequence[Change]]) -> Incident:
    """Append what `decide` makes of the incident as it is; it is asked again when somebody else wrote first."""
    key, work = resolve(runtime, prefix), desk(runtime)

    def action() -> Incident:
        seen = case(work, key)
        try:
            changes = decide(seen)
        except ValueError as error:
            raise UsageError(str(error)) from None
        write(work, seen, changes)
        return case(work, key).incident

    return settle(action)


def note(runtime: Runtime, prefix: str, text: str, happened: datetime | None = None) -> Incident:
    """Write something down."""
    if not text.strip():
        raise UsageError("a note needs text")
    return change(runtime, prefix, lambda _: [inc.note(text, happened)])


def set_status(runtime: Runtime, prefix: str, status: str, reason: str = "") -> Incident:
    """Another stage of the work; the same stage again changes nothing. Closing has a verb of its own."""
    if status in ("closed", "merged"):
        raise UsageError(f"status {status} is not set by hand", hint=f"soc incident {'close' if status == 'closed' else 'merge'} {prefix}")
    return change(runtime, prefix, lambda seen: [] if seen.incident.status == status else [inc.status(status, reason)])


def classify(runtime: Runtime, prefix: str, values: Mapping[str, Any]) -> Incident:
    """Category, level, flags, facts: keyword arguments of `domain.incident.classified`."""
    return change(runtime, prefix, lambda _: [inc.classified(**values)])


def sent(runtime: Runtime, prefix: str, notice: Notice) -> Incident:
    """A notice went out. The same notice (form, addressee, time) recorded again changes nothing."""
    forms = sorted({clause.id for clause in duties.table()})
    if notice.form not in forms:
        raise UsageError(f"no duty {notice.form}", hint=f"one of: {' '.join(forms)}")

    def decide(seen: Case) -> list[Change]:
        known = any((n.form, n.to, n.at) == (notice.form, notice.to, notice.at) for n in seen.incident.sent)
        return [] if known else [inc.sent(notice)]

    found = change(runtime, prefix, decide)
    log(runtime, "incident.sent", found.id, form=notice.form, to=notice.to, number=notice.number)
    return found


def add_alerts(runtime: Runtime, prefix: str, alert_ids: Sequence[str]) -> Incident:
    """More alerts belong to the incident."""
    work, key = desk(runtime), resolve(runtime, prefix)
    alerts = [a for a in (find_alert(runtime, p) for p in alert_ids) if a.incident != key]
    entities = [e for a in alerts for e in (*a.entities, *a.related)]
    _both(work, key, inc.alerts_added([a.id for a in alerts], entities), _links(alerts, key, work.actor))
    return case(work, key).incident


def _both(work: Desk, key: str, changed: Change, links: Sequence[NewRecord]) -> None:
    """One append for an incident and the alerts it takes."""
    if links:
        work.store.records.append([NewRecord(inc.STREAM, key, *changed, actor=work.actor), *links], work.now)


def merge(runtime: Runtime, prefix: str, sources: Sequence[str]) -> Incident:
    """Put other incidents into this one: their alerts and entities move, their records stay. T0 stays the target's own."""
    work, target = desk(runtime), resolve(runtime, prefix)
    for source in (resolve(runtime, s) for s in sources):
        settle(lambda source=source: _merge(runtime, work, target, source))  # type: ignore[misc]
    return case(work, target).incident


def _merge(runtime: Runtime, work: Desk, target: str, source: str) -> None:
    into, gone = case(work, target), case(work, source)
    if target in (source, gone.incident.merged_into):
        return
    for seen in (into, gone):
        if not seen.incident.is_open:
            raise UsageError(f"incident {seen.incident.id} is {seen.incident.status}", hint="only open incidents are merged")
    alerts = [find_alert(runtime, a) for a in gone.incident.alerts]
    grown = inc.merged(source=source, alerts=gone.incident.alerts, entities=gone.incident.entities)
    records = [
        NewRecord(inc.STREAM, source, *inc.merged(into=target), actor=work.actor),
        NewRecord(inc.STREAM, target, *grown, actor=work.actor), *_links(alerts, target, work.actor),
    ]  # fmt: skip
    work.store.records.append(records, work.now, {(inc.STREAM, target): into.version, (inc.STREAM, source): gone.version})
    log(runtime, "incident.merge", target, source=source)


def split(runtime: Runtime, prefix: str, alert_ids: Sequence[str], title: str = "") -> tuple[Incident, bool]:
    """Move alerts into an incident of their own, which keeps the T0 of the old one unless the alerts were found later."""
    key = resolve(runtime, prefix)
    old = get(runtime, key)
    alerts = [find_alert(runtime, p) for p in alert_ids]
    strangers = [a.id for a in alerts if a.id not in old.alerts]
    if strangers or not alerts:
        raise UsageError(f"not alerts of {key}: {', '.join(strangers) or 'none given'}", hint=f"its alerts: {' '.join(old.alerts)}")
    t0 = max(old.t0, min(a.opened_at for a in alerts))
    wish = Wish(title=title, t0=t0, alerts=tuple(a.id for a in alerts), exercise=old.exercise, split_from=key)
    made, new = open_incident(runtime, wish)

    def decide(seen: Case) -> list[Change]:
        gone = [a for a in seen.incident.alerts if a in made.alerts]
        return [inc.alerts_removed(gone, made.id)] if gone else []

    change(runtime, key, decide)
    log(runtime, "incident.split", key, into=made.id, alerts=[a.id for a in alerts])
    return made, new


def close(runtime: Runtime, prefix: str, cause: str, facts: Mapping[str, Any], reason: str) -> Incident:
    """The work is done: closed with its cause. The caller has looked at `unmet`; `reason` = why it closes all the same."""
    if not cause.strip():
        raise UsageError("an incident closes with its cause", hint=f"soc incident close {prefix} --cause TEXT")
    found = change(runtime, prefix, lambda seen: [inc.closed(cause, facts, reason)] if seen.incident.is_open else [])
    log(runtime, "incident.close", found.id, reason=reason)
    return found


def folder(runtime: Runtime, incident: str) -> Path:
    """Where the evidence of an incident lies."""
    return desk(runtime).vault(incident).folder
