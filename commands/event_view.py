"""How events look on a terminal: when, where, who, what, and the telling part of the record. Log text is made harmless here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from commands.common import show, width
from domain.clock import show_local
from domain.i18n import catalogue, lang, t
from domain.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

WHERE: Final = ("host.name", "observer.name", "thapcanh.source")
WHO: Final = ("user.name", "source.user.name", "api.client.id", "user.id")
WHAT: Final = ("event.action", "event.code", "event.type")
BODY: Final = ("rule.name", "process.command_line", "url.original", "dns.question.name", "message", "rule.description")
READ: Final = (
    "@timestamp", *WHERE, *WHO, "source.ip", "destination.ip", "destination.port", "http.request.method", "http.response.status_code",
    *WHAT, "event.outcome", *BODY, "event.original", "event.id",
)  # fmt: skip
"""What is read to draw a line."""
WIDE: Final = 110
"""From so many columns of the terminal on one line holds an event; below that two do."""
ID_DIGITS: Final = 8
_HOST: Final = 16
_WHO: Final = 32
_WHAT: Final = 24


def draw(table: pa.Table) -> Iterator[str]:
    """Lines to print; on a wide terminal the table is shown at once and none are left."""
    rows = list(_rows(table))
    if not rows:
        return
    if width() >= WIDE:
        names = ("time", "where", "who", "what", "text", "id")
        show([t(f"search.{name}") for name in names], rows, cut=(4,))
        return
    for at, where, who, what, text, key in rows:
        yield one_line("  ".join(part for part in (at, key, where, who, what) if part), width())
        yield "    " + one_line(text, max(width() - 14, 20))


def _rows(table: pa.Table) -> Iterator[Sequence[str]]:
    there = [name for name in READ if name in table.column_names]
    for values in zip(*(table[name].to_pylist() for name in there), strict=True):
        yield _row({name: value for name, value in zip(there, values, strict=True) if value not in (None, "")})


def _row(event: Mapping[str, Any]) -> Sequence[str]:
    where = _first(event, WHERE)
    short = where.partition(".")[0] if where and not where[0].isdigit() else where
    who = " ".join(part for part in (_first(event, WHO), _text(event.get("source.ip"))) if part)
    return (
        show_local(event["@timestamp"]), one_line(short, _HOST), one_line(who, _WHO), one_line(_what(event), _WHAT), _body(event),
        event["event.id"].hex()[:ID_DIGITS],
    )  # fmt: skip


def _what(event: Mapping[str, Any]) -> str:
    """`GET 404`, or the action and a sign of how it ended."""
    method = event.get("http.request.method")
    if method:
        return f"{_text(method)} {_text(event.get('http.response.status_code'))}".rstrip()
    outcome = _text(event.get("event.outcome"))
    word = catalogue(lang(), "search").get(f"outcome_{outcome}", outcome)
    return " ".join(part for part in (_first(event, WHAT), word) if part)


def _body(event: Mapping[str, Any]) -> str:
    """Where to, then the first field that tells something; the record itself when there is nothing else."""
    to = _text(event.get("destination.ip"))
    port = _text(event.get("destination.port"))
    target = f"→ {f'[{to}]' if ':' in to and port else to}{f':{port}' if port else ''}" if to else ""
    told = " ".join(part for part in (target, _first(event, BODY)) if part)
    return one_line(told or _text(event.get("event.original")), 300)


def _first(event: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((_text(event[name]) for name in names if name in event), "")


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
