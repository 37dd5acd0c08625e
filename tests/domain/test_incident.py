"""The incident as a projection of its records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from domain import incident as inc
from domain.alert import Entity, Evidence
from domain.incident import Change, Incident

T0 = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)


def fold(*changes: Change, actor: str = "lan") -> Incident:
    """An incident with one change every minute after the opening."""
    entities = (Entity("ip", "2001:db8::7"),)
    start = inc.opened(inc.Opening("SC-1", T0, "Web", "sigma", ("a1",), entities, level="M3", flags=("personal_data",)))
    return inc.fold(
        SimpleNamespace(type=c[0], body=c[1], at=T0 + timedelta(minutes=n), actor=actor) for n, c in enumerate((start, *changes))
    )


def test_id_is_stable_and_carries_the_local_day() -> None:
    assert inc.incident_id("a1", T0) == inc.incident_id("a1", T0.astimezone())
    assert inc.incident_id("a1", T0).startswith("SC-20261124-")
    assert inc.incident_id("a2", T0) != inc.incident_id("a1", T0)


def test_opening_needs_an_offset_and_known_keys() -> None:
    with pytest.raises(ValueError, match="t0 needs an offset"):
        inc.opened(inc.Opening("x", T0.replace(tzinfo=None), "t", "sigma"))
    with pytest.raises(ValueError, match=r"level M9: M1 \| M2 \| M3 \| M4"):
        inc.opened(inc.Opening("x", T0, "t", "sigma", level="M9"))
    with pytest.raises(ValueError, match="flag nope: beyond_capacity"):
        inc.classified(flags={"nope": True})


def test_no_record_moves_t0() -> None:
    body = {"t0": "2020-01-01T00:00:00+00:00", "text": "later", "happened": ""}
    assert fold(("note", body), ("opened", {**body, "id": "other"}), ("corrected", body)).t0 == T0


def test_alerts_come_once_and_leave_on_split() -> None:
    grown = fold(inc.alerts_added(["a1", "a2"], [Entity("ip", "2001:db8::7"), Entity("user", "lan")]), inc.alerts_removed(["a1"], "SC-2"))
    assert grown.alerts == ("a2",)
    assert [e.type for e in grown.entities] == ["ip", "user"]


def test_merge_both_sides() -> None:
    kept = fold(inc.merged(source="SC-2", alerts=["b"], entities=[Entity("host", "web1")]))
    assert (kept.merged_from, kept.alerts, kept.is_open) == (("SC-2",), ("a1", "b"), True)
    gone = fold(inc.merged(into="SC-9"))
    assert (gone.merged_into, gone.status, gone.is_open) == ("SC-9", "merged", False)


def test_classification_keeps_what_is_not_given() -> None:
    incident = fold(inc.classified(category="defacement"), inc.classified(level="M2", reason="portal down", facts={"records": 3}))
    assert (incident.category, incident.level, incident.level_reason) == ("defacement", "M2", "portal down")
    assert incident.classified == T0 + timedelta(minutes=1), "level was known from the opening"
    assert incident.facts == {"records": 3}
    assert incident.serious


def test_flags_keep_the_moment_they_were_set() -> None:
    incident = fold(
        inc.classified(flags={"beyond_capacity": True}), inc.classified(flags={"beyond_capacity": True, "personal_data": False})
    )
    assert dict(incident.flags) == {"beyond_capacity": T0 + timedelta(minutes=1)}


def test_closing_and_opening_again() -> None:
    closed = fold(inc.status("recovered"), inc.closed("upload plugin", {"lessons": "patch"}))
    assert (closed.recovered, closed.closed, closed.closed_by) == (T0 + timedelta(minutes=1), T0 + timedelta(minutes=2), "lan")
    assert closed.facts == {"lessons": "patch", "cause": "upload plugin"}
    again = fold(inc.status("recovered"), inc.closed("x"), inc.status("investigating"))
    assert (again.is_open, again.closed, again.recovered) == (True, None, None)


def test_timeline_is_in_order_of_what_happened() -> None:
    early = T0 - timedelta(hours=2)
    item = Evidence("access.log", "0" * 64, 10, T0 + timedelta(seconds=30), "lan")
    incident = fold(inc.note("now"), inc.note("upload seen", early), inc.evidence_added(item), ("from_the_future", {"x": 1}))
    assert [e.kind for e in incident.timeline] == ["note", "opened", "evidence", "note", "from_the_future"]
    assert incident.timeline[0].recorded == T0 + timedelta(minutes=2)
    assert incident.notes[1] == inc.Note(early, "lan", "upload seen")


def test_notices_steps_and_evidence_come_back_whole() -> None:
    notice = inc.Notice("report_72h", "Công an tỉnh", "official_letter", T0 + timedelta(hours=3), "05/BC-TT", "", "lan")
    item = Evidence("a", "f" * 64, 3, T0, "lan", "evidence/SC-1/a", "raw")
    incident = fold(inc.sent(notice), inc.evidence_added(item), inc.step("SC-1.PB04", "PB04", ("N1", "identify", "done"), "ok"))
    assert incident.sent == (notice,)
    assert incident.evidence == (item,)
    assert (incident.steps[0].step, incident.steps[0].phase, incident.steps[0].result) == ("N1", "identify", "done")


def test_records_must_start_with_the_opening() -> None:
    with pytest.raises(ValueError, match="starts with the record 'opened'"):
        inc.fold([])
