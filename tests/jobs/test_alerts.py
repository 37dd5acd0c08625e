"""`soc alerts`, `soc queue`, `soc handover`, `soc anomaly` over a store with a real burst of logins in it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from detectors.anomaly import detectors
from detectors.triage import AlertIndex, triage
from domain.event import table_of
from store import open_store
from store.base import Delivery
from tests.conftest import Soc
from tests.detectors.chunks import at, login

NOW = "2026-11-02T10:00:00+07:00"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store in which `an` was guessed from one address; hostile bytes in the records."""
    events = [login(i * 5, "203.0.113.5", "an") for i in range(12)] + [login(70, "203.0.113.5", "an", ok=True)]
    return stored(tmp_path / "data", events)


def stored(folder: Path, events: list[dict[str, object]]) -> Path:
    """A store of these events, looked at by the models."""
    for n, event in enumerate(events):
        event |= {"event.id": n.to_bytes(16, "big"), "event.ingested": at(2000), "event.original": f"=cmd \x1b[31m {n}".encode()}
    store = open_store(f"file:{folder}", {})
    store.events.append(Delivery({"test": [table_of(events)]}))
    for detector in detectors({}):
        head = store.events.head()
        done = detector.scan(store.events.scan(0, head), {}, at(3600), store.events)
        new = triage(done.findings, AlertIndex.load(store.records), at(3600))
        assert store.coordination.commit_scan(detector.name, 0, head, new.records, at(3600), done.state, new.expect)
    store.close()
    return folder


@pytest.fixture
def run(soc_here: Soc, data: Path) -> Soc:
    """`soc` on that store, two hours later."""

    def call(*args: str, **more: object) -> object:
        return soc_here("--data", str(data), "--now", NOW, *args, **more)  # type: ignore[arg-type]

    return call  # type: ignore[return-value]


def listed(run: Soc, *args: str) -> list[dict[str, object]]:
    """`alerts list --json`."""
    done = run("alerts", "list", "--json", *args)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def one(run: Soc, rule: str) -> str:
    """Id of the only alert of a rule."""
    [alert] = [a for a in listed(run) if a["rule"]["id"] == rule]  # type: ignore[index]
    return str(alert["id"])


def test_the_list_and_its_filters(run: Soc) -> None:
    assert {a["rule"]["id"] for a in listed(run)} == {"anomaly.login_burst", "anomaly.login_burst.success"}  # type: ignore[index]
    assert len(listed(run, "--level", "high")) == 1
    assert len(listed(run, "--entity", "user=an")) == 2
    assert listed(run, "--since", "2026-11-02T09:30:00") == []
    assert len(listed(run, "--limit", "1")) == 1
    assert listed(run, "--status", "closed") == []


@pytest.mark.parametrize(("args", "text"), [
    (("--level", "urgent"), "--level urgent: informational | low | medium | high | critical"),
    (("--status", "shut"), "--status shut: new | assigned | ack | closed | silenced"),
    (("--format", "xml"), "--format xml: table | json | csv"),
])  # fmt: skip
def test_a_wrong_filter_says_what_is_allowed(run: Soc, args: tuple[str, ...], text: str) -> None:
    done = run("alerts", "list", *args)
    assert (done.returncode, text in done.stderr) == (2, True)


def test_show_explains_and_makes_records_harmless(run: Soc) -> None:
    key = one(run, "anomaly.login_burst.success")
    done = run("alerts", "show", key[:6])
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "=cmd ‹U+001B›[31m 12" in done.stdout
    assert "Account an logged in from 203.0.113.5" in done.stdout
    assert f"soc alerts ack {key[:8]}" in done.stdout
    data = json.loads(run("alerts", "show", key, "--json").stdout)
    assert (data["id"], data["evidence_rows"], len(data["records"])) == (key, 13, 10)


def test_ids_that_do_not_exist_or_are_not_unique(run: Soc) -> None:
    assert "no alert with this id: zz" in run("alerts", "show", "zz").stderr
    assert run("alerts", "ack", "").returncode == 2


def test_from_ack_to_verdict_and_back(run: Soc) -> None:
    key = one(run, "anomaly.login_burst")
    assert run("alerts", "ack", key[:8]).returncode == 0
    assert run("alerts", "assign", key, "--to", "Bình").returncode == 0
    assert listed(run, "--assignee", "Bình")[0]["id"] == key
    without = run("alerts", "verdict", key, "benign")
    assert (without.returncode, "--reason" in without.stderr) == (2, True)
    assert run("alerts", "verdict", key, "benign", "--reason", "tự kiểm tra").returncode == 0
    assert listed(run, "--status", "closed")[0]["verdict_reason"] == "tự kiểm tra"
    again = run("alerts", "ack", key)
    assert (again.returncode, "is closed (benign)" in again.stderr) == (2, True)
    assert run("alerts", "reopen", key, "--reason", "nhầm").returncode == 0
    assert listed(run, "--status", "open", "--rule", "anomaly.login_burst")[0]["verdict"] is None


def test_a_duplicate_names_the_other_alert(run: Soc) -> None:
    key, other = one(run, "anomaly.login_burst"), one(run, "anomaly.login_burst.success")
    assert "duplicate goes with --of ID" in run("alerts", "verdict", key, "duplicate", "--reason", "x").stderr
    assert "cannot be a duplicate of itself" in run("alerts", "verdict", key, "duplicate", "--of", key, "--reason", "x").stderr
    assert run("alerts", "verdict", key, "duplicate", "--of", other[:8], "--reason", "x").returncode == 0


def test_a_silence_that_would_hide_a_confirmed_attack_is_refused(run: Soc) -> None:
    key = one(run, "anomaly.login_burst")
    run("alerts", "verdict", key, "true_positive", "--reason", "đúng")
    done = run("alerts", "silence", key, "--reason", "ồn")
    assert (done.returncode, "would have hidden 1 confirmed attack(s)" in done.stderr) == (2, True)


def test_everything_cannot_be_silenced_and_a_reason_is_needed(run: Soc) -> None:
    assert "everything cannot be silenced" in run("alerts", "silence", "--rule", "*", "--reason", "x").stderr
    assert "--reason: why?" in run("alerts", "silence", "--rule", "r1").stderr


def test_a_silence_is_listed_and_ends(run: Soc) -> None:
    assert run("alerts", "silence", "--entity", "ip=203.0.113.*", "--for", "2d", "--reason", "máy quét").returncode == 0
    [silence] = json.loads(run("alerts", "silences", "--json").stdout)
    assert (silence["rule"], silence["reason"], silence["until"]) == ("*", "máy quét", "2026-11-04T10:00:00.000+07:00")
    assert run("alerts", "silences", "--revoke", silence["id"][:4]).returncode == 0
    assert json.loads(run("alerts", "silences", "--json").stdout)[0]["revoked"]


def test_replay_gives_the_same_alert(run: Soc) -> None:
    done = run("alerts", "replay", one(run, "anomaly.login_burst"), "--json")
    assert (done.returncode, json.loads(done.stdout)["same"]) == (0, True)


def test_export_disarms_formulas(run: Soc, tmp_path: Path) -> None:
    key = one(run, "anomaly.login_burst")
    run("alerts", "verdict", key, "benign", "--reason", "=HYPERLINK(1)")
    assert run("alerts", "export", "--out", str(tmp_path / "a.csv")).returncode == 0
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["verdict_reason"] for r in rows if r["id"] == key] == ["'=HYPERLINK(1)"]
    assert run("alerts", "export", "--out", str(tmp_path / "a.jsonl")).returncode == 0
    assert len((tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_the_queue_says_why(run: Soc) -> None:
    data = json.loads(run("queue", "--json").stdout)
    [item] = data["items"]
    assert (item["kind"], item["level"], len(item["alerts"]), data["more"]) == ("incident", "high", 2, 0)
    assert item["score"] == sum(p["points"] for p in item["why"])
    text = run("queue").stdout
    assert "level high (+30)" in text
    assert f"soc incident show {item['id']}" in text


def test_the_end_of_the_queue_counts_what_there_is(run: Soc, soc_here: Soc, tmp_path: Path) -> None:
    assert run("queue").stderr.splitlines() == ["1 items, folded from 25 hits."]
    assert run("queue", "--lang", "vi").stderr.splitlines() == ["1 việc, gộp từ 25 lượt phát hiện."]
    two = [login(i * 5, f"203.0.113.{n}", name) for n, name in enumerate(("binh", "lan")) for i in range(12)]
    folder = str(stored(tmp_path / "two", two))
    done = soc_here("--data", folder, "--now", NOW, "queue", "--for", "1")
    assert done.stderr.splitlines() == ["1 items, folded from 12 hits.", "1 more. All of them: soc queue --for 0"]


def test_an_empty_queue_says_why_and_what_to_do_next(run: Soc, soc_here: Soc, tmp_path: Path) -> None:
    assert run("queue", "--assignee", "lan").stderr.strip() == "Nothing is assigned to lan. The work of everybody: soc queue"
    empty = str(tmp_path / "empty")
    done = soc_here("--data", empty, "queue")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.strip() == "No work yet: the store holds no events. Next: collect logs with soc collect once, then soc scan."
    assert soc_here("--data", empty, "queue", "--lang", "vi").stderr.startswith("Chưa có việc: kho chưa có sự kiện nào. Tiếp theo:")
    assert json.loads(soc_here("--data", empty, "queue", "--json").stdout) == {"items": [], "more": 0, "folded": 0, "silenced": 0}
    (tmp_path / "a.log").write_text("Nov 15 08:00:00 h sshd[1]: Failed password for an from 203.0.113.5 port 22 ssh2\n")
    soc_here("--data", empty, "collect", "once", "--path", "a.log")
    assert soc_here("--data", empty, "queue").stderr.strip() == "No work yet, but 1 events have not been scanned. Next: soc scan"
    soc_here("--data", empty, "scan")
    assert soc_here("--data", empty, "queue").stderr.startswith("Nothing is waiting. ")


def test_the_handover_counts_the_shift(run: Soc) -> None:
    run("alerts", "verdict", one(run, "anomaly.login_burst"), "benign", "--reason", "x")
    note = json.loads(run("handover", "--since", "3h", "--json").stdout)
    assert (len(note["opened"]), note["verdicts"], len(note["waiting"])) == (2, {"benign": 1}, 1)
    assert "HANDOVER" in run("handover").stdout


def test_anomaly_models_and_explain(run: Soc) -> None:
    models = {m["name"]: m for m in json.loads(run("anomaly", "models", "--json").stdout)}
    assert set(models) == {"login_burst", "silence", "volume", "bulk"}
    assert (models["login_burst"]["alerts"], models["login_burst"]["behind"]) == (2, 0)
    why = json.loads(run("anomaly", "explain", one(run, "anomaly.login_burst"), "--json").stdout)
    assert (why["rows"], why["events"], why["events_in_rows"]) == (12, 12, 12)
    assert "12 failed logins from 203.0.113.5" in why["reasons"][0]["sentence"]


def test_evaluation_on_public_logins(soc_here: Soc, shared_data: Path) -> None:
    done = soc_here("anomaly", "eval", "login", "--data", str(shared_data / "anomaly"), "--json")
    score = json.loads(done.stdout)
    assert (score["suite"], score["model"]) == ("login", "login_burst")
    assert score["metrics"]["quick_found"] == score["metrics"]["quick"] >= 8
    assert score["metrics"]["findings_per_day"] < 1


def test_an_unknown_suite_or_no_data(soc_here: Soc, tmp_path: Path) -> None:
    assert "no such suite: x" in soc_here("anomaly", "eval", "x", "--data", str(tmp_path)).stderr
    assert "needs the file lines.jsonl.gz" in soc_here("anomaly", "eval", "login", "--data", str(tmp_path)).stderr
    assert "needs --data DIR" in soc_here("anomaly", "eval", "login").stderr
