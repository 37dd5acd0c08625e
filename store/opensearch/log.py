"""A log whose entries are appended one after the other by many writers, as in Delta Lake: the one place where a cluster decides.

Entry k + 1 is a document with that number as its id, made with `create`: who comes second is told so, reads on, looks whether what
it wants still holds, and tries the next number. What a log says as a whole (a View) is folded from its entries and kept as a
snapshot document from time to time. All of it is read by id, so it is never stale.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

from domain.errors import StoreError
from store.opensearch.client import GONE, Cluster, Lacking, Refused

Entry: TypeAlias = dict[str, Any]
"""A document: `number` and `txn`, and what the log's owner puts in."""
State: TypeAlias = dict[str, Any]
"""Plain JSON values."""

_WIDTH: Final = 12
_AHEAD: Final = (8, 64, 256)
"""How many entries are asked for at once while catching up."""
_SNAPSHOT_EVERY: Final = 64
_RACES: Final = 200
_PAGE: Final = 200


class Log:
    """One index of numbered entries."""

    def __init__(self, cluster: Cluster, index: str, properties: Mapping[str, object], traces: tuple[str, str] | None = None) -> None:
        """`traces`: indices made after the log, and a field that tells them; where they are and it is not, it was deleted."""
        self.cluster = cluster
        self.index = index
        self._properties = properties
        self._traces = traces
        self._made = False

    def append(self, view: View, decide: Callable[[State], Entry]) -> Entry:
        """Append what `decide` makes of the newest state; it is asked again when another writer was first. It may raise to give up."""
        txn = secrets.token_hex(8)
        for attempt in range(_RACES):
            if attempt or not view.at:
                view.catch_up()  # a state that is not the newest does no harm: its next number is taken
            entry = {**decide(view.state), "number": view.at + 1, "txn": txn}
            if self._create(entry):
                view.take(entry)
                return entry
        raise StoreError("too many writers at once; nothing was stored", where=f"{self.cluster.where}/{self.index}", hint="try again")

    def entries(self, numbers: Sequence[int], *, exclude: str = "") -> list[Entry]:
        """Entries by number, read realtime; those that are not there are left out."""
        if not numbers:
            return []
        docs = self.cluster.documents(self.index, [_id(n) for n in numbers], {"_source_excludes": exclude} if exclude else {})
        return [doc["_source"] for doc in docs if doc.get("found")]

    def blank(self) -> None:
        """StoreError when a log without a first entry is none that has just begun: it was deleted, or its beginning was."""
        if self.cluster.documents(self.index, [_id(1)])[0].get("error") is None:
            self.refresh()
            later = {"size": 0, "query": {"range": {"number": {"gte": 1}}}, "terminate_after": 1}
            lost = self.cluster.found(self.index, later)["hits"]["total"]["value"] > 0
        else:
            lost = self._traces is not None and self._traced(*self._traces)
        if lost:
            raise self.lost("the log of this store was deleted, but what it counts is still there")

    def lost(self, what: str) -> StoreError:
        """The log is not what it was."""
        hint = "nothing was changed; restore the index from a snapshot, or begin another store: [store] index_prefix"
        return StoreError(what, where=f"{self.cluster.where}/{self.index}", hint=hint)

    def find(
        self, where: Sequence[Mapping[str, Any]], upto: int, *, exclude: str = "", newest: bool = False, limit: int = 0
    ) -> Iterator[Entry]:
        """Entries with number <= upto that fulfil the filters, in order of their numbers."""
        if upto <= 0:
            return
        self.refresh()
        after: list[Any] = []
        while True:
            size = min(limit, _PAGE) if limit else _PAGE
            body: dict[str, Any] = {
                "query": {"bool": {"filter": [{"range": {"number": {"gte": 1, "lte": upto}}}, *where]}},
                "sort": [{"number": "desc" if newest else "asc"}], "size": size, "track_total_hits": False,
                "_source": {"excludes": [exclude] if exclude else []}, **({"search_after": after} if after else {}),
            }  # fmt: skip
            hits = self.cluster.search(self.index, body)
            for hit in hits:
                yield hit["_source"]
            if len(hits) < size or limit:
                return
            after = hits[-1]["sort"]

    def refresh(self) -> None:
        """What was appended can be found from now on."""
        self.cluster.refresh(self.index)

    def forget(self, numbers: Sequence[int]) -> None:
        """Remove entries that no reader will ask for again: every view has gone past them."""
        for start in range(0, len(numbers), _PAGE):
            lines = b"".join(b'{"delete":{"_id":"%s"}}\n' % _id(n).encode() for n in numbers[start : start + _PAGE])
            self.cluster.call("POST", f"/{self.index}/_bulk", lines)

    def make(self) -> None:
        """The index, when it is not there."""
        if not self._made:
            self.cluster.make(self.index, self._properties)
            self._made = True

    def _create(self, entry: Entry) -> bool:
        """Whether the entry stands under its number; an answer that got lost is found out by reading it back."""
        if entry["number"] == 1:
            self.make()
        name = _id(entry["number"])
        try:
            done = self.cluster.call("PUT", f"/{self.index}/_create/{name}", entry)
        except Refused as error:
            if error.status != 409:
                raise
            done = self.cluster.documents(self.index, [name])[0]
            if not done.get("found") or done["_source"]["txn"] != entry["txn"]:
                return False
        if done["_seq_no"] < entry["number"] - 1:  # OpenSearch has made a new index for it, with nothing before this entry
            raise self.lost(f"the log was deleted while it was in use: {entry['number'] - 1} entries are gone")
        return True

    def _traced(self, indices: str, field: str) -> bool:
        with suppress(Lacking):  # who may not look is not told
            found = self.cluster.call("GET", f"/{indices}/_mapping", None, GONE, missing=True) or {}
            return any(field in there["mappings"].get("properties", {}) for there in found.values())
        return False


class View:
    """What a log says as a whole, kept up to date in this process."""

    def __init__(self, log: Log, name: str, fold: Callable[[State, Entry], None], empty: Callable[[], State], *, exclude: str = "") -> None:
        self.at = 0
        """Number of the last entry folded in."""
        self.state = empty()
        self._log = log
        self._name = f"view-{name}"
        self._fold = fold
        self._empty = empty
        self._exclude = exclude
        self._loaded_at = -1
        """Up to which entry the snapshot went that we have read; 0 = there was none."""
        self._blank = False
        """Whether a log without entries was found to be a new one."""
        self._kept = 0
        self._txn = ""
        """Of the last entry."""
        self._highest = 0
        """Up to which entry we had come when we had to begin again: but for the last one, they must be there."""

    def catch_up(self) -> State:
        """Fold in what was appended meanwhile."""
        if self._loaded_at < 0:
            self._load()
        again = False
        for step in (*_AHEAD, *([_AHEAD[-1]] * 100_000)):
            known = 1 if self.at > self._loaded_at else 0  # the entry up to which we have come must still be there
            asked = range(self.at + 1 - known, self.at + 1 + step)
            found = self._log.entries(asked, exclude=self._exclude)
            if not self._follows(found, asked):
                if again:
                    raise self._log.lost(f"the log has a gap after entry {self.at}")
                self._begin_again()
                again = True
                continue
            for entry in found[known:]:
                self._take(entry)
            if len(found) < len(asked):
                break
        if not self.at and not self._blank:
            self._log.blank()
            self._blank = True
        if self.at + 1 < self._highest:
            raise self._log.lost(f"the log ends at entry {self.at}, there was an entry {self._highest}")
        self._keep()
        return self.state

    def take(self, entry: Entry) -> None:
        """Fold in an entry that was just appended."""
        self._take(entry)
        self._keep()

    def _take(self, entry: Entry) -> None:
        self._fold(self.state, entry)
        self.at, self._txn = entry["number"], entry["txn"]

    def _load(self) -> None:
        """Begin with the snapshot, if there is one."""
        found = self._log.cluster.call("GET", f"/{self._log.index}/_doc/{self._name}", None, {"preference": "_primary"}, missing=True)
        self._loaded_at = 0
        if found is not None and found.get("found"):
            self.at = self._kept = self._loaded_at = int(found["_source"]["upto"])
            self.state = found["_source"]["state"]

    def _follows(self, found: Sequence[Entry], asked: range) -> bool:
        """Whether these are the next entries, and the first of them still is the one up to which we have come."""
        known = asked.start == self.at
        numbered = all(entry["number"] == number for entry, number in zip(found, asked, strict=False))
        return numbered and (not known or (bool(found) and found[0]["txn"] == self._txn))

    def _begin_again(self) -> None:
        """Entries were tidied away behind us; or the last one was read from a node that died before it had told the others."""
        self._highest = max(self._highest, self.at)
        self.at, self.state, self._blank = 0, self._empty(), False
        self._load()

    def _keep(self) -> None:
        """A snapshot now and then; only ever replaced by a newer one. Who may not write goes without."""
        if self.at - self._kept >= _SNAPSHOT_EVERY:
            self.save()

    def save(self) -> bool:
        """A snapshot of what the log says up to here; whether there is one that goes so far."""
        self._kept = self.at
        body = {"upto": self.at, "state": self.state}
        try:
            self._log.cluster.call("PUT", f"/{self._log.index}/_doc/{self._name}", body, {"version": self.at, "version_type": "external"})
        except Refused as error:
            return error.status == 409  # one that goes further
        except StoreError:
            return False
        return True


def _id(number: int) -> str:
    return f"{number:0{_WIDTH}d}"
