"""Silence of sources, counts of the period, both sides of an attack."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from domain.alert import Alert, Entity, RuleRef
from domain.periods import parse
from domain.registers import Asset, Organisation, Registers
from reports.attacks import attacks_of
from reports.facts import AlertFact, Bucket, SourceFact, day_totals, ranked, sources_of
from tests.reports.seed import MONDAY

WEEK = parse("2026-W47")
LATER = MONDAY + timedelta(days=9)
REGISTERS = Registers(
    organisations=(Organisation(networks=("198.51.100.0/24", "2001:db8:20::/48")),),
    assets=(Asset(id="web", name="Cổng", hosts=("web01",)),),
)


def _buckets(hours: Sequence[int], source: str = "fw") -> list[Bucket]:
    return [Bucket(source, at := MONDAY + timedelta(hours=h), 10, at + timedelta(minutes=1), at + timedelta(minutes=59)) for h in hours]


def _one(
    hours: Sequence[int], before: Sequence[int] = tuple(range(-168, 0)), pause: timedelta | None = None, now: datetime = LATER
) -> SourceFact:
    return sources_of(_buckets(hours), WEEK, now, {"fw": pause}, _buckets(before))[0]


def test_a_steady_source_has_no_gap() -> None:
    fact = _one(range(168))
    assert (fact.gaps, fact.events, fact.fresh) == ((), 1680, False)


def test_three_hours_of_silence_are_a_gap_with_its_minutes() -> None:
    gaps = _one([h for h in range(168) if h not in (50, 51, 52)]).gaps
    assert [(g.start, g.end) for g in gaps] == [(MONDAY + timedelta(hours=49, minutes=59), MONDAY + timedelta(hours=53, minutes=1))]


def test_a_source_that_sleeps_at_night_is_not_silent_at_night() -> None:
    office = [d * 24 + h for d in range(-7, 7) for h in range(7, 18)]
    fact = _one([h for h in office if h >= 0], [h for h in office if h < 0])
    assert fact.gaps == ()


def test_a_source_that_stopped_is_silent_until_the_end_or_until_now() -> None:
    fact = _one(range(24))
    assert [g.end for g in fact.gaps] == [WEEK.window.end]
    early = _one(range(24), now=MONDAY + timedelta(hours=30))
    assert [g.end for g in early.gaps] == [MONDAY + timedelta(hours=30)]
    assert fact.by_day == (240, None, None, None, None, None, None)


def test_what_is_configured_decides_when_it_is_given() -> None:
    hours = [h for h in range(168) if h != 50]
    assert len(_one(hours, pause=timedelta(hours=3)).gaps) == 0
    assert len(_one(hours, pause=timedelta(minutes=5)).gaps) == 1


def test_a_configured_source_that_never_spoke_is_unknown_not_zero() -> None:
    fact = sources_of([], WEEK, LATER, {"quiet": None})[0]
    assert (fact.events, fact.by_day[0], fact.lost) == (None, None, timedelta(days=7))


def test_a_new_source_is_not_silent_before_its_first_event() -> None:
    fact = _one(range(100, 168), before=())
    assert fact.fresh
    assert fact.gaps == ()


def test_a_source_that_seldom_speaks_is_not_called_silent() -> None:
    assert _one([40], before=()).gaps == ()


def test_a_day_without_any_source_is_unknown() -> None:
    facts = sources_of([*_buckets(range(24)), *_buckets(range(12, 36), "web")], WEEK, LATER, {}, ())
    assert day_totals(facts, 7) == (360, 120, None, None, None, None, None)


def _fact(*entities: Entity, count: int = 4, events: tuple[str, ...] = ()) -> AlertFact:
    rule = RuleRef("r", "t", "high", "v")
    return AlertFact(Alert("a", rule, entities, MONDAY, MONDAY, count, events, MONDAY), count, 0)


@pytest.mark.parametrize(
    ("event", "attacker", "victim"),
    [
        pytest.param({"source.ip": "203.0.113.1", "destination.ip": "198.51.100.5"}, "203.0.113.1", "198.51.100.5", id="from outside"),
        pytest.param({"source.ip": "203.0.113.1", "host.name": "web01"}, "203.0.113.1", "web01", id="web log without destination"),
        pytest.param({"source.ip": "10.1.1.1", "destination.ip": "203.0.113.9"}, "203.0.113.9", "10.1.1.1", id="our machine calls out"),
        pytest.param({"source.ip": "10.1.1.1", "destination.ip": "10.1.1.2"}, "10.1.1.1", "10.1.1.2", id="inside"),
        pytest.param({"source.ip": "10.1.1.1", "host.name": "dc01"}, "10.1.1.1", "dc01", id="logon from inside"),
        pytest.param({"source.ip": "10.1.1.1", "host.name": "pc1", "host.ip": ["10.1.1.1"]}, "", "pc1", id="on the machine itself"),
        pytest.param({"host.name": "pc1"}, "", "pc1", id="no network"),
        pytest.param({"source.ip": "2001:db8:bad::1", "destination.ip": "2001:db8:20::7"}, "2001:db8:bad::1", "2001:db8:20::7", id="IPv6"),
        pytest.param({"source.ip": "::ffff:203.0.113.1", "url.domain": "dvc.example"}, "203.0.113.1", "dvc.example", id="mapped"),
    ],
)
def test_the_two_sides_of_an_event(event: dict[str, object], attacker: str, victim: str) -> None:
    found = attacks_of([_fact(events=("e1",))], {"e1": event}, REGISTERS)
    assert (list(found.attackers), list(found.victims)) == ([attacker] if attacker else [], [victim] if victim else [])


def test_without_events_the_entities_tell_the_sides() -> None:
    found = attacks_of([_fact(Entity("ip", "203.0.113.1"), Entity("ip", "198.51.100.4"), Entity("user", "mai"))], {}, REGISTERS)
    assert (list(found.attackers), list(found.victims)) == (["203.0.113.1"], ["198.51.100.4"])


def test_a_silent_source_is_no_attack() -> None:
    found = attacks_of([_fact(Entity("source", "fw-01"))], {}, REGISTERS)
    assert (found.attackers, found.victims) == ({}, {})


def test_counts_are_shared_out_as_in_the_sample() -> None:
    events = {f"e{i}": {"source.ip": "203.0.113.1" if i < 3 else "203.0.113.2", "destination.ip": "10.0.0.1"} for i in range(4)}
    found = attacks_of([_fact(count=400, events=tuple(events))], events, REGISTERS)
    assert {k: s.count for k, s in found.attackers.items()} == {"203.0.113.1": 300, "203.0.113.2": 100}
    assert found.victims["10.0.0.1"].count == 400
    assert [s.key for s in ranked(found.attackers)] == ["203.0.113.1", "203.0.113.2"]
