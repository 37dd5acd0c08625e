"""Follow: the further doings of what a serious alert names, a day back and on, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa

import match
from detectors.follow import Follow, leads
from domain.alert import Alert, Entity, RuleRef
from domain.event import TableBatch
from domain.query import Query
from tests.detectors.chunks import MemoryChunk, at, chunk

RULE = RuleRef("r", "Taken", "high", "1", ("attack.t1110",))
ALERT = Alert(
    "a1", RULE, (Entity("ip", "203.0.113.9"), Entity("user", "an")), at(100), at(200), 2, (), at(300),
    related=(Entity("file", "C:\\web\\up\\x1.aspx"), Entity("ip", "10.0.0.5")),
)  # fmt: skip


class Past:
    """Only what Follow asks of a store: search."""

    def __init__(self, *chunks: MemoryChunk) -> None:
        self._chunks = chunks

    def search(self, query: Query) -> Iterator[pa.Table]:
        for one in self._chunks:
            rows = match.rows(query.where, TableBatch(one.table()))
            if len(rows):
                yield one.table(rows.tolist())


PAST = chunk([
    {"@timestamp": at(-3600), "source.ip": "203.0.113.9", "url.path": "/"},
    {"@timestamp": at(-200_000), "source.ip": "203.0.113.9", "url.path": "/too-old"},
    {"@timestamp": at(150), "source.ip": "198.51.100.4", "user.name": "an"},
])  # fmt: skip
NEW = chunk([
    {"@timestamp": at(400), "source.ip": "192.0.2.7", "user.name": "an", "url.path": "/api"},
    {"@timestamp": at(500), "source.ip": "2001:db8::5", "url.path": "/up/x1.aspx"},
    {"@timestamp": at(600), "source.ip": "203.0.113.9", "url.path": "/a"},
    {"@timestamp": at(700), "source.ip": "203.0.113.77", "url.path": "/b"},
])  # fmt: skip


def test_what_is_followed() -> None:
    found = leads([ALERT, replace(ALERT, id="a2", status="closed", entities=(Entity("ip", "203.0.113.50"),))], at(1000))
    assert [(lead.kind, lead.value) for lead in found] == [("address", "203.0.113.9"), ("script", "x1.aspx"), ("account", "an")]
    assert leads([replace(ALERT, rule=replace(RULE, level="medium"))], at(1000)) == []
    assert leads([ALERT], at(1000) + timedelta(days=3)) == []


def test_a_new_lead_looks_back_a_day_and_then_sees_only_what_is_new() -> None:
    follow = Follow(leads([ALERT], at(1000)))
    first = follow.scan([], {}, at(1000), Past(PAST, NEW))  # type: ignore[arg-type]
    told = {(f.rule.id, f.entities[0].value): f for f in first.findings}
    assert {key: f.count for key, f in told.items()} == {
        ("follow.address", "203.0.113.9"): 2,
        ("follow.account", "an"): 2,
        ("follow.script", "2001:db8::5"): 1,
    }
    assert told["follow.account", "an"].related == (Entity("ip", "192.0.2.7"), Entity("ip", "198.51.100.4"))
    assert told["follow.script", "2001:db8::5"].rule.level == "high"
    assert follow.scan([], first.state, at(1100), Past(PAST, NEW)).findings == []  # type: ignore[arg-type]
    again = follow.scan([NEW], first.state, at(1100), Past(PAST, NEW))  # type: ignore[arg-type]
    assert sorted(f.rule.id for f in again.findings) == ["follow.account", "follow.address", "follow.script"]


def test_events_that_alerts_hold_are_not_told_again() -> None:
    held = frozenset(i.hex() for i in NEW.ids().to_pylist())
    assert (
        Follow(leads([ALERT], at(1000)), held).scan([NEW], {"leads": [x.key for x in leads([ALERT], at(1000))]}, at(1100), Past()).findings
        == []
    )  # type: ignore[arg-type]


def test_the_addresses_from_which_a_taken_account_was_used_are_followed_too() -> None:
    used = replace(
        ALERT, rule=RuleRef("follow.account", "t", "low", "1"), entities=(Entity("user", "an"),), related=(Entity("ip", "192.0.2.7"),)
    )
    assert [(lead.kind, lead.value) for lead in leads([used], at(1000))] == [("address", "192.0.2.7")]


def test_what_the_user_who_hid_traces_did_before_on_that_computer() -> None:
    cleared = replace(
        ALERT, rule=replace(RULE, tags=("attack.t1070.001",)), entities=(Entity("host", "srv1"), Entity("user", "qt")), related=()
    )
    found = leads([cleared], at(1000))
    assert [(lead.kind, lead.value, lead.place) for lead in found] == [("session", "qt", "srv1")]
    past = chunk([
        {"@timestamp": at(-3000), "host.name": "srv1", "user.name": "qt", "source.ip": "10.0.0.9"},
        {"@timestamp": at(-3000), "host.name": "srv2", "user.name": "qt"},
        {"@timestamp": at(-30_000), "host.name": "srv1", "user.name": "qt"},
    ])  # fmt: skip
    told = Follow(found).scan([], {}, at(1000), Past(past)).findings  # type: ignore[arg-type]
    assert [(f.rule.id, f.entities, f.count) for f in told] == [("follow.session", (Entity("host", "srv1"), Entity("user", "qt")), 1)]
    assert told[0].related == (Entity("ip", "10.0.0.9"),)
