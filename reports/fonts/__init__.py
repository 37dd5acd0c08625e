"""Liberation Serif 2 (OFL 1.1, see OFL.txt): metric-compatible with Times New Roman, with every Vietnamese letter."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent


@cache
def coverage() -> frozenset[int]:
    """Code points that all four faces can draw (read from their `cmap` tables)."""
    faces = [_characters(path.read_bytes()) for path in sorted(FOLDER.glob("*.ttf"))]
    return frozenset.intersection(*faces)


def drawable(text: str) -> str:
    """Characters that the fonts lack, shown as ‹U+1F600›: under PDF/A a missing glyph is an error."""
    known = coverage()
    return "".join(c if ord(c) in known or c in "\n\u200b" else f"‹U+{ord(c):04X}›" for c in text)


def _characters(font: bytes) -> frozenset[int]:
    """Code points of the Unicode `cmap`, format 4 (OpenType specification, "cmap")."""
    entries = range(12, 12 + 16 * struct.unpack(">H", font[4:6])[0], 16)
    start = next(struct.unpack(">I", font[o + 8 : o + 12])[0] for o in entries if font[o : o + 4] == b"cmap")
    for record in range(struct.unpack(">H", font[start + 2 : start + 4])[0]):
        platform, encoding, offset = struct.unpack(">HHI", font[start + 4 + 8 * record : start + 12 + 8 * record])
        if (platform, encoding) == (3, 1):
            return _segments(font, start + offset)
    raise ValueError("no Unicode cmap")


def _segments(font: bytes, at: int) -> frozenset[int]:
    count = struct.unpack(">H", font[at + 6 : at + 8])[0] // 2

    def words(offset: int, kind: str = "H") -> tuple[int, ...]:
        return struct.unpack(f">{count}{kind}", font[at + offset : at + offset + 2 * count])

    ends, starts = words(14), words(16 + 2 * count)
    deltas, offsets = words(16 + 4 * count, "h"), words(16 + 6 * count)
    found: set[int] = set()
    for index, (first, last, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        for code in range(first, min(last, 0xFFFE) + 1):
            glyph = code
            if offset:
                place = at + 16 + 6 * count + 2 * index + offset + 2 * (code - first)
                glyph = struct.unpack(">H", font[place : place + 2])[0]
            if glyph and (glyph + delta) & 0xFFFF:
                found.add(code)
    return frozenset(found)
