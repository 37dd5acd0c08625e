"""BIND: queries and refused queries, from its own files or through syslog.

https://bind9.readthedocs.io/en/stable/reference.html#logging-statement-definition-and-usage
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers._domain import question_fields
from collectors.parsers.common import MONTHS, Event, Mask, categorise, integer, ip, table_of, utc, zone

_CLIENT: Final = r"client (?:@0x[0-9a-f]+ )?[0-9A-Fa-f.:]+#\d+"
_STAMP: Final = r"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\.\d+ "
_START: Final = rf"^(?:{_STAMP})?(?:[a-z-]+: ){{0,2}}{_CLIENT} \(.*\): (?:view \S+: )?(?:query|zone transfer|bad zone|update)"
_LINE: Final = re.compile(
    r"(?:(?P<day>\d\d)-(?P<month>[A-Z][a-z]{2})-(?P<year>\d{4}) (?P<clock>\d\d:\d\d:\d\d\.\d{1,6})\d* )?(?:(?P<channel>[a-z-]+): )?"
    r"(?:(?P<level>[a-z]+): )?client (?:@0x[0-9a-f]+ )?(?P<address>[0-9A-Fa-f.:]+)#(?P<port>\d+)"
    r" \((?P<name>.*?)\): (?:view \S+: )?(?P<what>.*)",
    re.DOTALL,
)
_QUERY: Final = re.compile(
    r"query: (?P<name>\S*) (?P<class>[A-Z0-9]+) (?P<type>[A-Z0-9]+) (?P<flags>[+-]\S*)(?: \((?P<server>[^)\s]+)\))?.*", re.DOTALL
)
_REFUSED: Final = re.compile(
    r"(?:query(?: \(cache\))?|zone transfer|update|bad zone transfer request:)"
    r" '(?P<name>[^']*?)/(?:(?P<type>[A-Z0-9]+)/)?(?P<class>[A-Z0-9]+)'(?P<rest>.*)",
    re.DOTALL,
)


class Bind:
    """Query log and security log of named."""

    name = "bind"

    def match(self, records: pa.Array) -> Mask:
        """`client @0x… 192.0.2.1#5353 (name): query: …`, with or without BIND's own time, category and level."""
        mask: Mask = pc.match_substring_regex(records, _START).to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set bind.log."""
        tz = zone(payload.tz)
        events = [_event(record, tz) for record in payload.records.to_pylist()]
        return table_of(events, payload.records, "not a query of BIND")


def _event(record: str, tz: tzinfo) -> Event | None:
    """`24-Nov-2026 08:15:03.120 queries: info: client @0x7f 192.0.2.1#5353 (a.vn): query: a.vn IN A +E(0)K (192.0.2.53)`."""
    found = _LINE.fullmatch(record)
    if found is None:
        return None
    address = ip(found["address"])
    event: Event = {
        "@timestamp": _time(found, tz), "event.kind": "event", "event.module": "bind", "event.dataset": "bind.log", "message": record,
        "log.level": found["level"], "source.ip": address, "source.address": found["address"], "source.port": integer(found["port"]),
        "network.protocol": "dns", "related.ip": address,
    }  # fmt: skip
    asked = _QUERY.fullmatch(found["what"]) or _REFUSED.fullmatch(found["what"])
    if asked is None:
        return categorise(event, "network", "protocol")
    name = asked["name"].rstrip(".") or found["name"]
    event |= {"dns.question.name": name, "dns.question.type": asked["type"], "dns.question.class": asked["class"], **question_fields(name)}
    denied = "rest" in asked.groupdict()
    event |= {"dns.type": "query", "event.action": "dns-query-refused" if denied else "dns-query"}
    if not denied:
        event |= {"destination.ip": ip(asked["server"] or ""), "bind.flags": asked["flags"]}
    return categorise(event, "network", ["protocol", "denied" if denied else "info"], "failure" if denied else None)


def _time(found: re.Match[str], tz: tzinfo) -> datetime | None:
    if found["day"] is None or found["month"] not in MONTHS:
        return None
    try:
        clock = datetime.fromisoformat(f"{found['year']}-{MONTHS[found['month']]:02}-{found['day']}T{found['clock'].ljust(15, '0')}")
    except ValueError:
        return None
    return utc(clock, tz)


PARSER: Final = Bind()
