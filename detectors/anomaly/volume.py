"""Model `volume`: a source, or a host within it, suddenly writes far more than ever before.

RecordNovelty on the counts of five minutes (sources) and of an hour (sources and hosts), with a guard: the count must lie above the
record by more than chance allows. An hour that is not over yet is judged as soon as it breaks the record. Speaks after three days.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np

from detectors.anomaly.base import DAY, HOUR, MINUTE, Model, at, dated, exercise_rows, is_value, living, query_text, reason, rule, times
from detectors.anomaly.evidence import peak
from detectors.anomaly.record import RecordNovelty
from detectors.anomaly.tally import Key, Tally, add, column
from detectors.base import Scanned
from domain import i18n
from domain.alert import Entity, Finding
from domain.clock import LOCAL, show_local
from store.base import Chunk, EventStore

MODEL: Final = Model("volume", 1, ("@timestamp", "thapcanh.source", "host.name"), ("anomaly.volume", "anomaly.volume.host"), 3)
THRESHOLD: Final = 0.3
"""RecordNovelty score from which a record counts."""
LEARN_DAYS: Final = 3
MOST: Final = {"source": (5 * MINUTE, 64), "source_hour": (HOUR, 500), "host": (HOUR, 2_000)}
"""Kind of series -> bucket, and how many are kept."""
ACCEPTED: Final = 3
"""A new level that came back on so many days is normal."""
_TAGS: Final = ("attack.impact", "attack.t1498")


@dataclass
class Series:
    """Counts of one object, bucket by bucket."""

    novelty: RecordNovelty
    bucket: int
    """The bucket that is filling."""
    count: float = 0.0
    """Events in it so far."""
    record: float = 0.0
    """Largest count of any finished bucket that was not an outlier."""
    when: int = 0
    """Bucket of the record."""
    told: float = 0.0
    """Count that was told of the bucket that is filling."""
    days: list[int] = field(default_factory=list)
    """Days of the last outliers."""
    exercise: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the model's state."""
        return {**self.__dict__, "novelty": self.novelty.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Series:
        """The inverse of `to_json`."""
        return cls(**{**data, "novelty": RecordNovelty(**data["novelty"])})


@dataclass(frozen=True)
class Spike:
    """A bucket that stands out."""

    bucket: int
    count: float
    fresh: float
    """Events of it that were not told before."""
    record: float
    when: int


class Volume:
    """The detector."""

    name = "anomaly.volume"

    def scan(self, chunks: Iterable[Chunk], state: Mapping[str, Any], now: datetime, events: EventStore) -> Scanned:  # noqa: ARG002
        """Buckets that break their record."""
        tallies: dict[str, dict[Key, Tally]] = {kind: {} for kind in MOST}
        for chunk in chunks:
            _count(chunk, tallies)
        findings: list[Finding] = []
        kept: dict[str, Any] = {}
        notes: list[str] = []
        for kind, found in tallies.items():
            series = {_name(k): Series.from_json(v) for k, v in state.get(kind, {}).items()}
            for key, tally in sorted(found.items()):
                findings += [_finding(kind, key, s, tally.exercise, events) for s in advance(series, key, tally, MOST[kind][0])]
            kept[kind] = {"\x1f".join(k): s.to_json() for k, s in _busiest(series, kind, notes)}
        return Scanned(findings, kept, notes + _learning(kept["source_hour"]))


def _name(text: str) -> Key:
    return tuple(text.split("\x1f"))


def _count(chunk: Chunk, tallies: dict[str, dict[Key, Tally]]) -> None:
    live, exercise = living(chunk) & dated(chunk), exercise_rows(chunk)
    moments = times(chunk)
    source, sources = column(chunk, "thapcanh.source")
    source = np.where(live, source, len(sources) - 1)
    host = column(chunk, "host.name")
    add(tallies["source"], [(source, sources)], moments // MOST["source"][0], [], exercise)
    add(tallies["source_hour"], [(source, sources)], moments // HOUR, [], exercise)
    add(tallies["host"], [(source, sources), host], moments // HOUR, [], exercise)


def advance(series: dict[Key, Series], key: Key, tally: Tally, width: int) -> list[Spike]:
    """Take the buckets of a scan into the series of the key; the outliers among them. Buckets that are over already are left out."""
    spikes = []
    per_day = DAY // width
    for bucket in sorted(tally.buckets):
        count = tally.buckets[bucket][0]
        one = series.get(key)
        if one is None:
            one = series[key] = Series(RecordNovelty(per_day), bucket)
        if bucket < one.bucket:
            continue
        if bucket > one.bucket:
            _close(one, bucket, per_day)
        one.count += count
        one.exercise = tally.exercise
        if outlier(one):
            spikes.append(Spike(bucket, one.count, one.count - one.told, one.record, one.when))
            one.told = one.count
    return spikes


def outlier(one: Series) -> bool:
    """Whether the bucket that is filling breaks the record by more than chance allows, and by more than before in this bucket."""
    enough = one.novelty.points >= LEARN_DAYS * one.novelty.per_day
    chance = one.record + 4 * math.sqrt(one.record + 1) + 5
    return enough and one.count > max(chance, one.told) and one.novelty.score(one.count)[0] >= THRESHOLD


def _close(one: Series, bucket: int, per_day: int) -> None:
    """Learn the finished bucket, and the empty ones up to `bucket`. An outlier is learnt once it came back on several days."""
    day = one.bucket // per_day
    if one.told and day not in one.days:
        one.days = [*one.days[-(ACCEPTED - 1) :], day]
    if not one.told or len(one.days) >= ACCEPTED:
        one.novelty.push(one.count)
        if one.count > one.record:
            one.record, one.when = one.count, one.bucket
    else:
        one.novelty.push(one.record)
    for _ in range(min(bucket - one.bucket - 1, len(one.novelty.ring) + 1)):
        one.novelty.push(0.0)
    one.bucket, one.count, one.told = bucket, 0.0, 0.0


def _busiest(series: Mapping[Key, Series], kind: str, notes: list[str]) -> list[tuple[Key, Series]]:
    most = MOST[kind][1]
    ranked = sorted(series.items(), key=lambda item: (-item[1].record, -item[1].bucket, item[0]))
    if len(ranked) > most:
        notes.append(i18n.t("anomaly.shed", model=MODEL.name, n=len(ranked) - most))
    return sorted(ranked[:most])


def _learning(series: Mapping[str, Any]) -> list[str]:
    young = sorted(name for name, s in series.items() if s["novelty"]["points"] < LEARN_DAYS * s["novelty"]["per_day"])
    if not young:
        return []
    return [i18n.t("anomaly.learning", model=MODEL.name, n=len(young), days=LEARN_DAYS, names=", ".join(young[:10]))]


def _finding(kind: str, key: Key, spike: Spike, exercise: bool, events: EventStore) -> Finding:
    width = MOST[kind][0]
    tests = [is_value("thapcanh.source", key[0]), *(is_value("host.name", h) for h in key[1:])]
    entities = (Entity("source", key[0]), *(Entity("host", h) for h in key[1:]))
    proof = peak(events, tests, (spike.bucket * width, (spike.bucket + 1) * width), max(1, int(spike.fresh)))
    minutes = width // MINUTE
    why = reason(
        "event.count", int(spike.count), int(spike.record), "volume", name=key[-1], n=int(spike.count), record=int(spike.record),
        span=i18n.t("anomaly.span_minutes", n=minutes), start=show_local(at(spike.bucket * width)),
        when=at(spike.when * width).astimezone(LOCAL).strftime("%d/%m/%Y %H:%M"),
        times=f"{spike.count / max(spike.record, 1):.1f}",
    )  # fmt: skip
    return Finding(
        rule(MODEL.name_of(".host" if len(key) > 1 else ""), "low", _TAGS, MODEL.version, (THRESHOLD, LEARN_DAYS, width)),
        tuple(sorted(entities)), at(proof.start), at(proof.end), max(1, int(spike.fresh)), proof.ids, (why,), query_text(*tests),
        at(proof.start), at(proof.end), exercise=exercise,
    )  # fmt: skip
