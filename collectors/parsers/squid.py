"""Squid's access log in its native format, with whatever columns stand behind it.

https://wiki.squid-cache.org/Features/LogFormat
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers._access import url_fields
from collectors.parsers.common import EPOCH, Event, Mask, categorise, integer, ip, outcome, table_of

_START: Final = r"^\s*\d{9,11}\.\d{3} +-?\d+ \S+ [A-Z][A-Z_]+/\d{3} \d+ \S+ \S+ \S+ [A-Z][A-Z_]+/\S+"
_LINE: Final = re.compile(
    r"\s*(?P<seconds>\d{9,11})\.(?P<millis>\d{3}) +(?P<taken>-?\d+) (?P<client>\S+) (?P<result>[A-Z][A-Z_]+)/(?P<status>\d{3})"
    r" (?P<size>\d+) (?P<method>\S+) (?P<url>\S+) (?P<user>\S+) (?P<hierarchy>[A-Z][A-Z_]+)/(?P<peer>\S+)(?: (?P<mime>\S+))?(?: .*)?",
    re.DOTALL,
)
_DENIED: Final = "DENIED"


class Squid:
    """Native access log."""

    name = "squid"

    def match(self, records: pa.Array) -> Mask:
        """Epoch time, milliseconds, client, `TCP_MISS/200`, bytes, method, URL, user, `HIER_DIRECT/peer`."""
        mask: Mask = pc.match_substring_regex(records, _START).to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set squid.access."""
        return table_of([_event(record) for record in payload.records.to_pylist()], payload.records, "not an access log line of Squid")


def _event(record: str) -> Event | None:
    """`1795482903.120    132 10.20.30.41 TCP_MISS/200 1293 GET http://example.net/a.exe lan.nt HIER_DIRECT/203.0.113.9 text/html`."""
    found = _LINE.fullmatch(record)
    if found is None:
        return None
    said = {name: value if value != "-" else None for name, value in found.groupdict().items()}
    peer, status = said["peer"], integer(found["status"]) or None
    event: Event = {
        "@timestamp": EPOCH + timedelta(seconds=int(found["seconds"]), milliseconds=int(found["millis"])), "event.kind": "event",
        "event.module": "squid", "event.dataset": "squid.access", "message": record, "event.action": found["result"],
        "event.duration": max(0, int(found["taken"])) * 1_000_000, "source.address": found["client"], "source.ip": ip(found["client"]),
        "http.response.status_code": status, "http.response.bytes": integer(found["size"]), "http.request.method": said["method"],
        "url.original": found["url"], "user.name": said["user"], "squid.hierarchy": found["hierarchy"], "destination.address": peer,
        "destination.ip": ip(peer or ""), "http.response.mime_type": said["mime"],
    }  # fmt: skip
    event |= _url(found["url"])
    event["related.ip"] = [address for address in (event["source.ip"], event["destination.ip"]) if address]
    event["related.user"] = said["user"]
    kinds = ["access", "denied" if _DENIED in found["result"] else "allowed"]
    return categorise(event, ["network", "web"], kinds, outcome(status))


def _url(url: str) -> Event:
    """`host:443` of a CONNECT, else an absolute URL."""
    host, colon, port = url.rpartition(":")
    if colon and port.isdigit() and "/" not in url:
        return {"url.domain": host.strip("[]"), "url.port": integer(port)}
    return url_fields(url) | ({"url.scheme": url.partition("://")[0]} if "://" in url else {})


PARSER: Final = Squid()
