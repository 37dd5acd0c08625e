"""Raw JSON events as an EventBatch, for `rules verify`: rules see the event as it is, nested or flat, JSON nulls included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from domain.event import SEP, Column, Rows

NULL = "\ue000null"
"""Stands for a JSON null among a column's values."""


class JsonBatch:
    """Events looked up as Sigma says: the exact dotted key, else the path through nested maps; a list matches by any element."""

    def __init__(self, events: Sequence[Mapping[str, Any]]) -> None:
        self._events = events
        self._flat = [_flatten(event) for event in events]

    @property
    def rows(self) -> int:
        """Number of events."""
        return len(self._events)

    def fields(self) -> Sequence[str]:
        """Every leaf name."""
        return list(dict.fromkeys(name for flat in self._flat for name in flat))

    def column(self, name: str, rows: Rows | None = None) -> Column | None:
        """Texts of one field."""
        picked: Iterable[int] = range(len(self._flat)) if rows is None else rows.tolist()
        codes: list[int] = []
        known: dict[str, int] = {}
        for number in picked:
            values = self._flat[number].get(name)
            text = None if values is None else SEP.join(values)
            codes.append(-1 if text is None else known.setdefault(text, len(known)))
        if not known:
            return None
        return Column(np.array(codes, np.int32), pa.array(list(known), pa.string()), multi=True, null=known.get(NULL, -1))

    def ids(self) -> pa.Array:
        """Row numbers: raw events carry no id."""
        return pa.array([n.to_bytes(16, "big") for n in range(self.rows)], pa.binary(16))


def _flatten(event: Mapping[str, Any]) -> dict[str, list[str]]:
    """Leaf texts by dotted name. A key that itself holds dots wins over the nested path of the same name."""
    nested: dict[str, list[str]] = {}
    exact: dict[str, list[str]] = {}
    for key, value in event.items():
        if isinstance(value, dict):
            for inner, texts in _flatten(value).items():
                nested.setdefault(f"{key}.{inner}", []).extend(texts)
        elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
            for part in value:
                for inner, texts in _flatten(part).items() if isinstance(part, dict) else [("", [_text(part)])]:
                    nested.setdefault(f"{key}.{inner}".rstrip("."), []).extend(texts)
        else:
            exact[key] = [_text(v) for v in value] if isinstance(value, list) else [_text(value)]
    return {**nested, **exact}


def _text(value: object) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return SEP.join(_text(v) for v in value)
    return str(value).replace(SEP, " ")
