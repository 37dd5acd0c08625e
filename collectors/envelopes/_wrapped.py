"""What the JSON envelopes share: one decoded object per record gives the inner text and the outer fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import _json
from collectors.parsers.common import Event, Mask, table_of
from collectors.parsers.find import holding

Opened: TypeAlias = tuple[str, Event]
"""Inner text, outer fields."""
MAX_FIELDS = 512
"""Different outer fields in one block; further ones are left to event.original."""


def holds(records: pa.Array, *every: str) -> Mask:
    """Texts that start as a JSON object and contain all of these."""
    mask: Mask = pc.fill_null(pc.starts_with(records, "{"), False).to_numpy(zero_copy_only=False)
    for part in every:
        if not mask.any():
            break
        mask = mask & holding(records, part.encode())
    return mask


def either(*masks: Mask) -> Mask:
    """True where one of them is."""
    out: Mask = np.logical_or.reduce(masks)
    return out


def unwrap(payload: Payload, of: Callable[[dict[str, object]], Opened | None]) -> Payload:
    """Records that `of` cannot open stay as they are, without outer fields."""
    texts: list[str] = []
    events: list[Event] = []
    for record in payload.records.to_pylist():
        value = _json.loads(record)
        opened = of(value) if value is not None else None
        texts.append(opened[0] if opened else record)
        events.append(opened[1] if opened else {})
    return replace(payload, records=pa.array(texts, pa.string()), outer=_outer(_few(events), payload.records))


def _few(events: Sequence[Event]) -> list[Event]:
    names = sorted(dict.fromkeys(name for event in events for name in event), key=lambda name: name.startswith("unmapped."))
    if len(names) <= MAX_FIELDS:
        return list(events)
    keep = set(names[:MAX_FIELDS])
    return [{name: value for name, value in event.items() if name in keep} for event in events]


def _outer(events: Sequence[Event], records: pa.Array) -> dict[str, pa.Array]:
    table = table_of(events, records, "")
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    return {name: c.chunk(0) if isinstance(c, pa.ChunkedArray) and c.num_chunks == 1 else c for name, c in columns.items()}
