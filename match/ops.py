"""The operators of `domain.query.Test` that are not plain literal text: each answers one bool per distinct value."""

from __future__ import annotations

import ipaddress
import operator
import re
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import ciso8601
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.query import Test, Value
from match.values import Mask, Values, fold

_MAPPED: Final = bytes(10) + b"\xff\xff"
_MAPPED_BITS: Final = 96
_MAPPED_HALF: Final = 0xFFFF
_V4: Final = 4
_FEW: Final = 2_000
"""Texts up to which a compiled expression that was kept, with the states that it has found, is quicker."""
_STATES: Final = 2 << 20
"""Bytes that a kept expression may take."""
_ORDER: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge,
}  # fmt: skip
_EXACT: Final = float(1 << 53)
"""From here floating point takes neighbours for one: they are compared in decimal."""
_MILLIS: Final = 1e11
"""A time stamp from here on counts milliseconds: in seconds it would be the year 5138."""


def text_of(value: Value) -> str:
    """A rule's value as text: booleans true/false, whole floats without .0."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@lru_cache(4096)
def like_regex(patterns: tuple[str, ...], *, cased: bool) -> str:
    """`like` patterns as one RE2 expression over the whole value; * and ? cross line breaks."""
    texts = patterns if cased else tuple(pc.utf8_lower(pa.array(patterns, pa.string())).to_pylist())
    return "(?s)" + "|".join(_one_like(text) for text in texts)


def _one_like(pattern: str) -> str:
    """A star at an end needs no `.*`: the search is unanchored there."""
    out = []
    for piece in re.findall(r"\\[*?\\]|[*?]|[^*?\\]+|\\", pattern):
        if piece == "*":
            out.append(".*")
        elif piece == "?":
            out.append(".")
        else:
            out.append(re2_escape(piece[1:] if len(piece) == 2 and piece[0] == "\\" and piece[1] in "*?\\" else piece))
    left, right = out[:1] == [".*"], out[-1:] == [".*"]
    core = out[1 if left else 0 : -1 if right and len(out) > 1 else len(out)]
    return ("" if left else r"\A") + "".join(core) + ("" if right else r"\z")


def re2_escape(text: str) -> str:
    """Text as a literal inside an RE2 expression."""
    return re.sub(r"([^\w\s]|\s)", lambda m: f"\\x{{{ord(m[0]):x}}}" if ord(m[0]) < 0x80 else m[0], text, flags=re.ASCII)


def _regex(values: Values, test: Test) -> Mask:
    out = values.nothing()
    for pattern in test.values:
        out |= values.spread(_search(values.texts, str(pattern)))
    return out


def _search(texts: pa.Array, pattern: str) -> Mask:
    """Which texts hold a regular expression. Arrow compiles it anew each time, which costs more than a few searches."""
    if len(texts) > _FEW:
        return _bools(pc.match_substring_regex(texts, pattern))
    search = _compiled(pattern).search
    return np.fromiter((search(text) is not None for text in texts.to_pylist()), np.bool_, len(texts))


@lru_cache(4096)
def _compiled(pattern: str) -> Any:
    """As Arrow compiles it, but with a quarter of the memory for its states where that is enough: thousands are kept."""
    import re2

    options = re2.Options()
    options.log_errors = False  # no word on stderr when states need more memory than they may take
    usual, options.max_mem = options.max_mem, _STATES
    try:
        return re2.compile(pattern, options)
    except re2.error:
        options.max_mem = usual
        return re2.compile(pattern, options)


def _like(values: Values, test: Test) -> Mask:
    texts = values.texts if test.cased else values.lowered
    pattern = like_regex(tuple(map(str, test.values)), cased=test.cased)
    return values.spread(_search(texts, pattern))


def _plain(values: Values, test: Test) -> Mask:
    """Literal text that the automaton does not serve: `cased`, or an empty value among the others."""
    texts = values.texts if test.cased else values.lowered
    kernel = {"eq": pc.equal, "contains": pc.match_substring, "startswith": pc.starts_with, "endswith": pc.ends_with}[test.op]
    out = values.nothing()
    for value in test.values:
        literal = text_of(value) if test.cased else pc.utf8_lower(pa.scalar(text_of(value))).as_py()
        out |= values.spread(_bools(kernel(texts, literal)))
    return out


def _fold(values: Values, test: Test) -> Mask:
    out = values.nothing()
    for value in test.values:
        needle = fold(pa.array([text_of(value)]))[0].as_py()
        out |= values.spread(_bools(pc.match_substring(values.folded, needle)))
    return out


def _compare(values: Values, test: Test) -> Mask:
    order = _ORDER[test.op]
    out = values.nothing()
    for value in test.values:
        try:
            limit = float(value)
        except (TypeError, ValueError):
            continue
        with np.errstate(invalid="ignore"):
            holds = order(values.numbers, limit)
        if abs(limit) >= _EXACT:
            for near in np.flatnonzero(values.numbers == limit):
                holds[near] = order(Decimal(values.texts[near].as_py()), Decimal(str(value)))
        out |= values.spread(holds)
    return out


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network; v4-mapped v6 networks become v4. ValueError when it is none."""
    found = ipaddress.ip_network(text, strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= _MAPPED_BITS and found.network_address.ipv4_mapped:
        return ipaddress.IPv4Network((found.network_address.ipv4_mapped, found.prefixlen - _MAPPED_BITS))
    return found


def _packed(text: str) -> bytes:
    """16 bytes of an address, v4 as v4-mapped v6; empty when it is none. Zones and brackets are dropped."""
    try:
        return _MAPPED + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        pass
    try:
        return socket.inet_pton(socket.AF_INET6, text.partition("%")[0].strip("[] "))
    except (OSError, ValueError):
        return b""


def _cidr(values: Values, test: Test) -> Mask:
    """Range tests on the two halves of each address: Python only takes each distinct text apart."""
    packed = [_packed(text) for text in values.texts.to_pylist()]
    halves = np.frombuffer(b"".join(p or bytes(16) for p in packed), ">u8").reshape(-1, 2)
    known = np.fromiter(map(bool, packed), np.bool_, len(packed))
    four = known & (halves[:, 0] == 0) & (halves[:, 1] >> np.uint64(32) == _MAPPED_HALF)
    inside = np.zeros(len(packed), np.bool_)
    for value in test.values:
        net = network(str(value))
        bits = net.prefixlen + (_MAPPED_BITS if net.version == _V4 else 0)
        wanted = np.frombuffer(_packed(str(net.network_address)), ">u8")
        mask = np.frombuffer(((1 << 128) - (1 << (128 - bits))).to_bytes(16, "big"), ">u8")
        inside |= (four if net.version == _V4 else known & ~four) & ((halves & mask) == wanted).all(axis=1)
    return values.spread(inside)


_PART: Final[Mapping[str, Callable[[datetime], int]]] = {
    "minute": lambda t: t.minute, "hour": lambda t: t.hour, "day": lambda t: t.day,
    "week": lambda t: t.isocalendar().week, "month": lambda t: t.month, "year": lambda t: t.year,
}  # fmt: skip


_SECONDS: Final = re.compile(r"-?\d{9,}(\.\d*)?|-?\d+\.\d*|-?\d{1,3}")
"""Seconds since 1970, as opposed to 2024, 202402 and 20240229."""


def _time_part(values: Values, test: Test) -> Mask:
    """Part of a time stamp as it is written, whatever zone it names; seconds or milliseconds since 1970 are UTC."""
    wanted = {int(float(v)) for v in test.values}
    out = np.zeros(len(values.texts), np.bool_)
    for number, text in enumerate(values.texts.to_pylist()):
        at = _time(text)
        out[number] = at is not None and _PART[test.op](at) in wanted
    return values.spread(out)


def _time(text: str) -> datetime | None:
    try:
        if _SECONDS.fullmatch(text):
            since = float(text)
            return datetime.fromtimestamp(since / 1000 if abs(since) >= _MILLIS else since, UTC)
        return ciso8601.parse_datetime(text)
    except (ValueError, OverflowError, OSError):
        return None


def _bools(array: pa.Array) -> Mask:
    return array.to_numpy(zero_copy_only=False)


SPECIAL: Final[Mapping[str, Callable[[Values, Test], Mask]]] = {
    "re": _regex, "like": _like, "fold": _fold, "lt": _compare, "lte": _compare, "gt": _compare, "gte": _compare, "cidr": _cidr,
    **dict.fromkeys(_PART, _time_part),
}  # fmt: skip


def special(values: Values, test: Test) -> Mask:
    """One bool per distinct value for an operator that the automaton does not serve."""
    if test.op in ("eq", "contains", "startswith", "endswith"):
        return _plain(values, test)
    return SPECIAL[test.op](values, test)
