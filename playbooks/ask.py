"""Live queries: what a step asks the logs, and the answer as evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from domain import event
from domain.clock import iso_local
from domain.grammar import parse
from domain.incident import Incident
from domain.playbook import Query
from domain.query import Query as StoreQuery
from domain.run import Result, Run
from domain.window import TimeWindow
from playbooks.values import absent, fill_query, window
from store.base import EventStore


@dataclass(frozen=True)
class Answer:
    """What the logs say."""

    query: Query
    text: str = ""
    """The query as it ran; empty when it could not run."""
    window: TimeWindow | None = None
    count: int = 0
    rows: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    """Events or groups, at most `query.limit`."""
    missing: str = ""
    """Why it could not run: `input NAMES` (they have no value), `window START` (it has not begun); empty when it ran."""
    result: Result | None = None
    """Where it is kept; None = not kept yet."""

    @property
    def failed(self) -> bool:
        """A verification that ran and did not find what it expects."""
        return bool(self.query.expect) and not self.missing and bool(self.count) != (self.query.expect == "some")

    @property
    def unverified(self) -> bool:
        """A verification that failed, or that could not run."""
        return self.failed or bool(self.query.expect and self.missing)


def ask(events: EventStore, query: Query, incident: Incident, run: Run, now: datetime) -> Answer:
    """Run one query over the store. What cannot run says why instead of raising."""
    lacking = absent(query.query, run.inputs)
    if lacking:
        return Answer(query, missing=f"input {lacking}")
    text = fill_query(query.query, run.inputs)
    span = window(query.start, query.end, incident, run, now)
    if span is None:
        return Answer(query, missing=f"window {query.start}")
    wanted = StoreQuery(where=parse(text), window=span, newest_first=False, limit=query.limit, fields=query.fields)
    if query.by or query.every:
        table = events.aggregate(StoreQuery(where=wanted.where, window=span), query.by, query.every)
        count = int(sum(table["count"].to_pylist())) if table.num_rows else 0
        return Answer(query, text, span, count, _groups(_kept(table, query)))
    count = events.count(StoreQuery(where=wanted.where, window=span))
    rows = [row for table in events.search(wanted) for row in _events(table, query.fields)] if count else []
    return Answer(query, text, span, count, rows[: query.limit])


def _events(table: pa.Table, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows with the columns asked for (all but the raw bytes when none were), and the event id."""
    shown = [n for n in (names or table.column_names) if n in table.column_names and n != "event.original"]
    keep = [*dict.fromkeys([*shown, *(["event.id"] if "event.id" in table.column_names else [])])]
    return [event.row(table.select(keep), index) for index in range(table.num_rows)]


def _kept(table: pa.Table, query: Query) -> pa.Table:
    """At most `limit` groups: the largest, or over time the newest, in order of time."""
    if not query.every:
        return table.slice(0, query.limit)
    ordered = table.sort_by([("bucket", "ascending"), ("count", "descending")])
    return ordered.slice(max(0, ordered.num_rows - query.limit))


def _groups(table: pa.Table) -> list[dict[str, Any]]:
    rows = []
    for item in table.to_pylist():
        rows.append({k: iso_local(v) if isinstance(v, datetime) else event.plain_value(k, v) for k, v in item.items() if v is not None})
    return rows


def document(answer: Answer, incident: str, step: str, by: str, at: datetime) -> bytes:
    """The evidence file: which query, over which window, when, by whom, how many, the rows. JSON, UTF-8."""
    assert answer.window is not None  # noqa: S101  only answers that ran are kept
    data = {
        "incident": incident, "step": step, "query": answer.query.id, "ask": dict(answer.query.ask), "text": answer.text,
        "window": [iso_local(answer.window.start), iso_local(answer.window.end)], "run_at": iso_local(at), "run_by": by,
        "by": list(answer.query.by), "every": answer.query.every, "count": answer.count,
        "rows_kept": len(answer.rows), "rows": list(answer.rows),
    }  # fmt: skip
    return orjson.dumps(data, option=orjson.OPT_INDENT_2, default=str) + b"\n"


def read_back(query: Query, result: Result, data: bytes) -> Answer:
    """The answer as it was kept."""
    kept = orjson.loads(data)
    start, end = (datetime.fromisoformat(text) for text in kept["window"])
    return Answer(query, kept["text"], TimeWindow(start, end), kept["count"], kept["rows"], "", result)
