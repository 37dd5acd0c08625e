"""Legal clocks of both regimes (design: vietnam.md 4.2 and part 6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from domain import duties, i18n
from domain import incident as inc
from domain.incident import Change, Incident

ICT = timezone(timedelta(hours=7))


def build(t0: datetime, changes: Sequence[tuple[datetime, Change]] = (), *, level: str = "M3", flags: tuple[str, ...] = ()) -> Incident:
    """An incident opened at T0 with later changes at given instants."""
    first = inc.opened(inc.Opening("SC-1", t0, "x", "sigma", category="defacement", level=level, flags=flags))
    return inc.fold(SimpleNamespace(type=c[0], body=c[1], at=at, actor="lan") for at, c in [(t0, first), *changes])


def by_id(incident: Incident, now: datetime) -> dict[str, duties.Duty]:
    """Duties by id."""
    return {d.id: d for d in duties.due(incident, now)}


def sent(form: str, at: datetime) -> tuple[datetime, Change]:
    """A notice that went out."""
    return at, inc.sent(inc.Notice(form, "owner", "email", at))


@pytest.mark.parametrize(
    ("t0", "edition"),
    [
        pytest.param(datetime(2025, 12, 31, 23, 50, tzinfo=ICT), "nd13-mau03", id="last minutes of 2025: NĐ 13"),
        pytest.param(datetime(2026, 1, 1, 0, 10, tzinfo=ICT), "nd356-mau08", id="first minutes of 2026: NĐ 356"),
        pytest.param(datetime(2025, 12, 31, 17, 10, tzinfo=UTC), "nd356-mau08", id="the local day counts, not the UTC day"),
    ],
)
def test_personal_data_form_by_t0(t0: datetime, edition: str) -> None:
    duty = by_id(build(t0, flags=("personal_data",)), t0)["personal_data_72h"]
    assert duty.clause.edition == edition
    assert duty.due_at == t0 + timedelta(hours=72)


def test_incident_clocks_switch_on_the_first_of_july_2026() -> None:
    before = datetime(2026, 6, 30, 23, 59, tzinfo=ICT)
    after = datetime(2026, 7, 1, 0, 0, tzinfo=ICT)
    old, new = by_id(build(before, level="M2"), before), by_id(build(after, level="M2"), after)
    assert set(old) == {"classify", "notice_5d", "progress", "closing_5d", "review", "rules_review"}
    assert set(new) == {"classify", "notice_24h", "report_72h", "progress", "closing_report", "review", "rules_review"}


def test_72_hours_and_5_days_are_wall_clock_across_a_month_end() -> None:
    t0 = datetime(2026, 10, 30, 9, 15, tzinfo=ICT)
    assert by_id(build(t0), t0)["report_72h"].due_at == datetime(2026, 11, 2, 9, 15, tzinfo=ICT)
    t0 = datetime(2024, 2, 27, 22, 5, tzinfo=ICT)
    assert by_id(build(t0), t0)["notice_5d"].due_at == datetime(2024, 3, 3, 22, 5, tzinfo=ICT)


@pytest.mark.parametrize(
    ("hours", "state"), [(0, "waiting"), (53.9, "waiting"), (54, "due"), (71.99, "due"), (72, "overdue"), (80, "overdue")]
)
def test_states_over_time(hours: float, state: str) -> None:
    t0 = datetime(2026, 8, 1, 0, 0, tzinfo=UTC)
    duty = by_id(build(t0), t0 + timedelta(hours=hours))["report_72h"]
    assert duty.state == state
    assert duty.remaining == timedelta(hours=72 - hours)


def test_a_notice_stops_the_clock_and_lateness_is_kept() -> None:
    t0 = datetime(2026, 8, 1, 0, 0, tzinfo=UTC)
    now = t0 + timedelta(days=10)
    done = by_id(build(t0, [sent("report_72h", t0 + timedelta(hours=70))]), now)["report_72h"]
    late = by_id(build(t0, [sent("report_72h", t0 + timedelta(hours=73))]), now)["report_72h"]
    assert (done.state, done.late, done.remaining) == ("done", False, None)
    assert (late.state, late.late) == ("done", True)


def test_an_unclassified_incident_shows_the_graver_clock() -> None:
    t0 = datetime(2026, 8, 1, 0, 0, tzinfo=UTC)
    unknown = inc.fold([SimpleNamespace(type="opened", body=inc.opened(inc.Opening("SC-1", t0, "x", "sigma"))[1], at=t0, actor="a")])
    assert "notice_24h" in by_id(unknown, t0)
    assert "notice_24h" not in by_id(build(t0, level="M3"), t0)
    assert set(by_id(build(t0, level="M4"), t0)) == {"classify"}, "blocked without effect: nothing is owed"


def test_beyond_capacity_starts_its_own_clock_when_decided() -> None:
    t0 = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
    decided = t0 + timedelta(hours=9)
    duty = by_id(build(t0, [(decided, inc.classified(flags={"beyond_capacity": True}))]), decided)["initial_urgent"]
    assert (duty.started, duty.due_at, duty.state) == (decided, decided + timedelta(hours=1), "due")


def test_closing_report_counts_from_the_end_of_the_response() -> None:
    t0 = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
    open_ = by_id(build(t0), t0 + timedelta(days=30))["closing_5d"]
    assert (open_.state, open_.due_at, open_.remaining) == ("waiting", None, None)
    ended = t0 + timedelta(days=30)
    assert by_id(build(t0, [(ended, inc.status("recovered"))]), ended)["closing_5d"].due_at == ended + timedelta(hours=120)


def test_progress_report_starts_again_after_each_sending_and_ends_with_the_response() -> None:
    t0 = datetime(2026, 8, 1, 0, 0, tzinfo=UTC)
    first = sent("progress", t0 + timedelta(hours=20))
    duty = by_id(build(t0, [first], level="M2"), t0 + timedelta(hours=30))["progress"]
    assert (duty.state, duty.due_at) == ("waiting", t0 + timedelta(hours=44))
    ended = t0 + timedelta(hours=40)
    assert by_id(build(t0, [first, (ended, inc.status("recovered"))], level="M2"), ended + timedelta(days=3))["progress"].state == "done"


def test_data_subjects_only_for_biometric_or_location_data() -> None:
    t0 = datetime(2026, 8, 1, 0, 0, tzinfo=UTC)
    assert "subjects_72h" not in by_id(build(t0, flags=("personal_data",)), t0)
    start = t0 + timedelta(hours=5)
    changes = [(start, inc.classified(flags={"biometric": True}, personal_data_t0=start))]
    assert by_id(build(t0, changes), start)["subjects_72h"].due_at == start + timedelta(hours=72)


def test_decree_13_not_before_it_was_in_force() -> None:
    t0 = datetime(2023, 6, 30, 12, 0, tzinfo=ICT)
    assert "personal_data_72h" not in by_id(build(t0, flags=("personal_data",)), t0)


def test_most_pressing_first() -> None:
    t0 = datetime(2026, 8, 1, 0, 0, tzinfo=UTC)
    found = duties.due(build(t0, level="M1"), t0 + timedelta(hours=20))
    assert [d.id for d in found][:3] == ["at_once", "notice_24h", "progress"]
    assert [duties.STATES.index(d.state) for d in found] == sorted(duties.STATES.index(d.state) for d in found)


def test_every_duty_and_addressee_has_a_name_in_both_languages() -> None:
    for clause in duties.table():
        for key in (clause.id, *(f"to_{to}" for to in clause.to)):
            for lang in i18n.LANGS:
                assert i18n.t(f"duties.{key}", lang) != f"duties.{key}", (lang, key)
        assert not clause.law or clause.source, clause.id
