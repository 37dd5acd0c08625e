"""nginx access log (combined, with or without X-Forwarded-For and virtual host) and error log.

https://nginx.org/en/docs/http/ngx_http_log_module.html  https://nginx.org/en/docs/ngx_core_module.html#error_log
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
from collectors.parsers.common import Event, Mask, categorise, integer, ip, iso_instant, merge, table_of, zone

_ERROR_START: Final = r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: "
_ERROR: Final = re.compile(
    r"""
    (?P<time>\d{4}/\d\d/\d\d\ \d\d:\d\d:\d\d)\ \[(?P<level>\w+)\]\ (?P<pid>\d+)\#(?P<tid>\d+):\ (?:\*(?P<connection>\d+)\ )?(?P<message>.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTEXT: Final = re.compile(r', (client|server|request|upstream|host|referrer): (?:"([^"]*)"|([^\s,]+))')


class Nginx:
    """Access and error log lines."""

    name = "nginx"

    def match(self, records: pa.Array) -> Mask:
        """`ADDRESS - USER [time zone] "` of an access line or `2026/11/24 08:15:03 [error] 1#1: ` of the error log."""
        mask: Mask = pc.match_substring_regex(records, f"{_access.NGINX_START}|{_ERROR_START}").to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set nginx.access or nginx.error."""
        records = payload.records
        errors = pc.match_substring_regex(records, _ERROR_START).to_numpy(zero_copy_only=False)
        if not errors.any():
            return _access.parse(records, "nginx", payload.wanted)
        rows = np.arange(len(records), dtype=np.int32)
        access, error = rows[~errors], rows[errors]
        parts = [(access, _access.parse(records.take(pa.array(access)), "nginx", payload.wanted))]
        default = zone(payload.tz)
        events = [_error(record, default) for record in records.take(pa.array(error)).to_pylist()]
        parts.append((error, table_of(events, records.take(pa.array(error)), "not an nginx error log line")))
        return merge(len(records), parts)


def _error(record: str, default: tzinfo) -> Event | None:
    """`2026/11/24 08:15:03 [error] 812#812: *45 open() "/x" failed (2: ...), client: 192.0.2.1, server: a, request: "GET /x HTTP/1.1"`."""
    found = _ERROR.fullmatch(record)
    if found is None:
        return None
    at = iso_instant(found["time"].replace("/", "-", 2), default)
    if at is None:
        return None
    event: Event = {
        "@timestamp": at, "event.kind": "event", "event.module": "nginx", "event.dataset": "nginx.error", "process.name": "nginx",
        "log.level": found["level"], "process.pid": integer(found["pid"]), "process.thread.id": integer(found["tid"]),
        "nginx.error.connection_id": integer(found["connection"]), "message": found["message"],
    }  # fmt: skip
    event |= _context(found["message"])
    return categorise(event, "web", "error")


def _context(message: str) -> Event:
    """What nginx appends to an error: `, client: …, server: …, request: "…", host: "…"`."""
    said = {key: quoted or bare for key, quoted, bare in _CONTEXT.findall(message)}
    client = said.get("client", "")
    host = said.get("host") or ""
    domain = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    out: Event = {"source.address": client, "source.ip": ip(client), "related.ip": ip(client), "url.domain": domain}
    return out | _access.request_fields(said.get("request", "")) | {"http.request.referrer": said.get("referrer")}


PARSER: Final = Nginx()
