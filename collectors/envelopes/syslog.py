"""Syslog headers: RFC 3164 as devices write it, RFC 5424, ISO stamps as rsyslog writes them to files, a bare `<PRI>`.

https://www.rfc-editor.org/rfc/rfc3164  https://www.rfc-editor.org/rfc/rfc5424
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers.common import TIME, Mask, bsd_instants, integer, iso_instant, text, zone
from domain import fields

_START: Final = (
    r"^(?:<\d{1,3}>|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)? [^\s{\[=]+ [^\s:=]{1,64}: )"
)
_APP: Final = r"""
    [^\s:\[%=]{1,128}                                       # sshd, postfix/smtpd, kernel
  | [^\s:\[%=][^:\[\n]{0,63}(?=\[\d+\]:)                    # Google Chrome[85294]
  | [^\s:\[%=]{1,64}\[\d+\][ ]\([^\s()]{1,64}\)(?=:)        # com.apple.xpc.launchd[1] (com.apple.quicklook[21498])
"""
_BSD: Final = re.compile(
    rf"""
    (?:<(?P<pri>\d{{1,3}})>)?\ ?
    (?:
      (?P<bsd>[A-Z][a-z]{{2}}\ {{1,2}}\d{{1,2}}\ (?:\d{{4}}\ )?\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?)
    | (?P<iso>\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?(?:Z|[+-]\d\d:?\d\d)?)
    )
    (?:\ [A-Z]{{3,4}}(?=\ |:))?:?                            # "UTC", "UTC:" as network devices add
    (?:\ (?P<host>(?!-{{3}}\ )[^\s\[\]]+?(?<!:)(?=\ )))?     # 192.0.2.1, 2001:db8::1, srv01; absent in some
    (?:\ {{1,2}}(?P<app>{_APP})(?:\[(?P<pid>[^\]\s]{{1,32}})\])?:(?:\ |$))?
    \ ?(?P<msg>.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_NEW: Final = re.compile(
    r"""
    <(?P<pri>\d{1,3})>(?P<version>\d{1,2})\ (?P<iso>-|\S{1,40})\ (?P<host>\S{1,255})
    \ (?P<app>\S{1,128})\ (?P<pid>\S{1,128})\ (?P<msgid>\S{1,64})
    \ (?P<sd>-|(?:\[(?:[^\]"\\]|\\.|"(?:[^"\\]|\\.)*")*\])+)(?:\ \ufeff?|$)(?P<msg>.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_PRI: Final = re.compile(r"<(?P<pri>\d{1,3})>(?P<msg>.*)", re.DOTALL)
_ELEMENT: Final = re.compile(r'\[([^\s\]="]+)((?: [^\s\]="]+="(?:[^"\\\]]|\\.)*")*)\]')
_PARAM: Final = re.compile(r' ([^\s\]="]+)="((?:[^"\\\]]|\\.)*)"')
FACILITIES: Final = (
    "kernel", "user-level", "mail", "system", "security/authorization", "syslogd", "line-printer", "network-news", "UUCP", "clock",
    "security/authorization", "FTP", "NTP", "log-audit", "log-alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7",
)  # fmt: skip
SEVERITIES: Final = ("Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug")
_LONG: Final = {"log.syslog.priority", "log.syslog.facility.code", "log.syslog.severity.code", "process.pid"}


class Syslog:
    """Header in `outer`, message as the inner record."""

    name = "syslog"

    def match(self, records: pa.Array) -> Mask:
        """A record that starts with `<PRI>`, a BSD stamp, or an ISO stamp followed by host and tag."""
        found: Mask = pc.fill_null(pc.match_substring_regex(records, _START), False).to_numpy(zero_copy_only=False)
        return found

    def unwrap(self, payload: Payload) -> Payload:
        """Header columns: @timestamp, host.*, process.*, log.syslog.*; null where the header lacks them."""
        heads = [_head(record) for record in payload.records.to_pylist()]
        outer = _columns(heads)
        outer["@timestamp"] = _times(heads, payload)
        messages = pa.array([head["msg"] for head in heads], pa.string())
        return replace(payload, records=messages, outer=outer)


def _head(record: str) -> dict[str, str | None]:
    """The named parts of one header; the whole record as `msg` when it has none after all."""
    found = (_NEW.match(record) or _BSD.match(record) or _PRI.match(record)) if record[:1] == "<" else _BSD.match(record)
    return found.groupdict() if found else {"msg": record}


def _columns(heads: Sequence[dict[str, str | None]]) -> dict[str, pa.Array]:
    out = {}
    for part, names in _NAMES.items():
        values = [_given(head.get(part)) for head in heads]
        if any(value is not None for value in values):
            for name in names:
                out[name] = pa.array([integer(v) for v in values] if name in _LONG else values, fields.arrow_type(name))
    if "log.syslog.priority" in out:
        out |= _priority(out.pop("log.syslog.priority"))
    return out | _structured(heads)


_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "pri": ("log.syslog.priority",),
    "host": ("host.hostname", "host.name", "log.syslog.hostname"),
    "app": ("process.name", "log.syslog.appname"),
    "pid": ("process.pid", "log.syslog.procid"),
    "msgid": ("log.syslog.msgid",),
    "version": ("log.syslog.version",),
}


def _given(value: str | None) -> str | None:
    return None if value in (None, "", "-") else value


def _priority(column: pa.Array) -> dict[str, pa.Array]:
    numbers = [n if n is not None and n < 192 else None for n in column.to_pylist()]
    facility = [n >> 3 if n is not None else None for n in numbers]
    severity = [n & 7 if n is not None else None for n in numbers]
    return {
        "log.syslog.priority": pa.array(numbers, pa.int64()),
        "log.syslog.facility.code": pa.array(facility, pa.int64()),
        "log.syslog.facility.name": pa.array([FACILITIES[n] if n is not None else None for n in facility], pa.string()),
        "log.syslog.severity.code": pa.array(severity, pa.int64()),
        "log.syslog.severity.name": pa.array([SEVERITIES[n] if n is not None else None for n in severity], pa.string()),
    }


def _structured(heads: Sequence[dict[str, str | None]]) -> dict[str, pa.Array]:
    """Structured data: `log.syslog.structured_data.<id>.<name>`, at most 256 different names in a batch."""
    rows: dict[str, list[str | None]] = {}
    for index, head in enumerate(heads):
        for element, params in _ELEMENT.findall(text(head.get("sd") or "")):
            for key, value in _PARAM.findall(params):
                name = f"log.syslog.structured_data.{element}.{key}"
                if name in rows or len(rows) < 256:
                    rows.setdefault(name, [None] * len(heads))[index] = re.sub(r'\\([\\"\]])', r"\1", value)
    return {name: pa.array(values, pa.string()) for name, values in rows.items()}


def _times(heads: Sequence[dict[str, str | None]], payload: Payload) -> pa.Array:
    default = zone(payload.tz)
    out = [iso_instant((head.get("iso") or "").replace(",", "."), default) if head.get("iso") else None for head in heads]
    rows = np.array([i for i, head in enumerate(heads) if head.get("bsd")], np.int64)
    for row, at in zip(rows.tolist(), bsd_instants([heads[i]["bsd"] or "" for i in rows], payload.arrivals[rows], payload.tz), strict=True):
        out[row] = at
    return pa.array(out, TIME)


ENVELOPE: Final = Syslog()
