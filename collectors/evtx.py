"""Windows event log files (.evtx): each record as the JSON that the reader renders, with its EventRecordID as position.

The reader (the `evtx` crate) loses a few things that detection rules look for: GUIDs come without braces and upper-case. They are
restored by the Windows parser. A damaged chunk costs its records, never the file; what was lost is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

import evtx

from domain.i18n import t

MAGIC: Final = b"ElfFile\x00"
BATCH: Final = 20_000
HEADER: Final = 4096
CHUNK: Final = 65_536
_CHUNK_MAGIC: Final = b"ElfChnk\x00"
LARGEST: Final = 2**62
"""Greater numbers come from damaged or forged records only; positions are signed 64-bit integers."""
_NUMBER: Final = re.compile(r'"EventRecordID":"?(\d+)')
"""The number that people see; an exported file's own record numbers start anew."""


@dataclass
class Damage:
    """What could not be read of one file."""

    records: int = 0
    first: str = ""
    """The first error."""


def records(source: str | IO[bytes], damage: Damage) -> Iterator[tuple[int, bytes]]:
    """(EventRecordID, JSON) of each readable record; what cannot be read is counted in `damage`. Never raises for file content."""
    try:
        parser = evtx.PyEvtxParser(source, number_of_threads=1)
        stream = parser.records_json()
    except (RuntimeError, OSError, ValueError) as error:
        _note(damage, error)
        return
    while True:
        try:
            record = next(stream)
        except StopIteration:
            return
        except (RuntimeError, OSError, ValueError) as error:
            _note(damage, error)
            if damage.records > 100_000:
                return
            continue
        if record is None:
            continue
        found = _NUMBER.search(record["data"])
        yield min(int(found[1] if found else record["event_record_id"]), LARGEST), record["data"].encode()


def named(name: str) -> bool:
    """Whether a file or member calls itself an event log."""
    return name.lower().endswith(".evtx")


def cut(raw: IO[bytes]) -> str:
    """What a truncated file lacks, as a sentence; "" when all chunks that its header counts are there. Leaves `raw` at its start.

    The header counts chunks at offset 42 (16 bits); a file that was not closed properly may hold more than it counts.
    """
    size = raw.seek(0, 2)
    raw.seek(0)
    head = raw.read(HEADER)
    count = int.from_bytes(head[42:44], "little")
    present = 0
    for start in range(HEADER, max(size, HEADER), CHUNK):
        raw.seek(start)
        begun = raw.read(len(_CHUNK_MAGIC)) == _CHUNK_MAGIC
        complete = size - start >= CHUNK
        present += begun and complete
        if begun and not complete:
            count = max(count, present + 1)
    raw.seek(0)
    if not size:
        return t("collect.evtx_empty")
    return t("collect.evtx_cut", present=present, count=count) if present < count or len(head) < HEADER else ""


def _note(damage: Damage, error: Exception) -> None:
    damage.records += 1
    damage.first = damage.first or str(error).replace("\n", " ")[:300]
