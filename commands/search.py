"""`soc search`: events by the query language; as a table, JSON lines, CSV, or counts over time."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from commands.common import OPTIONS, clock, emit, runtime, say, show
from commands.event_view import ID_DIGITS, READ, draw
from domain.clock import iso_local, show_local
from domain.i18n import t

if TYPE_CHECKING:
    import pyarrow as pa

    from domain.query import Query
    from store.base import EventStore

app = typer.Typer(rich_markup_mode=None)
_SHOWN: Final = (
    "@timestamp",
    "event.dataset",
    "host.name",
    "user.name",
    "source.ip",
    "event.action",
    "event.outcome",
    "event.original",
    "event.id",
)
"""Columns of CSV unless `--fields` says otherwise."""
_LONG: Final = ("event.original", "message", "process.command_line", "url.original", "user_agent.original")
"""Fields that a table cuts rather than folds."""
_LIMIT: Final = 100
_BAR: Final = 50


@app.command(help=t("search.help"), epilog=t("search.epilog"))
def search(
    text: Annotated[str, typer.Argument(metavar="QUERY", help=t("search.query"))] = "*",
    since: Annotated[str, typer.Option(help=t("search.since"))] = "",
    until: Annotated[str, typer.Option(help=t("search.until"))] = "",
    limit: Annotated[int, typer.Option(help=t("search.limit"))] = _LIMIT,
    fields: Annotated[str, typer.Option(help=t("search.fields"))] = "",
    around: Annotated[tuple[str, str], typer.Option(metavar="EVENT_ID 5m", help=t("search.around"))] = ("", ""),
    histogram: Annotated[bool, typer.Option("--histogram", help=t("search.histogram"))] = False,
    by: Annotated[str, typer.Option(help=t("search.by"))] = "",
    follow: Annotated[bool, typer.Option("--follow", help=t("search.follow"))] = False,
    form: Annotated[str, typer.Option("--format", help=t("search.format"))] = "table",
) -> None:
    """Find events."""
    from jobs import search as job

    store = runtime().store
    asked = job.Asked(text, since, until, limit, fields, around[0], around[1] or "5m")
    wanted = job.query(asked, store.events, clock().now())
    if re.search(r"(?<!\\)\\[*?]", text):
        say(t("search.escaped"))
    if histogram or by:
        _counts(store.events, wanted, job.columns(by), histogram, form)
    elif follow:
        _print(job.follow(store.events, wanted), wanted, form)
    else:
        _found(store.events, wanted, form)
    store.close()


def _found(events: EventStore, wanted: Query, form: str) -> None:
    """The result, and on stderr how much of it there is."""
    shown = _print(events.search(_narrowed(wanted, form)), wanted, form)
    more = wanted.limit and shown >= wanted.limit
    say(t("search.more", n=shown, limit=wanted.limit) if more else t("search.count", n=shown) if shown else t("search.none"))


def _narrowed(wanted: Query, form: str) -> Query:
    """Tables and CSV read only the columns that they show."""
    machine = OPTIONS.json or form == "json"
    return wanted if machine or wanted.fields else replace(wanted, fields=READ if form == "table" else _SHOWN)


def _print(tables: Iterable[pa.Table], wanted: Query, form: str) -> int:
    """Events as they come; how many there were."""
    total = 0
    if OPTIONS.json or form == "json":
        from domain.event import rows_of

        for table in tables:
            total += table.num_rows
            for event in rows_of(table):
                emit(event)
        return total
    if form == "csv":
        return _csv(tables, wanted.fields or _SHOWN)
    for table in tables:
        total += table.num_rows
        if form == "table" and not wanted.fields:
            sys.stdout.writelines(f"{line}\n" for line in draw(table))
        else:
            names = wanted.fields or [n for n in _SHOWN if n in table.column_names]
            cut = [i for i, n in enumerate(names) if n in _LONG]
            show([_header(n) for n in names] if form == "table" else names, _cells(table, names, form), form, cut=cut)
        sys.stdout.flush()
    return total


def _csv(tables: Iterable[pa.Table], names: Sequence[str]) -> int:
    """Events as they come, under one header."""
    total = 0
    for number, table in enumerate(tables):
        show(() if number else names, _cells(table, names, "csv"), "csv")
        sys.stdout.flush()
        total += table.num_rows
    return total


def _header(name: str) -> str:
    return {"@timestamp": t("search.time"), "event.original": t("search.original"), "event.id": t("search.id")}.get(name, name)


def _cells(table: pa.Table, names: Sequence[str], form: str) -> Iterator[list[object]]:
    """Values as people read them; local time, ids shortened in tables."""
    from domain.event import plain_value

    for index in range(table.num_rows):
        line: list[object] = []
        for name in names:
            value = table[name][index].as_py() if name in table.column_names else None
            if name == "@timestamp" and value is not None:
                line.append(show_local(value) if form == "table" else iso_local(value))
            elif name == "event.id" and form == "table" and value is not None:
                line.append(value.hex()[:ID_DIGITS])
            else:
                plain = plain_value(name, value)
                line.append(", ".join(plain) if isinstance(plain, list) else plain)
        yield line


def _counts(events: EventStore, wanted: Query, by: Sequence[str], bars: bool, form: str) -> None:
    """Counts over time, or by the values of fields."""
    from jobs.search import histogram

    step, table = histogram(events, wanted, by) if bars else ("", events.aggregate(wanted, by))
    total = events.count(replace(wanted, limit=0))
    rows = (table.slice(0, wanted.limit) if wanted.limit and not bars else table).to_pylist()
    if OPTIONS.json or form == "json":
        emit([{k: iso_local(v) if hasattr(v, "isoformat") else v for k, v in r.items()} for r in rows])
        return
    most = max((r["count"] for r in rows), default=1)
    headers = [*([t("search.bucket", step=step)] if bars else []), *by, t("search.n"), *([""] if bars and form == "table" else [])]
    lines = [
        [*([show_local(r["bucket"])] if bars else []), *(r[n] for n in by), r["count"],
         *(["█" * max(1, round(r["count"] / most * _BAR))] if bars and form == "table" else [])]
        for r in rows
    ]  # fmt: skip
    show(headers, lines, form)
    say(t("search.count", n=total) if total else t("search.none"))
