"""Registry values as Sysmon writes them, from Security 4657 (learn.microsoft.com, 4657(S): A registry value was modified)."""

from __future__ import annotations

import re
from typing import Final

_HIVES: Final = re.compile(r"\\REGISTRY\\(MACHINE|USER)(?=\\|\Z)", re.IGNORECASE)
_SHORT: Final = {"machine": "HKLM", "user": "HKU"}
_CURRENT: Final = re.compile(r"(?<=\AHKLM\\SYSTEM\\)ControlSet00\d(?=\\|\Z)", re.IGNORECASE)
_BINARY: Final = ("%%1875", "REG_BINARY")
_WORD: Final = ("%%1876", "REG_DWORD")
_LONG: Final = ("%%1883", "REG_QWORD")


def path(key: str, value: str) -> str:
    r"""`\REGISTRY\MACHINE\SYSTEM\ControlSet001\X`, `Start` -> `HKLM\SYSTEM\CurrentControlSet\X\Start`."""
    found = _HIVES.match(key)
    short = _SHORT[found[1].lower()] + key[found.end() :] if found else key
    return f"{_CURRENT.sub('CurrentControlSet', short)}\\{value or '(Default)'}"


def data(value: str, kind: str) -> str:
    """`1` of type `%%1876` -> `DWORD (0x00000001)`; what is no number of that size stays as it is."""
    if kind in _BINARY:
        return "Binary Data"
    if kind not in _WORD + _LONG:
        return value
    try:
        number = int(value, 0)
    except ValueError:
        return value
    if not 0 <= number < 1 << (32 if kind in _WORD else 64):
        return value
    return f"DWORD (0x{number:08x})" if kind in _WORD else f"QWORD (0x{number >> 32:08x}-0x{number & 0xFFFFFFFF:08x})"
