"""The events log: what each entry says, and what all of them say together (ledger, checkpoints, holds, the catalog of indices)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from domain.raw import Checkpoint
from domain.window import micros
from store import conflicts
from store.base import Counts, Delivery, SourceStatus
from store.opensearch.log import Entry, State

PROPERTIES: Final[Mapping[str, object]] = {
    "number": {"type": "long"}, "kind": {"type": "keyword"}, "first": {"type": "long"}, "last": {"type": "long"},
    "low": {"type": "long"}, "high": {"type": "long"}, "deliveries": {"type": "keyword"}, "indices": {"type": "keyword"},
    "replayed": {"type": "long"},
    "dead": {"type": "long"}, "slices": {"type": "object", "enabled": False}, "counts": {"type": "object", "enabled": False},
    "checkpoints": {"type": "object", "enabled": False},
}  # fmt: skip
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ADOPTED: Final = 500
"""Adopted deliveries that are remembered: those whose writers may still be alive."""


@dataclass(frozen=True)
class Slice:
    """Events of one delivery in one index."""

    delivery: str
    """Id of the delivery that wrote the documents; another one when documents of a dead collector were adopted."""
    ordinals: Sequence[tuple[int, int]]
    """Ranges, both ends in."""
    partition: str
    index: str
    rows: int
    low: int
    """Lowest and highest `@timestamp`, in microseconds."""
    high: int
    coverage: Mapping[str, Mapping[str, int]]
    sources: Mapping[str, tuple[int, int]]

    def plain(self) -> dict[str, Any]:
        """For the log."""
        return {**vars(self), "ordinals": [list(r) for r in self.ordinals], "sources": {s: list(n) for s, n in self.sources.items()}}


def empty() -> State:
    """Before the first entry."""
    return {"head": 0, "ledger": {}, "places": {}, "holds": {}, "retired": {}, "gone": {}, "adopted": {}, "loose": {}}


def fold(state: State, entry: Entry) -> None:
    """What an entry changes in ledger, checkpoints, holds."""
    kind = entry["kind"]
    if kind == "delivery":
        _fold_delivery(state, entry)
    elif kind == "hold":
        state["holds"][entry["name"]] = entry["hold"]
    elif kind == "release":
        state["holds"].pop(entry["name"], None)
    elif kind == "loose":
        state["loose"] = entry["seen"]
    elif kind == "retire":
        for name in entry["indices"]:
            state["gone"][_base(name)] = generation(name) + 1
        _add_retired(state, entry["sources"])


def catalog(state: State, entry: Entry) -> None:
    """What an entry changes in the catalog: index -> rows, bounds, counts."""
    if entry["kind"] == "retire":
        for name in entry["indices"]:
            state.pop(name, None)
    for part in entry.get("slices", ()):
        there = state.setdefault(
            part["index"],
            {"partition": part["partition"], "rows": 0, "low": part["low"], "high": part["high"], "coverage": {}, "sources": {}},
        )
        there["rows"] += part["rows"]
        there["low"], there["high"] = min(there["low"], part["low"]), max(there["high"], part["high"])
        for dataset, names in part["coverage"].items():
            known = there["coverage"].setdefault(dataset, {})
            for name, n in names.items():
                known[name] = known.get(name, 0) + n
        for source, (stored, unparsed) in part["sources"].items():
            old = there["sources"].get(source, (0, 0))
            there["sources"][source] = [old[0] + stored, old[1] + unparsed]


def check(state: State, delivery: Delivery) -> None:
    """ConflictError when another collector has moved what this delivery goes on from."""
    places = state["places"]
    for new in delivery.began:
        old = places.get(new.source, {}).get(new.stream)
        position = old[0] if old else 0
        if position != new.position:
            raise conflicts.began(position, new)
    for new in delivery.checkpoints:
        old = places.get(new.source, {}).get(new.stream)
        if old and 0 <= new.position < old[0]:
            raise conflicts.ended(old[0], new)


def statuses(state: State) -> list[SourceStatus]:
    """One for each source, by name."""
    names = sorted({*state["ledger"], *state["places"]})
    return [_status(name, state["ledger"].get(name, {}), checkpoints(state, name)) for name in names]


def checkpoints(state: State, source: str) -> list[Checkpoint]:
    """Of a source, by stream."""
    return [Checkpoint(source, stream, position, kept) for stream, (position, kept) in sorted(state["places"].get(source, {}).items())]


def counted(counts: Counts) -> dict[str, Any]:
    """For the log."""
    return {
        "source": counts.source, "received": counts.received, "stored": counts.stored, "unparsed": counts.unparsed,
        "rejected": dict(counts.rejected), "duplicates": counts.duplicates,
        "last_event": micros(counts.last_event) if counts.last_event else None, "at": micros(counts.at) if counts.at else None,
    }  # fmt: skip


def index_name(prefix: str, partition: str, day: int, gone: Mapping[str, int]) -> str:
    """Of the events of one parser and UTC day; a name that retention has removed is never used again."""
    base = f"{prefix}-events-{partition}-{date(1970, 1, 1) + timedelta(days=day):%Y.%m.%d}"
    times = gone.get(base, 0)
    return f"{base}.{times}" if times else base


def day_of(index: str) -> date:
    """The UTC day in the name of an index."""
    return datetime.strptime(index.rpartition("-")[2][:10], "%Y.%m.%d").replace(tzinfo=UTC).date()


def generation(index: str) -> int:
    """How often an index of this parser and day was removed before."""
    text = index.rpartition("-")[2][11:]
    return int(text) if text else 0


def removed(state: State, index: str) -> bool:
    """Whether retention has removed this index: its name is never used again."""
    return bool(state["gone"].get(_base(index), 0) > generation(index))


def at_or_none(value: int | None) -> datetime | None:
    """Microseconds as an instant."""
    return None if value is None else EPOCH + timedelta(microseconds=value)


def _fold_delivery(state: State, entry: Entry) -> None:
    state["head"] = entry["last"]
    for source, stream, position, kept in entry["checkpoints"]:
        streams = state["places"].setdefault(source, {})
        if position < 0:
            streams.pop(stream, None)
        else:
            streams[stream] = [position, kept]
        if not streams:
            del state["places"][source]
    for new in entry["counts"]:
        _count(state["ledger"].setdefault(new["source"], {}), new)
    _add_retired(state, entry.get("retired", {}))
    adopted = {part["delivery"] for part in entry["slices"]} - {entry["delivery"]}
    state["adopted"] = dict(list({**state["adopted"], **dict.fromkeys(sorted(adopted), entry["number"])}.items())[-_ADOPTED:])


def _count(row: dict[str, Any], new: Mapping[str, Any]) -> None:
    for name in ("received", "stored", "unparsed", "duplicates"):
        row[name] = row.get(name, 0) + new[name]
    rejected = row.setdefault("rejected", {})
    for reason, n in new["rejected"].items():
        rejected[reason] = rejected.get(reason, 0) + n
        if not rejected[reason]:
            del rejected[reason]
    for name, key in (("last_event", "last_event"), ("last_delivery", "at")):
        row[name] = max((v for v in (row.get(name), new[key]) if v is not None), default=None)


def _add_retired(state: State, sources: Mapping[str, Sequence[int]]) -> None:
    for source, (stored, unparsed) in sources.items():
        old = state["retired"].get(source, (0, 0))
        state["retired"][source] = [old[0] + stored, old[1] + unparsed]


def _status(name: str, row: Mapping[str, Any], streams: Sequence[Checkpoint]) -> SourceStatus:
    return SourceStatus(
        source=name, received=row.get("received", 0), stored=row.get("stored", 0), unparsed=row.get("unparsed", 0),
        rejected=row.get("rejected", {}), duplicates=row.get("duplicates", 0), last_event=at_or_none(row.get("last_event")),
        last_delivery=at_or_none(row.get("last_delivery")), streams=streams,
    )  # fmt: skip


def _base(index: str) -> str:
    number = generation(index)
    return index.removesuffix(f".{number}") if number else index
