"""Frames of syslog over TCP: octet counting, newline, NUL before the next header; told frame by frame.

https://www.rfc-editor.org/rfc/rfc6587
"""

from __future__ import annotations

import re
from typing import Final

from collectors.framing import LIMIT
from collectors.spool import RECORD, REFUSED

TRAILER: Final = b"\r\n\0"
"""What senders put behind a message; no part of it."""
_OCTETS: Final = re.compile(rb"(\d{1,9}) (?=<)")
_OCTETS_ONLY: Final = re.compile(rb"(\d{1,9}) ")


class Framer:
    """One connection: bytes in, records out. `framing`: auto, newline or octet."""

    def __init__(self, framing: str = "auto") -> None:
        self._octets = {"auto": _OCTETS, "octet": _OCTETS_ONLY}.get(framing)
        self._rest = b""
        self._skip = 0
        """Octets of a refused frame still to come."""
        self._inside = False
        """In a line of which pieces were refused."""

    def feed(self, block: bytes) -> list[tuple[int, bytes]]:
        """(RECORD or REFUSED, bytes) of every frame that is complete now."""
        data, at, out = self._rest + block, 0, []
        while at < len(data):
            if self._skip:
                piece = data[at : at + min(self._skip, LIMIT)]
                out.append((REFUSED, piece))
                at, self._skip = at + len(piece), self._skip - len(piece)
                continue
            found = None if self._octets is None or self._inside else self._octets.match(data, at)
            step = self._counted(data, found, out) if found else self._line(data, at, out)
            if step is None:
                break
            at = step
        self._rest = data[at:]
        return out

    def end(self) -> list[tuple[int, bytes]]:
        """What is left when the connection ends: a record without its end."""
        rest, self._rest = self._rest.strip(TRAILER), b""
        return [(REFUSED if self._inside else RECORD, rest)] if rest else []

    def _counted(self, data: bytes, found: re.Match[bytes], out: list[tuple[int, bytes]]) -> int | None:
        size, start = int(found[1]), found.end()
        if size > LIMIT:
            self._skip = size
            return start
        if start + size > len(data):
            return None
        record = data[start : start + size].rstrip(TRAILER)
        if record:
            out.append((RECORD, record))
        return start + size

    def _line(self, data: bytes, at: int, out: list[tuple[int, bytes]]) -> int | None:
        end = data.find(b"\n", at)
        nul = data.find(b"\0<", at, end if end >= 0 else len(data))
        end = nul if nul >= 0 else end
        if end < 0:
            if len(data) - at <= LIMIT:
                return None
            self._inside = True
            out.append((REFUSED, data[at : at + LIMIT]))
            return at + LIMIT
        record = data[at:end].strip(TRAILER)
        if record:
            out.append((REFUSED if self._inside or len(record) > LIMIT else RECORD, record))
        self._inside = False
        return end + 1
