"""Folding, silences and grouping: the same alerts however the findings are cut into scans."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.triage import triage
from domain.alert import MAX_EVENTS, Entity, Finding
from domain.silence import Silence, created_body
from store.base import NewRecord
from tests.detectors.chunks import at
from tests.detectors.findings import Book, entities, finding, rule

HOUR = 3600


def test_same_rule_and_entities_within_a_day_is_one_alert() -> None:
    book = Book()
    first = book.take([finding(0, "a")])
    again = book.take([finding(23 * HOUR, "b", "c")])
    assert (len(first.opened), again.opened, again.updated) == (1, [], first.opened)
    alert = book.index().alerts[first.opened[0]]
    assert (alert.count, alert.events, alert.first, alert.last) == (3, ("a", "b", "c"), at(0), at(23 * HOUR))


def test_more_than_a_day_later_it_is_another_alert() -> None:
    book = Book()
    book.take([finding(0, "a")])
    assert len(book.take([finding(24 * HOUR + 1, "b")]).opened) == 1


def test_exactly_a_day_later_it_is_the_same() -> None:
    book = Book()
    book.take([finding(0, "a")])
    assert book.take([finding(24 * HOUR, "b")]).opened == []


def test_a_closed_alert_is_not_folded_into_and_the_next_one_has_its_own_id() -> None:
    book = Book()
    [key] = book.take([finding(0, "a")]).opened
    book.add(NewRecord("alert", key, "verdict", {"verdict": "benign", "reason": "test"}), at(1))
    [other] = book.take([finding(60, "b")]).opened
    assert other != key
    assert book.index().alerts[key].count == 1


def test_the_same_events_again_change_nothing() -> None:
    book = Book()
    found = [finding(0, "a", "b"), finding(60, "c", about={"ip": "198.51.100.1"})]
    book.take(found)
    assert book.take(found).records == []


def test_the_same_events_of_a_closed_alert_do_not_open_it_again() -> None:
    book = Book()
    [key] = book.take([finding(0, "a")]).opened
    book.add(NewRecord("alert", key, "verdict", {"verdict": "true_positive", "reason": "test"}), at(1))
    assert book.take([finding(0, "a")]).records == []


def test_known_events_are_not_counted_twice() -> None:
    book = Book()
    [key] = book.take([finding(0, "a", "b")]).opened
    book.take([finding(60, "b", "c")])
    assert (book.index().alerts[key].count, book.index().alerts[key].events) == (3, ("a", "b", "c"))


def test_a_finding_that_carries_only_some_of_its_events_counts_them_all() -> None:
    book = Book()
    [key] = book.take([finding(0, "a", count=1000)]).opened
    book.take([finding(60, "b", "c", count=500)])
    assert book.index().alerts[key].count == 1500


def test_event_ids_are_bounded_and_still_counted() -> None:
    book = Book()
    many = [f"{i:032x}" for i in range(MAX_EVENTS + 5)]
    [key] = book.take([finding(0, *many)]).opened
    book.take([finding(60, "x", "y")])
    alert = book.index().alerts[key]
    assert (len(alert.events), alert.count) == (MAX_EVENTS, MAX_EVENTS + 7)


def test_a_silence_without_events_extends_and_a_new_one_counts() -> None:
    book = Book()
    source = {"about": {"source": "fw"}, "of": rule("anomaly.silence", "high", "anomaly")}
    [key] = book.take([finding(0, count=1, last=at(3600), **source)]).opened
    book.take([finding(0, count=1, last=at(7200), **source)])
    assert (book.index().alerts[key].count, book.index().alerts[key].last) == (1, at(7200))
    book.take([finding(9000, count=1, last=at(9900), **source)])
    assert book.index().alerts[key].count == 2


def test_a_silenced_finding_is_counted_but_asks_nobody() -> None:
    book = Book()
    quiet = Silence("s1", "r1", entities(ip="203.0.113.*"), at(HOUR), "an", "scanner", at(0))
    book.add(NewRecord("silence", "s1", "created", created_body(quiet)), at(0))
    done = book.take([finding(0, "a", of=rule("r1", "critical")), finding(10, "b", of=rule("r1", "critical"))])
    [alert] = book.index().alerts.values()
    assert (done.silenced, alert.status, alert.silence, alert.count, alert.incident) == (2, "silenced", "s1", 2, "")


def test_when_the_silence_ends_the_alert_comes_back() -> None:
    book = Book()
    book.add(NewRecord("silence", "s1", "created", created_body(Silence("s1", "r1", (), at(HOUR), "an", "x", at(0)))), at(0))
    book.take([finding(0, "a")])
    book.take([finding(HOUR, "b")])
    [alert] = book.index().alerts.values()
    assert (alert.status, alert.count) == ("new", 2)


def test_a_silence_for_another_entity_does_not_hold() -> None:
    quiet = Silence("s1", "*", (Entity("ip", "203.0.113.5"), Entity("user", "an")), at(HOUR), "an", "x", at(0))
    assert quiet.covers("r1", entities(ip="203.0.113.5", user="AN"), at(0))
    assert not quiet.covers("r1", entities(ip="203.0.113.5"), at(0))
    assert not quiet.covers("r1", entities(ip="203.0.113.5", user="an"), at(HOUR))


@pytest.mark.parametrize(("level", "opens"), [("critical", True), ("high", True), ("medium", False), ("low", False)])
def test_level_high_opens_an_incident(level: str, opens: bool) -> None:
    book = Book()
    book.take([finding(0, "a", of=rule("r1", level))])
    assert bool(book.index().cases) is opens


def test_two_related_medium_alerts_open_one_incident_and_say_why() -> None:
    book = Book()
    book.take([finding(0, "a"), finding(HOUR, "b", of=rule("r2"), about={"ip": "203.0.113.5", "user": "an"})])
    [case] = book.index().cases.values()
    first, second = book.index().alerts.values()
    assert case.alerts == (first.id, second.id)
    assert second.why == {"type": "ip", "value": "203.0.113.5", "alert": first.id}
    assert first.incident == second.incident == case.id


def test_an_anomaly_and_a_low_rule_about_the_same_user_open_one() -> None:
    book = Book()
    book.take([finding(0, "a", of=rule("r1", "low"), about={"user": "an"})])
    assert not book.index().cases
    book.take([finding(60, "b", of=rule("anomaly.bulk.user", "low", "anomaly"), about={"user": "AN"})])
    assert len(book.index().cases) == 1


def test_low_alerts_alone_stay_alerts() -> None:
    book = Book()
    book.take([finding(0, "a", of=rule("r1", "low")), finding(1, "b", of=rule("r2", "low"))])
    assert not book.index().cases


def test_addresses_of_one_ipv6_subscriber_are_related() -> None:
    book = Book()
    book.take([
        finding(0, "a", about={"ip": "2001:db8:1:2::10"}), finding(1, "b", of=rule("r2"), about={"ip": "2001:db8:1:2:ffff::1"}),
        finding(2, "c", of=rule("r3"), about={"ip": "2001:db8:1:3::10"}),
    ])  # fmt: skip
    [case] = book.index().cases.values()
    assert len(case.alerts) == 2


@pytest.mark.parametrize("about", [{"user": "root"}, {"user": "Administrator"}, {"ip": "127.0.0.1"}, {"ip": "::1"}, {"source": "fw"}])
def test_what_every_machine_has_relates_nothing(about: dict[str, str]) -> None:
    book = Book()
    book.take([finding(0, "a", about=about), finding(1, "b", of=rule("r2"), about=about)])
    assert not book.index().cases


def test_different_attackers_of_one_host_are_not_one_incident() -> None:
    book = Book()
    for n in range(2):
        book.take([finding(n, f"e{n}", of=rule("r1", "high"), about={"ip": f"203.0.113.{n}", "host": "portal"})])
    assert len(book.index().cases) == 2


def test_a_process_alert_on_the_host_joins_the_attack_on_it() -> None:
    book = Book()
    book.take([finding(0, "a", of=rule("r1", "high"), about={"ip": "203.0.113.1", "host": "portal"})])
    book.take([finding(600, "b", of=rule("r2"), about={"host": "portal", "user": "www-data"})])
    [case] = book.index().cases.values()
    assert len(case.alerts) == 2


def test_a_dropped_script_joins_the_access_log_and_the_disk() -> None:
    book = Book()
    on_disk = (Entity("file", "C:\\inetpub\\wwwroot\\Images\\Upload8.asp"), Entity("file", "C:\\inetpub\\wwwroot\\Default.aspx"))
    book.take([finding(0, "a", related=(Entity("url", "/Images/upload8.asp?cmd=dir"), Entity("url", "/default.aspx")))])
    book.take([finding(60, "b", of=rule("r2"), about={"host": "web01"}, related=on_disk)])
    book.take([finding(90, "c", of=rule("r3"), about={"host": "web02"}, related=on_disk[1:])])
    first, second, third = book.index().alerts.values()
    assert first.incident == second.incident != ""
    assert second.why == {"type": "script", "value": "upload8.asp", "alert": first.id}
    assert third.incident == ""


def test_an_entity_seen_in_many_incidents_relates_nothing_any_more() -> None:
    book = Book()
    for n in range(12):
        book.take([finding(n * 30 * HOUR, f"e{n}", of=rule("r1", "high"))])
    assert len(book.index().cases) == 12
    book.take([finding(11 * 30 * HOUR + 60, "z", of=rule("r2", "high"))])
    assert len(book.index().cases) == 13


def test_a_bridge_merges_younger_untouched_incidents() -> None:
    book = Book()
    book.take([finding(0, "a", of=rule("r1", "high"), about={"ip": "203.0.113.1"})], 10)
    book.take([finding(60, "b", of=rule("r2", "high"), about={"user": "an"})], 20)
    book.take([finding(120, "c", of=rule("r3"), about={"ip": "203.0.113.1", "user": "an"})], 30)
    cases = list(book.index().cases.values())
    assert [c.open for c in cases] == [True, False]
    assert {a.incident for a in book.index().alerts.values()} == {cases[0].id}
    assert len(cases[0].alerts) == 3


def test_an_incident_that_somebody_works_on_is_never_merged_away() -> None:
    book = Book()
    book.take([finding(0, "a", of=rule("r1", "high"), about={"ip": "203.0.113.1"})], 10)
    book.take([finding(60, "b", of=rule("r2", "high"), about={"user": "an"})], 20)
    first, second = book.index().cases
    for key in (first, second):
        book.add(NewRecord("incident", key, "note", {"text": "on it", "happened": ""}), at(25))
    book.take([finding(120, "c", of=rule("r3"), about={"ip": "203.0.113.1", "user": "an"})], 30)
    assert [c.open for c in book.index().cases.values()] == [True, True]


def test_a_closed_incident_takes_nothing_in() -> None:
    book = Book()
    book.take([finding(0, "a", of=rule("r1", "high"))], 10)
    [key] = book.index().cases
    book.add(NewRecord("incident", key, "closed", {"facts": {}, "reason": ""}), at(20))
    book.take([finding(60, "b", of=rule("r2", "high"))], 30)
    assert [len(c.alerts) for c in book.index().cases.values()] == [1, 1]


def test_exercise_and_real_are_kept_apart() -> None:
    book = Book()
    done = book.take([finding(0, "a"), finding(1, "b", exercise=True), finding(2, "c", of=rule("r2"), exercise=True)])
    assert len(done.opened) == 3
    [case] = book.index().cases.values()
    assert (case.exercise, len(case.alerts)) == (True, 2)


def test_triage_leaves_the_index_as_it_was() -> None:
    book = Book()
    book.take([finding(0, "a", of=rule("r1", "high"))])
    index = book.index()
    before = (dict(index.alerts), dict(index.by_key), dict(index.by_entity), dict(index.cases))
    triage([finding(60, "b", of=rule("r1", "high")), finding(70, "c", of=rule("r2", "high"))], index, at(0))
    assert before == (dict(index.alerts), dict(index.by_key), dict(index.by_entity), dict(index.cases))


moments = st.integers(0, 4 * 24 * 60)
specs = st.tuples(
    moments, st.sampled_from(["r1", "r2", "anomaly.x"]), st.sampled_from(["203.0.113.1", "203.0.113.2"]),
    st.sampled_from(["an", "binh", ""]),
    st.sampled_from(["low", "medium", "high"]),
)  # fmt: skip


def _made(items: list[tuple[int, str, str, str, str]]) -> list[Finding]:
    out = []
    for n, (minute, name, ip, user, level) in enumerate(sorted(items)):
        about = {"ip": ip, **({"user": user} if user else {})}
        kind = "anomaly" if name.startswith("anomaly") else "sigma"
        level = {"r1": "medium", "r2": "high"}.get(name, level)
        out.append(finding(minute * 60, f"{n:032x}", of=rule(name, level, kind), about=about))
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(specs, max_size=14), st.lists(st.integers(0, 14), max_size=4))
def test_one_batch_or_many_give_the_same_alerts_and_incidents(items: list[tuple[int, str, str, str, str]], cuts: list[int]) -> None:
    found = _made(items)
    whole, parts = Book(), Book()
    whole.take(found)
    edges = [0, *sorted(min(c, len(found)) for c in cuts), len(found)]
    for start, end in itertools.pairwise(edges):
        parts.take(found[start:end])
    for field in ("id", "count", "events", "first", "last", "incident", "status"):
        assert [getattr(a, field) for a in whole.index().alerts.values()] == [getattr(a, field) for a in parts.index().alerts.values()]
    assert [(c.id, c.alerts, c.open) for c in whole.index().cases.values()] == [
        (c.id, c.alerts, c.open) for c in parts.index().cases.values()
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(specs, max_size=10), st.randoms())
def test_the_order_within_a_batch_does_not_matter(items: list[tuple[int, str, str, str, str]], chance: object) -> None:
    found = _made(items)
    shuffled = list(found)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Book(), Book()
    one.take(found)
    other.take(shuffled)
    assert one.records == other.records


def test_ids_depend_on_nothing_but_rule_entities_day_and_ordinal() -> None:
    book, elsewhere = Book(), Book()
    [key] = book.take([finding(0, "a")], 10).opened
    [same] = elsewhere.take([replace(finding(0, "zz"), last=at(0) + timedelta(hours=1))], 99).opened
    assert key == same
