"""Silence: promised and learnt, lasting and ended, sources and hosts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from detectors.anomaly.silence import Silence
from detectors.base import Scanned
from domain.alert import Entity, Finding
from tests.detectors.chunks import at, chunk
from tests.detectors.findings import Book

MINUTE, HOUR, DAY = 60, 3600, 86400


def heard(seconds: float, source: str = "fw", host: str = "fw01", **more: object) -> dict[str, object]:
    """One event."""
    return {"@timestamp": at(seconds), "thapcanh.source": source, "host.name": host, "event.ingested": at(seconds + 5), **more}


def steady(start: float, end: float, every: float = 5 * MINUTE, **more: str) -> list[dict[str, object]]:
    """Events at an even pace."""
    return [heard(start + i * every, **more) for i in range(int((end - start) / every))]


def scan(events: Sequence[Mapping[str, object]], now: float, state: Mapping[str, object] | None = None, **expect: float) -> Scanned:
    """One scan; the state goes through JSON as a store keeps it."""
    detector = Silence({k.replace("_", "-"): v for k, v in expect.items()})
    done = detector.scan([chunk(events)] if events else [], json.loads(json.dumps(state or {})), at(now), None)  # type: ignore[arg-type]
    json.dumps(done.state)
    return done


def said(found: Sequence[Finding]) -> list[tuple[str, str]]:
    """(entities, sentence) of each."""
    return [(",".join(e.value for e in f.entities), f.reasons[0].text.removeprefix("anomaly.silence_")) for f in found]


def test_a_declared_source_is_told_at_once() -> None:
    state = scan(steady(0, HOUR), HOUR, fw=600).state
    assert scan([], HOUR + 200, state, fw=600).findings == []
    [found] = scan([], HOUR + 400, state, fw=600).findings
    assert (found.rule.id, found.rule.level, found.entities) == ("anomaly.silence", "high", (Entity("source", "fw"),))
    assert (found.first, found.last, found.events) == (at(HOUR - 300), at(HOUR + 400), ())
    assert found.reasons[0].text == "anomaly.silence_declared"


def test_a_lasting_silence_is_told_again_when_it_has_doubled_and_when_it_ends() -> None:
    done = scan(steady(0, HOUR), HOUR, fw=600)
    told = []
    for minute in range(0, 300, 5):
        done = scan([], HOUR + minute * MINUTE, done.state, fw=600)
        told += done.findings
    assert len(told) == 5
    ended = scan([heard(HOUR + 300 * MINUTE)], HOUR + 301 * MINUTE, done.state, fw=600).findings
    assert said(ended) == [("fw", "declared_ended")]
    book = Book()
    for found in [*told, *ended]:
        book.take([found])
    [alert] = book.index().alerts.values()
    assert (alert.count, alert.first, alert.last) == (1, at(HOUR - 300), at(HOUR + 300 * MINUTE))


def test_a_declared_source_that_never_sent_is_told_once() -> None:
    state = scan([], 0, fw=600).state
    done = scan([], 700, state, fw=600)
    assert said(done.findings) == [("fw", "never")]
    assert scan([], 5000, done.state, fw=600).findings == []


def test_nothing_is_learnt_to_be_silent_within_seven_days() -> None:
    events = [*steady(0, 5 * DAY), *steady(0, 5.5 * DAY, source="dns")]
    done = scan(events, 5.5 * DAY)
    assert done.findings == []
    assert "fw" in done.notes[0]


def test_a_learnt_silence_is_measured_against_the_other_sources() -> None:
    events = [*steady(0, 8 * DAY), *steady(0, 8 * DAY + 2 * HOUR, source="dns")]
    [found] = scan(events, 8 * DAY + 2 * HOUR).findings
    assert (found.entities, found.rule.level) == ((Entity("source", "fw"),), "medium")


def test_when_everything_stops_no_learnt_silence_is_told() -> None:
    events = [*steady(0, 8 * DAY), *steady(0, 8 * DAY, source="dns")]
    assert scan(events, 20 * DAY).findings == []


def test_an_outage_within_the_log_is_found_although_it_is_over() -> None:
    events = [*steady(0, 8 * DAY), *steady(8 * DAY + 4 * HOUR, 9 * DAY)]
    [found] = scan(events, 9 * DAY).findings
    assert (said([found]), found.first, found.last) == ([("fw", "learnt_ended")], at(8 * DAY - 300), at(8 * DAY + 4 * HOUR))


def test_nights_and_weekends_of_an_office_are_normal() -> None:
    days = [d for d in range(21) if d % 7 < 5]
    events = [e for d in days for e in steady(d * DAY, d * DAY + 9 * HOUR, source="hr", host="hr1")]
    assert scan([*events, *steady(0, 21 * DAY, every=HOUR / 4)], 21 * DAY).findings == []


def test_a_host_that_fell_out_of_a_source_is_told() -> None:
    events = [*steady(0, 9 * DAY, source="win", host="dc01"), *steady(0, 8 * DAY, source="win", host="app01")]
    [found] = scan(events, 9 * DAY).findings
    assert (found.rule.id, found.entities) == ("anomaly.silence.host", (Entity("host", "app01"), Entity("source", "win")))


def test_a_work_station_that_is_switched_off_is_not() -> None:
    events = steady(0, 9 * DAY, source="win", host="dc01")
    events += [e for d in range(8) for e in steady(d * DAY, d * DAY + 8 * HOUR, source="win", host="pc07")]
    assert scan(events, 9 * DAY).findings == []


def test_hosts_of_a_silent_source_are_not_told_one_by_one() -> None:
    hosts = [f"h{n}" for n in range(5)]
    events = [e for h in hosts for e in [*steady(0, 8 * DAY, host=h), *steady(8 * DAY + 6 * HOUR, 8.5 * DAY, host=h)]]
    assert said(scan(events, 8.5 * DAY).findings) == [("fw", "learnt_ended")]


def test_a_source_that_is_delivered_every_few_hours_is_no_outage() -> None:
    done = scan([], 0)
    found: list[Finding] = []
    for n in range(1, 9 * 6):
        arrived = {"event.ingested": at(n * 4 * HOUR)}
        events = [{**e, **arrived} for e in steady((n - 1) * 4 * HOUR, n * 4 * HOUR, source="batch")]
        live = steady((n - 1) * 4 * HOUR, n * 4 * HOUR)
        for k in range(0, len(live), 12):
            done = scan(live[k : k + 12] + (events if k + 12 >= len(live) else []), (n - 1) * 4 * HOUR + (k + 12) * 300, done.state)
            found += done.findings
    assert found == []


def test_imported_history_is_not_silent() -> None:
    old = [heard(t, source="old", **{"event.ingested": at(30 * DAY)}) for t in range(0, 9 * DAY, 600)]
    assert scan([*old, *steady(20 * DAY, 30 * DAY)], 30 * DAY).findings == []


def test_evidence_of_an_incident_is_no_sign_of_life() -> None:
    state = scan(steady(0, HOUR), HOUR, fw=600).state
    done = scan([heard(2 * HOUR, **{"thapcanh.incident": "SC-1"})], 2 * HOUR, state, fw=600)
    assert said(done.findings) == [("fw", "declared")]


def test_unparsed_records_with_the_time_of_their_arrival_make_no_gap() -> None:
    broken = [heard(20 * DAY, **{"event.kind": "pipeline_error"})]
    assert scan([*steady(0, 8 * DAY), *broken], 20 * DAY, fw=600).findings[0].first == at(8 * DAY - 300)
    assert scan(broken, 20 * DAY + 60, fw=600).findings == []


@pytest.mark.parametrize("pieces", [1, 2, 7, 40])
def test_one_scan_or_many_find_the_same_outages(pieces: int) -> None:
    events = sorted(
        [*steady(0, 8 * DAY), *steady(8 * DAY + 5 * HOUR, 10 * DAY), *steady(0, 10 * DAY, source="dns"), *steady(0, 9 * DAY, host="fw02")],
        key=lambda e: str(e["@timestamp"]),
    )
    book, state = Book(), {}
    size = len(events) // pieces + 1
    for start in range(0, len(events), size):
        part = events[start : start + size]
        done = Silence({"dns": 900}).scan([chunk(part)], state, part[-1]["@timestamp"], None)  # type: ignore[arg-type]
        state = json.loads(json.dumps(done.state))
        book.take(done.findings)
    told = sorted((a.rule.id, ",".join(e.value for e in a.entities), a.first) for a in book.index().alerts.values())
    assert told == [("anomaly.silence.host", "fw01,fw", at(8 * DAY - 300)), ("anomaly.silence.host", "fw02,fw", at(9 * DAY - 300))]
