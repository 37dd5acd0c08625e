"""`soc incident` and `soc playbook` as people and scripts use them: exit codes, JSON, both languages, hostile text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domain.text import clean
from tests.conftest import Soc

T0, NOW = "2026-11-17T10:00+07:00", "2026-11-17T11:00+07:00"
HOSTILE = "=cmd|'/C calc' \x1b[31m\u202egnp [red]x[/red]"


@pytest.fixture
def case(soc_here: Soc) -> tuple[Soc, str]:
    """An open incident and a shell at one moment."""

    def run(*args: str, **more: Any) -> Any:
        return soc_here("--data", "data", "--now", NOW, *args, **more)

    made = run("incident", "open", "--title", HOSTILE, "--t0", T0, "--entity", "ip=203.0.113.84", "--entity", "source=web", "--json")
    assert made.returncode == 0, made.stderr
    return run, json.loads(made.stdout)["id"]


def rows_of(text: str) -> list[dict[str, Any]]:
    """The rows of a list: one JSON array."""
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def test_open_list_show_deadrows_of(case: tuple[Soc, str]) -> None:
    soc, key = case
    listed = rows_of(soc("incident", "list", "--json").stdout)
    assert [(i["id"], i["t0"]) for i in listed] == [(key, "2026-11-17T10:00:00.000+07:00")]
    shown = json.loads(soc("incident", "show", key[:11], "--json").stdout)
    due = {d["id"]: d for d in shown["deadlines"]}
    assert due["report_72h"]["due_at"] == "2026-11-20T10:00:00.000+07:00"
    assert due["classify"]["state"] == "overdue"
    assert due["closing_report"]["due_at"] is None
    text = soc("incident", "deadlines", "--lang", "vi").stdout
    assert "Báo cáo sự cố" in text
    assert "2d 23h" in soc("incident", "show", key).stdout
    assert soc("incident", "show", "SC-0").returncode == 2


def test_hostile_titles_are_harmless_everywhere(case: tuple[Soc, str]) -> None:
    soc, key = case
    for args in (("list",), ("show", key), ("timeline", key), ("timeline", key, "--format", "csv"), ("list", "--format", "csv")):
        out = soc("incident", *args).stdout
        assert "\x1b" not in out, args
        assert "\u202e" not in out, args
        assert clean(out) == out.replace("\r\n", "\n"), args
    assert "[red]x[/red]" in soc("incident", "list").stdout, "markup is text"


def test_classify_note_sent_and_timeline(case: tuple[Soc, str]) -> None:
    soc, key = case
    assert soc("incident", "classify", key, "--level", "M3", "--category", "defacement", "--flag", "personal_data").returncode == 0
    assert soc("incident", "note", key, "gọi đơn vị", "--at", "2026-11-17T10:20").returncode == 0
    sent = soc("incident", "sent", key, "report_72h", "--to", "Công an tỉnh", "--channel", "official_letter", "--number", "05/BC", "--json")
    assert [n["number"] for n in json.loads(sent.stdout)["sent"]] == ["05/BC"]
    assert soc("incident", "classify", key, "--flag=-personal_data", "--fact", "subjects=12").returncode == 0
    shown = json.loads(soc("incident", "show", key, "--json").stdout)
    assert (shown["flags"], shown["facts"], shown["level"]) == ({}, {"subjects": 12}, "M3")
    rows = rows_of(soc("incident", "timeline", key, "--json").stdout)
    assert [r["kind"] for r in rows] == ["opened", "note", "classified", "sent", "classified"]
    assert rows[1]["at"] == "2026-11-17T10:20:00.000+07:00"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("classify", "--level", "M9"), "level M9: M1 | M2 | M3 | M4"),
        (("classify", "--fact", "subjects"), "--fact subjects: key=value"),
        (("classify", "--personal-data-t0", T0), "--personal-data-t0 needs --reason"),
        (("sent", "report_72h", "--to", "x", "--channel", "pigeon"), "--channel pigeon: official_letter | email"),
        (("sent", "report_72h", "--to", "x", "--channel", "email", "--at", "2026-12-01"), "--at 2026-12-01 lies in the future"),
        (("status", "finished"), "status finished: open | investigating"),
    ],
)
def test_errors_name_what_is_allowed(case: tuple[Soc, str], args: tuple[str, ...], message: str) -> None:
    soc, key = case
    done = soc("incident", args[0], key, *args[1:])
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_evidence_export_verify(case: tuple[Soc, str], tmp_path: Path) -> None:
    soc, key = case
    (tmp_path / "access.log").write_bytes(b"GET / 200\n")
    assert "SHA-256" in soc("incident", "evidence", key, "access.log", "--note", "web01").stderr
    assert len(rows_of(soc("incident", "evidence", key, "--json").stdout)) == 1
    assert json.loads(soc("incident", "verify", key, "--json").stdout) == {"items": 1, "ok": True, "problems": []}
    exported = json.loads(soc("incident", "export", key, "--out", str(tmp_path / "case.zip"), "--json").stdout)
    assert soc("incident", "verify", exported["path"]).returncode == 0
    kept = next((tmp_path / "data" / "evidence" / key).glob("access*"))
    kept.chmod(0o600)
    kept.write_bytes(b"GET / 500\n")
    broken = soc("incident", "verify", key, "--json")
    assert broken.returncode == 1
    assert json.loads(broken.stdout)["problems"] == [{"item": kept.name, "kind": "changed"}]


def test_a_playbook_from_start_to_close(case: tuple[Soc, str]) -> None:
    soc, key = case
    run = f"{key}.PB11"
    assert json.loads(soc("playbook", "start", key, "PB11", "--json").stdout)["new"] is True
    assert json.loads(soc("playbook", "start", key, "pb11", "--json").stdout)["new"] is False
    step = json.loads(soc("playbook", "next", key, "--json").stdout)
    assert (step["step"], step["phase"]) == ("P1", "prepare")
    assert soc("playbook", "step", run, "P1", "--done", "--note", "đã gọi").returncode == 0
    assert "nothing was written" in soc("playbook", "step", run, "P1", "--done").stderr
    seen = json.loads(soc("playbook", "next", run, "N1", "--json").stdout)
    assert [a["count"] for a in seen["answers"]] == [0, 0]
    assert all(len(a["sha256"]) == 64 for a in seen["answers"])
    blocked = soc("playbook", "step", run, "C1", "--done")
    assert (blocked.returncode, "before C1 come: G1 G2 G3" in blocked.stderr) == (2, True)
    refused = soc("incident", "close", key, "--cause", "x", "--json")
    assert refused.returncode == 1
    assert {"duty", "step", "condition"} == {o["kind"] for o in json.loads(refused.stdout)["open"]}
    forced = soc("incident", "close", key, "--cause", "mất điện", "--force", "--reason", "diễn tập", "--json")
    assert json.loads(forced.stdout)["status"] == "closed"
    assert json.loads(soc("incident", "list", "--json").stdout) == []
    assert len(rows_of(soc("incident", "list", "--all", "--json").stdout)) == 1


def test_needs_approval_is_exit_7(case: tuple[Soc, str]) -> None:
    soc, key = case
    soc("playbook", "start", key, "PB04")
    for step in ("G1", "G3", "G4"):
        assert soc("playbook", "step", key, step, "--skip", "máy tắt").returncode == 0
    refused = soc("playbook", "step", key, "C1", "--done")
    assert (refused.returncode, "needs the approval of: lead" in refused.stderr) == (7, True)
    assert soc("playbook", "approve", key, "C1", "--note", "ok").returncode == 0
    assert soc("playbook", "step", key, "C1", "--done").returncode == 7
    assert soc("playbook", "approve", key, "C1", "--alone", "--note", "02:40").returncode == 0
    assert soc("playbook", "step", key, "C1", "--done").returncode == 0
    shown = soc("playbook", "step", key, "C1").stdout
    assert "deny 203.0.113.84;" in shown


def test_playbook_lists_lint_print_export(case: tuple[Soc, str], tmp_path: Path) -> None:
    soc, key = case
    assert {"PB04", "PB06", "PB11"} <= {row["id"] for row in rows_of(soc("playbook", "list", "--json").stdout)}
    assert soc("playbook", "lint").returncode == 0
    bad = tmp_path / "bad.yml"
    bad.write_text("id: PB99\nvershun: 1\n", encoding="utf-8")
    linted = soc("playbook", "lint", str(bad), "--json")
    assert linted.returncode == 4
    assert any(
        p["text"] == "unknown key vershun in playbook; did you mean version?" and p["line"] == 2
        for p in json.loads(linted.stdout)["problems"]
    )
    assert "# RESPONSE CHECKLIST PB04" in soc("playbook", "print", "PB04").stdout
    soc("playbook", "start", key, "PB04")
    assert "203.0.113.84" in soc("playbook", "print", f"{key}.PB04", "--lang", "vi").stdout
    assert json.loads(soc("playbook", "export", "PB04").stdout)["spec_version"] == "cacao-2.0"
    assert soc("playbook", "print", "PB04", "--format", "rtf").returncode == 2
    assert json.loads(soc("playbook", "runs", "--json").stdout)[0]["progress"] == "0/42"
    assert soc("playbook", "show", "PB04").returncode == 0
