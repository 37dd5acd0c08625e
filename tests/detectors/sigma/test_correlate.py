"""Correlations as `soc rules verify` runs them: windows, both ends in, all types, chains, and every error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.correlation import TYPES
from detectors.sigma.verify import verify

BASE = {"title": "f", "id": "base", "name": "fail", "logsource": {"category": "x"}, "detection": {"s": {"a": "fail"}, "condition": "s"}}
OTHER = {**BASE, "id": "other", "name": "ok", "detection": {"s": {"a": "ok"}, "condition": "s"}}
ANY = {**BASE, "id": "any", "name": "any", "detection": {"s": {"a|exists": True}, "condition": "s"}}


def correlation(key: str = "c", **spec: Any) -> dict[str, Any]:
    """A document with sensible defaults."""
    return {"title": key, "id": key, "name": f"n_{key}", "correlation": {
        "rules": ["fail"], "group-by": ["u"], "timespan": "10s", **spec,
    }}  # fmt: skip


def verdict(*documents: dict[str, Any], events: list[dict[str, Any]] | None = None) -> tuple[Any, str]:
    """What `soc rules verify` says: the ids for each event, or "error" and why."""
    case = {"id": 1, "rules": [BASE, OTHER, ANY, *documents], "events": events or [], "expected": None}
    [failure] = verify([case], None).failures
    return failure["got"], failure["why"]


def fired(*documents: dict[str, Any], events: list[dict[str, Any]]) -> list[str]:
    """For each event the ids that fire, joined."""
    got, why = verdict(*documents, events=events)
    assert got != "error", why
    return ["".join(sorted(ids)) for ids in got]


def at(*times: float, a: str = "fail", **more: Any) -> list[dict[str, Any]]:
    return [{"time": t, "a": a, "u": "x", **more} for t in times]


def test_event_count_counts_both_ends_of_the_window() -> None:
    rule = correlation(type="event_count", condition={"gte": 3})
    assert fired(rule, events=at(0, 5, 10, 20, 21, 22)) == ["", "", "c", "", "", "c"]


def test_a_window_is_exact_to_the_microsecond() -> None:
    rule = correlation(type="event_count", condition={"gte": 2})
    assert fired(rule, events=at(0.3, 10.3)) == ["", "c"]
    assert fired(rule, events=at(0.3, 10.300001)) == ["", ""]


def test_ranges_join_their_limits() -> None:
    rule = correlation(type="event_count", condition={"gt": 1, "lt": 4})
    assert fired(rule, events=at(0, 1, 2, 3)) == ["", "c", "c", ""]
    assert fired(correlation(type="event_count", condition={"neq": 2}), events=at(0, 1, 2)) == ["c", "", "c"]
    assert fired(correlation(type="event_count", condition={"eq": 2}), events=at(0, 1, 2)) == ["", "c", ""]


def test_groups_are_apart_and_an_event_without_the_field_belongs_to_none() -> None:
    rule = correlation(type="event_count", condition={"gte": 2})
    events = [{"time": 0, "a": "fail", "u": "x"}, {"time": 1, "a": "fail", "u": "y"}, {"time": 2, "a": "fail"}, *at(3)]
    assert fired(rule, events=events) == ["", "", "", "c"]


def test_without_group_by_all_events_are_one_group() -> None:
    rule = correlation(type="event_count", condition={"gte": 2}, **{"group-by": None})
    assert fired(rule, events=[*at(0), {"time": 1, "a": "fail"}]) == ["", "c"]


def test_an_event_that_two_rules_match_counts_once() -> None:
    rule = correlation(type="event_count", rules=["fail", "any"], condition={"gte": 2})
    assert fired(rule, events=at(0, 1)) == ["", "c"]


def test_value_count_counts_distinct_values_and_elements_of_lists() -> None:
    rule = correlation(type="value_count", condition={"field": "v", "gte": 3})
    values = ["a", "a", None, ["b", "a"], "c"]
    assert fired(rule, events=[e for n, v in enumerate(values) for e in at(n, v=v)]) == ["", "", "", "", "c"]
    both = correlation(type="value_count", condition={"field": ["v", "w"], "gte": 2})
    pairs = [("a", "b"), ("a", None), ("a", "b"), ("ab", "")]
    assert fired(both, events=[e for n, (v, w) in enumerate(pairs) for e in at(n, v=v, w=w)]) == ["", "", "", "c"]


def test_temporal_in_any_order_and_in_order() -> None:
    events = [*at(0, a="ok"), *at(1), *at(2, a="ok")]
    assert fired(correlation(type="temporal", rules=["fail", "ok"]), events=events) == ["", "c", "c"]
    assert fired(correlation(type="temporal_ordered", rules=["fail", "ok"]), events=events) == ["", "", "c"]
    assert fired(correlation(type="temporal", rules=["fail", "ok"], condition={"lt": 2}), events=events) == ["c", "", ""]


def test_an_ordered_correlation_needs_as_many_events_as_it_names() -> None:
    rule = correlation(type="temporal_ordered", rules=["fail", "fail", "ok"])
    assert fired(rule, events=[*at(0), *at(1, a="ok"), *at(2), *at(3, a="ok"), *at(12, a="ok")]) == ["", "", "", "c", ""]
    one = correlation(type="temporal_ordered", rules=["fail", "any"])
    assert fired(one, events=at(0, 1)) == ["", "c"]


def test_an_ordered_correlation_with_a_number_counts_the_steps_in_order() -> None:
    rule = correlation(type="temporal_ordered", rules=["fail", "any", "ok"], condition={"gte": 2})
    assert fired(rule, events=[*at(0, a="ok"), *at(1), *at(2, a="ok")]) == ["", "", "c"]


def test_conditions_in_words() -> None:
    events = [*at(0), *at(1, a="ok"), *at(2)]
    assert fired(correlation(type="temporal", rules=["fail", "ok"], condition="fail AND not ok"), events=events) == ["c", "", ""]
    without_list = correlation(type="temporal_ordered", condition="(ok and fail) or any and not ok")
    del without_list["correlation"]["rules"]
    assert fired(without_list, events=events) == ["c", "", "c"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "value_sum", "condition": {"field": "v", "gte": 3.5}}, ["", "c", "c", "c"]),
        ({"type": "value_avg", "condition": {"field": "v", "lt": 1.75}}, ["c", "", "", "c"]),
        ({"type": "value_median", "condition": {"field": "v", "eq": 1.75}}, ["", "c", "c", ""]),
        ({"type": "value_percentile", "condition": {"field": "v", "gte": 2.35, "percentile": 90}}, ["", "c", "c", ""]),
    ],
)
def test_numbers(spec: dict[str, Any], expected: list[str]) -> None:
    events = [e for n, v in enumerate((1, "2.5", "none", 0)) for e in at(n, v=v)]
    assert fired(correlation(**spec), events=events) == expected


def test_events_out_of_order_give_the_same_firings_and_ties_stand_as_written() -> None:
    rule = correlation(type="event_count", condition={"gte": 3})
    assert fired(rule, events=at(10, 0, 5)) == ["c", "", ""]
    assert fired(correlation(type="event_count", condition={"eq": 2}), events=at(1, 1, 1)) == ["", "c", ""]


def test_aliases_and_rules_by_id() -> None:
    rule = correlation(
        type="temporal", rules=["base", "ok"], aliases={"who": {"fail": "src", "other": "dst"}}, **{"group-by": ["who"]}
    )  # fmt: skip
    events = [{"time": 0, "a": "fail", "src": "1"}, {"time": 1, "a": "ok", "dst": "2"}, {"time": 2, "a": "ok", "dst": "1"}]
    assert fired(rule, events=events) == ["", "", "c"]


def test_a_correlation_of_correlations_groups_by_its_own_fields() -> None:
    child = correlation("a", type="event_count", condition={"gte": 2}, **{"group-by": ["host"]})
    parent = correlation("b", type="temporal_ordered", rules=["n_a", "ok"], timespan="1m")
    events = [*at(0, host="h"), *at(1, host="h"), {"time": 2, "a": "ok", "u": "y"}, *at(30, a="ok")]
    assert fired(parent, child, events=events) == ["", "a", "", "b"]


def test_a_chain_counts_values_of_the_firings_and_sees_aliases_of_its_child() -> None:
    child = correlation("a", type="event_count", condition={"gte": 1}, aliases={"who": {"fail": "u"}}, **{"group-by": ["who"]})
    parent = correlation("b", type="value_count", rules=["a"], condition={"field": "who", "gte": 2}, **{"group-by": ["host"]})
    top = correlation("c", type="event_count", rules=["n_b"], condition={"gte": 1}, **{"group-by": ["w"]})
    events = [*at(0, host="h"), {"time": 1, "a": "fail", "u": "y", "host": "h", "w": 7}]
    assert fired(top, parent, child, events=events) == ["a", "abc"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"type": "nosuch", "condition": {"gte": 1}}, "correlation type nosuch: event_count |"),
        ({"condition": {"gte": 1}}, "correlation type (missing)"),
        ({"type": "event_count"}, "condition is missing"),
        ({"type": "event_count", "condition": "fail"}, "only temporal and temporal_ordered take a condition in words"),
        ({"type": "event_count", "condition": {}}, "one of gt, gte, lt, lte, eq, neq is needed"),
        ({"type": "event_count", "condition": {"gte": "many"}}, "gte many is no number"),
        ({"type": "event_count", "condition": {"gte": True}}, "gte True is no number"),
        ({"type": "event_count", "condition": {"gte": 1, "field": "v"}}, "field says nothing for event_count"),
        ({"type": "event_count", "condition": {"gte": 1, "ge": 1}}, "ge is an unknown key of event_count"),
        ({"type": "value_count", "condition": {"gte": 1}}, "condition.field is missing"),
        ({"type": "value_sum", "condition": {"gte": 1, "field": ["a", "b"]}}, "condition.field is one field"),
        ({"type": "value_percentile", "condition": {"gte": 1, "field": "a", "percentile": 101}}, "percentile 101 is not between"),
        ({"type": "event_count", "condition": {"gte": 1}, "timespan": "5"}, "correlation timespan 5"),
        ({"type": "event_count", "condition": {"gte": 1}, "timespan": "0s"}, "correlation timespan 0s"),
        ({"type": "event_count", "condition": {"gte": 1}, "timespan": None}, "correlation timespan (missing)"),
        ({"type": "event_count", "condition": {"gte": 1}, "timeframe": "5m"}, "unknown key timeframe; allowed: aliases"),
        ({"type": "event_count", "condition": {"gte": 1}, "rules": []}, "rules are missing"),
        ({"type": "event_count", "condition": {"gte": 1}, "rules": None}, "rules are missing"),
        ({"type": "event_count", "condition": {"gte": 1}, "rules": ["fall"]}, "id or name fall; did you mean fail?"),
        ({"type": "event_count", "condition": {"gte": 1}, "group-by": {"a": 1}}, "group-by: a list of field names"),
        ({"type": "event_count", "condition": {"gte": 1}, "aliases": {"x": {"ok": "a"}}}, "ok is not one of the rules: fail"),
        ({"type": "event_count", "condition": {"gte": 1}, "aliases": {"x": "a"}}, "alias x: rule -> field is expected"),
        ({"type": "event_count", "condition": {"gte": 1}, "generate": "maybe"}, "generate maybe: true | false"),
        ({"type": "temporal", "rules": ["fail", "ok"], "condition": "fail"}, "rule ok is listed but not used"),
        ({"type": "temporal", "rules": ["fail"], "condition": "fail or ok"}, "ok is not one of the rules: fail"),
        ({"type": "temporal", "rules": ["fail"], "condition": "fail or"}, "it ends where a rule is expected"),
        ({"type": "temporal", "rules": ["fail"], "condition": "(fail"}, "a parenthesis is not closed"),
        ({"type": "temporal", "rules": ["n_c"]}, "in a circle: c -> c"),
    ],
)
def test_what_is_wrong_is_an_error_that_says_so(spec: dict[str, Any], reason: str) -> None:
    got, why = verdict(correlation(**spec))
    assert got == "error"
    assert reason in why


def test_ids_and_names_are_borne_once_and_circles_are_told() -> None:
    count = {"type": "event_count", "condition": {"gte": 1}}
    assert "2 rules have the id c" in verdict(correlation(**count), {**correlation(**count), "name": "other_name"})[1]
    assert "2 rules are named n_c" in verdict(correlation(**count), {**correlation(**count), "id": "d"})[1]
    circle = [correlation("a", **count, rules=["b"]), correlation("b", **count, rules=["n_a"])]
    assert "in a circle: a -> b -> a" in verdict(*circle)[1]
    assert verdict({**correlation(**count), "level": "grave"})[1].startswith("level grave: informational |")


def test_a_time_that_is_none_is_an_error() -> None:
    rule = correlation(type="event_count", condition={"gte": 1})
    assert verdict(rule, events=[{"time": "soon", "a": "fail"}]) == ("error", "event 0: time soon is neither seconds nor ISO 8601")
    assert fired(rule, events=[{"time": "2026-11-02T00:00:00+07:00", "a": "fail", "u": 1}]) == ["c"]


odd = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.sampled_from(["fail", "5m", "temporal", "a and (b", "gte"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["gte", "field", "percentile", "x", "fail"]), inner, max_size=3)),
    max_leaves=5,
)  # fmt: skip
keys = st.sampled_from(["type", "rules", "timespan", "condition", "group-by", "aliases", "generate", "other"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(keys, odd), st.sampled_from(TYPES), odd, odd)
def test_whatever_a_document_holds_it_runs_or_is_an_error(spec: dict[str, Any], kind: str, name: Any, level: Any) -> None:
    document = {"title": "t", "name": name, "level": level, "correlation": {"type": kind, "rules": ["fail"], "timespan": "5m", **spec}}
    got, why = verdict(document, events=at(0, 1))
    assert got == "error" or len(got) == 2
    assert why
