"""Indices as other shippers make them, and a source that reads them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from collectors.opensearch import Indices
from domain.clock import FixedClock
from domain.raw import Checkpoint
from jobs.foreign import Reader
from store.opensearch.client import connect

NOW = datetime(2026, 11, 24, 1, 15, tzinfo=UTC)


def bulk(url: str, index: str, documents: Iterable[Mapping[str, Any]], *, refresh: bool = True) -> None:
    """Write documents; a key `_id` is the document's id."""
    lines = []
    for document in documents:
        body = {k: v for k, v in document.items() if k != "_id"}
        lines += [
            json.dumps({"create" if index.startswith("ds-") else "index": {k: v for k, v in document.items() if k == "_id"}}),
            json.dumps(body),
        ]
    request = urllib.request.Request(
        f"{url}/{index}/_bulk?refresh={str(refresh).lower()}", ("\n".join(lines) + "\n").encode(), {"content-type": "application/x-ndjson"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert not json.loads(answer.read())["errors"]


@dataclass(frozen=True)
class Settings:
    """One `[[source]]`."""

    index: str
    since: str = ""
    profile: str = "auto"
    id: str = "theirs"
    path: str = ""
    parser: str = "auto"
    encoding: str = "utf-8"
    tz: str = "+07:00"
    record_start: str = ""


@dataclass
class Follower:
    """Pulls again and again, keeping the checkpoints as the store does."""

    url: str
    index: str
    since: str = ""
    now: datetime = NOW
    kept: dict[str, Checkpoint] = field(default_factory=dict)
    read: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    """(stream, position, document) of everything that was ever read."""

    def pull(self, minutes: float = 0) -> list[dict[str, Any]]:
        """The documents that were new, `minutes` after the last pull."""
        self.now += timedelta(minutes=minutes)
        source = Indices(Settings(self.index, self.since), Reader(connect(self.url), "theirs"), FixedClock(self.now), "thapcanh")
        before = len(self.read)
        for batch in source.pull(list(self.kept.values())):
            if batch.checkpoint.position < 0:
                del self.kept[batch.checkpoint.stream]
            else:
                self.kept[batch.checkpoint.stream] = batch.checkpoint
            documents = map(orjson.loads, batch.records.to_pylist())
            self.read += zip([batch.stream] * len(batch.records), batch.positions.tolist(), documents, strict=True)
        return [document for _, _, document in self.read[before:]]

    def numbers(self) -> list[int]:
        """`n` of all documents read, sorted."""
        return sorted(document["n"] for _, _, document in self.read)

    def notes(self) -> Sequence[str]:
        """What was told of the indices."""
        return [note["what"] for c in self.kept.values() for note in c.state.get("notes", ())]  # type: ignore[attr-defined]


def numbered(start: int, stop: int) -> list[dict[str, Any]]:
    """Documents {n, @timestamp, text}; every one has an id of its own."""
    return [{"_id": f"d{n}", "n": n, "@timestamp": "2026-11-24T01:00:00Z", "text": f"Line {n}"} for n in range(start, stop)]
