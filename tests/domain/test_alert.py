"""The projection of alert records, and the stable JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.alert import Alert, Entity, Finding, Reason, RuleRef, alert_id
from domain.alert_fold import Step, after, fold, fold_all, opened_body, to_json
from store.base import Record

T = datetime(2026, 11, 24, 1, 15, tzinfo=UTC)
FOUND = Finding(
    RuleRef("r1", "Luật thử", "high", "v1", ("attack.t1110",)), (Entity("ip", "203.0.113.5"),), T, T + timedelta(minutes=5), 2, ("a", "b"),
    (Reason("event.outcome", "2", "0", "anomaly.x", {"n": 2}), Reason("url.path", "/x")), "source.ip:203.0.113.5",
    T, T + timedelta(hours=1),
    related=(Entity("user", "an"),),
)  # fmt: skip


def records(*steps: tuple[str, Mapping[str, Any]], key: str = "k1", finding: Finding = FOUND) -> list[Record]:
    """An opened alert and what happened to it, a minute apart."""
    all_steps = [("opened", opened_body(key, finding)), *steps]
    return [
        Record("alert", key, kind, body, "an", at=T + timedelta(minutes=n), version=n + 1, seq=n + 1)
        for n, (kind, body) in enumerate(all_steps)
    ]  # fmt: skip


def test_an_opened_alert_says_all_that_the_finding_said() -> None:
    alert = fold(records())
    assert (alert.rule, alert.entities, alert.first, alert.last, alert.count) == (FOUND.rule, FOUND.entities, FOUND.first, FOUND.last, 2)
    assert (alert.reasons, alert.evidence, alert.evidence_from, alert.related) == (FOUND.reasons, FOUND.evidence, T, FOUND.related)
    assert (alert.status, alert.opened_at, alert.version, alert.is_open) == ("new", T, 1, True)


def test_the_json_form_is_the_documented_one() -> None:
    data = to_json(fold(records()))
    assert list(data)[:9] == ["id", "rule", "first", "last", "count", "entities", "events", "status", "incident"]
    assert data["rule"] == {"id": "r1", "title": "Luật thử", "level": "high", "version": "v1", "tags": ["attack.t1110"], "kind": "sigma"}
    assert (data["first"], data["entities"], data["events"]) == (
        "2026-11-24T08:15:00.000+07:00", [{"type": "ip", "value": "203.0.113.5"}], ["a", "b"],
    )  # fmt: skip
    assert (data["status"], data["incident"], data["retro"]) == ("new", None, False)


def test_hits_add_up_and_widen_the_span() -> None:
    more = {"count": 3, "first": (T - timedelta(hours=1)).isoformat(), "last": T.isoformat(), "events": ["c"]}
    alert = fold(records(("hits", more)))
    assert (alert.count, alert.first, alert.last, alert.events) == (5, T - timedelta(hours=1), FOUND.last, ("a", "b", "c"))
    assert alert.reasons == FOUND.reasons


def test_who_took_it_first_stays() -> None:
    alert = fold(records(("ack", {}), ("assigned", {"to": "binh"}), ("ack", {})))
    assert (alert.acked_at, alert.acked_by, alert.assignee, alert.status) == (T + timedelta(minutes=1), "an", "binh", "ack")


def test_a_verdict_closes_and_reopening_clears_it() -> None:
    closed = records(("verdict", {"verdict": "false_positive", "reason": "quét định kỳ"}))
    alert = fold(closed)
    assert (alert.status, alert.verdict, alert.verdict_reason, alert.is_open) == ("closed", "false_positive", "quét định kỳ", False)
    assert (alert.acked_at, alert.closed_at) == (T + timedelta(minutes=1), T + timedelta(minutes=1))
    again = after(alert, Step("reopened", {"reason": "x"}, T))
    assert (again.status, again.verdict, again.closed_at, again.acked_at) == ("new", "", None, T + timedelta(minutes=1))


def test_a_record_type_of_a_later_version_is_counted_and_otherwise_ignored() -> None:
    alert = fold(records(("sung", {"song": 1})))
    assert (alert.version, alert.status) == (2, "new")


def test_records_without_a_beginning_are_refused() -> None:
    with pytest.raises(ValueError, match="an alert starts with the record 'opened'"):
        fold(records(("ack", {}))[1:])


def test_reading_on_from_what_is_known_gives_the_same() -> None:
    both = records(("ack", {}), ("verdict", {"verdict": "benign", "reason": "x"}))
    known = fold_all(both[:2])
    assert fold_all(both, known) == fold_all(both)


def test_ids_are_stable_and_do_not_depend_on_the_order_of_entities() -> None:
    pair = [Entity("user", "an"), Entity("ip", "203.0.113.5")]
    assert alert_id("r1", pair, "2026-11-24", 0) == alert_id("r1", pair[::-1], "2026-11-24", 0)
    assert len({alert_id("r1", pair, "2026-11-24", n) for n in range(3)} | {alert_id("r2", pair, "2026-11-24", 0)}) == 4
    assert alert_id("r1", pair, "2026-11-24", 0) == "8a4e201e4911e8c6fa17"


def test_twenty_thousand_alerts_fold() -> None:
    body = opened_body("k", FOUND)
    many = [Record("alert", f"k{n}", "opened", {**body, "id": f"k{n}"}, at=T, version=1, seq=n) for n in range(20_000)]
    found = fold_all(many)
    assert len(found) == 20_000
    assert isinstance(found["k7"], Alert)
