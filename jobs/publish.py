"""Alerts and the ledger laid out for dashboards, which chart documents and cannot fold records: a projection that may be made again.

Only alerts with new records are published, unless the registers, the language or the dictionary have changed since the last time.
Every document is replaced as a whole, so publishing twice does no harm.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from domain import alert as alerts
from domain import i18n, spoken, titles
from domain.alert import Alert
from domain.alert_fold import fold_all
from domain.errors import ConflictError, SocError, UsageError
from domain.event import SEP, row
from domain.i18n import t
from domain.published import ALERTS, SOURCES, published
from domain.registers import Asset, Registers, Unit
from domain.severity import rank
from domain.text import one_line

if TYPE_CHECKING:
    from jobs.collect_status import Ledger
    from jobs.runtime import Runtime
    from store.base import EventStore

NAME: Final = "publish"
"""Of the lease and of the state kept in the store."""
SECONDS: Final = 120.0
"""For which publishing is ours; renewed for every batch of alerts."""
_AT_ONCE: Final = 2_000
_FEW: Final = 1_000
"""So many changed alerts are read one by one; more: the whole stream."""
_PLACES: Final = ("ip", "host")
"""Kinds of entities that registers know."""
_MACHINES: Final = ("host.name", "host.ip", "destination.ip", "observer.name", "url.domain")
Event = Mapping[str, object]


@dataclass(frozen=True)
class Published:
    """What was laid out."""

    alerts: int
    sources: int
    whole: bool
    """All alerts, not only those with new records."""


def publish(runtime: Runtime, *, everything: bool = False) -> Published:
    """Lay out what has changed. UsageError where the store has no dashboards, ConflictError while another process does the same."""
    store = runtime.store
    if not store.events.capabilities.dashboards:
        raise UsageError(
            f"the store {store.url} has no dashboards: OpenSearch Dashboards read a cluster",
            hint='soc.toml: [store] url = "https://HOST:9200"; docs/dashboards.md',
        )  # fmt: skip
    if not _lease(runtime):
        raise ConflictError("another process is publishing right now", where=store.url, hint="nothing to do: its result is the same")
    try:
        return _publish(runtime, everything)
    finally:
        store.coordination.release(NAME, _holder())


def after_scan(runtime: Runtime) -> list[str]:
    """Publish where there are dashboards; what went wrong, in words: charts that are late must not stop the scan."""
    if not runtime.store.events.capabilities.dashboards:
        return []
    try:
        publish(runtime)
    except ConflictError:
        return []  # what that process does not see yet is seen by the next scan
    except SocError as error:
        return [t("scan.unpublished", why=str(error))]
    return []


def dashboards(runtime: Runtime, out: str = "") -> bytes:
    """The saved objects for this store's indices, as NDJSON; written to the file `out` when given."""
    from reports.dashboards import ndjson
    from store.prefix import index_prefix

    written = ndjson(index_prefix(runtime.config.store))
    if out:
        try:
            Path(out).write_bytes(written)
        except OSError as error:
            raise UsageError(f"--out {one_line(out, 200)}: {error.strerror}") from None
    return written


def _holder() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _lease(runtime: Runtime) -> bool:
    """Take or renew."""
    return runtime.store.coordination.lease(NAME, _holder(), SECONDS, runtime.clock.now())


def _publish(runtime: Runtime, everything: bool) -> Published:
    from jobs.collect_status import ledgers

    store, now, shape = runtime.store, runtime.clock.now(), _shape(runtime)
    state = store.coordination.state(NAME)
    whole = everything or state.get("shape") != shape
    changed = _every(runtime) if whole else _newer(runtime, int(str(state["seq"])), str(state["anchor"]))
    if _write(runtime, changed) > changed.fresh and not whole:  # the index was deleted meanwhile
        whole, changed = True, _every(runtime)
        _write(runtime, changed)
    sources = {one.source: flat_source(one, now) for one in ledgers(runtime)}
    store.publish(SOURCES, sources)
    done = {"shape": shape, "seq": changed.seq, "anchor": changed.anchor}
    if done != state:
        store.coordination.commit_scan(NAME, 0, 0, [], now, done)
    return Published(changed.count, len(sources), whole)


@dataclass(frozen=True)
class _Changed:
    """Alerts to write."""

    alerts: Sequence[Alert]
    seq: int
    """Newest record that they hold."""
    anchor: str
    """The first alert of all, always among those written: should it be new to the index, then the index is."""
    fresh: int
    """How many were opened since the last time."""
    count: int
    """How many have changed."""


def _every(runtime: Runtime) -> _Changed:
    records = list(runtime.store.records.find(alerts.STREAM))
    found = list(fold_all(records).values())
    return _Changed(found, max((r.seq for r in records), default=0), found[0].id if found else "", len(found), len(found))


def _newer(runtime: Runtime, after: int, anchor: str) -> _Changed:
    records = runtime.store.records
    new = list(records.find(alerts.STREAM, after))
    keys = list(dict.fromkeys(r.key for r in new))
    wanted = list(dict.fromkeys([anchor or keys[0], *keys])) if anchor or keys else []
    found = fold_all(records.find(alerts.STREAM, keys=wanted if len(wanted) <= _FEW else ())) if wanted else {}
    fresh = sum(r.version == 1 for r in new)
    first = wanted[0] if wanted else ""
    return _Changed([found[key] for key in wanted if key in found], new[-1].seq if new else after, first, fresh, len(keys))


def _write(runtime: Runtime, changed: _Changed) -> int:
    """How many were new to the index."""
    from jobs.registers import load

    if not changed.alerts:
        return runtime.store.publish(ALERTS, {})  # dashboards complain about an index that is not there
    registers = load(runtime) if runtime.content("registers") else Registers()
    new = 0
    for start in range(0, len(changed.alerts), _AT_ONCE):
        some = changed.alerts[start : start + _AT_ONCE]
        _lease(runtime)
        events = _events(runtime.store.events, some)
        new += runtime.store.publish(ALERTS, {a.id: flat_alert(a, registers, [events[i] for i in _ends(a) if i in events]) for a in some})
    return new


def _shape(runtime: Runtime) -> str:
    """What documents depend on besides the records: another one means that all are made again."""
    files = sorted(file for folder in runtime.content("registers") for file in folder.iterdir() if file.is_file())
    told = repr((i18n.lang(), published(), [(str(file), file.read_bytes()) for file in files]))
    return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def flat_alert(alert: Alert, registers: Registers, events: Sequence[Event]) -> dict[str, object]:
    """The document of one alert; `events`: some of its events, which tell the sources and, where entities do not, the machines."""
    tactics, techniques = _attack(alert.rule.tags)
    units, assets = _places(alert, registers, events)
    levels = [a.level for a in assets if a.level is not None]
    return {
        "id": alert.id, "kind": alert.rule.kind, "rule.id": alert.rule.id, "rule.title": titles.full(alert.rule),
        "rule.level": alert.rule.level, "rule.rank": rank(alert.rule.level) + 1, "threat.tactic.name": tactics,
        "threat.technique.id": list(techniques), "threat.technique.name": list(techniques.values()), "first": alert.first,
        "last": alert.last, "opened": alert.opened_at, "closed": alert.closed_at, "count": alert.count, "status": alert.status,
        "verdict": alert.verdict, "open": alert.is_open, "assignee": alert.assignee, "incident": alert.incident,
        "unit.code": [u.code for u in units], "unit.name": [u.name for u in units], "asset.id": [a.id for a in assets],
        "asset.name": [a.name for a in assets], "asset.level": max(levels, default=None),
        "entities": [f"{e.type}={e.value}" for e in alert.entities], "source": _values(events, "thapcanh.source"),
        "dataset": _values(events, "event.dataset"), "retro": alert.retro, "exercise": alert.exercise,
    }  # fmt: skip


def flat_source(one: Ledger, now: datetime) -> dict[str, object]:
    """The document of one source."""
    return {
        "source": one.source, "received": one.received, "stored": one.stored, "unparsed": one.unparsed,
        "unparsed_share": one.unparsed / one.stored if one.stored else 0.0, "rejected": sum(one.rejected.values()),
        "duplicates": one.duplicates, "spooled": one.spooled, "lag_seconds": one.lag_seconds, "last_event": one.last_event,
        "last_delivery": one.last_delivery, "silent": one.silent, "configured": one.configured, "published": now,
    }  # fmt: skip


def _attack(tags: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Tactics in words, and techniques: id -> id with its name."""
    names = [tag.removeprefix("attack.").lower() for tag in tags if tag.startswith("attack.")]
    techniques = {name.upper(): spoken.attack([name]) for name in names if spoken.is_technique(name)}
    known = i18n.catalogue("vi", "attack")
    tactics = [spoken.tactic(name) for name in names if not spoken.is_technique(name) and name.replace("-", "_") in known]
    return tactics, techniques


def _places(alert: Alert, registers: Registers, events: Sequence[Event]) -> tuple[list[Unit], list[Asset]]:
    """Units and assets at the time: of its entities, else of what it is related to, else of the machines in its events, else of its source.

    An access log does not say on which machine it was written; a register that lists the source's id among the hosts of an asset does.
    """
    groups = [
        [e.value for e in alert.entities if e.type in _PLACES], [e.value for e in alert.related if e.type in _PLACES],
        [value for name in _MACHINES for value in _values(events, name)],
        [*_values(events, "thapcanh.source"), *(e.value for e in alert.entities if e.type == "source")],
    ]  # fmt: skip
    units: dict[str, Unit] = {}
    assets: dict[str, Asset] = {}
    for keys in groups:
        for key in keys:
            unit, asset = registers.unit_of(key, alert.first), registers.asset_of(key, alert.first)
            if unit is not None:
                units.setdefault(unit.code, unit)
            if asset is not None:
                assets.setdefault(asset.id, asset)
        if units:
            break
    return list(units.values()), list(assets.values())


def _ends(alert: Alert) -> tuple[str, ...]:
    """Its first and its last event."""
    return tuple(dict.fromkeys((alert.events[0], alert.events[-1]))) if alert.events else ()


def _events(store: EventStore, some: Sequence[Alert]) -> dict[str, dict[str, Any]]:
    """First and last event of each alert, by id; what retention has removed is missing."""
    wanted = list(dict.fromkeys(i for alert in some for i in _ends(alert)))
    if not wanted:
        return {}
    table = store.fetch(wanted)
    table = table.select([n for n in ("event.id", "thapcanh.source", "event.dataset", *_MACHINES) if n in table.column_names])
    return {str(event["event.id"]): event for event in (row(table, index) for index in range(table.num_rows))}


def _values(events: Sequence[Event], name: str) -> list[str]:
    """Distinct values of a field."""
    out: dict[str, None] = {}
    for event in events:
        value = event.get(name)
        for one in value if isinstance(value, (list, tuple)) else str(value).split(SEP) if value else ():
            out[str(one)] = None
    return list(out)
