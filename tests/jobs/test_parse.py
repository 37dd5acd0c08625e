"""`soc parse` and `soc parsers`: records in order, plain answers to wrong input."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from jobs.propose import pattern_of

ACCESS = '203.0.113.5 - - [24/Nov/2026:08:15:03 +0700] "GET /a HTTP/1.1" 200 1 "-" "curl"'
LOGIN = "Nov 24 08:15:03 web01 sshd[7]: Accepted password for lan from 10.0.0.1 port 5 ssh2"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "x.log"
    path.write_text(f"{ACCESS}\n\n{LOGIN}\nkhông rõ\n", encoding="utf-8")
    return path


def _lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_one_object_per_record_in_order(soc, log: Path):
    done = soc("parse", str(log), "--now", "2026-11-24T09:00:00+07:00")
    assert done.returncode == 0
    found = _lines(done.stdout)
    assert [(line["parser"], line["record"]) for line in found] == [("nginx", 0), ("linux_auth", 2), ("plain", 3)]
    assert found[0]["event"]["url.path"] == "/a"
    assert found[1]["event"]["@timestamp"] == "2026-11-24T01:15:03.000Z"
    assert found[2]["event"]["event.original"] == "không rõ"
    assert done.stderr == "3 records, 1 of them not parsed\n"


def test_a_zone_and_a_parser_may_be_named(soc, log: Path):
    found = _lines(soc("parse", str(log), "--parser", "linux_auth", "--tz", "+00:00", "--now", "2026-11-24T09:00:00Z").stdout)
    assert {line["parser"] for line in found} == {"linux_auth"}
    assert found[1]["event"]["@timestamp"] == "2026-11-24T08:15:03.000Z"


def test_the_result_may_go_to_a_file(soc, log: Path, tmp_path: Path):
    out = tmp_path / "out.jsonl"
    assert soc("parse", str(log), "--out", str(out), "-q").stdout == ""
    assert len(_lines(out.read_text(encoding="utf-8"))) == 3


def test_compressed_files_are_read(soc, log: Path, tmp_path: Path):
    packed = tmp_path / "x.log.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    assert [line["parser"] for line in _lines(soc("parse", str(packed)).stdout)] == ["nginx", "linux_auth", "plain"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        pytest.param(["parse", "nowhere.log"], 2, "soc: no such file or folder: nowhere.log", id="no file"),
        pytest.param(["parse", "x.log", "--parser", "ngnix"], 2, "soc: --parser ngnix: auto | plain | windows | nginx", id="no parser"),
        pytest.param(["parse", "x.log", "--tz", "Saigon"], 3, "soc: no such time zone: Saigon", id="no zone"),
        pytest.param(
            ["parse", "x.log", "--out", "no/such/dir"], 2, "soc: no/such/dir: cannot write: No such file or directory", id="no folder"
        ),
        pytest.param(["parsers", "propose", "x.log", "--limit", "0"], 2, "soc: --limit 0: 1 or more", id="no drafts"),
    ],
)
def test_wrong_input_is_told_in_one_line(soc, log: Path, arguments: list[str], code: int, text: str):
    done = soc(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(text)


def test_the_list_of_parsers(soc):
    found = {row["parser"]: row["reads"] for row in json.loads(soc("parsers", "--json").stdout)}
    assert found["fortigate"] == "FortiGate traffic, UTM, event and VPN logs"
    assert all(not text.startswith("parse.") for text in found.values())


def test_which_parser_each_record_belongs_to(soc, log: Path):
    found = _lines(soc("parsers", "--detect", str(log), "--json").stdout)
    assert found == [
        {"source": "x.log", "record": 0, "parser": "nginx"},
        {"source": "x.log", "record": 2, "parser": "linux_auth"},
        {"source": "x.log", "record": 3, "parser": "plain"},
    ]
    assert "linux_auth" in soc("parsers", "--detect", str(log)).stdout


def test_drafts_for_what_no_parser_knows(soc, tmp_path: Path):
    path = tmp_path / "odd.log"
    path.write_text("".join(f"{n} THIẾT BỊ port {n} up from 10.0.0.{n}\n" for n in range(1, 6)) + "other\n", encoding="utf-8")
    found = json.loads(soc("parsers", "propose", str(path), "--json").stdout)
    assert [(row["records"], row["first"]) for row in found] == [(5, 0), (1, 5)]
    assert "(?P<ip>" in found[0]["pattern"]


def test_a_draft_matches_the_line_it_comes_from():
    import re

    for line in ['2026-11-24 08:15:03,120 [x] a=1 b="c d" /var/log/x 0xff 10.0.0.1 2001:db8::1 (42)', "", "(((", "a" * 500]:
        assert re.fullmatch(pattern_of(line), line)
