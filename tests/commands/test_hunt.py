"""`soc hunt` as responders use it: the table, the files it writes, what it tells, how it ends."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from domain.alert import RuleRef
from jobs import hunt_run, hunt_tasks
from jobs.runtime import Runtime
from store.local.events import LocalEvents
from tests.conftest import Soc
from tests.jobs import hunting
from tests.jobs.hunting import NET, OFTEN, WHOAMI, process, security

EVENTS = [
    process(1, "whoami /all", 0), process(2, "net.exe user", 1), process(3, "net.exe user", 2), process(4, "net.exe user", 3),
    process(9, "WHOAMI", 70, host="PC-02"), security(50, 1102, 5, SubjectUserName="ke.gian"), *(security(n, 4624, 6) for n in range(51, 70) if n not in (60, 61, 62)),
]  # fmt: skip


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A folder of logs and one of rules."""
    hunting.rules(tmp_path / "rules")
    hunting.write(tmp_path / "logs" / "a.json", EVENTS[:4])
    hunting.write(tmp_path / "logs" / "b.json", EVENTS[4:])
    return tmp_path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_hit_is_a_line_and_each_episode(soc_here: Soc, case: Path) -> None:
    done = soc_here("hunt", "logs", "--rules", "rules", "--out", "h.jsonl", "--stats", "s.json")
    assert done.returncode == 0, done.stderr
    found = lines(case / "h.jsonl")
    hits = [(h["rule"]["id"], h["source"], h["record"]) for h in found if "record" in h]
    assert hits == [(WHOAMI, "a.json", 0), (WHOAMI, "b.json", 0)]
    (episode,) = [h for h in found if "events" in h]
    assert (episode["rule"]["id"], episode["group"]) == (OFTEN, {"Computer": "PC-01"})
    assert episode["events"] == [{"source": "a.json", "record": n} for n in (1, 2, 3)]
    stats = json.loads((case / "s.json").read_text(encoding="utf-8"))
    assert (stats["events"], stats["files"], stats["partial"]) == (22, 2, False)
    ((mark,),) = (stats["marks"],)
    assert (mark["kind"], mark["user"], mark["first"]) == ("cleared", "ke.gian", "2026-11-24T15:05:00.000+07:00")
    (gap,) = [g for g in stats["gaps"] if g["channel"] == "Security"]
    assert gap["missing"] == 3


def test_the_table_is_vietnamese_and_fits_a_small_terminal(soc_here: Soc, case: Path) -> None:
    done = soc_here("hunt", "logs", "--rules", "rules", "--lang", "vi", env={"COLUMNS": "120"})
    assert "nghiêm trọng" in done.stdout
    assert "Lần đầu" in done.stdout
    assert "24/11/26 15:01" in done.stdout
    assert "Nhật ký bị xóa: máy PC-01, nhật ký Security, 24/11/2026 15:05:00, bởi ke.gian" in done.stderr
    assert "soc collect once --path logs --incident ID" in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_rows_beyond_the_limit_are_announced(soc_here: Soc, case: Path) -> None:
    done = soc_here("hunt", "logs", "--rules", "rules", "--limit", "1")
    assert "… and 2 more rows: --limit 0" in done.stderr
    assert "more rows" not in soc_here("hunt", "logs", "--rules", "rules", "--limit", "0").stderr


@pytest.mark.parametrize("form", ["json", "csv"])
def test_the_table_for_programs(soc_here: Soc, case: Path, form: str) -> None:
    out = soc_here("hunt", "logs", "--rules", "rules", "--format", form, "-q").stdout
    rows = json.loads(out) if form == "json" else list(csv.DictReader(out.splitlines()))
    assert [(r["level"], r["rule_id"], r["host"], int(r["hits"])) for r in rows] == [
        ("critical", OFTEN, "PC-01", 1), ("high", WHOAMI, "PC-01", 1), ("high", WHOAMI, "PC-02", 1),
    ]  # fmt: skip
    assert rows[1]["title"] == "Whoami Was Run"
    assert rows[1]["first"] == "2026-11-24T15:00:01.000+07:00"


def test_json_is_hits_on_stdout_and_with_out_the_figures(soc_here: Soc, case: Path) -> None:
    done = soc_here("hunt", "logs", "--rules", "rules", "--json")
    assert [json.loads(line)["rule"]["id"] for line in done.stdout.splitlines()] == [WHOAMI, WHOAMI, OFTEN]
    done = soc_here("hunt", "logs", "--rules", "rules", "--json", "--out", "h.csv")
    assert json.loads(done.stdout)["events"] == 22


def test_a_lower_rule_still_feeds_the_correlation(soc_here: Soc, case: Path) -> None:
    soc_here("hunt", "logs", "--rules", "rules", "--min-level", "critical", "--out", "h.jsonl")
    assert [h["rule"]["id"] for h in lines(case / "h.jsonl")] == [OFTEN]
    done = soc_here("hunt", "logs", "--min-level", "hihg")
    assert (done.returncode, done.stderr) == (2, "soc: --min-level hihg: informational | low | medium | high | critical\n")


def test_a_period_is_by_event_time(soc_here: Soc, case: Path) -> None:
    done = soc_here("hunt", "logs", "--rules", "rules", "--since", "2026-11-24T16:00:00+07:00", "--out", "h.jsonl")
    assert [(h["rule"]["id"], h["source"]) for h in lines(case / "h.jsonl")] == [(WHOAMI, "b.json")]
    assert "4 hits outside the period asked for are not counted" in done.stderr
    wrong = soc_here("hunt", "logs", "--since", "2026-11-25", "--until", "2026-11-24")
    assert (wrong.returncode, wrong.stderr) == (2, "soc: --since 2026-11-25 is not before --until 2026-11-24\n")


def test_the_timeline_holds_hits_episodes_and_what_logs_say(soc_here: Soc, case: Path) -> None:
    soc_here("hunt", "logs", "--rules", "rules", "--out", "t.csv", "--out", "h.jsonl")
    with (case / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["timestamp_desc"] for r in rows if r["datetime"]] == [
        "Event time", "Correlation time", "Log cleared", "Records missing", "Event time",
    ]  # fmt: skip
    assert len(lines(case / "h.jsonl")) == 3


def test_only_our_rules_is_said_with_the_command(soc_here: Soc, case: Path) -> None:
    said = soc_here("hunt", "logs", "--data", "data").stderr
    assert "the public rule set is not here. Import the public ones: soc rules import sigma_all_rules.zip" in said
    assert "soc rules import" not in soc_here("hunt", "logs", "--data", "data", "--rules", "rules").stderr
    shelf = case / "packs"
    hunting.rules(shelf / "sigma")
    runtime = Runtime.open(data=str(case / "data"))
    runtime.packs = shelf
    outcome = hunt_run.run(runtime, hunt_run.Asked([str(case / "logs")]), None, None)
    assert not outcome.only_ours
    assert outcome.origins["sigma"] == 3
    assert outcome.origins["shipped"] > 50


class _Page(HTMLParser):
    """Tags, what they point at, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_commands_that_it_names_run(soc_here: Soc, case: Path) -> None:
    assert soc_here("collect", "once", "--path", "logs", "--data", "data").returncode == 0
    for place in (["logs"], ["--store", "--data", "data"]):
        said = soc_here("hunt", *place, "--rules", "rules").stderr
        named = [shlex.split(line[line.index("soc ") :])[1:] for line in said.splitlines() if line.startswith("  ") and "soc " in line]
        assert [words[0] for words in named][:3] == ["rules", "hunt", "hunt"], said
        for words in named[:3]:
            done = soc_here(*words, "--data", "data")
            assert done.returncode == 0, (words, done.stderr)
    assert (case / "hits.jsonl").is_file()
    assert (case / "hunt.html").is_file()


def test_the_page_loads_nothing_and_hostile_logs_are_text_in_it(soc_here: Soc, case: Path) -> None:
    evil = "whoami </td><script>alert(1)</script><img src=//x.test/a onerror=b>\u202e{{ 7*7 }}"
    hunting.write(case / "logs" / "<b>.json", [process(20, evil, 5, host="<script>PC</script>")])
    done = soc_here("hunt", "logs", "--rules", "rules", "--html", "p.html", "--hash", "--lang", "vi")
    assert done.returncode == 0, done.stderr
    text = (case / "p.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert not page.tags & {"script", "img", "link", "iframe", "object", "b.json"}
    assert "default-src 'none'" in text
    assert [v for k, v in page.attributes if k in ("href", "src") and not (v or "").startswith("#")] == []
    assert not any(k.startswith("on") or k == "style" for k, _ in page.attributes)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "\u202e" not in text
    assert "Nhật ký bị xóa" in page.text
    assert "T1033" in page.text
    assert re.search(r"[0-9a-f]{64}", page.text)
    ids = [v for k, v in page.attributes if k == "id"]
    assert len(ids) == len(set(ids))
    assert {(v or "")[1:] for k, v in page.attributes if k == "href"} <= set(ids)


def test_a_page_without_hits_does_not_say_that_all_is_well(soc_here: Soc, case: Path) -> None:
    hunting.write(case / "calm" / "a.json", [process(1, "notepad")])
    done = soc_here("hunt", "calm", "--rules", "rules", "--html", "p.html")
    assert done.stdout == ""
    assert "No rule matched" in done.stderr
    assert "does not prove a clean machine" in (case / "p.html").read_text(encoding="utf-8")


def test_ctrl_c_gives_what_there_is(soc_here: Soc, case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in range(6):
        hunting.write(case / "logs" / f"{part}.json", [process(n, "whoami", n) for n in range(part * 10, part * 10 + 10)])
    monkeypatch.setattr(hunt_tasks, "TOGETHER", 1)
    whole_line = hunt_run.hit_line

    def interrupted(ref: RuleRef, hit: Any) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr(hunt_run, "hit_line", whole_line)
        return whole_line(ref, hit)

    monkeypatch.setattr(hunt_run, "hit_line", interrupted)
    before = signal.getsignal(signal.SIGINT)
    done = soc_here("hunt", "logs", "--rules", "rules", "--json", "--html", "p.html", "--stats", "s.json")
    assert done.returncode == 130
    assert "the result is a part only" in done.stderr
    assert 0 < len(done.stdout.splitlines()) < 60
    assert json.loads((case / "s.json").read_text(encoding="utf-8"))["partial"] is True
    assert "the result is a part only" in (case / "p.html").read_text(encoding="utf-8")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["nowhere"], 2, "soc: no such file or folder: nowhere\n"),
        ([], 2, "soc: either files or --store\n  → soc hunt PATH… or soc hunt --store --since 7d\n"),
        (["logs", "--store"], 2, "soc: either files or --store\n  → soc hunt PATH… or soc hunt --store --since 7d\n"),
        (["logs", "--format", "jsn"], 2, "soc: --format jsn: table | json | csv\n  → json\n"),
        (["logs", "--rules", "none"], 2, "soc: no such rule file or folder: none\n"),
        (["logs", "--rules", "rules", "--out", "x/h.csv"], 2, "soc: x/h.csv: cannot write: No such file or directory\n"),
        (["logs", "--rules", "rules", "--html", "x/h.html"], 2, "soc: x/h.html: cannot write: No such file or directory\n"),
    ],
    ids=["path", "nothing", "both", "format", "rules", "out", "html"],
)
def test_what_is_wrong_is_said(soc_here: Soc, case: Path, args: list[str], code: int, said: str) -> None:
    done = soc_here("hunt", *args)
    assert (done.returncode, done.stderr) == (code, said)


def test_nothing_readable_is_no_success(soc_here: Soc, case: Path) -> None:
    (case / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    done = soc_here("hunt", "p.png", "--rules", "rules")
    assert done.returncode == 5
    assert done.stderr.endswith("soc: p.png: not a log: PNG\n")


def test_a_file_that_cannot_be_read_stops_no_other(soc_here: Soc, case: Path) -> None:
    (case / "logs" / "cut.evtx").write_bytes(b"ElfFile\0" + bytes(100))
    (case / "logs" / "gone").symlink_to("nowhere")
    (case / "logs" / "up").symlink_to("..")
    done = soc_here("hunt", "logs", "--rules", "rules", "--stats", "s.json")
    assert done.returncode == 0
    stats = json.loads((case / "s.json").read_text(encoding="utf-8"))
    assert {p["source"] for p in stats["problems"]} == {"cut.evtx", "gone", "up"}
    assert stats["events"] == 22


def test_records_that_nothing_understands_are_told_by_file(soc_here: Soc, case: Path) -> None:
    good = (case / "logs" / "b.json").read_bytes()
    (case / "logs" / "c.json").write_bytes(good + b"{broken\n\x00\x01\n" + good)
    (case / "logs" / "wiped.evtx").write_bytes(b"\x00" * 4096 + b"ElfChnk\x00" + bytes(range(256)) * 8)
    done = soc_here("hunt", "logs", "--rules", "rules", "--stats", "s.json", "--lang", "vi")
    stats = json.loads((case / "s.json").read_text(encoding="utf-8"))
    told = {source: [p["reason"] for p in stats["problems"] if p["source"] == source] for source in ("a.json", "c.json", "wiped.evtx")}
    assert told["a.json"] == []
    assert [reason.split(":")[0] for reason in told["c.json"]] == ["2 trên 38 bản ghi không phân tích được"]
    assert told["wiped.evtx"][0].startswith("mang đuôi .evtx nhưng không có phần đầu của tệp nhật ký sự kiện")
    assert " bản ghi không phân tích được" in told["wiped.evtx"][1]
    assert sum(int(reasons[-1].split(" ")[0]) for reasons in told.values() if reasons) == stats["unparsed"]
    assert "c.json: 2 trên 38 bản ghi không phân tích được" in done.stderr


def test_the_store_gives_the_same(soc_here: Soc, case: Path) -> None:
    assert soc_here("collect", "once", "--path", "logs", "--data", "data").returncode == 0
    args = ("--rules", "rules", "--data", "data")
    done = soc_here("hunt", "--store", *args, "--out", "s.jsonl", "--out", "s.csv", "--html", "s.html", "--stats", "s.json")
    assert done.returncode == 0, done.stderr
    assert "22 events of the store seen, 3 hits" in done.stderr
    found = lines(case / "s.jsonl")
    assert sorted((h["rule"]["id"], h["record"], h["@timestamp"]) for h in found if "record" in h) == [
        (WHOAMI, 0, "2026-11-24T08:00:01.000Z"), (WHOAMI, 0, "2026-11-24T09:10:09.000Z"),
    ]  # fmt: skip
    assert all("CommandLine" in h["event"] for h in found if "record" in h)
    (episode,) = [h for h in found if "events" in h]
    assert len({e["record"] for e in episode["events"]}) == 3
    assert (case / "s.csv").read_text(encoding="utf-8").count("\n") == 4
    since = soc_here("hunt", "--store", *args, "--since", "2026-11-24T16:00:00+07:00", "--out", "t.jsonl")
    assert since.returncode == 0, since.stderr
    assert [h["rule"]["id"] for h in lines(case / "t.jsonl")] == [WHOAMI]
    assert NET not in (case / "s.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (range(1, 30), "Record numbers follow each other"),
        (range(1, 90, 3), "1 of 1 logs lack many record numbers"),
        ([n for n in range(1, 90) if n != 40], "1 records missing (numbers 40 to 40): host PC-01, log Security"),
    ],
    ids=["whole", "filtered", "gap"],
)
def test_the_page_tells_the_state_of_the_logs(soc_here: Soc, case: Path, numbers: list[int], said: str) -> None:
    hunting.write(case / "one" / "a.json", [security(n, 4624, n) for n in numbers])
    assert soc_here("hunt", "one", "--rules", "rules", "--html", "p.html").returncode == 0
    text = (case / "p.html").read_text(encoding="utf-8")
    assert [line for line in ("Record numbers follow", "lack many record numbers", "records missing (numbers") if line in text] == [
        next(line for line in ("Record numbers follow", "lack many record numbers", "records missing (numbers") if line in said)
    ]
    assert said in text


def test_a_whole_case_in_vietnamese_says_nothing_in_keys(soc_here: Soc, case: Path) -> None:
    done = soc_here(
        "hunt",
        "logs",
        "--rules",
        "rules",
        "--html",
        "p.html",
        "--out",
        "t.csv",
        "--lang",
        "vi",
        "--since",
        "2026-11-01",
        "--min-level",
        "low",
    )
    text = done.stdout + done.stderr + (case / "p.html").read_text(encoding="utf-8") + (case / "t.csv").read_text(encoding="utf-8")
    assert (
        re.findall(
            r"\b(?:hunt|alerts|attack)\.[a-z_]+", text.replace("attack.t1033", "").replace("attack.discovery", "").replace("hunt.html", "")
        )
        == []
    )


def test_rules_without_tactics_leave_no_empty_line(soc_here: Soc, case: Path) -> None:
    for rule in (case / "rules").iterdir():
        rule.write_text(re.sub(r"attack\.[a-z-]+", "car.2013-01-001", rule.read_text(encoding="utf-8")), encoding="utf-8")
    done = soc_here("hunt", "logs", "--rules", "rules", "--lang", "vi")
    assert "lần khớp" in done.stderr
    assert "Theo giai đoạn" not in done.stderr
    assert "" not in done.stderr.splitlines()


def test_quiet_leaves_the_table_and_no_messages(soc_here: Soc, case: Path) -> None:
    done = soc_here("hunt", "logs", "--rules", "rules", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert "PC-01" in done.stdout


def test_an_empty_name_is_no_folder(soc_here: Soc, case: Path) -> None:
    done = soc_here("hunt", "", "--rules", "rules")
    assert (done.returncode, "no such file or folder: (empty name)" in done.stderr) == (2, True)


def test_hits_in_the_store_are_fetched_together(soc_here: Soc, case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hunting.write(case / "logs" / "many.json", [process(100 + n, "whoami", n, host=f"PC-{n}") for n in range(30)])
    assert soc_here("collect", "once", "--path", "logs", "--data", "data").returncode == 0
    asked: list[int] = []
    search = LocalEvents.search
    monkeypatch.setattr(LocalEvents, "search", lambda self, query: asked.append(len(query.ids)) or search(self, query))
    assert soc_here("hunt", "--store", "--rules", "rules", "--data", "data", "--out", "s.jsonl").returncode == 0
    assert len(lines(case / "s.jsonl")) == 33
    assert asked == [32, 3]  # hits, then the events of the episode
