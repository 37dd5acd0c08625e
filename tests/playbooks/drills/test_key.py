"""The answer key: what counts as found, what as missed, what lies outside."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from domain.alert import Alert, Entity, RuleRef
from domain.errors import ContentError
from playbooks.drills.key import KeyStep, check, read_key, write_key
from store.base import Counts, Delivery, Store

NOON = datetime(2026, 11, 24, 5, tzinfo=UTC)
IP, SOURCE = Entity("ip", "198.51.100.7"), Entity("source", "lnx-db01")
LINES = [b"first line", b"second line", b"third line"]


def _step(name: str, *, records: tuple[bytes, ...] = (), entities: tuple[Entity, ...] = (IP,), start: datetime = NOON) -> KeyStep:
    digests = frozenset(hashlib.sha256(r).hexdigest() for r in records)
    return KeyStep(name, "web", start, start + timedelta(minutes=5), entities, digests)


def _alert(
    ident: str, *, events: tuple[str, ...] = (), entities: tuple[Entity, ...] = (), kind: str = "sigma", at: datetime = NOON
) -> Alert:
    return Alert(ident, RuleRef("r1", "A rule", "high", "v1", kind=kind), entities, at, at, 1, events, at + timedelta(minutes=1))


@pytest.fixture
def stored(tmp_store: Store) -> Store:
    """Three events with ids 00.., 01.., 02.., at noon, one and two hours later."""
    ids = [bytes([n]) * 16 for n in range(3)]
    times = pa.array([NOON + timedelta(hours=n) for n in range(3)], pa.timestamp("us", "UTC"))
    table = pa.table({
        "event.id": pa.array(ids, pa.binary(16)), "@timestamp": times, "event.ingested": times,
        "event.original": pa.array(LINES, pa.large_binary()), "thapcanh.source": pa.array(["s"] * 3), "event.kind": pa.array(["event"] * 3),
    })  # fmt: skip
    tmp_store.events.append(Delivery({"nginx": [table]}, counts=[Counts("s", 3, 3, at=NOON)]))
    return tmp_store


def test_an_alert_that_holds_a_record_of_the_step_has_found_it(stored: Store) -> None:
    step = _step("scan", records=(LINES[1],))
    result = check([step], [_alert("a1", events=("01" * 16,))], stored.events)
    assert [(s.step, [a.id for a in seen]) for s, seen in result.found] == [("scan", ["a1"])]
    assert result.missed == ()
    assert result.outside == ()


def test_an_alert_about_the_right_address_but_other_records_lies_outside(stored: Store) -> None:
    step = _step("scan", records=(LINES[1],))
    result = check([step], [_alert("a1", events=("00" * 16,), entities=(IP,))], stored.events)
    assert result.found == ()
    assert result.missed == (step,)
    assert [a.id for a in result.outside] == ["a1"]


@pytest.mark.parametrize(("minutes", "found"), [(0, True), (14, True), (-9, True), (16, False), (-11, False)])
def test_an_anomaly_finds_by_entity_within_ten_minutes(stored: Store, minutes: int, found: bool) -> None:
    step = _step("silence", entities=(SOURCE,))
    alert = _alert("a1", entities=(SOURCE,), kind="anomaly", at=NOON + timedelta(minutes=minutes))
    result = check([step], [alert], stored.events)
    assert bool(result.found) is found
    assert bool(result.outside) is not found


def test_an_anomaly_with_events_is_judged_by_their_time(stored: Store) -> None:
    alert = _alert("a1", events=("02" * 16,), entities=(IP,), kind="anomaly")
    assert check([_step("scan")], [alert], stored.events).missed
    assert check([_step("scan", start=NOON + timedelta(hours=2))], [alert], stored.events).found


def test_an_anomaly_about_somebody_else_finds_nothing(stored: Store) -> None:
    alert = _alert("a1", entities=(Entity("ip", "198.51.100.8"),), kind="anomaly")
    assert check([_step("scan")], [alert], stored.events).missed


def test_the_first_alert_that_was_raised_comes_first(stored: Store) -> None:
    step = _step("scan", records=tuple(LINES))
    later = _alert("a0", events=("01" * 16,), at=NOON + timedelta(hours=1))
    result = check([step], [later, _alert("a1", events=("00" * 16,))], stored.events)
    assert [a.id for a in result.found[0][1]] == ["a1", "a0"]


def test_a_key_is_read_as_it_was_written(tmp_path: Path) -> None:
    steps = [_step("scan", records=(LINES[0],)), _step("silence", entities=(SOURCE,))]
    write_key(tmp_path / "key.jsonl", steps)
    assert read_key(tmp_path / "key.jsonl") == steps


def test_a_broken_key_says_where(tmp_path: Path) -> None:
    path = tmp_path / "key.jsonl"
    write_key(path, [_step("scan")])
    path.write_bytes(path.read_bytes() + b'{"step": "half"}\n')
    with pytest.raises(ContentError, match=r"key.jsonl:2: not a step of an answer key: 'entities' \(soc drill generate DIR\)"):
        read_key(path)
    with pytest.raises(ContentError, match="cannot read the answer key: No such file"):
        read_key(tmp_path / "other.jsonl")
