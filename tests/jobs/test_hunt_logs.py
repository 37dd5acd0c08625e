"""What logs say of themselves: missing record numbers, cleared logs, clocks that went back."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from collectors.detect import parse
from domain.raw import Checkpoint, RawBatch
from jobs import hunt_logs, hunt_seen, hunt_told
from jobs.hunt_logs import LogReport, Records
from jobs.hunt_tasks import lot
from tests.jobs.hunting import security

START = datetime(2026, 11, 24, 1, tzinfo=UTC)


def event(number: int, at: datetime | None = None, host: str = "PC-01", **more: Any) -> dict[str, object]:
    """One record a minute by number, unless told otherwise."""
    stamp = (at or START + timedelta(minutes=number)).isoformat().replace("+00:00", "Z")
    return security(number, 4624, host=host) | {"TimeCreated": stamp, "EventTime": stamp} | more


def told(*batches: Sequence[dict[str, object]]) -> Records:
    records = Records()
    for number, events in enumerate(batches):
        lines = pa.array([json.dumps(e).encode() for e in events], pa.large_binary())
        places = np.arange(len(events), dtype=np.int64)
        batch = RawBatch(f"f{number}.json", "", lines, places, places, Checkpoint("", "", 0))
        records.add(hunt_seen.observe(lot([batch]), parse(batch, hunt_seen.FIELDS)))
    return records


def only(records: Records) -> LogReport:
    (log,) = records.logs()
    return log


def micros(number: int) -> int:
    return int((START + timedelta(minutes=number)).timestamp() * 1e6)


def test_a_hole_is_told_with_the_times_on_both_sides() -> None:
    log = only(told([event(n) for n in range(1, 101)], [event(n) for n in range(104, 200)]))
    assert (log.records, log.low, log.high, log.missing, log.verdict) == (196, 1, 199, 3, "gaps")
    assert log.gaps == (hunt_logs.Gap(101, 103, micros(100), micros(104)),)


def test_numbers_without_a_hole_say_nothing_however_the_batches_come() -> None:
    records = told([event(n) for n in range(50, 100)], [event(n) for n in range(1, 60)])
    assert (only(records).verdict, only(records).restarts) == ("whole", ())
    assert hunt_told.lines(records) == []


def test_logs_of_other_hosts_and_channels_are_others() -> None:
    records = told([event(1), event(900, host="PC-02"), event(5, Channel="System"), event(2)])
    assert [log.missing for log in records.logs()] == [0, 0, 0]


@given(st.sets(st.integers(1, 300), min_size=1), st.integers(1, 5), st.randoms(use_true_random=False))
def test_any_order_and_any_cut_gives_the_same_gaps(numbers: set[int], pieces: int, shuffled: random.Random) -> None:
    events = [event(n) for n in numbers]
    shuffled.shuffle(events)
    log = only(told(*(part for part in (events[i::pieces] for i in range(pieces)) if part)))
    wanted = sorted(set(range(min(numbers), max(numbers) + 1)) - numbers)
    assert log.missing == len(wanted)
    assert sorted(n for g in log.gaps for n in range(g.start, g.stop + 1)) == wanted
    assert all(g.after in (None, micros(g.start - 1)) and g.before in (None, micros(g.stop + 1)) for g in log.gaps)


def test_an_export_with_a_filter_is_no_alarm() -> None:
    records = told([event(n) for n in range(1, 2000, 3)])
    assert only(records).verdict == "filtered"
    (line,) = hunt_told.lines(records)
    assert "1" in line
    assert hunt_told.stats(records)["gaps"][0]["verdict"] == "filtered"


def test_memory_is_bounded_and_the_count_stays_exact() -> None:
    records = told(*([event(n) for n in range(start, start + 8_000, 2)] for start in range(0, 40_000, 8_000)))
    log = only(records)
    assert log.missing == 40_000 // 2 - 1
    assert log.gap_count == log.missing
    assert len(log.gaps) <= 2 * 2_048


def test_a_cleared_log_names_who_did_it() -> None:
    cleared = event(7, EventID=1102, SubjectUserName="ke.gian")
    other = event(9, EventID=104, Channel="System", SubjectUserName="ke.gian")
    records = told([event(6), cleared, event(8), other])
    (first, marked), (second, _) = records.marks()
    assert (first.kind, first.host, first.channel, first.user) == ("cleared", "PC-01", "Security", "ke.gian")
    assert (marked.count, marked.first, marked.source, marked.record) == (1, micros(7), "f0.json", 1)
    assert (second.kind, second.channel) == ("cleared", "System")
    assert "ke.gian" in hunt_told.lines(records)[0]


def test_the_same_again_is_counted_and_ordinary_marks_are_not_sentences() -> None:
    records = told([event(n, EventID=1100) for n in (1, 2)], [event(3, EventID=1100)])
    ((mark, marked),) = records.marks()
    assert (mark.kind, marked.count, marked.first, marked.last) == ("stopped", 3, micros(1), micros(3))
    assert hunt_told.lines(records) == []


def test_a_clock_that_goes_back_between_numbers_is_told_once() -> None:
    early = START - timedelta(days=30)
    log = only(told([event(n) for n in range(1, 50)], [event(n, early + timedelta(minutes=n)) for n in range(50, 90)]))
    assert log.restarts == ((micros(49), int((early + timedelta(minutes=50)).timestamp() * 1e6)),)


def test_numbers_that_were_used_twice_mean_a_log_made_anew() -> None:
    later = START + timedelta(days=90)
    log = only(told([event(n) for n in range(1, 50)], [event(n, later + timedelta(minutes=n)) for n in range(1, 20)]))
    assert len(log.restarts) == 1
    assert log.missing == 0


def test_the_same_file_twice_is_no_log_made_anew() -> None:
    events = [event(n) for n in range(1, 50)]
    assert only(told(events, events)).restarts == ()


def test_numbers_that_are_none_are_left_out() -> None:
    odd = [event(1), event(2), event(3, RecordNumber="x"), event(4, RecordNumber=None), event(5, RecordNumber=10**30)]
    log = only(told(odd))
    assert (log.records, log.high, log.missing) == (2, 2, 0)
