"""Text in whatever Unicode encoding its byte order mark says, as UTF-8, a block at a time."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import IO, Final

HEAD: Final = 1 << 20
"""Bytes read at once."""


def bom(block: bytes) -> tuple[str, bytes]:
    """(encoding, what follows the mark)."""
    if block.startswith(b"\xef\xbb\xbf"):
        return "utf-8", block[3:]
    if block.startswith(b"\xff\xfe"):
        return "utf-16-le", block[2:]
    if block.startswith(b"\xfe\xff"):
        return "utf-16-be", block[2:]
    return "utf-8", block


def utf8(raw: IO[bytes]) -> tuple[IO[bytes], bytes]:
    """The file in UTF-8, whatever its byte order mark says, and what was read of it already."""
    encoding, head = bom(raw.read(HEAD))
    if encoding == "utf-8":
        return raw, head
    recoded = io.BufferedReader(_Recoded(raw, head, encoding))
    return recoded, recoded.read(HEAD)


class _Recoded(io.RawIOBase):
    """Text of another encoding as UTF-8."""

    def __init__(self, inner: IO[bytes], begun: bytes, encoding: str) -> None:
        self._inner = inner
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = self._decoder.decode(begun).encode("utf-8", "replace")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            block = self._inner.read(HEAD)
            self._ready = self._decoder.decode(block, final=not block).encode("utf-8", "replace")
            if not block:
                break
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def blocks(raw: IO[bytes]) -> Iterator[bytes]:
    """The file in UTF-8, without a byte order mark."""
    raw, block = utf8(raw)
    while block:
        yield block
        block = raw.read(HEAD)
