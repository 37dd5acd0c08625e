"""What triage must know of the past: alerts by key and by entity, silences, which incidents are open. Read once, never written to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from domain import alert as alerts
from domain import incident as incidents
from domain import silence as quiet_times
from domain.alert import Alert, Entity
from domain.alert_fold import fold_all
from domain.memory import many_objects
from domain.silence import Silence
from store.base import Record, RecordStore

LINKING: Final = ("ip", "user", "host", "client", "hash")
"""Entity types by which alerts are related."""
NOBODY: Final = frozenset({
    "-", "system", "root", "administrator", "admin", "guest", "nobody", "anonymous", "anonymous logon", "local service",
    "network service", "local system", "www-data", "apache", "nginx", "iusr", "unknown", "(unknown user)", "localhost",
})  # fmt: skip
"""Names that every machine has: sharing one says nothing."""
SCRIPTS: Final = frozenset({"php", "phtml", "asp", "aspx", "ashx", "asmx", "asa", "cer", "jsp", "jspx", "jspf", "cfm", "cgi"})
PAGES: Final = frozenset(
    {"", "index", "default", "home", "main", "login", "error", "header", "footer", "web", "test", "xmlrpc", "wp-login"}
)
_UNTOUCHED: Final = frozenset({"opened", "alerts_added", "alerts_removed", "merged"})


@dataclass(frozen=True)
class Case:
    """An incident as grouping sees it."""

    id: str
    opened: datetime
    alerts: tuple[str, ...] = ()
    exercise: bool = False
    open: bool = True
    touched: bool = False
    """An analyst has worked on it: it is never merged away."""
    version: int = 0


@dataclass(frozen=True)
class AlertIndex:
    """Alerts, silences and incidents, as far as the record `seq`."""

    alerts: Mapping[str, Alert] = field(default_factory=dict)
    """In the order in which they were opened."""
    by_key: Mapping[tuple[str, tuple[Entity, ...]], tuple[str, ...]] = field(default_factory=dict)
    """(rule id, entities) -> alert ids, oldest first."""
    by_entity: Mapping[Entity, tuple[str, ...]] = field(default_factory=dict)
    """Linking entity -> alert ids, oldest first."""
    silences: tuple[Silence, ...] = ()
    cases: Mapping[str, Case] = field(default_factory=dict)

    @classmethod
    def load(cls, records: RecordStore) -> AlertIndex:
        """Everything, in one pass over each of the three streams."""
        found = fold_all(records.find(alerts.STREAM))
        quiet = tuple(quiet_times.fold(records.find(quiet_times.STREAM)).values())
        return cls.of(found, quiet, fold_cases(records.find(incidents.STREAM)))

    @classmethod
    def of(cls, found: Mapping[str, Alert], quiet: Sequence[Silence] = (), cases: Mapping[str, Case] | None = None) -> AlertIndex:
        """An index over these alerts."""
        by_key: dict[tuple[str, tuple[Entity, ...]], list[str]] = defaultdict(list)
        by_entity: dict[Entity, list[str]] = defaultdict(list)
        with many_objects():
            for one in found.values():
                by_key[one.key].append(one.id)
                for entity in links(one):
                    by_entity[entity].append(one.id)
        return cls(found, {k: tuple(v) for k, v in by_key.items()}, {k: tuple(v) for k, v in by_entity.items()}, tuple(quiet), cases or {})


def links(alert: Alert) -> tuple[Entity, ...]:
    """The entities by which an alert may be related to others, in the form in which they are compared."""
    return tuple(dict.fromkeys(e for e in map(link_form, (*alert.entities, *alert.related)) if e is not None))


@lru_cache(maxsize=1 << 16)
def link_form(entity: Entity) -> Entity | None:
    """Lower case, IPv6 as its /64 (one subscriber); None for what does not relate anything."""
    value = entity.value.strip().lower()
    if entity.type in ("url", "file"):
        return _script(value)
    if entity.type not in LINKING or not value or value in NOBODY:
        return None
    if entity.type == "ip":
        return _address(value)
    return Entity(entity.type, value)


def _script(value: str) -> Entity | None:
    """A script dropped on a web server bears one name in the access log and on the disk; pages that every site has say nothing."""
    name = re.split(r"[/\\]", value.partition("?")[0])[-1]
    stem, _, kind = name.rpartition(".")
    return Entity("script", name) if kind in SCRIPTS and stem not in PAGES else None


def _address(value: str) -> Entity | None:
    try:
        address = ip_address(value.partition("/")[0])
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return None
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return Entity("ip", str(mapped) if mapped else f"{IPv6Address(int(address) >> 64 << 64)}/64")
    return Entity("ip", str(address))


def fold_cases(records: Iterable[Record]) -> dict[str, Case]:
    """Incidents as grouping sees them."""
    found: dict[str, Case] = {}
    for record in records:
        body: Mapping[str, Any] = record.body
        case = found.get(record.key)
        if record.type == "opened":
            opened = datetime.fromisoformat(body["t0"])
            case = Case(record.key, opened, tuple(body["alerts"]), bool(body.get("exercise")), version=record.version)
        if case is None:
            continue
        found[record.key] = replace(after(case, record.type, body), version=record.version)
    return found


def after(case: Case, kind: str, body: Mapping[str, Any]) -> Case:
    """The incident once this record is stored too."""
    case = replace(case, version=case.version + 1, touched=case.touched or kind not in _UNTOUCHED)
    if kind == "alerts_added" or (kind == "merged" and not body.get("into")):
        return replace(case, alerts=tuple(dict.fromkeys((*case.alerts, *body["alerts"]))))
    if kind == "alerts_removed":
        return replace(case, alerts=tuple(a for a in case.alerts if a not in set(body["alerts"])))
    if kind in {"merged", "closed"}:
        return replace(case, open=False)
    if kind == "status":
        return replace(case, open=body["status"] not in ("closed", "merged"))
    return case
