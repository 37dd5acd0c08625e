"""Events as Filebeat ships them (output.file, output.kafka, Logstash): the line is in `message` or, untouched, in `event.original`.

https://www.elastic.co/docs/reference/beats/filebeat/exported-fields  Winlogbeat's events are no envelope: the parser `windows` reads them.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from collectors.base import Payload
from collectors.envelopes import _wrapped
from collectors.parsers import _json
from collectors.parsers.common import Event, Mask, text
from domain import fields

_INNER: Final = frozenset(("message", "event.original"))
_AGENTS: Final = ("agent", "@metadata", "beat")
_OURS: Final = frozenset(("event.id", "event.ingested"))


class Beats:
    """The original line, with host, agent and file as outer fields."""

    name = "beats"

    def match(self, records: pa.Array) -> Mask:
        """JSON with @timestamp, an agent and a message, and no Windows event in it."""
        stamped = _wrapped.holds(records, '"@timestamp"')
        if not stamped.any():
            return stamped
        agent = _wrapped.either(*(_wrapped.holds(records, f'"{key}"') for key in _AGENTS))
        line = _wrapped.either(*(_wrapped.holds(records, part) for part in ('"message"', '"original"')))
        return stamped & agent & line & ~_wrapped.holds(records, '"winlog"')

    def unwrap(self, payload: Payload) -> Payload:
        """Every other field of the event is an outer one."""
        return _wrapped.unwrap(payload, _open)


def _open(value: dict[str, object]) -> _wrapped.Opened | None:
    if "@timestamp" not in value or not any(isinstance(value.get(key), dict) for key in _AGENTS):
        return None
    flat = _json.flat(value)
    inner = flat.get("event.original") or flat.get("message")
    if not isinstance(inner, str):
        return None
    outer: Event = {}
    for path, found in flat.items():
        if path in _INNER or path in _OURS or path.startswith(("@metadata.", "thapcanh.")):
            continue
        outer[fields.normal(path)] = found
    if "host.name" in outer and "host.hostname" not in outer:
        outer["host.hostname"] = text(outer["host.name"])
    return inner, outer


ENVELOPE: Final = Beats()
