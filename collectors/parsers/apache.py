"""Apache HTTP Server: access log (common, combined, virtual host, mod_ssl request log) and error log.

https://httpd.apache.org/docs/2.4/logs.html  https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat
A combined line without anything of Apache's own looks like nginx's and is detected as such; `parser = "apache"` settles it.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import _access
from collectors.parsers.common import EPOCH, MONTHS, Event, Mask, bsd_instant, categorise, clf_instant, integer, ip, merge, table_of, zone

_ERROR_START: Final = r"^\[(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)? \d{4}\] \["
_SSL_START: Final = rf"^{_access.STAMP} \S+ (?:(?:TLS|SSL)v[\d.]+|-) \S+ \""
_OWN: Final = rf'^[^\[{{<]+ (?:.* )?{_access.STAMP} ".*" (?:(?:\d{{3}}|-) (?:\d+|-)$|(?:\d{{3}}|-) - ")'
"""Common format, or `-` for no bytes: nginx writes neither."""
_ERROR: Final = re.compile(
    r"""
    \[\w{3}\ (?P<time>\w{3}\ {1,2}\d{1,2}\ \d\d:\d\d:\d\d(?:\.\d{1,9})?\ \d{4})\]
    \ \[(?:(?P<module>[\w-]*):)?(?P<level>\w+)\]
    (?:\ \[pid\ (?P<pid>\d+)(?::tid\ (?P<tid>\d+))?\])?
    (?:\ \[client\ (?P<client>[^\]\s]+)\])?
    \ ?(?P<message>.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLIENT: Final = re.compile(r"\[client ([^\]\s]+)\] ?")
_CODE: Final = re.compile(r"\b(AH\d{5}): ")
_REFERRER: Final = re.compile(r", referer: (\S+)$")
_FILE: Final = re.compile(r"(?:File does not exist: |Directory index forbidden by \S+ directive: |script ')([^,']+)")
_USER: Final = re.compile(r"\buser (\S+?)(?: not found|: authentication failure|: password mismatch)(?: for \"([^\"]*)\"|: (\S+))?")
_SSL: Final = re.compile(
    r'\[(?P<time>[^\]]+)\] (?P<address>\S+) (?P<protocol>\S+) (?P<cipher>\S+) "(?P<request>.*)" (?P<bytes>\d+|-)', re.DOTALL
)
_ERRORS: Final = frozenset(("emerg", "alert", "crit", "error", "warn"))


class Apache:
    """Access, request and error log lines."""

    name = "apache"

    def match(self, records: pa.Array) -> Mask:
        """The error log, the mod_ssl request log, and access lines as only Apache writes them."""
        pattern = f"{_ERROR_START}|{_SSL_START}|{_OWN}"
        mask: Mask = pc.match_substring_regex(records, pattern).to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set apache.access or apache.error."""
        records = payload.records
        special = pc.match_substring_regex(records, f"{_ERROR_START}|{_SSL_START}").to_numpy(zero_copy_only=False)
        if not special.any():
            return _access.parse(records, "apache", payload.wanted)
        rows = np.arange(len(records), dtype=np.int32)
        lines, other = rows[~special], rows[special]
        odd = records.take(pa.array(other))
        tz = zone(payload.tz)
        events = [_error(r, tz) if r[1:2].isalpha() else _ssl(r) for r in odd.to_pylist()]
        access = _access.parse(records.take(pa.array(lines)), "apache", payload.wanted)
        return merge(len(records), [(lines, access), (other, table_of(events, odd, "not an Apache log line"))])


def _base(dataset: str) -> Event:
    return {"event.kind": "event", "event.module": "apache", "event.dataset": dataset}


def _ssl(record: str) -> Event | None:
    """`[24/Nov/2026:08:15:03 +0700] 192.0.2.1 TLSv1.3 TLS_AES_256_GCM_SHA384 "GET / HTTP/1.1" 1375`."""
    found = _SSL.fullmatch(record)
    at = clf_instant(found["time"]) if found else None
    if found is None or at is None:
        return None
    event = _base("apache.access") | {
        "@timestamp": at, "source.address": found["address"], "source.ip": ip(found["address"]), "related.ip": ip(found["address"]),
        "apache.access.ssl.protocol": found["protocol"], "apache.access.ssl.cipher": found["cipher"], "tls.cipher": found["cipher"],
        "http.response.body.bytes": integer(found["bytes"]), **_access.request_fields(found["request"]),
    }  # fmt: skip
    version = re.fullmatch(r"([A-Za-z]+)v([\d.]+)", found["protocol"])
    if version:
        event |= {"tls.version_protocol": version[1].lower(), "tls.version": version[2]}
    return categorise(event, "web", "access")


def _error(record: str, tz: tzinfo) -> Event | None:
    """`[Tue Nov 24 08:15:03.123456 2026] [core:error] [pid 812:tid 99] [client 192.0.2.1:50000] AH00037: … , referer: http://a/`."""
    found = _ERROR.fullmatch(record)
    if found is None or found["time"][:3] not in MONTHS:
        return None
    message = found["message"]
    at = bsd_instant(found["time"], _ANY, tz)
    inside = _CLIENT.search(message) if found["client"] is None else None
    client = found["client"] or (inside[1] if inside and not message.startswith("mod_") else None)
    event = _base("apache.error") | {
        "@timestamp": at, "apache.error.module": found["module"], "log.level": found["level"], "process.pid": integer(found["pid"]),
        "process.thread.id": integer(found["tid"]), "message": message, **_client(client), **_told(message),
    }  # fmt: skip
    return categorise(event, "web", "error" if found["level"] in _ERRORS else "info")


_ANY: Final = EPOCH
"""The stamp carries its year."""


def _client(client: str | None) -> Event:
    """`192.0.2.1:50000`, `[2001:db8::1]:50000`, `2001:db8::1:50000` as Apache writes it (the last number is the port)."""
    if not client:
        return {}
    address, _, port = client.rpartition(":")
    if not ip(address) or (client.count(":") == 7 and ip(client)):
        address, port = client, ""
    if ":" in address and ip(client) and not client.startswith("[") and not port.isdigit():
        address, port = client, ""
    plain = address.strip("[]")
    return {"source.address": plain, "source.ip": ip(plain), "source.port": integer(port), "related.ip": ip(plain)}


def _told(message: str) -> Event:
    """What well-known messages tell: error code, file, user, referrer."""
    code, file, user, referrer = _CODE.search(message), _FILE.search(message), _USER.search(message), _REFERRER.search(message)
    event: Event = {"error.code": code[1] if code else None, "http.request.referrer": referrer[1] if referrer else None}
    if file:
        event["file.path"] = file[1]
    if user:
        event |= {"user.name": user[1], "url.original": user[2] or user[3]}
    return event


PARSER: Final = Apache()
