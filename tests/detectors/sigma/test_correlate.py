"""Correlations: windows, both ends in, episodes, restart in the middle."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.sigma.correlate import Hit, episodes, passed_on, read
from detectors.sigma.verify import verify

BASE = {"title": "f", "id": "base", "name": "fail", "logsource": {"category": "x"}, "detection": {"s": {"a": "fail"}, "condition": "s"}}
OTHER = {**BASE, "id": "other", "name": "ok", "detection": {"s": {"a": "ok"}, "condition": "s"}}


def correlation(**spec: Any) -> dict[str, Any]:
    return {"title": "c", "id": "c", "correlation": {"rules": ["fail"], "group-by": ["u"], "timespan": "10s", **spec}}


def fired(document: dict[str, Any], events: list[dict[str, Any]], rules: list[dict[str, Any]] | None = None) -> list[int]:
    out = verify([{"id": 1, "rules": [*(rules or [BASE]), document], "events": events, "expected": None}], None)
    return [n for n, names in enumerate(out.failures[0]["got"]) if names]


def test_event_count_counts_both_ends_of_the_window() -> None:
    events = [{"time": t, "a": "fail", "u": "x"} for t in (0, 5, 10, 20, 21, 22)]
    assert fired(correlation(type="event_count", condition={"gte": 3}), events) == [2, 5]


def test_groups_are_apart_and_an_event_without_the_field_belongs_to_none() -> None:
    events = [
        {"time": 0, "a": "fail", "u": "x"},
        {"time": 1, "a": "fail", "u": "y"},
        {"time": 2, "a": "fail"},
        {"time": 3, "a": "fail", "u": "x"},
    ]
    assert fired(correlation(type="event_count", condition={"gte": 2}), events) == [3]


def test_value_count_counts_distinct_values() -> None:
    events = [{"time": t, "a": "fail", "u": "x", "v": v} for t, v in ((0, "a"), (1, "a"), (2, "b"), (3, "c"))]
    assert fired(correlation(type="value_count", condition={"field": "v", "gte": 3}), events) == [3]


def test_temporal_in_any_order_and_in_order() -> None:
    events = [{"time": 0, "a": "ok", "u": "x"}, {"time": 1, "a": "fail", "u": "x"}, {"time": 2, "a": "ok", "u": "x"}]
    both = [BASE, OTHER]
    assert fired(correlation(type="temporal", rules=["fail", "ok"]), events, both) == [1, 2]
    assert fired(correlation(type="temporal_ordered", rules=["fail", "ok"]), events, both) == [2]


def test_events_out_of_order_give_the_same_firings() -> None:
    events = [{"time": t, "a": "fail", "u": "x"} for t in (10, 0, 5)]
    assert fired(correlation(type="event_count", condition={"gte": 3}), events) == [0]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"type": "nosuch", "condition": {"gte": 1}}, "correlation type nosuch: event_count |"),
        ({"type": "event_count"}, "condition is missing"),
        ({"type": "value_count", "condition": {"gte": 1}}, "condition.field is missing"),
        ({"type": "event_count", "condition": {"gte": 1}, "timespan": "5"}, "correlation timespan 5"),
        ({"type": "event_count", "condition": {"gte": 1}, "nosuch": 1}, "unknown key nosuch; allowed: aliases"),
    ],
)
def test_what_is_wrong_is_said(spec: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("|", r"\|").replace("(", r"\(")):
        read(correlation(**spec))


def test_an_episode_ends_after_a_gap_longer_than_the_timespan() -> None:
    rule = read(correlation(type="event_count", condition={"gte": 2}))
    hits = [Hit(float(t), t, "fail", ("x",), None, str(t)) for t in (0, 1, 5, 9, 40, 41)]
    found = episodes(rule, hits)
    assert [[h.event for h in e.events] for e in found] == [["0", "1", "5", "9"], ["40", "41"]]
    assert [(e.start, e.first, e.last) for e in found] == [(0, 1, 9), (40, 41, 41)]


def test_a_correlation_of_correlations_sees_their_firings() -> None:
    child = read({**correlation(type="event_count", condition={"gte": 2}), "name": "many"})
    parent = read(correlation(type="temporal_ordered", rules=["many", "ok"], timespan="60s"))
    hits = [Hit(float(t), t, "fail", ("x",), None, str(t)) for t in (0, 1)]
    passed = passed_on(child, episodes(child, hits), parent)
    assert [(h.rule, h.at, h.group) for h in passed] == [("many", 1.0, ("x",))]
    found = episodes(parent, [*passed, Hit(5.0, 5, "ok", ("x",), None, "5"), Hit(6.0, 6, "ok", ("y",), None, "6")])
    assert [[h.event for h in e.events] for e in found] == [["1", "5"]]


def test_exercise_and_real_events_do_not_mix() -> None:
    rule = read(correlation(type="event_count", condition={"gte": 2}))
    hits = [Hit(float(t), t, "fail", ("x",), None, str(t), exercise=t % 2 == 0) for t in range(4)]
    assert [(e.exercise, [h.event for h in e.events]) for e in episodes(rule, hits)] == [(True, ["0", "2"]), (False, ["1", "3"])]
