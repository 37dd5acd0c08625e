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

MAGIC: Final = b"ElfFile\x00"
BATCH: Final = 20_000
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
        parser = evtx.PyEvtxParser(source)
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


def _note(damage: Damage, error: Exception) -> None:
    damage.records += 1
    damage.first = damage.first or str(error).replace("\n", " ")[:300]
