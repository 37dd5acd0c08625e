"""The same alerts in one pass, in many scans, out of order, and after a restart; late events extend, join and take back; memory is bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma import correlator, memory
from detectors.sigma.build import build
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.ruleset import RuleSet
from domain.alert import Alert
from store.base import NewRecord
from tests.detectors.chunks import T0, chunk
from tests.detectors.findings import Book

BASES = [
    {"title": w, "id": f"base-{w}", "name": w, "logsource": {"category": "webserver"}, "detection": {"s": {"url.path": f"/{w}"}, "condition": "s"}}
    for w in ("a", "b")
]  # fmt: skip
HOUR = 3600


def ruleset(*specs: Mapping[str, Any]) -> RuleSet:
    """Rules a and b, and correlations c0, c1, ..."""
    documents = [
        {"title": f"c{n}", "id": f"c{n}", "correlation": {"group-by": ["source.ip"], "timespan": "10m", **s}} for n, s in enumerate(specs)
    ]
    rules = build([("rules.yml", yaml.safe_dump_all([*BASES, *documents]).encode())])
    assert rules.broken == []
    return rules


def event(seconds: float, place: int, path: str = "a", address: str = "203.0.113.1", **more: Any) -> dict[str, Any]:
    """One line of a web server's log."""
    return {
        "@timestamp": T0 + timedelta(seconds=seconds), "event.dataset": "nginx.access", "url.path": f"/{path}", "source.ip": address,
        "thapcanh.source": "web", "thapcanh.stream": "s", "thapcanh.position": place, **more,
    }  # fmt: skip


def scan(
    rules: RuleSet, batches: Sequence[Sequence[dict[str, Any]]], step: float = 300, start: float = 48 * 3600, **options: Any
) -> tuple[Book, list[str], dict[str, Any]]:  # fmt: skip
    """The batches in scans, one every `step` seconds, each by a new detector that gets the state as JSON."""
    book, notes, state = Book(), list[str](), dict[str, Any]()
    for number, batch in enumerate(batches):
        now = T0 + timedelta(seconds=start + step * number)
        detector = SigmaDetector(rules)
        if options:
            detector._correlator = correlator.Correlator(rules, **options)
        found = detector.scan([chunk(batch)] if batch else [], state, now, None)  # type: ignore[arg-type]
        triaged = book.take(found.findings)
        notes += [*found.notes, *triaged.notes]
        state = json.loads(json.dumps(found.state))
    return book, notes, state


def alerts(book: Book, *, open_only: bool = True) -> list[Alert]:
    """Alerts that are not closed."""
    found = book.index().alerts.values()
    return [a for a in found if a.status != "closed" or not open_only]


def told(book: Book) -> list[tuple[Any, ...]]:
    """What open alerts say, without their ids."""
    return sorted((a.rule.id, a.entities, a.count, sorted(a.events), a.first, a.last, a.exercise) for a in alerts(book))


SPECS: list[dict[str, Any]] = [
    {"type": "event_count", "rules": ["a"], "condition": {"gte": 3}},
    {"type": "event_count", "rules": ["a", "b"], "condition": {"gte": 2, "lt": 4}},
    {"type": "value_count", "rules": ["a", "b"], "condition": {"field": "user.name", "gte": 2}},
    {"type": "temporal", "rules": ["a", "b"]},
    {"type": "temporal", "rules": ["a", "b"], "condition": "a and not b"},
    {"type": "temporal_ordered", "rules": ["a", "a", "b"], "timespan": "20m"},
    {"type": "value_sum", "rules": ["a"], "condition": {"field": "http.response.bytes", "gt": 3}},
    {"type": "value_avg", "rules": ["a", "b"], "condition": {"field": "http.response.bytes", "lte": 1}},
    {"type": "event_count", "rules": ["base-a", "c3"], "condition": {"gte": 3}, "generate": True},
    {"type": "temporal_ordered", "rules": ["c0", "c1", "b"], "timespan": "1h", "generate": True},
    {"type": "value_count", "rules": ["c4"], "condition": {"field": "user.name", "lt": 2}, "generate": True, "group-by": []},
]
RULES = ruleset(*SPECS)

GROWING = ("c0", "c2", "c3", "c5", "c8")
"""Late events only add to these."""
happening = st.tuples(
    st.one_of(st.integers(0, 20).map(lambda n: n * 120), st.integers(0, 60).map(lambda n: n * HOUR)), st.sampled_from("aaab"),
    st.sampled_from(["203.0.113.1"] * 3 + ["203.0.113.2"]), st.sampled_from(["an", "binh", None]), st.integers(-2, 3), st.integers(0, 5),
)  # fmt: skip
happenings = st.integers(0, 40).flatmap(lambda n: st.lists(happening, min_size=n, max_size=n))


def events_of(found: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Events in the order in which their source wrote them; some are exercise data."""
    out = []
    for place, (at, path, address, user, size, mark) in enumerate(sorted(found, key=lambda f: f[0])):
        more = {"user.name": user} if user else {}
        exercise = {} if mark else {"thapcanh.exercise": True}
        out.append(event(at, place, path, address, **more, **exercise, **{"http.response.bytes": size}))
    return out


def loosely(book: Book) -> list[tuple[Any, ...]]:
    """Which events belong to alerts of each rule and group; growing rules alert by alert."""
    out: dict[tuple[Any, ...], list[str]] = {}
    for rule, entities, count, events, first, last, exercise in told(book):
        key = (rule, entities, exercise, *((count, first, last) if rule in GROWING else ()))
        out.setdefault(key, []).extend(events)
        assert count == len(events)
    return sorted((key, sorted(events)) for key, events in out.items())


@settings(max_examples=25, deadline=None)
@given(happenings, st.lists(st.integers(0, 40), max_size=5))
def test_many_scans_tell_what_one_tells(found: list[tuple[Any, ...]], cuts: list[int]) -> None:
    events = events_of(found)
    places = sorted({0, len(events), *(c for c in cuts if c < len(events))})
    once, _, _ = scan(RULES, [events])
    many, _, _ = scan(RULES, [events[a:b] for a, b in pairwise(places)])
    assert told(many) == told(once)
    assert {a.id for a in alerts(many)} == {a.id for a in alerts(once)}


@settings(max_examples=40, deadline=None)
@given(happenings, st.data())
def test_events_out_of_order_tell_what_one_pass_tells(found: list[tuple[Any, ...]], data: st.DataObject) -> None:
    """What has been merged stays so, even if the event that joined it is taken back; all else is the same."""
    events = events_of(found)
    mixed = data.draw(st.permutations(events))
    size = data.draw(st.integers(1, 12))
    once, _, _ = scan(RULES, [events])
    many, _, _ = scan(RULES, [mixed[n : n + size] for n in range(0, len(mixed), size)])
    assert loosely(many) == loosely(once)


@settings(max_examples=15, deadline=None)
@given(happenings, st.lists(st.integers(0, memory.LATE), min_size=40, max_size=40))
def test_late_events_within_the_horizon_tell_what_one_pass_tells(found: list[tuple[Any, ...]], delays: list[int]) -> None:
    """Though much is forgotten on the way."""
    events = events_of(found)
    arrivals = [(e["@timestamp"] - T0).total_seconds() + d for e, d in zip(events, delays, strict=False)]
    hours: list[list[dict[str, Any]]] = [[] for _ in range(70)]
    for event_, at in sorted(zip(events, arrivals, strict=True), key=lambda pair: pair[1]):
        hours[int(at // HOUR)].append(event_)
    once, _, _ = scan(RULES, [events])
    many, _, state = scan(RULES, hours, HOUR, HOUR)
    assert loosely(many) == loosely(once)
    last = max((e["@timestamp"] for e in events), default=T0)
    assert sum(n for _, n, _ in memory.sizes(state)) <= len(SPECS) * sum(e["@timestamp"] >= last - timedelta(hours=14) for e in events)


def test_a_late_event_extends_the_open_alert() -> None:
    rules = ruleset({"type": "event_count", "rules": ["a"], "condition": {"gte": 3}})
    book, _, _ = scan(rules, [[event(600 + n, n) for n in range(3)], [event(599, 9)], [event(1190, 10)]])
    [alert] = alerts(book)
    assert (alert.count, alert.first, alert.last) == (5, T0 + timedelta(seconds=599), T0 + timedelta(seconds=1190))
    assert [r.type for r in book.records if r.stream == "alert"] == ["opened", "hits", "hits"]
    assert alert.reasons[0].value == "5"


def test_an_alert_that_a_late_event_joins_to_another_is_merged_and_both_say_so() -> None:
    rules = ruleset({"type": "event_count", "rules": ["a"], "condition": {"gte": 2}, "timespan": "2d"})
    far = [event(0, 0), event(1, 1)], [event(100 * HOUR, 2), event(100 * HOUR + 1, 3)]
    book, notes, _ = scan(rules, [*far, [event(50 * HOUR, 4)]])
    assert notes == []
    assert len(alerts(book)) == 2
    book, notes, _ = scan(rules, [*far, [event(70 * HOUR, 4), event(48 * HOUR, 5)]])
    [alert] = alerts(book)
    [gone] = [a for a in alerts(book, open_only=False) if a.status == "closed"]
    assert (alert.count, alert.merged, gone.verdict, gone.duplicate_of) == (6, (gone.id,), "duplicate", alert.id)
    assert alert.first == T0
    assert alert.id[:8] in gone.verdict_reason
    assert [gone.id[:8] in note and alert.id[:8] in note for note in notes] == [True]


def test_an_episode_that_did_not_happen_after_all_is_taken_back() -> None:
    rules = ruleset({"type": "temporal", "rules": ["a", "b"], "condition": "a and not b"})
    book, notes, _ = scan(rules, [[event(60, 1), event(90 * HOUR, 2)], [event(30, 0, "b")]])
    assert [(a.first - T0).total_seconds() for a in alerts(book)] == [90 * HOUR]
    [gone] = [a for a in alerts(book, open_only=False) if a.status == "closed"]
    assert (gone.count, gone.events, gone.verdict) == (0, (), "benign")
    assert [gone.id[:8] in note for note in notes] == [True]


def test_a_closed_alert_is_left_alone_and_what_follows_is_a_new_one() -> None:
    rules = ruleset({"type": "event_count", "rules": ["a"], "condition": {"gte": 3}})
    book, _, state = scan(rules, [[event(n, n) for n in range(3)]])
    [alert] = alerts(book)
    book.add(NewRecord("alert", alert.id, "verdict", {"verdict": "true_positive", "reason": "x"}), T0)
    found = SigmaDetector(rules).scan([chunk([event(5, 5)])], state, T0, None)  # type: ignore[arg-type]
    book.take(found.findings)
    assert [(a.status, a.count) for a in alerts(book, open_only=False)] == [("closed", 3), ("new", 1)]


def test_beyond_the_limit_late_tolerance_goes_first_then_the_groups_furthest_from_firing() -> None:
    rules = ruleset({"type": "event_count", "rules": ["a"], "condition": {"gte": 4}})
    old = [event(n, n, address=f"198.51.100.{n}") for n in range(20)]
    near = [event(2 * HOUR + n, 100 + n) for n in range(3)]
    _, notes, state = scan(rules, [[*old, *near]], most=10)
    assert memory.sizes(state) == [("c0", 10, 8)]
    assert [("13" in n and "02/11/2026 08:00:12" in n) for n in notes] == [True]
    flood = [event(2 * HOUR + 60 + n, 200 + n, address=f"2001:db8::{n:x}") for n in range(30)]
    book, notes, state = scan(rules, [[*old, *near], flood, [event(2 * HOUR + 300, 300)]], most=10)
    assert [(a.rule.id, a.count) for a in alerts(book)] == [("c0", 4)]
    assert len(notes) == 3
    assert memory.sizes(state)[0][1] <= 10


def test_what_no_window_can_need_is_forgotten() -> None:
    rules = ruleset({"type": "event_count", "rules": ["a"], "condition": {"gte": 4}})
    _, _, state = scan(rules, [[event(n, n)] for n in range(5)], step=memory.LATE)
    assert memory.sizes(state) == [("c0", 5, 1)]
    _, _, state = scan(rules, [[event(n * HOUR, n)] for n in range(48)], step=HOUR)
    [(_, hits, _)] = memory.sizes(state)
    assert hits <= memory.LATE / HOUR + 2
    _, _, state = scan(rules, [[event(0, 0)], [], [event(8 * HOUR, 1, "b")], []], step=8 * HOUR)
    assert len(memory.sizes(state)) == 1


def test_forgotten_hits_keep_no_new_one_from_firing() -> None:
    rules = ruleset({"type": "temporal", "rules": ["a", "b"], "condition": "a and not b"})
    hours = ((0, "a"), (0.1, "b"), (5, "a"), (12, "b"), (19, "a"), (35, "a"))
    events = [event(at * HOUR, place, path) for place, (at, path) in enumerate(hours)]
    batches = [[e for e in events if (e["@timestamp"] - T0).total_seconds() // HOUR == hour] for hour in range(40)]
    book, _, _ = scan(rules, batches, HOUR, HOUR)
    assert sum(a.count for a in alerts(book)) == 4


def test_a_clock_that_runs_ahead_makes_nothing_forgotten() -> None:
    rules = ruleset({"type": "event_count", "rules": ["a"], "condition": {"gte": 3}})
    ahead = event(400 * 24 * HOUR, 9, address="198.51.100.9")
    book, _, _ = scan(rules, [[event(0, 0), ahead], [event(1, 1)], [event(2, 2)]])
    assert [a.count for a in alerts(book)] == [3]


def test_a_changed_rule_begins_anew() -> None:
    first, second = (ruleset({"type": "event_count", "rules": ["a"], "condition": {"gte": n}}) for n in (3, 4))
    _, _, state = scan(first, [[event(0, 0)]])
    assert SigmaDetector(second).scan([], state, T0, None).state["correlations"] == {}  # type: ignore[arg-type]


def test_the_last_event_of_an_ordered_correlation_names_more_entities_and_the_reason_names_rules_and_fields() -> None:
    rules = ruleset(
        {"type": "temporal_ordered", "rules": ["a", "b"]}, {"type": "value_count", "rules": ["a"], "condition": {"field": "user.name", "gte": 2}}
    )  # fmt: skip
    events = [event(0, 0, **{"user.name": "an"}), event(1, 1, "b", **{"user.name": "binh"}), event(2, 2, **{"user.name": "chi"})]
    book, _, _ = scan(rules, [events])
    ordered, counted = alerts(book)
    assert {(e.type, e.value) for e in ordered.related} == {("user", "binh")}
    [reason] = counted.reasons
    assert (reason.field, reason.value, reason.expected) == ("value_count", "2", "gte 2")
    assert reason.values == {"of": [("base-a", "a")], "group": {"source.ip": "203.0.113.1"}, "seconds": 600, "fields": ["user.name"]}


def test_the_reason_of_an_ordered_correlation_names_every_step() -> None:
    rules = ruleset({"type": "temporal_ordered", "rules": ["a", "a", "b"]})
    book, _, _ = scan(rules, [[event(0, 0), event(1, 1), event(2, 2, "b")]])
    ((reason,),) = (one.reasons for one in alerts(book))
    assert reason.values["of"] == [("base-a", "a"), ("base-a", "a"), ("base-b", "b")]


def test_events_of_several_feeds_meet_in_one_group_under_the_names_of_each() -> None:
    base = {
        "title": "av",
        "id": "av",
        "logsource": {"category": "antivirus"},
        "detection": {"s": {"Signature|contains": "EICAR"}, "condition": "s"},
    }
    spec = {
        "type": "value_count",
        "rules": ["av"],
        "group-by": ["Signature"],
        "timespan": "10m",
        "condition": {"field": "Filename", "gte": 2},
    }
    documents = [base, {"title": "c0", "id": "c0", "correlation": spec}]
    rules = build([("rules.yml", yaml.safe_dump_all(documents).encode())])
    at = {"@timestamp": T0, "thapcanh.source": "x"}
    defender = {"winlog.channel": "Microsoft-Windows-Windows Defender/Operational", "event.code": "1116", "thapcanh.position": 0}
    events = [
        {**at, **defender, "winlog.event_data.Threat Name": "EICAR-1", "winlog.event_data.Path": "C:/a"},
        {**at, "thapcanh.position": 1, "event.dataset": "system.syslog", "event.category": ["malware"], "rule.name": "EICAR-1", "file.path": "/b"},
    ]  # fmt: skip
    book, _, _ = scan(rules, [events])
    assert [(a.rule.id, a.count) for a in alerts(book)] == [("c0", 2)]
