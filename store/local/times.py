"""Instants in SQLite: microseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from domain.window import micros

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(at: datetime | None) -> int | None:
    """None stays None."""
    return None if at is None else micros(at)


def instant(value: int) -> datetime:
    """The inverse of `micros`, exact."""
    return _EPOCH + timedelta(microseconds=value)


def instant_or_none(value: int | None) -> datetime | None:
    """None stays None."""
    return None if value is None else instant(value)
