"""One action, two records: Security events that feed generic Windows categories beside Sysmon are left out where Sysmon told the same.

Event 4688 and Sysmon 1 of one process carry different users (`HOST$` and `SYSTEM`), so that they would be two alerts. A Security event goes
when the store holds Sysmon's event of the same host, program (for connections: local port; for the registry: key and value) and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from detectors.sigma.model import Rule
from domain.event import Rows
from domain.query import And, Or, Query, Test
from domain.window import TimeWindow
from store.base import Chunk, EventStore

NEAR: Final = 5_000_000
"""Microseconds between two records of one action."""
_SYSMON: Final = "Microsoft-Windows-Sysmon/Operational"
_SAME: Final = {
    # category -> (Sysmon's event, what both records say alike)
    "process_creation": ("1", "process.executable"),
    "network_connection": ("3", "winlog.event_data.SourcePort"),
    "registry_set": ("13", "registry.path"),
    "registry_event": ("13", "registry.path"),
}
_MOST: Final = 2_000
"""Hosts and programs that one look-up names; a batch with more is looked up without them."""
Stamps = np.ndarray[Any, np.dtype[np.int64]]


def doubled(rule: Rule) -> bool:
    """Whether two feeds of a rule may tell the same action."""
    return rule.source.product == "windows" and rule.source.category in _SAME and isinstance(rule.route, Or)


def single(rule: Rule, chunk: Chunk, rows: Rows, times: Stamps, events: EventStore) -> Rows:
    """The rows without Security events of actions that Sysmon told as well."""
    channel = _texts(chunk, "winlog.channel", rows)
    security = np.flatnonzero(np.array([text == "Security" for text in channel], np.bool_))
    if not len(security):
        return rows
    code, field = _SAME[rule.source.category]
    mine = rows[security]
    keys = list(zip(_texts(chunk, "host.name", mine), _texts(chunk, field, mine), strict=True))
    told = _told(events, code, field, keys, times[security])
    gone = [place for place, key, at in zip(security.tolist(), keys, times[security].tolist(), strict=True) if _near(told, key, at)]
    return np.delete(rows, gone) if gone else rows


def _texts(chunk: Chunk, name: str, rows: Rows) -> list[str]:
    column = chunk.column(name, rows)
    if column is None:
        return [""] * len(rows)
    values = [str(value).lower() if name != "winlog.channel" else str(value) for value in column.values.to_pylist()]
    return [values[code] if code >= 0 else "" for code in column.codes.tolist()]


def _told(events: EventStore, code: str, field: str, keys: Sequence[tuple[str, str]], times: Stamps) -> dict[tuple[str, str], Stamps]:
    """(host, program) -> when Sysmon told of it."""
    hosts, values = sorted({host for host, _ in keys}), sorted({value for _, value in keys})
    where = [Test("winlog.channel", "eq", (_SYSMON,)), Test("event.code", "eq", (code,))]
    where += [Test("host.name", "eq", tuple(hosts))] if len(hosts) <= _MOST else []
    where += [Test(field, "eq", tuple(values))] if len(values) <= _MOST else []
    window = TimeWindow(_at(int(times.min()) - NEAR), _at(int(times.max()) + NEAR + 1))
    found: dict[tuple[str, str], list[int]] = {}
    for table in events.search(Query(And(tuple(where)), window, newest_first=False, fields=("@timestamp", "host.name", field))):
        if field in table.column_names and "host.name" in table.column_names:
            stamps = table["@timestamp"].cast(pa.int64()).to_pylist()
            for host, value, at in zip(table["host.name"].to_pylist(), table[field].to_pylist(), stamps, strict=True):
                found.setdefault((str(host).lower(), str(value).lower()), []).append(at)
    return {key: np.array(stamps, np.int64) for key, stamps in found.items()}


def _near(told: dict[tuple[str, str], Stamps], key: tuple[str, str], at: int) -> bool:
    stamps = told.get(key)
    if stamps is None:
        return False
    place = int(np.searchsorted(stamps, at))
    return any(abs(int(stamps[i]) - at) <= NEAR for i in (place - 1, place) if 0 <= i < len(stamps))


def _at(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
