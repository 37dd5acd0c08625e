"""Any line of key=value pairs (logfmt, many appliances): below `kv.`, with the few names that mean the same everywhere."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import _kv
from collectors.parsers.common import Event, Mask, iso_instant, moment, table_of, zone

_KNOWN: Final = {
    "srcip": "source.ip", "src_ip": "source.ip", "src": "source.ip", "dstip": "destination.ip", "dst_ip": "destination.ip",
    "dst": "destination.ip", "srcport": "source.port", "src_port": "source.port", "sport": "source.port", "dstport": "destination.port",
    "dst_port": "destination.port", "dport": "destination.port", "user": "user.name", "username": "user.name", "host": "host.name",
    "hostname": "host.name", "level": "log.level", "severity": "log.level", "msg": "message", "message": "message",
    "action": "event.action", "pid": "process.pid",
}  # fmt: skip


class KeyValue:
    """Pairs from the first word to the last."""

    name = "kv"

    def match(self, records: pa.Array) -> Mask:
        """At least three pairs, and nothing but pairs at the start."""
        pair = r'[\w.@-]+=(?:"[^"]*(?:"|$)|[^\s"]*)'
        mask: Mask = pc.match_substring_regex(records, rf"^\s*{pair}[\s,;]+{pair}[\s,;]+{pair}(?:[\s,;]|$)").to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set kv; a record without a pair is a failed row."""
        tz = zone(payload.tz)
        columns = {key: column.array().to_pylist() for key, column in _kv.columns(payload.records).items()}
        events: list[Event | None] = []
        for row, record in enumerate(payload.records.to_pylist()):
            pairs = {key: values[row] for key, values in columns.items() if values[row] is not None}
            events.append(_event(record, pairs, tz) if pairs else None)
        return table_of(events, payload.records, "no key=value pair in it")


def _event(record: str, pairs: dict[str, str], tz: tzinfo) -> Event:
    event: Event = {"event.kind": "event", "event.module": "kv", "event.dataset": "kv", "message": record}
    for key, value in pairs.items():
        event[_KNOWN.get(key.lower(), f"kv.{key}")] = value.rstrip(",;")
    event["@timestamp"] = _time({key.lower(): value for key, value in pairs.items()}, tz)
    addresses = dict.fromkeys(event[name] for name in ("source.ip", "destination.ip") if event.get(name))
    return event | {"related.ip": list(addresses), "related.user": event.get("user.name")}


def _time(pairs: dict[str, str], tz: tzinfo) -> datetime | None:
    if "date" in pairs and "time" in pairs:
        return iso_instant(f"{pairs['date']} {pairs['time']}", tz)
    for key in ("time", "ts", "timestamp", "@timestamp", "t", "date"):
        value = pairs.get(key)
        if value:
            return moment(float(value)) if value.replace(".", "", 1).isdigit() else iso_instant(value, tz)
    return None


PARSER: Final = KeyValue()
