"""Time stamps of logs as instants in UTC. Nothing here raises for log content."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import ciso8601
import pyarrow as pa

from collectors.parsers._value import decimal
from domain.errors import ConfigError
from domain.raw import Int64s

TIME: Final = pa.timestamp("us", "UTC")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS: Final = {m: i for i, m in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)}


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
    if number is None or math.isnan(number) or not 0 <= number < 1e20:
        return None
    while number >= 1e11:
        number /= 1000
    return EPOCH + timedelta(microseconds=round(number * 1e6))


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


def moment(value: object) -> datetime | None:
    """An instant: datetime, ISO 8601 text (UTC when it carries no zone), seconds or milliseconds since the epoch."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, str):
        return iso_instant(value, UTC)
    return epoch_instant(value)
