"""Addresses: canonical text, inside or outside."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
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
    six = ":" in address
    number = int(IPv6Address(address)) if six else int(IPv4Address(address))
    return any(number >> shift == head for head, shift in (_INSIDE_6 if six else _INSIDE_4))


_INSIDE_4: Final = ((10, 24), (127, 24), (0xAC1, 20), (0xC0A8, 16), (0xA9FE, 16), (0x6440 >> 6, 22))
_INSIDE_6: Final = ((0xFC00 >> 9, 121), (0xFE80 >> 6, 118), (1, 0))
