"""Runs over a real store: live answers as evidence, order, approvals, verification, decisions."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from domain import incident as inc
from domain.errors import ConflictError, NotPermitted, UsageError
from playbooks import deeds, load, runner
from playbooks.deeds import Doing
from playbooks.journal import Desk, RunPart, case, write
from store.base import Store
from tests.playbooks.scene import ATTACKER, ATTACKER6, CASE, NOW, SHELL, T0, attack, begin, desk, event, open_case, store_events


@pytest.fixture
def store(tmp_store: Store) -> Store:
    """The attack and its incident."""
    store_events(tmp_store, attack())
    open_case(tmp_store)
    return tmp_store


def skip_until(work: Desk, run_id: str, last: str) -> None:
    """Skip every step before this one."""
    view = runner.open_run(work, run_id)
    for step in view.book.steps:
        if step.id == last:
            return
        deeds.skip(work, run_id, step.id, "not in this test")


def test_start_fills_inputs_and_is_idempotent(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    assert run_id == f"{CASE}.PB04"
    view = runner.open_run(work, run_id)
    assert view.run.inputs["source_ip"] == (ATTACKER, ATTACKER6)
    assert begin(desk(store, tmp_path, "hoa")) == run_id
    assert len(store.records.read("run", run_id)) == 1, "starting again writes nothing"


def test_questions_are_answered_live_and_kept_as_evidence(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    deed = runner.look(work, begin(work), "N1")
    assert deed is not None
    answers = {a.query.id: a for a in deed.answers}
    assert answers["paths"].count == 25
    assert answers["paths"].text == f"source.ip:({ATTACKER} or {ATTACKER6}) and url.path:*"
    assert deeds.proposal(deed.step, deed.answers) == "real"
    result = answers["paths"].result
    assert result is not None
    kept = json.loads((tmp_path / "evidence" / CASE / result.file).read_bytes())
    assert (kept["count"], kept["run_by"], kept["text"]) == (25, "lan", answers["paths"].text)
    assert result.sha256 in {e.sha256 for e in case(work, CASE).incident.evidence}


def test_a_course_over_time_is_in_order_and_keeps_small_buckets(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work, "PB11")
    runner.set_inputs(work, run_id, {"source": ["web-cong"]})
    deed = runner.look(work, run_id, "N1")
    assert deed is not None
    rows = deed.answers[0].rows
    assert [r["bucket"] for r in rows] == ["2026-11-17T09:00:00.000+07:00", "2026-11-17T10:00:00.000+07:00"]
    assert [r["count"] for r in rows] == [20, 7]


def test_answers_are_not_asked_again_unless_wanted_or_inputs_changed(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    runner.look(work, run_id, "N1")
    before = len(store.records.read("run", run_id))
    store_events(store, [event(T0, source__ip=ATTACKER, url__path="/late", http__response__status_code=200)])
    again = runner.look(desk(store, tmp_path, now=NOW + timedelta(minutes=5)), run_id, "N1")
    assert again is not None
    assert again.answers[0].count == 25
    assert len(store.records.read("run", run_id)) == before
    fresh = runner.look(desk(store, tmp_path, now=NOW + timedelta(minutes=6)), run_id, "N1", refresh=True)
    assert fresh is not None
    assert fresh.answers[0].count == 26
    runner.set_inputs(work, run_id, {"source_ip": [ATTACKER]})
    narrower = runner.look(work, run_id, "N1")
    assert narrower is not None
    assert narrower.answers[0].count == 21


def test_an_answer_whose_file_was_changed_is_asked_again(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    first = runner.look(work, run_id, "N1")
    assert first is not None
    assert first.answers[0].result is not None
    kept = tmp_path / "evidence" / CASE / first.answers[0].result.file
    kept.chmod(0o600)
    kept.write_bytes(kept.read_bytes().replace(b'"count": 25', b'"count": 0'))
    again = runner.look(desk(store, tmp_path, now=NOW + timedelta(minutes=1)), run_id, "N1")
    assert again is not None
    assert again.answers[0].count == 25
    assert [kind for _, kind in work.vault(CASE).verify(case(work, CASE).incident.evidence)] == ["size"]


def test_doing_a_step_takes_the_proposed_answer_and_classifies(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    deed = deeds.done(work, run_id, "n5", Doing(note="chưa rõ phạm vi"))
    assert (deed.state.answer, deed.state.proposed) == ("M2", True)
    incident = case(work, CASE).incident
    assert (incident.level, incident.category) == ("M2", "defacement"), "the playbook's first category when none was chosen"
    assert incident.classified == NOW
    assert [(s.step, s.result) for s in incident.steps if s.step] == [("N5", "done")]


def test_doing_it_again_changes_nothing_and_another_answer_is_refused(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    deeds.done(work, run_id, "N5", Doing(answer="M3"))
    count = len(store.records.read("run", run_id))
    again = deeds.done(desk(store, tmp_path, "hoa"), run_id, "N5", Doing(answer="M3"))
    assert (again.already, again.state.actor) == (True, "lan")
    assert len(store.records.read("run", run_id)) == count
    with pytest.raises(UsageError, match="step N5 was done by lan with the answer M3"):
        deeds.done(work, run_id, "N5", Doing(answer="M1"))
    deeds.reopen(work, run_id, "N5", "again")
    with pytest.raises(UsageError, match="step N5: unknown answer M7"):
        deeds.done(work, run_id, "N5", Doing(answer="M7"))


def test_evidence_before_anything_is_changed(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    deeds.approve(desk(store, tmp_path, "truong"), run_id, "C1", "ok")
    with pytest.raises(UsageError, match="before C1 come: G1 G3 G4"):
        deeds.done(work, run_id, "C1", Doing())
    for step in ("G1", "G3", "G4"):
        deeds.skip(work, run_id, step, "máy đã tắt")
    assert deeds.done(work, run_id, "C1", Doing()).state.status == "done"


def test_two_people_for_containment(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    skip_until(work, run_id, "C1")
    with pytest.raises(NotPermitted, match="step C1 needs the approval of: lead"):
        deeds.done(work, run_id, "C1", Doing())
    deeds.approve(work, run_id, "C1", "tự duyệt")
    with pytest.raises(NotPermitted, match="lan approved step C1 and cannot also do it"):
        deeds.done(work, run_id, "C1", Doing())
    with pytest.raises(UsageError, match="--alone needs --note"):
        deeds.approve(work, run_id, "C1", " ", alone=True)
    deeds.approve(work, run_id, "C1", "02:40, không gọi được ai", alone=True)
    assert deeds.done(work, run_id, "C1", Doing()).state.status == "done"
    assert any(s.result == "approved" for s in case(work, CASE).incident.steps)
    with pytest.raises(UsageError, match="step P1 needs no approval"):
        deeds.approve(work, run_id, "P1", "")


def test_verification_keeps_the_step_open_until_the_logs_agree(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    skip_until(work, run_id, "C1")
    deeds.approve(desk(store, tmp_path, "truong"), run_id, "C1", "")
    deeds.done(work, run_id, "C1", Doing())
    early = deeds.done(work, run_id, "C5", Doing())
    assert early.failed, "its window has not begun"
    leak = event(NOW + timedelta(minutes=10), source__ip=ATTACKER6, url__path=SHELL, http__response__status_code=200)
    store_events(store, [leak])
    later = desk(store, tmp_path, now=NOW + timedelta(minutes=20))
    failed = deeds.done(later, run_id, "C5", Doing())
    assert (failed.failed, failed.state.status) == (True, "open")
    assert [a.count for a in failed.answers] == [1, 0]
    accepted = deeds.done(later, run_id, "C5", Doing(note="máy kiểm thử của ta", accept=True))
    assert (accepted.state.status, accepted.state.accepted) == ("done", True)


def test_verification_passes_when_nothing_came_through(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    skip_until(work, run_id, "C1")
    deeds.approve(desk(store, tmp_path, "truong"), run_id, "C1", "")
    deeds.done(work, run_id, "C1", Doing())
    deed = deeds.done(desk(store, tmp_path, now=NOW + timedelta(minutes=20)), run_id, "C5", Doing())
    assert (deed.failed, deed.state.status, deed.state.accepted) == (False, "done", False)


def test_a_report_step_waits_for_its_notices(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    deeds.done(work, run_id, "N5", Doing(answer="M3"))
    with pytest.raises(UsageError, match="not sent yet: report_72h"):
        deeds.done(work, run_id, "B2", Doing())
    write(work, case(work, CASE), [inc.sent(inc.Notice("report_72h", "Công an tỉnh", "email", NOW))])
    assert deeds.done(work, run_id, "B2", Doing()).state.status == "done"


def test_an_answer_takes_steps_out_or_opens_them_again(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    deeds.done(work, run_id, "A1", Doing())
    after = deeds.done(work, run_id, "A9", Doing(answer="yes")).view
    assert after.run.state("A1").status == "open"
    assert after.run.state("A9").status == "open"
    assert after.run.state("A1").rounds == 1
    false = deeds.done(work, run_id, "N1", Doing(answer="false_alarm")).view
    assert false.run.state("C1").status == "skipped"
    assert false.run.state("C1").note == "N1 = false_alarm"
    assert false.incident.level == "M4"


def test_skipping_needs_a_reason_and_a_done_step_stays_done(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    with pytest.raises(UsageError, match="a step is skipped with a reason"):
        deeds.skip(work, run_id, "P1", "  ")
    deeds.done(work, run_id, "P1", Doing())
    with pytest.raises(UsageError, match="step P1 was done by lan"):
        deeds.skip(work, run_id, "P1", "no")
    assert deeds.skip(work, run_id, "N3", "no").already is False
    assert deeds.skip(work, run_id, "N3", "no").already is True
    with pytest.raises(UsageError, match="PB04 has no step Z1"):
        deeds.skip(work, run_id, "Z1", "no")


def test_the_order_of_work(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    view = runner.open_run(work, run_id)
    ready = [s.id for s in runner.ready(work, view)]
    assert ready[:3] == ["P1", "N1", "N2"]
    assert not {"C1", "E1", "K1", "H2"} & set(ready), "nothing is changed before evidence, no recovery before eradication"
    late = desk(store, tmp_path, now=T0 + timedelta(hours=23))
    assert ready.index("B2") > ready.index("B1"), "a report that is not pressing waits"
    pressing = [s.id for s in runner.ready(late, runner.open_run(late, run_id))]
    assert pressing.index("B2") < pressing.index("B4")


def test_a_run_keeps_the_playbook_it_began_with(store: Store, tmp_path: Path) -> None:
    book = load.load_all()[0]["PB04"]
    source = Path(book.origin).read_bytes()
    work = desk(store, tmp_path)
    changed = load.from_text(source.decode().replace("version: 1", "version: 7"), "x.yml")
    view, new = runner.start(work, CASE, runner.Beginning(changed, source.replace(b"version: 1", b"version: 7")))
    assert (new, view.book.version) == (True, 7)
    assert runner.open_run(work, view.run.id).book.version == 7


def test_somebody_who_writes_first_wins_and_the_other_decides_again(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    stale = runner.open_run(work, run_id)
    deeds.done(desk(store, tmp_path, "hoa"), run_id, "P1", Doing())
    with pytest.raises(ConflictError):
        write(work, stale.case, [], RunPart(run_id, stale.run.records, [("step_done", {"step": "P1"})]))
    assert deeds.done(work, run_id, "P1", Doing()).state.actor == "hoa"


def test_a_closed_incident_is_not_worked_on(store: Store, tmp_path: Path) -> None:
    work = desk(store, tmp_path)
    run_id = begin(work)
    write(work, case(work, CASE), [inc.closed("x")])
    with pytest.raises(UsageError, match=f"incident {CASE} is closed"):
        deeds.done(work, run_id, "P1", Doing())
