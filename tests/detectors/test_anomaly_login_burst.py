"""Brute force, spray, success after failures: what is found, what is not, and the same in one scan or many."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.anomaly.login_burst import LoginBurst
from detectors.base import Scanned
from domain.alert import Entity, Finding
from domain.grammar import parse
from match import rows
from tests.detectors.chunks import at, chunk, login
from tests.detectors.findings import Book

MINUTE, HOUR, DAY = 60, 3600, 86400


def scan(events: Sequence[Mapping[str, object]], state: Mapping[str, object] | None = None) -> Scanned:
    """One scan; the state goes through JSON as a store keeps it."""
    done = LoginBurst().scan([chunk(events)] if events else [], json.loads(json.dumps(state or {})), at(10 * DAY), None)  # type: ignore[arg-type]
    json.dumps(done.state)
    return done


def names(found: Sequence[Finding]) -> list[str]:
    """Rule ids without the model's name."""
    return sorted(f.rule.id.removeprefix("anomaly.login_burst").removeprefix(".") or "burst" for f in found)


def burst(n: int, source: str = "203.0.113.5", user: str = "an", every: float = 10, start: float = 0) -> list[dict[str, object]]:
    """Failures at an even pace."""
    return [login(start + i * every, source, user) for i in range(n)]


def test_ten_failures_in_ten_minutes_are_a_burst_with_all_its_records() -> None:
    [found] = scan(burst(12)).findings
    assert (found.rule.id, found.rule.level, found.entities) == ("anomaly.login_burst", "medium", (Entity("ip", "203.0.113.5"),))
    assert (found.count, len(found.events), found.first, found.last) == (12, 12, at(0), at(110))
    assert {Entity("user", "an"), Entity("host", "vpn01")} <= set(found.related)


@pytest.mark.parametrize("events", [burst(9), burst(20, every=120)], ids=["nine", "one every two minutes"])
def test_fewer_or_slower_is_none(events: list[dict[str, object]]) -> None:
    assert scan(events).findings == []


def test_slow_guessing_shows_within_a_day() -> None:
    [found] = scan(burst(40, every=30 * MINUTE)).findings
    assert (names([found]), found.rule.level) == (["slow"], "low")


def test_one_source_many_users_is_a_spray() -> None:
    [found] = scan([login(i * 30, "203.0.113.5", f"user{i}") for i in range(8)]).findings
    assert names([found]) == ["spray"]
    assert found.reasons[0].values["users"] == 8


def test_an_office_behind_one_address_is_none() -> None:
    events = []
    for i in range(120):
        events.append(login(i * 3, "203.0.113.5", f"user{i}"))
        events.append(login(i * 3 + 8, "203.0.113.5", f"user{i}", ok=True))
    assert scan(events).findings == []


def test_somebody_who_mistypes_four_times_and_gets_in_is_none() -> None:
    assert scan([*burst(4), login(60, "203.0.113.5", "an", ok=True)]).findings == []


def test_success_after_guessing_is_high_and_names_source_and_user() -> None:
    found = scan([*burst(12), login(200, "203.0.113.5", "an", ok=True)]).findings
    assert names(found) == ["burst", "success"]
    [success] = [f for f in found if f.rule.id.endswith(".success")]
    assert (success.rule.level, success.entities) == ("high", (Entity("ip", "203.0.113.5"), Entity("user", "an")))
    assert len(success.events) == 13


def test_success_of_another_user_of_that_address_is_no_breach() -> None:
    assert names(scan([*burst(12), login(200, "203.0.113.5", "binh", ok=True)]).findings) == ["burst"]


def test_first_password_of_a_spray_that_fits_is_a_breach() -> None:
    events = [login(i * 30, "203.0.113.5", f"user{i}") for i in range(8)]
    assert names(scan([*events, login(300, "203.0.113.5", "chi", ok=True)]).findings) == ["spray", "success"]


def test_many_sources_one_user_are_distributed_guessing() -> None:
    found = scan([login(i * 20, f"203.0.113.{i % 6}", "an") for i in range(18)]).findings
    assert [(names([f]), f.entities) for f in found] == [(["distributed"], (Entity("user", "an"),))]


def test_addresses_of_one_ipv6_subscriber_are_one_source() -> None:
    [found] = scan([login(i * 10, f"2001:db8:1:2::{i:x}", "an") for i in range(12)]).findings
    assert found.entities == (Entity("ip", "2001:db8:1:2::/64"),)
    assert found.evidence.endswith("source.ip|cidr:2001:db8:1:2::/64")


def test_ipv4_in_ipv6_dress_is_ipv4() -> None:
    events = [login(i * 10, "::ffff:203.0.113.5" if i % 2 else "203.0.113.5", "an") for i in range(12)]
    assert scan(events).findings[0].entities == (Entity("ip", "203.0.113.5"),)


def test_failures_at_the_machine_itself_are_about_the_host() -> None:
    events = [{k: v for k, v in e.items() if k != "source.ip"} for e in burst(12)]
    assert scan(events).findings[0].entities == (Entity("host", "vpn01"),)


def test_several_records_of_one_attempt_count_once() -> None:
    events = [login(i * 20, "203.0.113.5", user, code=str(n)) for i in range(4) for n, user in enumerate(("an", "an", ""))]
    assert scan(events).findings == []


def test_hostile_names_stay_literal_in_the_evidence() -> None:
    events = [login(i * 20, f"203.0.113.{i % 6}", 'a" or *:*') for i in range(18)]
    batch = chunk([*events, login(0, "198.51.100.1", "somebody")])
    [found] = LoginBurst().scan([batch], {}, at(0), None).findings  # type: ignore[arg-type]
    assert len(rows(parse(found.evidence), batch)) == 18


@pytest.mark.parametrize("events", [
    [*burst(12), login(200, "203.0.113.5", "an", ok=True)], [login(i * 30, "203.0.113.5", f"user{i}") for i in range(8)],
], ids=["burst", "spray"])  # fmt: skip
def test_the_evidence_query_returns_the_records(events: list[dict[str, object]]) -> None:
    batch = chunk(events)
    for found in LoginBurst().scan([batch], {}, at(0), None).findings:  # type: ignore[arg-type]
        got = {key.hex() for key in batch.ids().take(rows(parse(found.evidence), batch)).to_pylist()}
        assert set(found.events) <= got
        assert found.evidence_from is not None
        assert found.evidence_from <= found.first < found.last < found.evidence_to


def test_a_scan_that_is_repeated_finds_the_same() -> None:
    state = scan(burst(5)).state
    more = burst(12)[5:]
    assert scan(more, state) == scan(more, state)


def test_what_was_told_is_not_told_again() -> None:
    first = scan(burst(12))
    assert scan([], first.state).findings == []
    [more] = scan(burst(1, start=200), first.state).findings
    assert (more.count, len(more.events)) == (1, 1)


def test_late_records_complete_a_burst() -> None:
    events = burst(12)
    state = scan(events[6:]).state
    [found] = scan(events[:6], state).findings
    assert found.count == 12


def test_exercise_is_marked() -> None:
    events = [{**e, "thapcanh.exercise": True} for e in burst(12)]
    assert scan(events).findings[0].exercise
    assert not scan([*events[:-1], burst(12)[-1]]).findings[0].exercise


def test_state_is_bounded() -> None:
    events = burst(5000, every=1)
    assert len(json.dumps(scan(events).state)) < 500_000


attempts = st.tuples(
    st.integers(0, 3 * 60 * 60),
    st.sampled_from(["203.0.113.1", "203.0.113.2", "2001:db8::1"]),
    st.sampled_from("abcdefg"),
    st.integers(0, 9),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(attempts, min_size=10, max_size=90), st.lists(st.integers(0, 90), max_size=4))
def test_one_scan_or_many_give_the_same_alerts(items: list[tuple[int, str, str, int]], cuts: list[int]) -> None:
    seconds = [t for t, *_ in items]
    scale = 1 if max(seconds) < 600 else 600 / max(seconds) * 3
    events = [login(round(t * scale, 3), ip, user, ok=ok == 0, n=n) for n, (t, ip, user, ok) in enumerate(sorted(items))]
    whole, parts = Book(), Book()
    whole.take(scan(events).findings)
    state: Mapping[str, object] = {}
    edges = [0, *sorted(min(c, len(events)) for c in cuts), len(events)]
    for start, end in itertools.pairwise(edges):
        done = scan(events[start:end], state)
        state = done.state
        parts.take(done.findings)

    def essence(book: Book) -> dict[str, tuple[object, ...]]:
        return {a.id: (a.rule.id, a.entities, frozenset(a.events), a.first, a.last) for a in book.index().alerts.values()}

    assert essence(whole) == essence(parts)


def test_attempts_without_address_and_machine_belong_to_their_user_only() -> None:
    events = [{k: v for k, v in login(i * 20, "", f"user{i}").items() if k not in {"source.ip", "host.name"}} for i in range(41)]
    assert scan(events).findings == []
