"""`soc search`: from what was asked on the command line to events, counts and histograms."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

import match
from domain import fields
from domain.errors import UsageError
from domain.grammar import parse
from domain.query import TRUE, And, Expr, Query, Test, all_of
from domain.window import TimeWindow, duration, moment
from store.base import EventStore

_STEPS: Final = ("1m", "5m", "15m", "1h", "6h", "1d", "1w")
"""Widths of histogram bars to choose from."""
_BARS: Final = 60
"""About so many bars."""
_EVER: Final = (datetime.fromisoformat("1970-01-01T00:00:00+00:00"), datetime.fromisoformat("2200-01-01T00:00:00+00:00"))


@dataclass(frozen=True)
class Asked:
    """What a search asks for, as written by people."""

    text: str = "*"
    since: str = ""
    until: str = ""
    limit: int = 0
    fields: str = ""
    """Comma-separated names; empty = all."""
    around: str = ""
    """Id (or its beginning) of an event: what happened near it."""
    within: str = "5m"


def query(asked: Asked, events: EventStore, now: datetime) -> Query:
    """The query for a store. UsageError for anything that cannot be understood."""
    ids, where = _ids(parse(asked.text))
    window = _window(asked, now)
    if asked.around:
        at = _time_of(events, asked.around)
        step = duration(asked.within)
        window = TimeWindow(at - step, at + step + timedelta(microseconds=1))
    if asked.limit < 0:
        raise UsageError(f"--limit {asked.limit}: a number from 0 (all) up")
    return Query(where, window, ids=ids, limit=asked.limit, newest_first=not asked.around, fields=columns(asked.fields))


def columns(text: str) -> tuple[str, ...]:
    """Field names from `a,b,c`; UsageError names the nearest field for one that does not exist."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if fields.lookup(name) is None:
            close = difflib.get_close_matches(name, list(fields.dictionary()), 3)
            raise UsageError(f"unknown field {name}", hint=f"did you mean {' or '.join(close)}?" if close else "")
    return names


def histogram(events: EventStore, asked: Query, by: Sequence[str] = ()) -> tuple[str, pa.Table]:
    """(width of a bar, counts by `bucket` and fields in the order of time)."""
    span = asked.window
    if span is None or span.start == _EVER[0] or span.end == _EVER[1]:
        whole = events.aggregate(asked, [])
        if not whole.num_rows:
            return _STEPS[0], events.aggregate(asked, by, _STEPS[0])
        span = TimeWindow(whole["first"][0].as_py(), whole["last"][0].as_py())
    wide = (span.end - span.start) / _BARS
    step = next((s for s in _STEPS if duration(s) >= wide), _STEPS[-1])
    return step, events.aggregate(asked, by, step).sort_by([("bucket", "ascending"), *((n, "ascending") for n in by)])


def follow(events: EventStore, asked: Query, every: float = 1.0) -> Iterator[pa.Table]:
    """Matching events as they arrive, for ever; one table for each chunk of a delivery, in the order of `@timestamp`."""
    cursor = events.head()
    matcher = match.Matcher([match.Entry(0, TRUE, asked.where)])
    while True:
        head = events.head()
        for chunk in events.scan(cursor, head):
            for _, rows in matcher.run(chunk):
                table = chunk.table(rows, None)
                order = np.argsort(table["@timestamp"].cast(pa.int64()).to_numpy(), kind="stable")
                yield table.take(pa.array(order))
        cursor = head
        time.sleep(every)


def resolve(events: EventStore, start: str) -> str:
    """The whole id of the one event whose id begins so. UsageError when there is none or several."""
    if re.fullmatch(r"[0-9a-fA-F]{32}", start):
        return start.lower()
    if not re.fullmatch(r"[0-9a-fA-F]{4,31}", start):
        raise UsageError(f"not the id of an event: {start}", hint="4 to 32 hexadecimal digits, as soc search shows them")
    found = events.starting(start.lower(), limit=4)
    if len(found) > 1:
        raise UsageError(f"several events begin with {start}: {', '.join(found[:3])}", hint="give more digits")
    if not found:
        raise UsageError(f"no event with an id that begins with {start}")
    return found[0]


def _time_of(events: EventStore, start: str) -> datetime:
    table = events.fetch([resolve(events, start)])
    if not table.num_rows:
        raise UsageError(f"no event with the id {start}")
    at: datetime = table["@timestamp"][0].as_py()
    return at


def _window(asked: Asked, now: datetime) -> TimeWindow | None:
    if not asked.since and not asked.until:
        return None
    start = moment(asked.since, now) if asked.since else _EVER[0]
    end = moment(asked.until, now) if asked.until else _EVER[1]
    if end <= start:
        raise UsageError(f"--until {asked.until or 'now'} is not after --since {asked.since}")
    return TimeWindow(start, end)


def _ids(expr: Expr) -> tuple[tuple[str, ...], Expr]:
    """`event.id:…` at the top of a query: stores find ids faster than values."""
    if isinstance(expr, Test) and expr.field == "event.id" and expr.op == "eq":
        ids = tuple(str(v).lower() for v in expr.values)
        return (ids, TRUE) if all(re.fullmatch(r"[0-9a-f]{32}", i) for i in ids) else ((), expr)
    if isinstance(expr, And):
        for place, child in enumerate(expr.children):
            ids, rest = _ids(child)
            if ids:
                return ids, all_of(*expr.children[:place], *expr.children[place + 1 :]) if rest == TRUE else expr
    return (), expr
