"""IIS access logs in the W3C extended format: the columns that `#Fields:` names, else one of the layouts that IIS writes by itself.

https://learn.microsoft.com/windows/win32/http/w3c-logging  Times are UTC whatever the zone of the host. A `#` line is an event with its
text; the header counts for the lines after it in the same batch, since a batch that starts in the middle of a file has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Final
from urllib.parse import unquote, unquote_plus

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers.common import Event, Mask, categorise, integer, ip, iso_instant, outcome, table_of

_START: Final = (
    r"^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:\S+ ){1,3}[A-Z][A-Z_-]{1,19} \S+ \S+ \d{1,5} \S+ .* ?\d{3} \d+ \d+"
    r"|#Fields: (?:date|time|s-ip|c-ip|cs-)|#Software: Microsoft Internet Information Services|#Version: 1\.0$"
    r"|#Date: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$)"
)
_SHORT: Final = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent)"
_LONG: Final = (
    "date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs-version cs(User-Agent)"
    " cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken"
)
LAYOUTS: Final[Mapping[int, Sequence[str]]] = {
    len(columns): columns
    for columns in (
        f"{_SHORT} sc-status sc-substatus sc-win32-status time-taken".split(),
        f"{_SHORT} cs(Referer) sc-status sc-substatus sc-win32-status time-taken".split(),
        f"{_SHORT} cs(Referer) sc-status sc-substatus sc-win32-status time-taken x-forwarded-for".split(),
        _LONG.split(),
        f"{_LONG} x-forwarded-for".split(),
    )
}
"""Number of columns -> their names: IIS 7, IIS 8 and later, and all columns; each also with X-Forwarded-For behind it."""
_EXTENSION: Final = re.compile(r"\.([A-Za-z0-9_]{1,16})$")
_NUMBERS: Final = {
    "s-port": "destination.port", "sc-status": "http.response.status_code", "sc-substatus": "iis.access.sub_status",
    "sc-win32-status": "iis.access.win32_status", "sc-bytes": "http.response.body.bytes", "cs-bytes": "http.request.body.bytes",
}  # fmt: skip
_TEXTS: Final = {
    "s-sitename": "iis.access.site_name", "s-computername": "iis.access.server_name", "cs-method": "http.request.method",
    "cs-username": "user.name", "cs(Referer)": "http.request.referrer", "cs(Cookie)": "iis.access.cookie",
}  # fmt: skip


class Iis:
    """W3C extended logs of IIS."""

    name = "iis"

    def match(self, records: pa.Array) -> Mask:
        """Date, time, method, stem, query, port, status triple; or IIS's own header lines."""
        mask: Mask = pc.match_substring_regex(records, _START).to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set iis.access."""
        columns: Sequence[str] = ()
        events: list[Event | None] = []
        for record in payload.records.to_pylist():
            if record.startswith("#"):
                columns = record.split()[1:] if record.startswith("#Fields:") else columns
                events.append(_made({"message": record}))
            else:
                events.append(_event(record, columns))
        return table_of(events, payload.records, "not an access log line of IIS")


def _made(event: Event) -> Event:
    return {"event.kind": "event", "event.module": "iis", "event.dataset": "iis.access", **event}


def _event(record: str, columns: Sequence[str]) -> Event | None:
    """`2026-11-24 01:15:03 192.0.2.20 GET /a.aspx id=1 443 - 198.51.100.7 Mozilla/5.0+(X) - 200 0 0 31`."""
    values = record.split(" ")
    names = columns if len(columns) == len(values) else LAYOUTS.get(len(values), ())
    said = {name: value for name, value in zip(names, values, strict=False) if value != "-"}
    if not names or integer(said.get("sc-status")) is None or "cs-method" not in said:
        return None
    event = _made({"@timestamp": iso_instant(f"{said.get('date', '')} {said.get('time', '')}", UTC), "message": record})
    event |= {field: integer(said.get(name)) for name, field in _NUMBERS.items()}
    event |= {field: said.get(name) for name, field in _TEXTS.items()}
    event |= _ends(said) | _url(said)
    agent, taken, version = said.get("cs(User-Agent)"), integer(said.get("time-taken")), said.get("cs-version", "")
    event |= {
        "user_agent.original": unquote_plus(agent) if agent else None, "http.version": version.rpartition("/")[2] or None,
        "event.duration": taken * 1_000_000 if taken is not None else None, "network.forwarded_ip": said.get("x-forwarded-for"),
    }  # fmt: skip
    return categorise(event, ["network", "web"], "connection", outcome(integer(said["sc-status"])))


def _ends(said: Mapping[str, str]) -> Event:
    source, server = said.get("c-ip", ""), said.get("s-ip", "")
    addresses = (ip(server.partition("%")[0]), ip(source.partition("%")[0]))
    return {
        "source.address": source, "source.ip": addresses[1], "destination.address": server, "destination.ip": addresses[0],
        "destination.domain": said.get("cs-host"), "url.domain": said.get("cs-host"), "related.ip": [a for a in addresses if a],
    }  # fmt: skip


def _url(said: Mapping[str, str]) -> Event:
    """Stem and query as people read them; `iis.access.uri` is both as they were sent, which rules look into."""
    stem, query = said.get("cs-uri-stem"), said.get("cs-uri-query")
    if stem is None:
        return {}
    found = _EXTENSION.search(stem[-20:])
    return {
        "url.original": stem, "url.path": unquote(stem), "url.query": unquote_plus(query) if query else None,
        "url.extension": found[1] if found else None, "iis.access.uri": f"{stem}?{query}" if query else stem,
    }  # fmt: skip


PARSER: Final = Iis()
