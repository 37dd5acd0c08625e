"""What parsers share: tables of rows, failed rows, time stamps, addresses, numbers. Nothing here raises for log content."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import ciso8601
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain import fields
from domain.errors import ConfigError
from domain.event import SEP, join
from domain.raw import Int64s

Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
"""One bool per record."""
Ints: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int32]]
"""Row numbers or codes."""
Cell: TypeAlias = "str | int | float | bool | bytes | datetime | None"
"""A value of an event before it becomes a column."""
Event: TypeAlias = "dict[str, object]"
"""One event as a flat mapping; lists for fields that hold several values."""

TIME: Final = pa.timestamp("us", "UTC")
CODES: Final = pa.dictionary(pa.int32(), pa.string())
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS: Final = {m: i for i, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)}
UNPARSED: Final = "pipeline_error"
_INT64: Final = 1 << 63


# ---------------------------------------------------------------- tables

def constant(value: str, size: int) -> pa.Array:
    """One text in every row, dictionary-encoded."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), pa.array([value], pa.string()))


def several(*values: str) -> str:
    """The stored form of a field with several values."""
    return SEP.join(values)


def failed(records: pa.Array, reason: str) -> pa.Table:
    """Rows for records that do not parse: kept whole in `message`, with the reason in `error.message`."""
    size = len(records)
    return pa.table(
        {"event.kind": constant(UNPARSED, size), "message": records.cast(pa.string()), "error.message": constant(reason, size)}
    )


def merge(size: int, parts: Sequence[tuple[Ints, pa.Table]]) -> pa.Table:
    """One table of `size` rows from tables that each hold the given rows; columns that a part lacks are null."""
    parts = [(rows, table) for rows, table in parts if len(rows)]
    if len(parts) == 1 and len(parts[0][0]) == size:
        return parts[0][1]
    if not parts:
        return pa.table({"event.kind": pa.array([], pa.string())})
    tables = _same_types([table for _, table in parts])
    joined = pa.concat_tables(tables, promote_options="default").unify_dictionaries().combine_chunks()
    order = np.empty(size, np.int64)
    order[np.concatenate([rows for rows, _ in parts])] = np.arange(size)
    return joined.take(pa.array(order))


def _same_types(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """A column that is encoded in one table and plain in another becomes encoded in both."""
    coded = {name for t in tables for name in t.column_names if pa.types.is_dictionary(t.schema.field(name).type)}
    out = []
    for table in tables:
        for name in coded.intersection(table.column_names):
            if not pa.types.is_dictionary(table.schema.field(name).type):
                index = table.schema.get_field_index(name)
                table = table.set_column(index, name, table[name].dictionary_encode())
        out.append(table)
    return out


def table_of(events: Sequence[Mapping[str, object] | None], records: pa.Array, reason: str) -> pa.Table:
    """Flat events as a typed table; None = the record does not parse (`reason`).

    Names that are not in the dictionary go to `unmapped.*`; a value that does not fit its field's type goes to `unmapped.*` as text.
    """
    good = [i for i, event in enumerate(events) if event is not None]
    bad = [i for i, event in enumerate(events) if event is None]
    kept = [_fit(event) for event in events if event is not None]
    parts = [(np.array(good, np.int32), _columns(kept))] if kept else []
    if bad:
        rows = np.array(bad, np.int32)
        parts.append((rows, failed(records.take(pa.array(rows)), reason)))
    return merge(len(events), parts)


def _columns(events: Sequence[Mapping[str, Cell]]) -> pa.Table:
    names = dict.fromkeys(name for event in events for name in event)
    return pa.table({n: pa.array([event.get(n) for event in events], fields.arrow_type(n)) for n in names})


def _fit(event: Mapping[str, object]) -> dict[str, Cell]:
    out: dict[str, Cell] = {}
    for key, value in event.items():
        if value is None or value in ("", []):
            continue
        name = fields.normal(key)
        cell = fit(name, value)
        if cell is not None:
            out[name] = cell
        else:
            out[f"unmapped.{name.removeprefix('unmapped.')}"] = text(value)
    return out


def fit(name: str, value: object) -> Cell:
    """A value as the column `name` stores it; None when it does not fit."""
    if isinstance(value, (list, tuple)):
        if fields.is_array(name) or pa.types.is_string(fields.arrow_type(name)):
            parts = [text(v) for v in value if v is not None]
            return join(ip(p) or p for p in parts) if name == "related.ip" else join(parts)
        value = value[0] if len(value) == 1 else None
    return _FIT[_kind(name)](value)


@lru_cache(4096)
def _kind(name: str) -> str:
    entry = fields.lookup(name)
    return entry.type if entry is not None else "keyword"


def text(value: object) -> str:
    """Any value as text; booleans as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        import orjson

        return orjson.dumps(value, default=str).decode()
    return str(value)


def integer(value: object) -> int | None:
    """A 64-bit integer, or None: "12", 12, 12.0, "0x1f", "-"."""
    try:
        if isinstance(value, str):
            number = int(value, 16) if value[:2].lower() == "0x" else int(value)
        elif isinstance(value, (int, float)):
            number = int(value)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return number if -_INT64 <= number < _INT64 else None


def decimal(value: object) -> float | None:
    """A floating-point number, or None."""
    try:
        return float(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None


def boolean(value: object) -> bool | None:
    """A truth value, or None."""
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text(value).lower())


def moment(value: object) -> datetime | None:
    """An instant: datetime, ISO 8601 text (UTC when it carries no zone), seconds or milliseconds since the epoch."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, str):
        return iso_instant(value, UTC)
    return epoch_instant(value)


_FIT: Final[dict[str, Callable[[object], Cell]]] = {
    "keyword": lambda v: None if v is None else text(v),
    "text": lambda v: None if v is None else text(v),
    "ip": lambda v: ip(text(v)),
    "long": integer,
    "double": decimal,
    "boolean": boolean,
    "date": moment,
    "bytes": lambda v: text(v).encode(),
    "id": lambda v: None,
}


# ---------------------------------------------------------------- time

@lru_cache(64)
def zone(name: str) -> tzinfo:
    """The zone of stamps that carry none: `+07:00`, `UTC`, `Asia/Ho_Chi_Minh`. ConfigError when there is no such zone."""
    found = re.fullmatch(r"([+-])(\d\d):?(\d\d)", name)
    if found:
        delta = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return timezone(-delta if found[1] == "-" else delta)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"no such time zone: {name}", hint='an offset such as "+07:00" or a name such as "Asia/Ho_Chi_Minh"') from None


def iso_instant(value: str, tz: tzinfo) -> datetime | None:
    """ISO 8601 (`T` or space, `Z`, `+07:00`, `+0700`, any fraction) as an instant in UTC; None when it is none."""
    try:
        at = ciso8601.parse_datetime(value.strip())
    except (ValueError, OverflowError):
        return None
    return utc(at, tz)


def utc(at: datetime, tz: tzinfo) -> datetime | None:
    """An instant in UTC; a stamp without zone is read in `tz`. None outside the years 1 to 9999."""
    try:
        return (at if at.tzinfo else at.replace(tzinfo=tz)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def epoch_instant(value: object) -> datetime | None:
    """Seconds, milli-, micro- or nanoseconds since the epoch (by magnitude) as an instant."""
    number = decimal(value)
    if number is None or number != number or not 0 <= number < 1e20:
        return None
    while number >= 1e11:
        number /= 1000
    return EPOCH + timedelta(microseconds=round(number * 1e6))


def map_distinct(array: pa.Array, kind: pa.DataType, of: Callable[[str], object]) -> pa.Array:
    """`of(text)` for each value, computed once per distinct value; null stays null. Text comes back dictionary-encoded."""
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    values = pa.array([of(v) for v in coded.dictionary.to_pylist()], kind)
    if not pa.types.is_string(kind):
        return values.take(coded.indices)
    again = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(again.indices.take(coded.indices), again.dictionary)


def iso_times(stamps: pa.Array, tz: str) -> pa.Array:
    """ISO 8601 texts as timestamp[us, UTC]; null where it is none."""
    try:
        return stamps.cast(TIME)
    except pa.ArrowInvalid:
        default = zone(tz)
    return pa.array([iso_instant(v, default) if v is not None else None for v in stamps.to_pylist()], TIME)


_CLF: Final = re.compile(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", re.ASCII)


def clf_micros(value: str) -> int | None:
    """`25/Oct/2016:14:49:33 +0200`, the stamp of access logs, in microseconds since the epoch."""
    if not _CLF.fullmatch(value):
        return None
    midnight = _clf_midnight(value[:11], value[21:])
    hour, minute, second = int(value[12:14]), int(value[15:17]), int(value[18:20])
    if midnight is None or hour > 23 or minute > 59 or second > 60:
        return None
    return (midnight + hour * 3600 + minute * 60 + second) * 1_000_000


@lru_cache(4096)
def _clf_midnight(day: str, offset: str) -> int | None:
    shift = int(offset[1:3]) * 3600 + int(offset[3:5]) * 60
    try:
        at = datetime(int(day[7:]), MONTHS[day[3:6]], int(day[:2]), tzinfo=UTC)
    except (ValueError, KeyError):
        return None
    return int((at - EPOCH).total_seconds()) + (shift if offset[0] == "-" else -shift)


def clf_instant(value: str) -> datetime | None:
    """An access log stamp as an instant."""
    micros = clf_micros(value)
    return EPOCH + timedelta(microseconds=micros) if micros is not None else None


def clf_times(stamps: pa.DictionaryArray) -> pa.Array:
    """Access log stamps as timestamp[us, UTC]; null where the text is none."""
    micros = pa.array([clf_micros(v) for v in stamps.dictionary.to_pylist()], pa.int64())
    return micros.take(stamps.indices).cast(pa.timestamp("us")).cast(TIME)


_BSD: Final = re.compile(r"(\w{3}) +(\d{1,2}) (?:(\d{4}) )?(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: (\d{4}))?")


def bsd_instants(stamps: Sequence[str], arrivals: Int64s, tz: str) -> list[datetime | None]:
    """`Nov 24 08:15:03` (RFC 3164, no year): the year that brings it nearest to the record's arrival."""
    default, seen = zone(tz), {}
    out = []
    for stamp, arrival in zip(stamps, (arrivals // 86_400_000_000).tolist(), strict=True):
        key = (stamp, arrival)
        if key not in seen:
            seen[key] = bsd_instant(stamp, EPOCH + timedelta(days=arrival, hours=12), default)
        out.append(seen[key])
    return out


def bsd_instant(stamp: str, arrival: datetime, tz: tzinfo) -> datetime | None:
    """One year-less stamp; see `bsd_instants`."""
    found = _BSD.fullmatch(stamp)
    if found is None or found[1] not in MONTHS:
        return None
    year = found[3] or found[8]
    clock = (MONTHS[found[1]], int(found[2]), int(found[4]), int(found[5]), min(int(found[6]), 59))
    micro = int((found[7] or "0").ljust(6, "0")[:6])
    years = [int(year)] if year else range(arrival.year - 1, arrival.year + 2)
    candidates = _in_years(years, clock, micro, tz) or (_in_years(range(arrival.year - 4, arrival.year + 1), clock, micro, tz))
    return min(candidates, key=lambda at: abs(at - arrival), default=None)


def _in_years(years: Iterable[int], clock: tuple[int, int, int, int, int], micro: int, tz: tzinfo) -> list[datetime]:
    out = []
    for year in years:
        try:
            at = utc(datetime(year, *clock, micro), tz)  # noqa: DTZ001  the zone follows
        except ValueError:
            continue
        if at is not None:
            out.append(at)
    return out


# ---------------------------------------------------------------- addresses

_V4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)", re.ASCII)
V4_ONLY: Final = r"^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$"


@lru_cache(1 << 16)
def ip(value: str) -> str | None:
    """The canonical text of an address, or None: brackets, port and zone are stripped, `::ffff:192.0.2.1` is `192.0.2.1`."""
    if _V4.fullmatch(value):
        return value
    if len(value) > 64:
        return None
    return _odd_ip(value.strip())


def _odd_ip(value: str) -> str | None:
    bare = value
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    bare = bare.partition("%")[0]
    if _V4.fullmatch(bare):
        return bare
    try:
        six = IPv6Address(bare)
    except (AddressValueError, ValueError):
        return None
    return str(six.ipv4_mapped) if six.ipv4_mapped else str(six)


@lru_cache(1 << 14)
def internal(address: str) -> bool:
    """Whether a canonical address is private, shared, link-local, unique local or loopback."""
    six = ":" in address
    number = int(IPv6Address(address)) if six else int(IPv4Address(address))
    return any(number >> shift == head for head, shift in (_INSIDE_6 if six else _INSIDE_4))


_INSIDE_4: Final = ((10, 24), (127, 24), (0xAC1, 20), (0xC0A8, 16), (0xA9FE, 16), (0x6440 >> 6, 22))
_INSIDE_6: Final = ((0xFC00 >> 9, 121), (0xFE80 >> 6, 118), (1, 0))


def ips(array: pa.Array) -> pa.Array:
    """Canonical addresses, dictionary-encoded; null where the text is none."""
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    plain = pc.match_substring_regex(coded.dictionary, V4_ONLY)
    if pc.all(plain).as_py() in (True, None):
        return coded
    return map_distinct(coded, pa.string(), ip)


# ---------------------------------------------------------------- numbers and categories

def integers(array: pa.Array) -> pa.Array:
    """int64 column of decimal texts; null where the text is none. Never raises."""
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    try:
        return array.cast(pa.int64())
    except pa.ArrowInvalid:
        return map_distinct(array, pa.int64(), integer)


def blank(array: pa.Array, *markers: str) -> pa.Array:
    """Null where the text is empty or one of the markers (`-`)."""
    drop = pa.array(["", *markers])
    if pa.types.is_dictionary(array.type):
        values = array.dictionary
        mask = pc.is_in(values, value_set=drop)
        if not pc.any(mask).as_py():
            return array
        gone = pc.take(mask, array.indices)
        indices = pc.if_else(gone, pa.scalar(None, array.indices.type), array.indices)
        return pa.DictionaryArray.from_arrays(indices, array.dictionary)
    return pc.if_else(pc.is_in(array, value_set=drop), pa.scalar(None, array.type), array)


def outcome(status: int | None) -> str | None:
    """`event.outcome` of an HTTP status, as Elastic's web pipelines do: below 400 success, else failure."""
    if status is None:
        return None
    return "success" if status < 400 else "failure"


def categorise(event: Event, category: Sequence[str] | str, kinds: Sequence[str] | str, result: str | None = None) -> Event:
    """Set event.category, event.type and event.outcome; returns the event."""
    event["event.category"] = [category] if isinstance(category, str) else list(category)
    event["event.type"] = [kinds] if isinstance(kinds, str) else list(kinds)
    if result:
        event["event.outcome"] = result
    return event
