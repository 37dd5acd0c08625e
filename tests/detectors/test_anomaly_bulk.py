"""Bulk reading and sending: applications, users, machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from detectors.anomaly.bulk import Bulk
from detectors.base import Scanned
from domain.alert import Entity
from tests.detectors.chunks import at, chunk
from tests.detectors.test_anomaly_volume import Rows

HOUR, DAY = 3600, 86400


def scan(events: Sequence[Mapping[str, object]], state: Mapping[str, object] | None = None) -> Scanned:
    """One scan; the state goes through JSON as a store keeps it."""
    batch = chunk(events)
    done = Bulk().scan([batch], json.loads(json.dumps(state or {})), at(0), Rows(batch))  # type: ignore[arg-type]
    json.dumps(done.state)
    return done


def call(seconds: float, client: str = "app1", user: str = "an", records: int = 1, **more: object) -> dict[str, object]:
    """One request to an API."""
    return {
        "@timestamp": at(seconds), "api.client.id": client, "user.name": user, "api.records": records, "event.dataset": "lgsp.access",
        "event.category": ["web"], "source.ip": "10.0.0.9", **more,
    }  # fmt: skip


def office(days: int, client: str = "app1", user: str = "an", per_hour: int = 12) -> list[dict[str, object]]:
    """Nine working hours a day."""
    return [
        call(d * DAY + h * HOUR + i * HOUR / per_hour, client, user) for d in range(days) for h in range(9) for i in range(per_hour)
    ]  # fmt: skip


def test_ordinary_days_are_quiet() -> None:
    assert scan([e for n in range(8) for e in office(8, f"app{n}", f"user{n}", per_hour=5 + n)]).findings == []


def test_hundreds_of_requests_in_an_hour_are_found_for_client_and_user() -> None:
    found = scan([*office(7), *(call(6 * DAY + 12 * HOUR + i * 5) for i in range(600))]).findings
    assert {(f.rule.id, f.entities, f.rule.level) for f in found} == {
        ("anomaly.bulk.client", (Entity("client", "app1"),), "medium"), ("anomaly.bulk.user", (Entity("user", "an"),), "medium"),
    }  # fmt: skip
    assert all(f.first >= at(6 * DAY + 12 * HOUR) and f.count == 600 and len(f.events) == 500 for f in found)


def test_few_requests_with_many_records_are_found() -> None:
    found = scan([*office(7), *(call(6 * DAY + 12 * HOUR + i * 60, records=5_000) for i in range(20))]).findings
    assert {f.reasons[0].text for f in found} == {"anomaly.bulk_records"}
    assert found[0].reasons[0].value == "100.000"


def test_a_newcomer_is_measured_against_his_peers() -> None:
    known = [e for n in range(6) for e in office(7, f"app{n}", f"user{n}")]
    newcomer = [call(6 * DAY + i * 5, "app99", "moi") for i in range(600)]
    found = scan([*known, *newcomer]).findings
    assert {e.value for f in found for e in f.entities} == {"app99", "moi"}
    assert found[0].reasons[0].text == "anomaly.bulk_newcomer"


def test_without_history_nothing_is_said() -> None:
    assert scan([call(i * 5) for i in range(600)]).findings == []


def test_logins_are_no_reading() -> None:
    events = [call(6 * DAY + i * 5, **{"event.category": ["authentication"], "api.client.id": None}) for i in range(600)]
    assert scan([*office(7), *events]).findings == []


def test_bytes_sent_outside_by_a_private_machine() -> None:
    def flow(seconds: float, sent: int, to: str = "203.0.113.7") -> dict[str, object]:
        return {"@timestamp": at(seconds), "source.ip": "10.1.2.3", "destination.ip": to, "source.bytes": sent}

    usual = [flow(d * DAY + h * HOUR, 2_000_000) for d in range(7) for h in range(24)]
    [found] = scan([*usual, *(flow(6 * DAY + 3600 + i * 30, 20_000_000) for i in range(40))]).findings
    assert (found.rule.id, found.entities, found.reasons[0].text) == (
        "anomaly.bulk.address", (Entity("ip", "10.1.2.3"),), "anomaly.bulk_sent",
    )  # fmt: skip
    assert scan([*usual, *(flow(6 * DAY + 3600 + i * 30, 20_000_000, "10.9.9.9") for i in range(40))]).findings == []


@pytest.mark.parametrize("size", [50, 333])
def test_many_scans_count_the_same(size: int) -> None:
    events = [*office(7), *(call(6 * DAY + 12 * HOUR + i * 5) for i in range(600))]
    state: Mapping[str, object] = {}
    told = []
    for start in range(0, len(events), size):
        done = scan(events[start : start + size], state)
        state = done.state
        told += [f for f in done.findings if f.rule.id == "anomaly.bulk.client"]
    assert told
    assert 400 <= sum(f.count for f in told) <= 600
    assert told[0].entities == (Entity("client", "app1"),)
