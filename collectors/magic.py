"""Files that are known to be no logs, by their first bytes: pictures, programs, databases, archives that cannot be opened here."""

from __future__ import annotations

from typing import Final

_KNOWN: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"), (b"%PDF-", "PDF"),
    (b"\x7fELF", "ELF"), (b"SQLite format 3\0", "SQLite"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OLE (DOC, XLS, MSI)"),
    (b"regf", "Windows registry hive"), (b"MDMP", "memory dump"), (b"PAGEDU", "memory dump"),
    (b"\x30\x00\x00\x00LfLe", "EVT (Windows XP, 2003)"), (b"\xd4\xc3\xb2\xa1", "PCAP"), (b"\xa1\xb2\xc3\xd4", "PCAP"),
    (b"\x0a\x0d\x0d\x0a", "PCAPNG"), (b"PAR1", "Parquet"),
)  # fmt: skip
_PACKED: Final[tuple[tuple[bytes, str], ...]] = (
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"), (b"Rar!\x1a\x07", "RAR"), (b"\x28\xb5\x2f\xfd", "Zstandard"), (b"MSCF\0\0\0\0", "CAB"),
    (b"\x04\x22\x4d\x18", "LZ4"), (b"LZIP", "lzip"),
)  # fmt: skip
_PE: Final = b"MZ"


def foreign(head: bytes) -> tuple[str, bool]:
    """(name of the format, whether it is an archive that must be unpacked first) for what is known to be no log; ("", False) otherwise.

    `head`: the first bytes, 64 or more where the file has them.
    """
    for magic, name in _KNOWN:
        if head.startswith(magic):
            return name, False
    for magic, name in _PACKED:
        if head.startswith(magic):
            return name, True
    if head.startswith(_PE) and b"\0\0" in head[2:64]:
        return "EXE, DLL", False
    return "", False
