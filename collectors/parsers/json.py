"""Any JSON object: ECS names are kept, everything else goes below `json.`.

https://www.elastic.co/docs/reference/ecs/ecs-field-reference
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import _json
from collectors.parsers.common import Event, Mask, fit, iso_instant, moment, table_of, text, zone
from domain import fields

_TIMES: Final = ("@timestamp", "timestamp", "time", "ts", "date", "datetime", "eventTime", "event_time", "created_at")
_MESSAGES: Final = ("message", "msg", "log")
_OURS: Final = frozenset(("event.id", "event.original", "event.ingested"))
_OWN: Final = "thapcanh."


class Json:
    """JSON objects of no known product."""

    name = "json"

    def match(self, records: pa.Array) -> Mask:
        """Texts that are JSON objects."""
        mask: Mask = pc.match_substring_regex(records, r"^\s*\{.*\}\s*$").to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(mask)
        if len(rows):
            mask = mask.copy()
            mask[rows] = [_json.loads(record) is not None for record in records.take(pa.array(rows)).to_pylist()]
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of the data set that the record names, else json."""
        tz = zone(payload.tz)
        events = [_event(record, tz) for record in payload.records.to_pylist()]
        return table_of(events, payload.records, "not a JSON object")


def _event(record: str, tz: tzinfo) -> Event | None:
    value = _json.loads(record)
    if value is None:
        return None
    event: Event = {"event.kind": "event", "event.module": "json", "event.dataset": "json"}
    for path, inner in _json.flat(value).items():
        if fields.lookup(path) is not None and path not in _OURS and not path.startswith(_OWN) and fit(path, inner) is not None:
            event[path] = inner
        else:
            event[f"json.{path}"] = inner
    event["@timestamp"] = next((at for at in (_time(value.get(key), tz) for key in _TIMES) if at is not None), None)
    message = next((value[key] for key in _MESSAGES if isinstance(value.get(key), str)), None)
    return event | {"message": text(message) if message is not None else record}


def _time(value: object, tz: tzinfo) -> object:
    if isinstance(value, str) and not value.isdigit():
        return iso_instant(value, tz)
    return moment(float(value) if isinstance(value, str) else value)


PARSER: Final = Json()
