"""RecordStore and Coordination over a cluster: transactions are entries of a log, so each is one atomic step."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import orjson

from domain.errors import ConflictError, StoreError
from domain.window import micros
from store import conflicts, faults
from store.base import NewRecord, Record
from store.opensearch.client import Cluster, Refused
from store.opensearch.deliveries import EPOCH
from store.opensearch.log import Entry, Log, State, View

_PROPERTIES: Final[Mapping[str, object]] = {
    "number": {"type": "long"}, "first": {"type": "long"}, "last": {"type": "long"}, "streams": {"type": "keyword"},
    "keys": {"type": "keyword"}, "cursor": {"type": "keyword"}, "records": {"type": "object", "enabled": False},
}  # fmt: skip
_BLOB: Final[Mapping[str, object]] = {"state": {"type": "object", "enabled": False}, "records": {"type": "object", "enabled": False}}
_LEASE: Final[Mapping[str, object]] = {"holder": {"type": "keyword"}, "until": {"type": "long"}}
_PART: Final = 8 << 20
"""Bytes of records that stand in one document; more are written beside the entry, before it."""
_KEYS: Final = 1_000
_RACES: Final = 20
AHEAD: Final = timedelta(hours=1)
"""Clocks of machines that share a store differ by less."""

Pair = tuple[str, str]


def log(cluster: Cluster, prefix: str) -> Log:
    """The log of records. It is made before that of deliveries: a store that has only the other one has lost it."""
    return Log(cluster, f"{prefix}-records", _PROPERTIES, (f"{prefix}-deliveries", "deliveries"))


class ClusterRecords:
    """The RecordStore of the cluster engine."""

    def __init__(self, cluster: Cluster, prefix: str) -> None:
        self._cluster = cluster
        self._blobs = f"{prefix}-state"
        self.log = log(cluster, prefix)
        self.view = View(self.log, "records", _fold, _empty, exclude="records,keys")

    def append(self, records: Sequence[NewRecord], at: datetime, expect: Mapping[Pair, int] | None = None) -> Sequence[Record]:
        """Append atomically; ConflictError when `expect` does not hold."""
        made: list[Record] = []

        def decide(state: State) -> Entry:
            made[:] = self.numbered(state, records, at, expect)
            return self.entry(state, made)

        if records or expect:
            self.log.append(self.view, decide)
        return made

    def read(self, stream: str, key: str) -> Sequence[Record]:
        """All records of one key, in order."""
        return list(self.find(stream, keys=[key]))

    def find(self, stream: str, after: int = 0, keys: Sequence[str] = ()) -> Iterator[Record]:
        """Records of a stream with seq > after, in order, as they stood when the call began; only `keys` when given."""
        self.view.catch_up()
        wanted = set(keys)
        where: list[dict[str, Any]] = [{"range": {"last": {"gt": after}}}]
        if stream:
            where.append({"term": {"streams": stream}})
        if stream and wanted and len(wanted) <= _KEYS:
            where.append({"terms": {"keys": [_pair(stream, key) for key in sorted(wanted)]}})
        return self._found(
            where, self.view.at, lambda r: r.seq > after and (not stream or r.stream == stream) and (not wanted or r.key in wanted)
        )

    def numbered(self, state: State, records: Sequence[NewRecord], at: datetime, expect: Mapping[Pair, int] | None) -> list[Record]:
        """The records with version and sequence, as the log stands now. ConflictError when `expect` does not hold."""
        newest = self._versions({*(expect or {}), *((r.stream, r.key) for r in records)})
        for (stream, key), version in (expect or {}).items():
            if newest.get((stream, key), 0) != version:
                raise conflicts.version(stream, key, newest.get((stream, key), 0), version)
        out = []
        for number, new in enumerate(records, int(state["seq"]) + 1):
            version = newest[new.stream, new.key] = newest.get((new.stream, new.key), 0) + 1
            body = orjson.loads(orjson.dumps(dict(new.body)))
            moment = EPOCH + timedelta(microseconds=micros(new.at or at))
            out.append(Record(new.stream, new.key, new.type, body, new.actor, at=moment, version=version, seq=number))
        return out

    def entry(self, state: State, records: Sequence[Record]) -> Entry:
        """The entry that holds these records. Many are written beside it first."""
        plain = [_plain(r) for r in records]
        parts: list[str] = []
        if len(orjson.dumps(plain)) > _PART:
            parts, plain = self._spread(plain), []
        return {
            "first": int(state["seq"]) + 1, "last": int(state["seq"]) + len(records), "records": plain, "parts": parts,
            "streams": sorted({r.stream for r in records}), "keys": sorted({_pair(r.stream, r.key) for r in records}),
        }  # fmt: skip

    def put(self, body: Mapping[str, object]) -> str:
        """A document beside the log; returns its id."""
        self._cluster.make(self._blobs, _BLOB)
        name = secrets.token_hex(12)
        self._cluster.call("PUT", f"/{self._blobs}/_doc/{name}", body)
        return name

    def get(self, name: str) -> Mapping[str, Any] | None:
        """That document; None when it is gone."""
        found = self._cluster.call("GET", f"/{self._blobs}/_doc/{name}", missing=True)
        return dict(found["_source"]) if found and found.get("found") else None

    def torn(self, what: str) -> StoreError:
        """Log and documents beside it are not of the same moment: one was deleted, or restored without the other."""
        hint = f"restore {self.log.index} and {self._blobs} from the same snapshot"
        return StoreError(what, where=f"{self._cluster.where}/{self._blobs}", hint=hint)

    def drop(self, name: str) -> None:
        """It is not needed any more."""
        with suppress(StoreError):
            self._cluster.call("DELETE", f"/{self._blobs}/_doc/{name}", missing=True)

    def _spread(self, plain: Sequence[Mapping[str, Any]]) -> list[str]:
        parts: list[str] = []
        batch: list[Mapping[str, Any]] = []
        size = 0
        for record in plain:
            more = len(orjson.dumps(record))
            if batch and size + more > _PART:
                parts.append(self.put({"records": batch}))
                batch, size = [], 0
            batch.append(record)
            size += more
        return [*parts, self.put({"records": batch})] if batch else parts

    def _found(self, where: Sequence[Mapping[str, Any]], upto: int, wanted: Any) -> Iterator[Record]:
        for entry in self.log.find(where, upto):
            yield from (r for r in self._records(entry) if wanted(r))

    def _records(self, entry: Entry) -> Iterator[Record]:
        for name in entry.get("parts", ()):
            part = self.get(name)
            if part is None:
                raise self.torn("records are not there")
            yield from (_record(r) for r in part["records"])
        yield from (_record(r) for r in entry["records"])

    def _versions(self, pairs: set[Pair]) -> dict[Pair, int]:
        """The newest version of each key, as of the entry up to which the view has come."""
        out: dict[Pair, int] = {}
        names = sorted(pairs)
        for start in range(0, len(names) if self.view.at else 0, _KEYS):
            part = names[start : start + _KEYS]
            for entry in self._newest([_pair(*p) for p in part]):
                for record in self._records(entry):
                    pair = (record.stream, record.key)
                    if pair in pairs:
                        out[pair] = max(out.get(pair, 0), record.version)
        return out

    def _newest(self, keys: Sequence[str]) -> list[Entry]:
        """The newest entry of each key."""
        self.log.refresh()
        upto = {"range": {"number": {"lte": self.view.at}}}
        newest = {"terms": {"field": "keys", "include": list(keys), "size": len(keys)}, "aggs": {"at": {"max": {"field": "number"}}}}
        body = {"size": 0, "query": {"bool": {"filter": [{"terms": {"keys": list(keys)}}, upto]}}, "aggs": {"by": newest}}
        answer = self._cluster.found(self.log.index, body)
        if "aggregations" not in answer:
            raise self.log.lost("the log is gone")
        numbers = sorted({int(b["at"]["value"]) for b in answer["aggregations"]["by"]["buckets"]})
        return [entry for start in range(0, len(numbers), 50) for entry in self.log.entries(numbers[start : start + 50])]


class ClusterCoordination:
    """The Coordination of the cluster engine."""

    def __init__(self, cluster: Cluster, prefix: str, records: ClusterRecords) -> None:
        self._cluster = cluster
        self._leases = f"{prefix}-leases"
        self._records = records

    def lease(self, name: str, holder: str, seconds: float, now: datetime) -> bool:
        """Take or renew; False while somebody else holds it. One of a clock that ran ahead is void."""
        absurd = micros(now + max(timedelta(seconds=2 * seconds), AHEAD))
        body = {"holder": holder, "until": micros(now + timedelta(seconds=seconds)), "name": name}
        for _ in range(_RACES):
            found = self._cluster.call("GET", self._place(name), missing=True)
            there = found["_source"] if found and found.get("found") else None
            if there is not None and there["holder"] not in ("", holder) and micros(now) < there["until"] <= absurd:
                return False
            if self._swap(name, found if there is not None else None, body):
                return True
        return False

    def release(self, name: str, holder: str) -> None:
        """Give back what `holder` holds."""
        found = self._cluster.call("GET", self._place(name), missing=True)
        if found and found.get("found") and found["_source"]["holder"] == holder:
            self._swap(name, found, {"holder": "", "until": 0, "name": name})

    def cursor(self, name: str) -> int:
        """Ingest sequence up to which `name` has worked; 0 at first."""
        return self.cursors().get(name, 0)

    def cursors(self) -> Mapping[str, int]:
        """Every cursor, by name."""
        return {name: int(there["position"]) for name, there in sorted(self._records.view.catch_up()["cursors"].items())}

    def state(self, name: str) -> Mapping[str, object]:
        """State stored with the cursor; empty at first."""
        for _ in range(_RACES):
            there = self._records.view.catch_up()["cursors"].get(name)
            if there is None or not there["state"]:
                return {}
            found = self._records.get(there["state"])
            if found is not None:
                return dict(found["state"])
        raise self._records.torn(f"the state of {name} is not there")

    def commit_scan(  # noqa: PLR0913, PLR0917  one transaction
        self, name: str, start: int, end: int, records: Sequence[NewRecord], at: datetime, state: Mapping[str, object] | None = None,
        expect: Mapping[Pair, int] | None = None,
    ) -> bool:  # fmt: skip
        """Cursor, records and state by one entry; False when the cursor is not at `start`. `state` None: it stays as it is."""
        before = self._records.view.catch_up()["cursors"].get(name, {"position": 0, "state": ""})
        if before["position"] != start:
            return False
        blob = self._records.put({"state": dict(state)}) if state is not None else ""

        def decide(now: State) -> Entry:
            there = now["cursors"].get(name, {"position": 0, "state": ""})
            if there["position"] != start:
                raise _LostError
            made = self._records.numbered(now, records, at, expect)
            moved = {"cursor": name, "position": end, "state": blob or there["state"]}
            return {**self._records.entry(now, made), **moved}

        faults.point("before-scan-commit")
        try:
            self._records.log.append(self._records.view, decide)
        except (_LostError, ConflictError) as error:  # after any other error the entry may stand, and name this state
            if blob:
                self._records.drop(blob)
            if isinstance(error, _LostError):
                return False
            raise
        faults.point("after-scan-commit")
        if blob and before["state"]:
            self._records.drop(before["state"])
        return True

    def _place(self, name: str) -> str:
        plain = quote(name, safe="")
        return f"/{self._leases}/_doc/{plain if len(plain) < 400 else hashlib.blake2b(name.encode()).hexdigest()}"

    def _swap(self, name: str, found: Mapping[str, Any] | None, body: Mapping[str, object]) -> bool:
        """Put a lease in the place of what was found; False when somebody else did."""
        if found is None:
            self._cluster.make(self._leases, _LEASE)
            params: dict[str, Any] = {"op_type": "create"}
        else:
            params = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
        try:
            self._cluster.call("PUT", self._place(name), body, params)
        except Refused as error:
            if error.status != 409:
                raise
            return False
        return True


class _LostError(Exception):
    """Another scan has moved the cursor."""


def _empty() -> State:
    return {"seq": 0, "cursors": {}}


def _fold(state: State, entry: Entry) -> None:
    state["seq"] = max(int(state["seq"]), int(entry["last"]))
    if "cursor" in entry:
        state["cursors"][entry["cursor"]] = {"position": entry["position"], "state": entry["state"]}


def _pair(stream: str, key: str) -> str:
    return f"{stream}|{key}"


def _plain(record: Record) -> dict[str, Any]:
    return {
        "stream": record.stream, "key": record.key, "type": record.type, "body": record.body, "actor": record.actor,
        "at": micros(record.at), "version": record.version, "seq": record.seq,
    }  # fmt: skip


def _record(plain: Mapping[str, Any]) -> Record:
    return Record(
        plain["stream"], plain["key"], plain["type"], plain["body"], plain["actor"], at=EPOCH + timedelta(microseconds=plain["at"]),
        version=plain["version"], seq=plain["seq"],
    )  # fmt: skip
