"""Volume: records broken by more than chance, of sources and hosts; RecordNovelty itself."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa
import pytest

from detectors.anomaly.record import RecordNovelty
from detectors.anomaly.volume import Volume
from detectors.base import Scanned
from domain.alert import Entity
from domain.query import Query
from tests.detectors.chunks import MemoryChunk, at, chunk

MINUTE, HOUR, DAY = 60, 3600, 86400


class Rows:
    """The part of an EventStore that evidence reads, over one table in memory."""

    def __init__(self, batch: MemoryChunk) -> None:
        self.batch = batch

    def _rows(self, query: Query) -> pa.Table:
        from match import rows

        table = self.batch.table(rows(query.where, self.batch).tolist())
        assert query.window is not None
        keep = [query.window.start <= t < query.window.end for t in table["@timestamp"].to_pylist()]
        return table.filter(pa.array(keep, pa.bool_())).sort_by([("@timestamp", "descending")])

    def search(self, query: Query) -> list[pa.Table]:
        """Newest first."""
        return [self._rows(query).slice(0, query.limit or None)]

    def aggregate(self, query: Query, by: Sequence[str], every: str = "") -> pa.Table:
        """Counts by one field or by five minutes."""
        if by:
            groups = self._rows(query).group_by(list(by)).aggregate([([], "count_all")])
            return groups.rename_columns([*by, "count"]).sort_by([("count", "descending")])
        assert every == "5m"
        bins: dict[datetime, int] = {}
        for moment in self._rows(query)["@timestamp"].to_pylist():
            start = moment.replace(minute=moment.minute // 5 * 5, second=0, microsecond=0)
            bins[start] = bins.get(start, 0) + 1
        return pa.table({"bucket": pa.array(list(bins), pa.timestamp("us", "UTC")), "count": list(bins.values())})


def scan(events: Sequence[Mapping[str, object]], state: Mapping[str, object] | None = None) -> Scanned:
    """One scan; the state goes through JSON as a store keeps it."""
    batch = chunk(events)
    done = Volume().scan([batch], json.loads(json.dumps(state or {})), at(0), Rows(batch))  # type: ignore[arg-type]
    json.dumps(done.state)
    return done


def traffic(days: float, per_hour: int = 60, source: str = "web", host: str = "w1", seed: int = 1) -> list[dict[str, object]]:
    """Chance arrivals, busier by day, as an office has them."""
    chance, out, moment = random.Random(seed), [], 0.0
    while moment < days * DAY:
        by_day = 1 if 8 <= (moment / HOUR + 8) % 24 < 17 else 0.3
        moment += chance.expovariate(per_hour * by_day / HOUR)
        out.append({"@timestamp": at(moment), "thapcanh.source": source, "host.name": host})
    return out


def flood(start: float, n: int, seconds: float = 240, **more: object) -> list[dict[str, object]]:
    """Many events at once."""
    return [{"@timestamp": at(start + i * seconds / n), "thapcanh.source": "web", "host.name": "w1", "n": i, **more} for i in range(n)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ordinary_days_are_quiet(seed: int) -> None:
    assert scan(traffic(9, seed=seed)).findings == []


def test_a_flood_is_found_with_the_time_in_which_it_happened() -> None:
    found = scan([*traffic(7), *flood(6 * DAY + 2 * HOUR + 600, 900)]).findings
    assert {f.rule.id for f in found} == {"anomaly.volume", "anomaly.volume.host"}
    source = next(f for f in found if f.rule.id == "anomaly.volume")
    assert source.entities == (Entity("source", "web"),)
    assert at(6 * DAY + 2 * HOUR) <= source.first <= at(6 * DAY + 2 * HOUR + 600) < source.last <= at(6 * DAY + 2 * HOUR + 900)
    assert len(source.events) == 500


def test_the_same_flood_on_the_second_day_is_still_learning() -> None:
    done = scan([*traffic(2), *flood(1.5 * DAY, 900)])
    assert done.findings == []
    assert any("web" in note for note in done.notes)


def test_a_new_level_is_told_for_two_days_and_then_normal() -> None:
    events = traffic(14)
    for day in range(6, 14):
        events += flood(day * DAY + 3 * HOUR, 900, day=str(day))
    days = {f.first.date() for f in scan(sorted(events, key=lambda e: str(e["@timestamp"]))).findings}
    assert len(days) == 3


@pytest.mark.parametrize("pieces", [2, 9])
def test_many_scans_find_the_same_hours(pieces: int) -> None:
    events = sorted([*traffic(7), *flood(6 * DAY + 2 * HOUR + 600, 900)], key=lambda e: str(e["@timestamp"]))
    whole = {(f.rule.id, f.entities, f.first.date()) for f in scan(events).findings}
    state: Mapping[str, object] = {}
    found = set()
    size = len(events) // pieces + 1
    for start in range(0, len(events), size):
        done = scan(events[start : start + size], state)
        state = done.state
        found |= {(f.rule.id, f.entities, f.first.date()) for f in done.findings}
    assert found == whole


@pytest.mark.parametrize("mark", [{"event.kind": "pipeline_error"}, {"tags": ["no_timestamp"]}], ids=["unparsed", "no time"])
def test_records_without_a_time_of_their_own_do_not_count(mark: dict[str, object]) -> None:
    assert scan([*traffic(7), *flood(6 * DAY, 900, **mark)]).findings == []


def test_record_novelty_state_round_trips() -> None:
    one = RecordNovelty(24)
    chance = random.Random(4)
    for _ in range(400):
        one.push(chance.randint(0, 50))
    other = RecordNovelty(**json.loads(json.dumps(one.to_json())))
    for value in (0, 30, 70, 500):
        assert one.score(value)[0] == pytest.approx(other.score(value)[0], abs=0.01)
    assert one.score(5000)[0] > 0.3 > one.score(51)[0]
