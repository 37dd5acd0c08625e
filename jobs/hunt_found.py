"""What a hunt finds, and its lines in the hits format: one for each (rule, record), one for each episode."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from domain.alert import RuleRef
from domain.text import paired

_DIGITS: Final = 19
"""Fewer digits are an integer of 64 bits."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FileHit:
    """One rule on one record."""

    rule: int
    """Position in RuleSet.rules."""
    source: str
    record: int
    at: datetime | None
    host: str
    raw: bytes
    event: dict[str, object] | None = None
    """Parsed fields, where the raw record is no JSON."""
    id: str = ""
    """`event.id`, of hits in the store."""

    def original(self) -> dict[str, Any]:
        """Original names and values."""
        if self.event is not None:
            return {**self.event, "event.original": self.raw.decode("utf-8", "replace")}
        try:
            found = orjson.loads(self.raw)
        except orjson.JSONDecodeError:
            found = _mended(self.raw.decode("utf-8", "replace"))
        return found if isinstance(found, dict) else {"value": found}


def _mended(text: str) -> Any:
    """A record with lone surrogates or numbers beyond all bounds (1e999, NaN), which stay as written; as it is when it is no JSON."""
    try:
        return json.loads(paired(text), parse_int=_number, parse_float=_number, parse_constant=str)
    except (ValueError, RecursionError):
        return {"event.original": text}


def _number(text: str) -> int | float | str:
    if text.lstrip("-").isdigit() and len(text) < _DIGITS:
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else text


@dataclass(frozen=True)
class FileEpisode:
    """One episode of a correlation."""

    ref: RuleRef
    group: Mapping[str, str]
    """Group-by field -> value."""
    start: int
    """Event time of the first event in its windows, microseconds since the epoch."""
    last: int
    """Event time of the last firing."""
    records: tuple[tuple[str, int], ...]
    """(source, record) of its events, in order."""


def instant(micros: int) -> datetime:
    """Microseconds since the epoch as an instant in UTC; the ends of the calendar where they are beyond it."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if micros > 0 else datetime.min.replace(tzinfo=UTC)


def hit_line(ref: RuleRef, hit: FileHit) -> dict[str, Any]:
    """One line of the hits format."""
    return {"rule": _rule(ref), "source": hit.source, "record": hit.record, "@timestamp": _iso(hit.at), "event": hit.original()}


def episode_line(episode: FileEpisode) -> dict[str, Any]:
    """One line of the hits format for a correlation."""
    return {
        "rule": _rule(episode.ref),
        "events": [{"source": source, "record": record} for source, record in episode.records],
        "group": dict(episode.group),
        "window": [_iso(instant(episode.start)), _iso(instant(episode.last))],
    }


def _rule(ref: RuleRef) -> dict[str, Any]:
    return {"id": ref.id, "title": ref.title, "level": ref.level, "tags": list(ref.tags)}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
