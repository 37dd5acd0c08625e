"""Protocols of the collecting stage: Collector (transport), Envelope (what wraps a record), Parser (one log format)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from domain.raw import Checkpoint, Int64s, RawBatch

Narrow: TypeAlias = Callable[[Mapping[str, str]], frozenset[str]]
"""Fields known of an event -> names of the fields that are needed of it."""


class Collector(Protocol):
    """Pulls from one configured source. Holds no state: it is told where to go on and says where it got to."""

    def pull(self, checkpoints: Sequence[Checkpoint]) -> Iterator[RawBatch]:
        """Batches from the checkpoints on until there is nothing new. SourceError when the source cannot be reached."""


@dataclass(frozen=True)
class Payload:
    """What a parser is given: records of one format, without framing and envelope."""

    records: pa.Array
    """pa.string(): decoded, NFC not applied; invalid bytes are U+FFFD (the exact bytes stay in event.original)."""
    arrivals: Int64s
    """Microseconds since the epoch, UTC: for year-less stamps, and for records without any."""
    tz: str = "+07:00"
    """Zone of stamps that carry none: an offset or an IANA name."""
    outer: Mapping[str, pa.Array] = field(default_factory=dict)
    """Columns that the envelope gave (host.hostname, log.syslog.*, process.name, @timestamp), one value per record."""
    wanted: frozenset[str] | None = None
    """Only these fields are needed (soc hunt); None = all. A parser may give more."""
    narrow: Narrow | None = None
    """Which of `wanted` are needed of an event of which some fields are known. A parser may give more."""


class Envelope(Protocol):
    """What wraps a record: syslog header, Beats JSON, journald export, container runtime."""

    name: str

    def match(self, records: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which records (pa.string()) wear this envelope; vectorised or one cheap test each."""

    def unwrap(self, payload: Payload) -> Payload:
        """The inner records with `outer` columns filled. Same number of records, same order."""


class Parser(Protocol):
    """One log format. Pure: no I/O, no clock, no state between calls."""

    name: str
    """The partition in the store, and what `parser = "..."` says."""

    def match(self, records: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which records (pa.string()) are of this format. Must be cheap and never true for another format's records."""

    def parse(self, payload: Payload) -> pa.Table:
        """One row per record, same order; columns by the field dictionary (`domain.fields.normal` for vendor names).

        Sets at least `@timestamp`, `event.module`, `event.dataset`, `event.kind`, `event.category`, `event.type`, `event.outcome`
        where the log tells. A record that does not parse is a row made by `collectors.parsers.common.failed`
        (`event.kind: pipeline_error`, its text in `message`, the reason in `error.message`). Never raises for log content.
        The caller adds event.id, event.original, event.ingested, thapcanh.*.
        """
