"""The language belongs to who reads: the scan keeps what the rule says, lists and views say it in words."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Soc

RULE = """
title: Odd Tool Fetched
id: 0b9c6f3e-7777-4a57-9a55-0d9b6f7f6f10
tags: [attack.command-and-control, attack.t1105]
logsource: {category: webserver}
detection:
  a: {url.path|contains: evil}
  condition: a
level: high
"""
LINE = '203.0.113.9 - - [24/Nov/2026:08:00:00 +0700] "GET /evil HTTP/1.1" 200 12 "-" "Mozilla/5.0"\n'


@pytest.fixture
def scanned(tmp_path: Path, soc_here: Soc) -> Soc:
    (tmp_path / "soc.toml").write_text('[store]\nurl = "file:data"\n[content]\npaths = ["content"]\n')
    (tmp_path / "content" / "rules").mkdir(parents=True)
    (tmp_path / "content" / "rules" / "r.yml").write_text(RULE)
    (tmp_path / "a.log").write_text(LINE)
    assert soc_here("collect", "once", "--path", "a.log").returncode == 0
    assert soc_here("scan", "--lang", "vi").returncode == 0
    return soc_here


def mine(out: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(out)
    return next(a for a in found if a["rule"]["id"].startswith("0b9c6f3e"))


def test_a_list_is_read_in_the_readers_language(scanned: Soc) -> None:
    vi, en = (mine(scanned("alerts", "list", "--json", "--lang", lang).stdout) for lang in ("vi", "en"))
    assert vi["rule"] == en["rule"]
    assert (vi["rule"]["title"], vi["rule"]["source"]) == ("Odd Tool Fetched", "webserver")
    assert vi["title_local"] == "Tải công cụ vào máy – địa chỉ 203.0.113.9"
    assert en["title_local"] == "Odd Tool Fetched – address 203.0.113.9"
    assert "Đường dẫn (url.path) chứa “evil”" in str(vi["sentence"])
    assert "Path (url.path) contains “evil”" in str(en["sentence"])


def test_a_view_says_what_the_attacker_does_and_names_the_rule(scanned: Soc) -> None:
    key = str(mine(scanned("alerts", "list", "--json").stdout)["id"])
    shown = scanned("alerts", "show", key, "--lang", "vi").stdout
    assert "Tải công cụ vào máy – địa chỉ 203.0.113.9" in shown.splitlines()[0]
    assert "Kẻ tấn công tải công cụ hoặc mã độc từ bên ngoài vào máy đã chiếm." in shown
    assert "Luật: Odd Tool Fetched · 0b9c6f3e-7777" in shown
    assert "Odd Tool Fetched" in scanned("alerts", "show", key, "--lang", "en").stdout.splitlines()[0]


def test_an_incident_is_named_in_words_and_alerts_are_found_by_both_titles(scanned: Soc) -> None:
    assert "Tải công cụ vào máy: 203.0.113.9" in scanned("incident", "list", "--lang", "vi", "--format", "csv").stdout
    for words in ("odd tool", "tải công cụ"):
        assert mine(scanned("alerts", "list", "--json", "--rule", words).stdout)


def test_a_spreadsheet_has_every_column_whatever_the_first_alert_lacks(tmp_path: Path, scanned: Soc) -> None:
    assert scanned("alerts", "export", "--out", "a.csv", "--lang", "vi").returncode == 0
    with (tmp_path / "a.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert any(r["title_local"].startswith("Tải công cụ vào máy") and r["rule.source"] == "webserver" for r in rows)


def test_the_queue_shows_both(scanned: Soc) -> None:
    assert "Tải công cụ vào máy [Odd Tool Fetched]" in scanned("queue", "--lang", "vi").stdout
