"""The verbs of an incident over a real store."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain import i18n
from domain.alert import Entity, Finding, RuleRef, alert_id
from domain.alert_fold import opened_body
from domain.clock import FixedClock
from domain.errors import UsageError
from domain.incident import Notice
from domain.query import Query
from jobs import audit, respond, respond_evidence, respond_playbook
from jobs.config import Config
from jobs.runtime import Runtime
from store.base import NewRecord
from tests.playbooks.scene import ATTACKER, ATTACKER6, SHELL, attack, event, store_events

NOW = datetime(2026, 11, 17, 4, 0, tzinfo=UTC)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A store of its own with the attack in it."""
    made = Runtime(Config(None), FixedClock(NOW), data=str(tmp_path / "store"))
    store_events(made.store, attack())
    yield made
    made.store.close()


def later(runtime: Runtime, hours: float) -> Runtime:
    """The same store some hours later."""
    made = replace(runtime, clock=FixedClock(NOW + timedelta(hours=hours)))
    made.__dict__["store"] = runtime.store
    return made


def alert(runtime: Runtime, title: str = "Webshell", address: str = ATTACKER, *, exercise: bool = False) -> str:
    """An alert as detectors write it; returns its id."""
    rule = RuleRef(title.lower(), title, "high", "v1", ("attack.t1505.003",))
    entities = (Entity("ip", address),)
    event = next(runtime.store.events.search(Query(limit=1)))["event.id"][0].as_py().hex()
    finding = Finding(rule, entities, NOW - timedelta(hours=1), NOW, 3, (event,), exercise=exercise)
    key = alert_id(rule.id, entities, "2026-11-17", 0)
    runtime.store.records.append([NewRecord("alert", key, "opened", opened_body(key, finding))], NOW - timedelta(minutes=30))
    return key


def test_open_from_an_alert(runtime: Runtime) -> None:
    key = alert(runtime)
    incident, new = respond.open_incident(runtime, respond.Wish(alerts=(key[:8],)))
    assert new
    assert (incident.title, incident.detected_by, incident.alerts) == ("Cài webshell lên máy chủ", "sigma", (key,))
    assert incident.t0 == NOW - timedelta(minutes=30), "T0 = when the alert was raised"
    assert respond.find_alert(runtime, key).incident == incident.id
    with pytest.raises(UsageError, match=f"alert {key} belongs to incident {incident.id}"):
        respond.open_incident(runtime, respond.Wish(title="another", alerts=(key,)))


def test_open_by_hand_is_idempotent_and_needs_a_past_t0(runtime: Runtime) -> None:
    wish = respond.Wish(title="Điện thoại báo trang bị sửa", t0=NOW - timedelta(hours=2), detected_by="notice")
    first, new = respond.open_incident(runtime, wish)
    again, second = respond.open_incident(runtime, wish)
    assert (new, second, first.id) == (True, False, again.id)
    assert "external_notice" in first.flags, "somebody outside waits for an acknowledgement"
    with pytest.raises(UsageError, match="T0 lies in the future"):
        respond.open_incident(runtime, respond.Wish(title="x", t0=NOW + timedelta(minutes=1)))
    with pytest.raises(UsageError, match="an incident needs a title or an alert"):
        respond.open_incident(runtime, respond.Wish())
    with pytest.raises(UsageError, match="level M5: M1"):
        respond.open_incident(runtime, respond.Wish(title="y", level="M5"))


def test_ids_may_be_shortened(runtime: Runtime) -> None:
    first, _ = respond.open_incident(runtime, respond.Wish(title="one"))
    second, _ = respond.open_incident(runtime, respond.Wish(title="two"))
    assert respond.resolve(runtime, first.id.lower()) == first.id
    with pytest.raises(UsageError, match=r"SC-2026 could be: SC-20261117-.*, SC-20261117-"):
        respond.resolve(runtime, "SC-2026")
    with pytest.raises(UsageError, match="no incident SC-1999"):
        respond.resolve(runtime, "SC-1999")
    assert {i.id for i in respond.incidents(runtime)} == {first.id, second.id}


def test_merge_moves_alerts_and_keeps_both_records(runtime: Runtime) -> None:
    one, two = alert(runtime, "One"), alert(runtime, "Two", "2001:db8::9")
    target, _ = respond.open_incident(runtime, respond.Wish(alerts=(one,)))
    source, _ = respond.open_incident(runtime, respond.Wish(alerts=(two,)))
    merged = respond.merge(runtime, target.id, [source.id])
    assert set(merged.alerts) == {one, two}
    assert respond.find_alert(runtime, two).incident == target.id
    assert respond.get(runtime, source.id).merged_into == target.id
    assert [i.id for i in respond.incidents(runtime)] == [target.id]
    assert respond.merge(runtime, target.id, [source.id]) == merged, "merging again changes nothing"


def test_split_gives_alerts_an_incident_of_their_own(runtime: Runtime) -> None:
    one, two = alert(runtime, "One"), alert(runtime, "Two", "2001:db8::9")
    old, _ = respond.open_incident(runtime, respond.Wish(alerts=(one, two)))
    made, _ = respond.split(runtime, old.id, [two], "Khác")
    assert (made.alerts, made.split_from, made.t0) == ((two,), old.id, old.t0)
    assert respond.get(runtime, old.id).alerts == (one,)
    assert respond.find_alert(runtime, two).incident == made.id
    with pytest.raises(UsageError, match="not alerts of"):
        respond.split(runtime, old.id, [two])


def test_status_notes_facts(runtime: Runtime) -> None:
    made, _ = respond.open_incident(runtime, respond.Wish(title="x"))
    respond.note(runtime, made.id, "gọi đơn vị", NOW - timedelta(minutes=10))
    respond.set_status(runtime, made.id, "investigating")
    found = respond.classify(runtime, made.id, {"level": "M2", "category": "malware", "facts": {"subjects": 12}})
    assert (found.status, found.level, dict(found.facts)) == ("investigating", "M2", {"subjects": 12})
    with pytest.raises(UsageError, match="fact colour: downtime_minutes"):
        respond.classify(runtime, made.id, {"facts": {"colour": "red"}})
    with pytest.raises(UsageError, match="status closed is not set by hand"):
        respond.set_status(runtime, made.id, "closed")
    with pytest.raises(UsageError, match="a note needs text"):
        respond.note(runtime, made.id, " ")


def test_what_matters_stands_in_the_chained_log(runtime: Runtime) -> None:
    made, _ = respond.open_incident(runtime, respond.Wish(title="x"))
    respond.open_incident(runtime, respond.Wish(title="x"))
    respond.sent(runtime, made.id, Notice("report_72h", "Công an tỉnh", "email", NOW))
    respond.close(runtime, made.id, "nhầm", {}, "")
    logged = [(e.action, e.target) for e in audit.entries(runtime.store.records)]
    assert logged == [("incident.open", made.id), ("incident.sent", made.id), ("incident.close", made.id)]
    assert audit.verify(runtime.store.records).problems == ()


def test_a_notice_is_recorded_once(runtime: Runtime) -> None:
    made, _ = respond.open_incident(runtime, respond.Wish(title="x"))
    notice = Notice("report_72h", "Công an tỉnh", "official_letter", NOW, "05/BC")
    respond.sent(runtime, made.id, notice)
    assert len(respond.sent(runtime, made.id, notice).sent) == 1
    with pytest.raises(UsageError, match="no duty report_7h"):
        respond.sent(runtime, made.id, replace(notice, form="report_7h"))


def test_closing_waits_for_duties_steps_and_the_logs(runtime: Runtime) -> None:
    made, _ = respond.open_incident(runtime, respond.Wish(title="x", entities=(Entity("ip", ATTACKER), Entity("source", "web-cong"))))
    respond_playbook.start(runtime, made.id, "PB11", {})
    open_ = respond_playbook.unmet(later(runtime, 20), made.id)
    assert {u.id for u in open_ if u.kind == "duty"} == {"classify", "notice_24h", "report_72h"}
    assert "PB11/G1" in {u.id for u in open_ if u.kind == "step"}
    assert [u.id for u in open_ if u.kind == "condition"] == ["PB11/flowing"], "the source has not sent for 20 hours"
    with pytest.raises(UsageError, match="an incident closes with its cause"):
        respond.close(runtime, made.id, "", {}, "")
    closed = respond.close(runtime, made.id, "mất điện", {"downtime_minutes": 90}, "đã xác nhận")
    assert (closed.status, closed.facts["cause"], closed.is_open) == ("closed", "mất điện", False)


def test_the_playbook_that_fits_is_proposed(runtime: Runtime) -> None:
    made, _ = respond.open_incident(runtime, respond.Wish(alerts=(alert(runtime),)))
    fitting = respond_playbook.proposals(runtime, made)
    assert (fitting[0].book.id, fitting[0].why) == ("PB04", "attack.t1505.003")
    view, new = respond_playbook.start(runtime, made.id, "", {})
    assert (view.book.id, new) == ("PB04", True)
    assert respond_playbook.resolve_run(runtime, made.id) == view.run.id
    bare, _ = respond.open_incident(runtime, respond.Wish(title="bare"))
    with pytest.raises(UsageError, match="no playbook fits by itself"):
        respond_playbook.start(runtime, bare.id, "", {})
    with pytest.raises(UsageError, match="no playbook PB77"):
        respond_playbook.book(runtime, "PB77")


def _exported(runtime: Runtime, tmp_path: Path) -> tuple[Path, str]:
    made, _ = respond.open_incident(runtime, respond.Wish(title="=cmd|' /C calc'!A0", alerts=(alert(runtime),)))
    proof = tmp_path / "proof.bin"
    proof.write_bytes(bytes(range(256)) * 100)
    respond_evidence.add(runtime, made.id, [proof, proof], "ảnh")
    respond_playbook.start(runtime, made.id, "PB04", {})
    respond_playbook.next_step(runtime, made.id, "N1")
    respond.note(runtime, made.id, "=1+1")
    path, _ = respond_evidence.export(runtime, made.id, tmp_path)
    return path, made.id


def test_export_verifies_with_sha256sum_alone(runtime: Runtime, tmp_path: Path) -> None:
    path, key = _exported(runtime, tmp_path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
        names = set(archive.namelist())
    assert {"SHA256SUMS", "README.txt", "incident.json", "timeline.csv", "records.jsonl", "alerts.jsonl", "events.jsonl"} <= names
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert respond_evidence.verify_archive(path) == (len(names) - 1, [])
    events = [json.loads(line) for line in (tmp_path / "out" / "events.jsonl").read_bytes().splitlines()]
    assert "event.original" in events[0]
    assert json.loads((tmp_path / "out" / "incident.json").read_bytes())["id"] == key
    with pytest.raises(UsageError, match="the file exists already"):
        respond_evidence.export(runtime, key, tmp_path)


def test_evidence_of_merged_incidents_goes_along(runtime: Runtime, tmp_path: Path) -> None:
    target, _ = respond.open_incident(runtime, respond.Wish(title="one"))
    source, _ = respond.open_incident(runtime, respond.Wish(title="two"))
    proof = tmp_path / "proof.txt"
    proof.write_text("x")
    for key in (target.id, source.id):
        respond_evidence.add(runtime, key, [proof], "")
    respond.merge(runtime, target.id, [source.id])
    path, _ = respond_evidence.export(runtime, target.id, tmp_path)
    with zipfile.ZipFile(path) as archive:
        kept = sorted(name for name in archive.namelist() if "proof" in name)
    assert {name.rpartition("/")[0] for name in kept} == {"evidence", f"evidence/{source.id}"}
    assert respond_evidence.verify_archive(path)[1] == []


def test_a_changed_archive_is_found_out(runtime: Runtime, tmp_path: Path) -> None:
    path, _ = _exported(runtime, tmp_path)
    forged = tmp_path / "forged.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.startswith("evidence/proof"):
                continue
            new.writestr(name, data.replace(b'"taken_by":"', b'"taken_by":"x') if name == "records.jsonl" else data)
        new.writestr("evidence/extra.txt", b"x")
    found = {(f.item.partition("-")[0], f.kind) for f in respond_evidence.verify_archive(forged)[1]}
    assert {("evidence/proof", "missing"), ("records.jsonl", "changed"), ("evidence/extra.txt", "unlisted")} <= found
    assert any(kind == "chain" for _, kind in found)
    (tmp_path / "not.zip").write_bytes(b"PK nope")
    with pytest.raises(UsageError, match="not an archive of soc incident export"):
        respond_evidence.verify_archive(tmp_path / "not.zip")


def test_a_manifest_left_behind_by_a_crash_is_drawn_again(runtime: Runtime, tmp_path: Path) -> None:
    _, key = _exported(runtime, tmp_path)
    manifest = respond.folder(runtime, key) / "SHA256SUMS"
    whole = manifest.read_text()
    manifest.write_text("".join(whole.splitlines(keepends=True)[:2]))
    assert respond_evidence.verify(runtime, key)[1] == []
    assert manifest.read_text() == whole
    manifest.write_text("00000000" + whole[8:])
    assert [f.kind for f in respond_evidence.verify(runtime, key)[1]] == ["unlisted"]


def test_verify_in_the_store(runtime: Runtime, tmp_path: Path) -> None:
    _, key = _exported(runtime, tmp_path)
    count, found = respond_evidence.verify(runtime, key)
    assert (count, found) == (4, []), "proof once, the playbook, two answers"
    folder = respond.folder(runtime, key)
    victim = next(folder.glob("proof-*"))
    victim.chmod(0o600)
    victim.write_bytes(b"y" * 25600)
    (folder / "stray.txt").write_text("x")
    assert {f.kind for f in respond_evidence.verify(runtime, key)[1]} == {"changed", "stray"}


def test_timeline_csv_cannot_become_a_formula(runtime: Runtime, tmp_path: Path) -> None:
    _, key = _exported(runtime, tmp_path)
    rows = list(csv.reader(io.StringIO(respond_evidence.timeline_csv(respond.get(runtime, key).timeline))))
    cells = [cell for row in rows[1:] for cell in row]
    assert "'=1+1" in cells
    assert not [c for c in cells if c[:1] in "=+-@\t\r" and c]
    assert rows[1][2] == "opened"


def test_machines_of_a_silent_source_are_filled_in(runtime: Runtime) -> None:
    store_events(runtime.store, [event(NOW - timedelta(hours=1), thapcanh__source="win-qlvb01", host__name="QLVB01.lamgiang.example")])
    made, _ = respond.open_incident(runtime, respond.Wish(title="im lặng", entities=(Entity("source", "win-qlvb01"),)))
    view, _ = respond_playbook.start(runtime, made.id, "PB11", {})
    assert dict(view.run.inputs) == {"source": ("win-qlvb01",), "host": ("QLVB01.lamgiang.example",)}


def test_a_whole_incident_from_alert_to_closing(runtime: Runtime) -> None:
    """Everything the playbook asks is done, notices go out in time, and the incident closes without force."""
    about = (Entity("url", SHELL), Entity("host", "WEB01"))
    made, _ = respond.open_incident(runtime, respond.Wish(alerts=(alert(runtime, address=ATTACKER6),), entities=about))
    view, _ = respond_playbook.start(runtime, made.id, "PB04", {})
    run, calm = view.run.id, later(runtime, 12)
    for step in ("N5", "B1"):
        respond_playbook.done(runtime, run, step, respond_playbook.Doing())
    for form in ("notice_24h", "report_72h", "progress"):
        respond.sent(calm, made.id, Notice(form, "Công an tỉnh", "official_letter", calm.clock.now(), "05/BC"))
    for asked in view.book.steps:
        if asked.approval:
            respond_playbook.approve(calm, run, asked.id, "một mình ca đêm", alone=True)
    for _ in range(80):
        deed = respond_playbook.next_step(calm, run)
        if deed is None or deed.step.phase == "lessons":
            break
        answer = "M2" if deed.step.id == "N5" else ""
        doing = respond_playbook.Doing(note="đã làm", answer=answer, accept=bool(deed.step.queries))
        respond_playbook.done(calm, run, deed.step.id, doing)
    incident = respond.get(runtime, made.id)
    assert (incident.status, incident.level) == ("recovered", "M2")
    assert [u.id for u in respond_playbook.unmet(calm, made.id)] == ["PB04/H1", "PB04/H2"]
    respond.sent(calm, made.id, Notice("closing_report", "Công an tỉnh", "official_letter", calm.clock.now(), "09/BC"))
    for name in ("H1", "H2", "H3"):
        respond_playbook.done(calm, run, name, respond_playbook.Doing())
    assert respond_playbook.next_step(calm, run) is None
    assert respond_playbook.unmet(calm, made.id) == []
    assert respond.close(calm, made.id, "chức năng tải tệp", {}, "").status == "closed"
    assert respond_evidence.verify(runtime, made.id)[1] == []


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_every_line_of_the_timeline_is_a_sentence(runtime: Runtime, tmp_path: Path, lang: str) -> None:
    _, key = _exported(runtime, tmp_path)
    other, _ = respond.open_incident(runtime, respond.Wish(alerts=(alert(runtime, "Two", "2001:db8::9"),)))
    respond.merge(runtime, key, [other.id])
    respond_playbook.done(runtime, key, "N5", respond_playbook.Doing(answer="M2"))
    respond.sent(runtime, key, Notice("report_72h", "Công an tỉnh", "email", NOW))
    respond.close(runtime, key, "x", {}, "")
    before = i18n.lang()
    i18n.use(lang)
    try:
        for incident in (respond.get(runtime, key), respond.get(runtime, other.id)):
            for entry in incident.timeline:
                said = respond_evidence.sentence(entry)
                assert said, entry
                assert f"timeline_{entry.kind}" in i18n.catalogue(lang, "incident"), entry.kind
                assert "incident." not in said, said
                assert "{" not in said, said
    finally:
        i18n.use(before)
