"""Addresses: canonical text, inside or outside."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

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
    if ":" not in address:
        first, second = (int(part) for part in address.split(".", 2)[:2])
        return first in (10, 127) or second in _INSIDE.get(first, ())
    number = int(IPv6Address(address))
    return number == 1 or number >> 121 == 0xFC00 >> 9 or number >> 118 == 0xFE80 >> 6


_INSIDE: Final = {172: range(16, 32), 192: (168,), 169: (254,), 100: range(64, 128)}
