"""Documents that other shippers write into an OpenSearch cluster, read by the cluster's own sequence: each version of a document once.

No privilege but reading is needed (`indices:data/read/*`). An updated document is a new version with a new sequence number, and so
another event: what a pull has seen is never changed. https://docs.opensearch.org/latest/api-reference/search-apis/search/
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from collectors.continuity import RECREATED, RESTORED, REWOUND, WAIT, Seen, judge
from collectors.parsers.common import moment
from collectors.profiles import PROFILES
from collectors.sequence import Document, Progress
from collectors.settings import Connected, Indexed
from collectors.shard import Cluster, NoShard, Shard, Unreadable
from domain.clock import Clock
from domain.errors import ConfigError, SourceError
from domain.i18n import t
from domain.raw import Checkpoint, Int64s, RawBatch
from domain.window import moment as instant

FORGET: Final = 400 * 86_400 * 1_000_000
"""Microseconds for which an index that is gone is remembered: it may be restored from a snapshot."""
_TERMS: Final = 1_000
"""Sequence numbers in one question."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Indices:
    """The Collector of `type = "opensearch"`."""

    settings: Indexed
    cluster: Cluster
    clock: Clock
    own: str = ""
    """Prefix of our own indices on this cluster, which are never read as somebody else's."""

    @classmethod
    def of(cls, settings: Indexed, place: Connected) -> Indices:
        """From configuration."""
        if not settings.index:
            raise ConfigError("an opensearch source needs index", where=settings.id, hint='index = "winlogbeat-*"')
        if settings.profile not in PROFILES:
            raise ConfigError(f"profile {settings.profile}: {' | '.join(PROFILES)}", where=settings.id, hint="soc config check")
        cluster, own = place.connect(settings)
        return cls(settings, cluster, place.clock, own)

    def pull(self, checkpoints: Sequence[Checkpoint]) -> Iterator[RawBatch]:
        """What is new in every shard of every index of the pattern. SourceError at the end, naming the indices that could not be read."""
        now = self.clock.now()
        known, stale = _newest(checkpoints)
        problems: list[str] = []
        names = self.names()
        for name in names:
            try:
                yield from _Index(self, name, now).batches({p.shard: p for p in known if p.index == name})
            except Unreadable as error:
                problems.append(error.what)
        for progress in known:
            if progress.index not in names:
                yield from self.gone(progress, now)
        for progress in stale:
            yield self.batch(progress, (), now, Checkpoint(self.settings.id, progress.stream, -1))
        if problems:
            raise SourceError("; ".join(problems), where=self.settings.id, hint="soc collect status")

    def again(self, stream: str, positions: Sequence[int]) -> RawBatch:
        """Documents that were read before, as they were; those that are gone or changed since are left out."""
        index, _, rest = stream.partition("#")
        generation, _, number = rest.partition("/")
        progress = Progress(index, int(number), int(generation))
        found: list[Document] = []
        for start in range(0, len(positions), _TERMS):
            part = list(positions[start : start + _TERMS])
            found += Shard(self.cluster, index, progress.shard).search({"terms": {"_seq_no": part}}, len(part))
        return self.batch(progress, found, self.clock.now())

    def names(self) -> list[str]:
        """The concrete indices behind the pattern, aliases and data streams resolved."""
        params = {"fields": "_id", "ignore_unavailable": "true", "allow_no_indices": "true", "expand_wildcards": "open"}
        answer = self.cluster.call("GET", f"/{quote(self.settings.index, safe='*,-.')}/_field_caps", None, params, missing=True)
        found: Sequence[str] = answer["indices"] if answer else ()
        return sorted(n for n in found if (not n.startswith(".") or n.startswith(".ds-")) and not (self.own and n.startswith(self.own)))

    def batch(self, progress: Progress, found: Sequence[Document], now: datetime, checkpoint: Checkpoint | None = None) -> RawBatch:
        """These documents with the checkpoint after them."""
        source = self.settings.id
        return RawBatch(
            source, progress.stream, pa.array([d.raw for d in found], pa.large_binary()),
            np.array([d.seq for d in found], np.int64), _arrivals(found, micros(now)),
            checkpoint or progress.save(source), parser=self.settings.parser, tz=self.settings.tz, received=len(found),
            envelope=PROFILES[self.settings.profile],
        )  # fmt: skip

    def gone(self, progress: Progress, now: datetime, what: str = "deleted") -> Iterator[RawBatch]:
        """An index, or a shard of it, that is not there any more: told once, remembered for long."""
        if not progress.gone:
            progress.gone = micros(now)
            tell(self.settings.id, progress, what, now)
            yield self.batch(progress, (), now)
        elif micros(now) - progress.gone > FORGET:
            yield self.batch(progress, (), now, Checkpoint(self.settings.id, progress.stream, -1))


class _Index:
    """One index during one pull."""

    def __init__(self, source: Indices, name: str, now: datetime) -> None:
        self._source = source
        self._name = name
        self._now = now

    def batches(self, known: Mapping[int, Progress]) -> Iterator[RawBatch]:
        """Every shard; an index created anew may have more or fewer of them than it had."""
        count = next((p.shards for p in known.values()), 0) or self._shards()
        number = 0
        while number < count:
            shard = _Reading(self._source, known.get(number) or Progress(self._name, number, shards=count), self._now)
            try:
                yield from shard.batches()
            except NoShard:
                if count <= (count := self._shards()):
                    raise Unreadable(f"{self._name}: shard {number} is not there") from None
                continue
            if shard.recreated:
                count = self._shards()
            number += 1
        for progress in known.values():
            if progress.shard >= count:
                yield from self._source.gone(progress, self._now, "smaller")

    def _shards(self) -> int:
        answer = self._source.cluster.call("POST", f"/{quote(self._name, safe='')}/_search", {"size": 0, "track_total_hits": False})
        return int(answer["_shards"]["total"])


class _Reading:
    """One shard during one pull: a change of the index is found out before any of its documents is used."""

    def __init__(self, source: Indices, progress: Progress, now: datetime) -> None:
        self._source = source
        self._progress = progress
        self._now = now
        self._shard = Shard(source.cluster, progress.index, progress.shard)
        self._told = False
        self.recreated = False

    def batches(self) -> Iterator[RawBatch]:
        """Pages until there is nothing new."""
        source, progress = self._source, self._progress
        before = progress.save(source.settings.id)
        away, progress.gone = progress.gone, 0
        more = True
        while more and (self._progress.anchors or self._sure()):
            progress = self._progress
            overlap = progress.overlap
            proved, found, more = self._shard.page(progress)
            if not proved:
                more = self._sure()
                continue
            progress.behind = 0
            if found:
                if lost := progress.take(found, micros(self._now)):
                    _LOG.warning("%s: %s: %d missing sequence numbers are no longer asked for", source.settings.id, progress.stream, lost)
                yield replace(source.batch(progress, found, self._now), overlap=overlap)
                before = progress.save(source.settings.id)
        if away and not self._told:
            tell(source.settings.id, self._progress, "returned", self._now)
        after = self._progress.save(source.settings.id)
        if after != before and (after.position or after.state.get("generation") != 1):
            yield source.batch(self._progress, (), self._now)

    def _sure(self) -> bool:
        """Find out what became of the index, and where to go on; False = wait."""
        progress, shard = self._progress, self._shard
        uuid = self._source.cluster.uuid(progress.index)
        if not progress.next:
            self._begin(uuid)
            return True
        verdict = judge(progress, Seen(uuid, shard.held(progress.anchors), shard.newest()), micros(self._now))
        if verdict == RECREATED:
            self.recreated = True
            self._progress = progress.anew()
            self._begin(uuid)
        if verdict in (RECREATED, RESTORED, REWOUND):
            tell(self._source.settings.id, self._progress, verdict, self._now)
            self._told = True
        return verdict != WAIT

    def _begin(self, uuid: str) -> None:
        progress, start = self._progress, self._source.settings.since
        progress.uuid = uuid
        if start and progress.generation == 1 and not progress.read:
            at = instant(start, self._now)
            progress.next = self._shard.since(at.isoformat())


def _newest(checkpoints: Sequence[Checkpoint]) -> tuple[list[Progress], list[Progress]]:
    """The newest generation of every shard, and older ones that can be forgotten."""
    loaded = sorted((p for p in map(Progress.load, checkpoints) if p is not None), key=lambda p: p.generation)
    newest = {(p.index, p.shard): p for p in loaded}
    return list(newest.values()), [p for p in loaded if newest[p.index, p.shard] is not p]


def _arrivals(found: Sequence[Document], now: int) -> Int64s:
    """When the shipper saw each document, for stamps without a year; now where it does not say."""
    stamps = (moment(d.at) if isinstance(d.at, (str, int, float)) else None for d in found)
    return np.array([micros(at) if at else now for at in stamps], np.int64)


def tell(source: str, progress: Progress, what: str, now: datetime) -> None:
    """Say what happened to an index, once, and remember it for the source's status."""
    progress.note(what, micros(now), position=progress.next)
    _LOG.warning("%s: %s", source, t(f"indices.{what}", index=progress.index, shard=progress.shard, position=progress.next))


def micros(at: datetime) -> int:
    """Since the epoch."""
    return int(at.timestamp() * 1_000_000)
