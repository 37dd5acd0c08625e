"""What the models share: columns of a chunk as numbers and names, the words of a finding. Their state is plain JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa

from domain import i18n
from domain.alert import Reason, RuleRef
from domain.event import SEP, Column
from domain.query import Test, all_of
from domain.wording import show
from store.base import Chunk

Ints: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
SECOND: Final = 1_000_000
"""Microseconds."""
MINUTE: Final = 60 * SECOND
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
MAX_IDS: Final = 500
"""Event ids that one finding carries."""


@dataclass(frozen=True)
class Model:
    """What people are told about a model; its name, sentences and titles stand in the catalogue `anomaly`."""

    name: str
    version: int
    """Raised when the same events may give other findings."""
    inputs: tuple[str, ...]
    """Fields it reads."""
    rules: tuple[str, ...]
    """Ids of its findings: `anomaly.<name>` and below."""
    learns_days: int = 0
    """Days of history it needs before it speaks; 0 = at once."""

    def name_of(self, suffix: str) -> str:
        """The id of one of its rules: `anomaly.<name><suffix>`."""
        return f"anomaly.{self.name}{suffix}"


def times(chunk: Chunk, rows: Sequence[int] | None = None, field: str = "@timestamp") -> Ints:
    """A date field in microseconds since the epoch, UTC; 0 = missing."""
    table = chunk.table(rows, [field])
    if field not in table.column_names:
        return np.zeros(chunk.rows if rows is None else len(rows), np.int64)
    column = table[field]
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    filled: Ints = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return filled


def where(column: Column | None, rows: int, test: Callable[[str], bool]) -> Mask:
    """Rows whose value passes `test`, which sees each distinct value (each part, where a field holds several) once."""
    if column is None:
        return np.zeros(rows, np.bool_)
    parts = ((v.split(SEP) if column.multi else (v,)) for v in map(str, column.values.to_pylist()))
    table = np.array([*(any(map(test, p)) for p in parts), False], np.bool_)
    picked: Mask = table[column.codes]
    return picked


def living(chunk: Chunk) -> Mask:
    """Rows that a source sent by itself: evidence of an incident was brought in by somebody."""
    return ~where(chunk.column("thapcanh.incident"), chunk.rows, bool)


def dated(chunk: Chunk) -> Mask:
    """Rows that tell when they happened; a record without a time bears that of its arrival, which says when it was fetched."""
    broken = where(chunk.column("event.kind"), chunk.rows, "pipeline_error".__eq__)
    return ~broken & ~where(chunk.column("tags"), chunk.rows, "no_timestamp".__eq__)


def exercise_rows(chunk: Chunk) -> Mask:
    """Rows of an exercise."""
    return where(chunk.column("thapcanh.exercise"), chunk.rows, lambda v: v.lower() == "true")


def names(column: Column | None, rows: int) -> tuple[Ints, list[str]]:
    """Codes of each row into a list of texts; the last text is "" and stands for missing."""
    if column is None:
        return np.zeros(rows, np.int64), [""]
    values = [str(v).split(SEP)[0] if column.multi else str(v) for v in column.values.to_pylist()]
    codes = column.codes.astype(np.int64)
    codes[codes < 0] = len(values)
    return codes, [*values, ""]


def network(address: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 address; "" for loopback and what is no address."""
    try:
        found = ip_address(address.strip().partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return network(str(found.ipv4_mapped))
        if found.is_loopback or found.is_unspecified:
            return ""
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return "" if found.is_loopback or found.is_unspecified else str(found)


def address_test(source: str, field: str = "source.ip") -> Test:
    """Finds the rows of a source as `network` names it."""
    return Test(field, "cidr" if "/" in source else "eq", (source,))


def is_value(field: str, value: str) -> Test:
    """The field has exactly this value, whatever signs it holds."""
    return Test(field, "eq", (value,))


def query_text(*tests: Test) -> str:
    """All of these as a `soc search` query."""
    return show(all_of(*tests))


def rule(name: str, level: str, tags: Sequence[str], version: int, limits: Iterable[object] = ()) -> RuleRef:
    """The rule reference of a finding: `name` is the id; the version covers the model and its limits."""
    digest = hashlib.blake2b("\0".join([name, str(version), *map(str, limits)]).encode(), digest_size=6).hexdigest()
    title = i18n.t("anomaly.title_" + name.removeprefix("anomaly.").replace(".", "_"))
    return RuleRef(name, title, level, digest, tuple(tags), "anomaly")


def reason(field: str, value: object, expected: object, text: str, **values: object) -> Reason:
    """A reason whose sentence is `anomaly.<text>`, filled with `values`."""
    return Reason(field, str(value), str(expected), f"anomaly.{text}", values)


def at(micros: int) -> datetime:
    """Microseconds since the epoch as an instant in UTC."""
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(micros))


def capped(ids: Sequence[str], limit: int = MAX_IDS) -> tuple[str, ...]:
    """The ids, or when there are too many the first four fifths and the last fifth of the limit."""
    if len(ids) <= limit:
        return tuple(ids)
    head = limit * 4 // 5
    return (*ids[:head], *ids[head - limit :])
