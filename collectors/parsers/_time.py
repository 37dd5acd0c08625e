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
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.parsers._value import decimal
from domain.errors import ConfigError
from domain.raw import Int64s

TIME: Final = pa.timestamp("us", "UTC")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS: Final = {m: i for i, m in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)}


@lru_cache(64)
def zone(name: str) -> tzinfo:
    """The zone of stamps that carry none: `+07:00`, `UTC`, `Asia/Ho_Chi_Minh`. ConfigError when there is no such zone."""
    found = re.fullmatch(r"([+-])(\d\d):?(\d\d)", "+00:00" if name == "Z" else name)
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


def epoch_times(numbers: pa.Array) -> pa.Array:
    """int64 seconds, milli-, micro- or nanoseconds since the epoch (by magnitude) as timestamp[us, UTC]."""
    values = pc.fill_null(numbers, -1).to_numpy(zero_copy_only=False)
    scale = [values * 1_000_000, values * 1000, values, values // 1000]
    micros = np.select([values < 10**11, values < 10**14, values < 10**17], scale[:3], scale[3])
    return pa.array(micros, mask=values < 0).cast(pa.timestamp("us")).cast(TIME)


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
    values = stamps.dictionary
    if pc.all(pc.match_substring_regex(values, r"^\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$")).as_py():
        micros = _clf_matrix(values)
    else:
        micros = pa.array([clf_micros(v) for v in values.to_pylist()], pa.int64())
    return micros.take(stamps.indices).cast(pa.timestamp("us")).cast(TIME)


def _clf_matrix(stamps: pa.Array) -> pa.Array:
    """Stamps of 26 bytes each, as a matrix of digits."""
    start = np.frombuffer(stamps.buffers()[1], np.int32)[stamps.offset] if len(stamps) else 0
    text = np.frombuffer(stamps.buffers()[2] or b"", np.uint8)[start : start + 26 * len(stamps)].reshape(-1, 26).astype(np.int64)
    digits = text - 48
    two = {at: digits[:, at] * 10 + digits[:, at + 1] for at in (0, 7, 9, 12, 15, 18, 22, 24)}
    codes = (text[:, 3] << 16) + (text[:, 4] << 8) + text[:, 5]
    month = np.minimum(np.searchsorted(_MONTH_CODES, codes), 11)
    begin = ((two[7] * 100 + two[9] - 1970) * 12 + _MONTH_NUMBERS[month]).astype("datetime64[M]")
    days = begin.astype("datetime64[D]").astype(np.int64) + two[0] - 1
    inside = (days >= 0) & (two[0] >= 1) & (days < (begin + 1).astype("datetime64[D]").astype(np.int64))
    good = inside & (_MONTH_CODES[month] == codes) & (two[12] < 24) & (two[15] < 60) & (two[18] < 61)
    offset = (two[22] * 60 + two[24]) * np.where(text[:, 21] == ord("-"), 60, -60)
    seconds = days * 86400 + two[12] * 3600 + two[15] * 60 + two[18] + offset
    return pa.array(seconds * 1_000_000, mask=~good)


_BY_CODE: Final = sorted((int.from_bytes(name.encode()), number - 1) for name, number in MONTHS.items())
_MONTH_CODES: Final = np.array([code for code, _ in _BY_CODE])
_MONTH_NUMBERS: Final = np.array([number for _, number in _BY_CODE])
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
