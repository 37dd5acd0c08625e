"""Winlogbeat's events whose names were flattened on the way (`"winlog.channel": ...`, by Logstash or an ingest pipeline): nested again."""

from __future__ import annotations

from typing import Any, Final

import orjson
import pyarrow as pa

from collectors.base import Payload
from collectors.envelopes import _wrapped
from collectors.parsers.common import Mask


class Dotted:
    """Objects with dotted names."""

    name = "dotted"

    def match(self, records: pa.Array) -> Mask:
        """Documents that name the channel in one piece."""
        return _wrapped.holds(records, '"winlog.channel"')

    def unwrap(self, payload: Payload) -> Payload:
        """The same documents, nested."""
        return _wrapped.unwrap(payload, lambda value: (orjson.dumps(nested(value)).decode(), {}))


def nested(value: dict[str, object]) -> dict[str, Any]:
    """Dotted names as objects; a name that is a value and an object too stays as it was written."""
    out: dict[str, Any] = {}
    for path, inner in value.items():
        *parents, last = path.split(".")
        place = out
        for parent in parents:
            deeper = place.setdefault(parent, {})
            if not isinstance(deeper, dict):
                place, last = out, path
                break
            place = deeper
        if isinstance(inner, dict) and isinstance(place.get(last), dict):
            place[last] |= nested(inner)
        else:
            place.setdefault(last, nested(inner) if isinstance(inner, dict) else inner)
    return out


ENVELOPE: Final = Dotted()
