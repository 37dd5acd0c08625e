"""What every part of the generator shares: the event tuple, the data files, time stamps of log lines."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias
from urllib.parse import quote
from uuid import UUID

import orjson
import yaml

Event: TypeAlias = tuple[float, str, bytes]
"""(seconds since the epoch, file below the log folder such as `web-dvc/access.log`, the line without its line break)."""

FOLDER: Final = Path(__file__).parent
_OFFSET: Final = 7 * 3600
"""Vietnam keeps UTC+7 all year."""


@cache
def data(name: str) -> dict[str, Any]:
    """The data file `NAME.yml` of this folder."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"), Loader=loader)  # noqa: S506  safe loader
    return loaded


def variants(name: str, *, reserved: bool) -> dict[str, Any]:
    """A scenario's data with every `{use: [...], reserved: [...]}` replaced by the list that this run may draw from."""
    side = "reserved" if reserved else "use"
    return {key: _pick(value, side) for key, value in data(name).items()}


def _pick(value: Any, side: str) -> Any:
    if isinstance(value, dict):
        return value[side] if set(value) == {"use", "reserved"} else {k: _pick(v, side) for k, v in value.items()}
    return [_pick(v, side) for v in value] if isinstance(value, list) else value


def source_of(file: str) -> str:
    """The source id of an event's file."""
    return file.partition("/")[0]


@lru_cache(65536)
def _local(second: int, form: str) -> str:
    return time.strftime(form, time.gmtime(second + _OFFSET))


def stamp(at: float, form: str) -> str:
    """Local time (UTC+7) of `at` in the `strftime` form, to the second."""
    return _local(int(at), form)


def iso(at: float, digits: int = 6) -> str:
    """`2026-11-24T08:15:03.123456`, local time without offset."""
    second = int(at)
    return f"{_local(second, '%Y-%m-%dT%H:%M:%S')}.{int((at - second) * 10**digits):0{digits}d}"


def midnight(at: float) -> float:
    """Local midnight of the day of `at`."""
    return at - (at + _OFFSET) % 86400


def local_day(at: float) -> time.struct_time:
    """The local calendar day of `at`."""
    return time.gmtime(at + _OFFSET)


def uuid(rng: Random) -> str:
    """A random (version 4) UUID drawn from `rng`."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def spread(rng: Random, start: float, seconds: float, n: int) -> list[float]:
    """`n` sorted instants within `seconds` after `start`, with the uneven gaps of people and tools."""
    return sorted(start + rng.random() * seconds for _ in range(n))


def as_json(body: dict[str, Any]) -> bytes:
    """One JSON line; copied, because the encoder's own result keeps several times the memory it needs."""
    return bytes(memoryview(orjson.dumps(body)))


def quoted(text: str) -> str:
    """A parameter of a URL as tools encode it."""
    return quote(text)


def weighted(rng: Random, table: Iterable[tuple[Any, float]]) -> Any:
    """One of the table's values, by weight."""
    pairs = list(table)
    return rng.choices([v for v, _ in pairs], [w for _, w in pairs])[0]
