"""Files as one long run of bytes, whether plain or compressed (gzip, xz, bzip2, zstd: told by their first bytes, not by their name)."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from typing import IO, Any, Final, Self

import pyarrow as pa

_STEP: Final = 1 << 20
_MAGIC: Final = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd"}
_ERRORS: Final = (EOFError, OSError, zlib.error, lzma.LZMAError)
_OPEN: Final[dict[str, Any]] = {"gzip": lambda raw: gzip.GzipFile(fileobj=raw), "xz": lzma.LZMAFile, "bzip2": bz2.BZ2File}
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0)


class Content:
    """The (decompressed) bytes of one open file. OSError from the constructor when it cannot be opened."""

    def __init__(self, path: str) -> None:
        self._raw = open(os.open(path, _FLAGS), "rb", buffering=0)  # noqa: PTH123, SIM115  a descriptor; closed by close()
        self.stat = os.fstat(self._raw.fileno())
        """Of the file that is open, whatever its path names by now."""
        first = os.pread(self._raw.fileno(), 6, 0)
        self.packing = next((name for magic, name in _MAGIC.items() if first.startswith(magic)), "")
        """Empty for a plain file."""
        self.broken = ""
        """Why a compressed file could not be read to its end; empty as long as it could."""
        self._stream: Any = None
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._raw.close()

    def read(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from `position`; fewer only at the end. Compressed files are best read forwards."""
        out = bytearray()
        while len(out) < size:
            want = size - len(out)
            part = self._unpacked(position + len(out), want) if self.packing else os.pread(self._raw.fileno(), want, position + len(out))
            if not part:
                break
            out += part
        return bytes(out)

    def length(self) -> int:
        """Bytes altogether; of a compressed file only after reading it through."""
        if not self.packing:
            return os.fstat(self._raw.fileno()).st_size
        while part := self._unpacked(self._at, _STEP):
            del part
        return self._at

    def _unpacked(self, position: int, size: int) -> bytes:
        if self._stream is None or position < self._at:
            self._open()
        try:
            while self._at < position:
                skipped = len(self._some(min(_STEP, position - self._at)))
                if not skipped:
                    return b""
                self._at += skipped
            part = self._some(min(size, _STEP))
        except _ERRORS as error:
            self.broken = str(error) or type(error).__name__
            return b""
        self._at += len(part)
        return part

    def _some(self, size: int) -> bytes:
        """`read1` hands out what was decompressed before an error, `read` would drop it."""
        return bytes(self._stream.read(size) if self.packing == "zstd" else self._stream.read1(size))

    def _open(self) -> None:
        self._raw.seek(0)
        self._at, self.broken = 0, ""
        if self.packing == "zstd":
            self._stream = pa.CompressedInputStream(pa.PythonFile(_Kept(self._raw), "r"), "zstd")
        else:
            self._stream = _OPEN[self.packing](self._raw)


class _Kept:
    """The raw file for Arrow, which must not close it."""

    closed = False

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw

    def read(self, size: int = -1) -> bytes:
        return self._raw.read(size)

    def close(self) -> None:
        """Left to the owner."""
