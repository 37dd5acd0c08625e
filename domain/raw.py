"""What collectors hand on: raw records with their place in a stream, and the checkpoint that makes reading resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Int64s: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int64]]"
"""One int64 per row."""


@dataclass(frozen=True)
class Checkpoint:
    """Where to go on in one stream of one source. Stored in the same transaction as the events before it."""

    source: str
    """Source id from the configuration."""
    stream: str
    """Generation of the stream: changes when a file is replaced or truncated, a channel cleared, a connection opened."""
    position: int
    """First position not yet stored (byte offset, record number)."""
    state: Mapping[str, object] = field(default_factory=dict)
    """What the collector needs besides (file identity, path, line count): plain JSON values."""


@dataclass(frozen=True)
class RawBatch:
    """Records of one stream, in order, without their framing (no line break)."""

    source: str
    """Source id."""
    stream: str
    """Stream generation."""
    records: pa.Array
    """pa.large_binary(), one element per record: the exact bytes."""
    positions: Int64s
    """Position of each record in the stream: byte offset of its first byte, or record number."""
    arrivals: Int64s
    """Arrival of each record, microseconds since the epoch, UTC."""
    checkpoint: Checkpoint
    """Where to go on once this batch is stored."""
    peers: pa.Array | None = None
    """pa.string(), address of the sender (syslog); None for files."""
    parser: str = "auto"
    """Parser name the source asks for."""
    encoding: str = "utf-8"
    """Text encoding of the records; they are decoded after framing."""
    tz: str = "+07:00"
    """Zone of time stamps that carry none."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Records that exceed a stated limit, by reason; their bytes go to the dead letters."""
    dead: tuple[tuple[int, str, bytes], ...] = ()
    """(position, reason, bytes) of the rejected records."""
    received: int = 0
    """Records received for this batch: rows + rejected + duplicates."""
    duplicates: int = 0
    """Records of an overlapping pull that were already stored."""
    envelope: str = ""
    """Envelope that every record is taken to wear; "" = each shows it, none = none wears one."""
    overlap: int = 0
    """Records at positions below this may be stored already: the store is asked for their ids."""


def event_ids(source: str, stream: str, positions: Int64s, records: pa.Array) -> pa.Array:
    """`event.id` of each record: first 16 bytes of BLAKE2b(source, stream, position, bytes). pa.binary(16), one per row.

    The same record read twice is the same event; batch, time of reading and ingest sequence play no part.
    """
    import pyarrow as pa

    base = hashlib.blake2b(f"{source}\0{stream}\0".encode(), digest_size=16)
    out = bytearray()
    copy = base.copy
    for position, raw in zip(positions.tolist(), records.to_pylist(), strict=True):
        digest = copy()
        digest.update(b"%d\0" % position)
        digest.update(raw)
        out += digest.digest()
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(positions), [None, pa.py_buffer(bytes(out))])
