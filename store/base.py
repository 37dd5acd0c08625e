"""The three contracts of a store: events, records, coordination. Engines: `store/local/` (embedded), `store/opensearch/`.

Nobody outside an engine's folder knows how it keeps things; nobody asks for its name, only for its `Capabilities`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, Protocol

from domain.batch import EventBatch
from domain.query import Query
from domain.raw import Checkpoint
from domain.window import TimeWindow

if TYPE_CHECKING:
    import pyarrow as pa

    from domain.event import Rows

RESERVED: Final = "store."
"""Sources and cursors whose names begin so are of a store itself (how far a copy has come): no log source, no detector."""


@dataclass(frozen=True)
class Counts:
    """What one delivery adds to the ledger of one source. received = stored + rejected + duplicates (+ spooled)."""

    source: str
    received: int = 0
    stored: int = 0
    """Includes `unparsed`."""
    unparsed: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    duplicates: int = 0
    last_event: datetime | None = None
    """Newest `@timestamp` of the delivery."""
    at: datetime | None = None
    """When it was delivered."""


@dataclass(frozen=True)
class DeadLetter:
    """A record that was refused: its bytes are kept and `soc collect replay` stores it later."""

    source: str
    stream: str
    position: int
    reason: str
    raw: bytes
    parser: str
    at: datetime


@dataclass(frozen=True)
class Delivery:
    """What one step of collecting brings. Stored in one transaction, or not at all."""

    tables: Mapping[str, Sequence[pa.Table]]
    """Events by parser name (the partition). Every table has event.id, @timestamp, event.ingested, event.original."""
    checkpoints: Sequence[Checkpoint] = ()
    """Where to go on. A negative position forgets the stream."""
    began: Sequence[Checkpoint] = ()
    """Checkpoints that the delivery went on from (position 0: the stream is new). ConflictError when another collector has moved one
    of them: nothing is stored then, so that nothing is ever stored twice."""
    counts: Sequence[Counts] = ()
    dead: Sequence[DeadLetter] = ()
    replayed: Sequence[int] = ()
    """Numbers of dead letters that this delivery stores."""
    retired: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Source -> (stored, unparsed): events that its counts call stored, but that retention had removed before (a copied store)."""


@dataclass(frozen=True)
class SourceStatus:
    """The ledger of one source."""

    source: str
    received: int
    stored: int
    unparsed: int
    rejected: Mapping[str, int]
    duplicates: int
    last_event: datetime | None
    last_delivery: datetime | None
    streams: Sequence[Checkpoint]


class Chunk(EventBatch, Protocol):
    """A batch of stored events as scans see it: at most about 100,000 rows of one partition."""

    partition: str
    """Parser name."""
    first_seq: int
    last_seq: int

    @property
    def nbytes(self) -> int:
        """Bytes of the columns that rules may read, unpacked, about: no more are read of it."""

    def table(self, rows: Sequence[int] | Rows | None = None, names: Sequence[str] | None = None) -> pa.Table:
        """These rows and columns as an Arrow table (all when None): evidence, search results."""


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do."""

    atomic_scan: bool
    """`commit_scan` is one transaction."""
    compaction: bool
    snapshots: bool
    aggregates: bool
    dashboards: bool = False
    """`Store.publish` lays out documents where OpenSearch Dashboards reads them."""


@dataclass(frozen=True)
class Hold:
    """Events that retention must not remove: a legal hold."""

    name: str
    window: TimeWindow | None = None
    """On `@timestamp`; None = all times."""
    partitions: tuple[str, ...] = ()
    """Parser names; empty = all."""


@dataclass(frozen=True)
class Retained:
    """What one run of retention removed, and what legal holds kept."""

    rows: int
    bytes: int
    kept: Mapping[str, int] = field(default_factory=dict)
    """Hold -> events that stayed because of it."""


class EventStore(Protocol):
    """Events, numbered in the order in which they were accepted (the ingest sequence: 1, 2, 3, ...)."""

    capabilities: Capabilities

    def append(self, delivery: Delivery) -> int:
        """Store a delivery atomically; returns the new head. StoreError when it cannot (nothing is stored then)."""

    def head(self) -> int:
        """The highest ingest sequence; 0 when empty."""

    def scan(self, after: int, upto: int | None = None, partitions: Sequence[str] = ()) -> Iterator[Chunk]:
        """Events with after < sequence <= upto (default head), as chunks in sequence order, of one snapshot."""

    def chunks(self, window: TimeWindow | None = None, partitions: Sequence[str] = ()) -> Iterator[Chunk]:
        """All chunks that may hold events of the window (by their bounds; rows outside may be among them), of one snapshot."""

    def search(self, query: Query) -> Iterator[pa.Table]:
        """Matching events as tables, in `@timestamp` order over the whole result (newest first unless asked otherwise)."""

    def count(self, query: Query) -> int:
        """How many match."""

    def aggregate(self, query: Query, by: Sequence[str], every: str = "") -> pa.Table:
        """Counts of matching events grouped by fields and, when `every` is given ("5m", "1h", "1d"), time bucket `bucket`.

        Columns: the fields, `bucket` (timestamp, local-midnight aligned for days), `count`, `first`, `last`. Sorted by count, descending.
        """

    def starting(self, prefix: str, limit: int = 2) -> Sequence[str]:
        """Ids (hex) of events that begin so, at most `limit`: for people who type the first digits."""

    def fetch(self, ids: Sequence[str]) -> pa.Table:
        """The events with these ids (hex), all columns, in `@timestamp` order; unknown ids are left out."""

    def coverage(self, window: TimeWindow | None = None) -> Mapping[str, Mapping[str, int]]:
        """By `event.dataset`: field -> number of events that hold it; key "" = number of events."""

    def checkpoint(self, source: str, stream: str) -> Checkpoint | None:
        """Where to go on."""

    def checkpoints(self, source: str) -> Sequence[Checkpoint]:
        """All streams of a source."""

    def ledger(self) -> Sequence[SourceStatus]:
        """Per source."""

    def dead_letters(self, source: str = "") -> Iterator[tuple[int, DeadLetter]]:
        """Numbered dead letters that were not replayed."""

    def verify(self) -> Sequence[str]:
        """Recount the ledger and check every segment; the problems found."""

    def compact(self, now: datetime) -> int:
        """Merge small segments that every cursor has passed; how many went away (0 where the engine does that by itself)."""

    def retain(self, before: date) -> Retained:
        """Remove the events of whole UTC days before `before`, but for those on hold."""

    def hold(self, hold: Hold) -> None:
        """Put events under legal hold (again under the same name: replaced)."""

    def release(self, name: str) -> bool:
        """End a legal hold; False when there is none of that name."""

    def holds(self) -> Sequence[Hold]:
        """Legal holds, by name."""


@dataclass(frozen=True)
class NewRecord:
    """A record to append."""

    stream: str
    """alert, incident, run, document, verdict, silence, audit, ..."""
    key: str
    """Which one: alert id, incident id."""
    type: str
    """What happened: opened, hits, ack, verdict, ..."""
    body: Mapping[str, object]
    """Plain JSON values."""
    actor: str = "system"
    at: datetime | None = None
    """When, if not at the time of the call that stores it: records of another store."""


@dataclass(frozen=True)
class Record(NewRecord):
    """A stored record; never changed, never removed."""

    at: datetime = field(kw_only=True)
    version: int = field(kw_only=True)
    """1, 2, 3, ... within (stream, key)."""
    seq: int = field(kw_only=True)
    """Increasing over the whole store."""


class RecordStore(Protocol):
    """Append-only streams of records. Lists are projections: pure functions over what `read` and `find` return."""

    def append(self, records: Sequence[NewRecord], at: datetime, expect: Mapping[tuple[str, str], int] | None = None) -> Sequence[Record]:
        """Append atomically. `expect`: (stream, key) -> version that must be the newest; else ConflictError and nothing is stored."""

    def read(self, stream: str, key: str) -> Sequence[Record]:
        """All records of one key, in order."""

    def find(self, stream: str, after: int = 0, keys: Sequence[str] = ()) -> Iterator[Record]:
        """Records of a stream ("" = of every stream) with seq > after, in order; only `keys` when given."""


class Coordination(Protocol):
    """Who does what: leases and cursors."""

    def lease(self, name: str, holder: str, seconds: float, now: datetime) -> bool:
        """Take or renew; False while somebody else holds it.

        A lease that ends later than an hour (or twice `seconds`) from now was taken by a clock that ran ahead: it is void.
        """

    def release(self, name: str, holder: str) -> None:
        """Give back what `holder` holds."""

    def cursor(self, name: str) -> int:
        """Ingest sequence up to which `name` has worked; 0 at first."""

    def cursors(self) -> Mapping[str, int]:
        """Every cursor that was ever moved, by name."""

    def state(self, name: str) -> Mapping[str, object]:
        """State stored with the cursor (correlation buffers, model state)."""

    def commit_scan(  # noqa: PLR0913, PLR0917  one transaction
        self, name: str, start: int, end: int, records: Sequence[NewRecord], at: datetime, state: Mapping[str, object] | None = None,
        expect: Mapping[tuple[str, str], int] | None = None,
    ) -> bool:  # fmt: skip
        """Move the cursor from `start` to `end`, append `records`, save `state`: all or nothing.

        False when the cursor is not at `start` any more (another scan did the work): nothing is stored then. ConflictError when
        `expect` does not hold. `state` None: it stays as it is.
        """


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong with the machines below a store."""

    kind: str
    """Key `store_KIND` of the catalogue `doctor`."""
    values: Mapping[str, object]
    grave: bool = False
    """Events are in danger, or cannot be stored."""


@dataclass(frozen=True)
class About:
    """A store in figures."""

    engine: str
    """For people: nothing depends on it."""
    bytes: int
    """On disk, replicas included."""
    troubles: Sequence[Trouble] = ()


class Store(Protocol):
    """One place that holds everything: what `store.url` names."""

    records: RecordStore
    coordination: Coordination
    url: str

    @property
    def events(self) -> EventStore:
        """The events."""

    def about(self) -> About:
        """Size and health, as of now."""

    def snapshot(self, repository: str, name: str) -> str:
        """A native snapshot of everything (`Capabilities.snapshots`) in a repository that the administrator has registered; its name.

        StoreError where the engine has none, or when it is not complete.
        """

    def publish(self, name: str, documents: Mapping[str, Mapping[str, object]]) -> int:
        """Lay out id -> flat document of one projection (`domain/published.yml`), replacing what is there under these ids.

        Returns how many were new there. StoreError where the engine has no dashboards (`Capabilities.dashboards`).
        """

    def close(self) -> None:
        """Release files and connections."""
