"""soc rules explain and convert."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Soc

RULE = """
title: Ten or evil
id: 0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f10
logsource: {category: webserver}
detection:
  a: {url.path|contains: evil}
  b: {http.response.status_code: 200}
  other: {user.name: an}
  condition: a and b and not other
"""
LINE = '203.0.113.9 - - [15/Nov/2026:08:00:00 +0700] "GET /evil HTTP/1.1" {} 12 "-" "Mozilla/5.0"\n'


def test_a_hit_and_a_near_miss_are_explained(tmp_path: Path, soc_here: Soc) -> None:
    (tmp_path / "r.yml").write_text(RULE)
    (tmp_path / "hit.log").write_text(LINE.format(200))
    (tmp_path / "miss.log").write_text(LINE.format(404))
    hit = soc_here("rules", "explain", "r.yml", "hit.log")
    assert hit.returncode == 0
    assert "✓ url.path contains evil · seen: /evil" in hit.stdout
    assert "✗ user.name eq an · the event lacks this field" in hit.stdout
    miss = soc_here("rules", "explain", "r.yml", "miss.log", "--json")
    assert miss.returncode == 1
    found = json.loads(miss.stdout)
    assert found["holds"] is False
    assert [(c["name"], c["seen"]) for c in found["tree"][1]["children"] if c["kind"] == "test" and not c["holds"]] == [
        ("http.response.status_code", "404")
    ]


def test_names_that_are_none_or_many_are_told(soc_here: Soc) -> None:
    none = soc_here("rules", "explain", "no such rule", "x")
    assert (none.returncode, "0 rules are called no such rule" in none.stderr) == (2, True)
    many = soc_here("rules", "explain", "the", "x")
    assert many.returncode == 2
    assert "rules are called the: " in many.stderr


def test_convert_gives_the_query_of_the_library(tmp_path: Path, soc_here: Soc) -> None:
    (tmp_path / "r.yml").write_text(RULE)
    out = soc_here("rules", "convert", "r.yml", "--pipeline", "none")
    assert out.stdout == "url.path:*evil* AND http.response.status_code:200 AND (NOT user.name:an)\n"
    assert soc_here("rules", "convert", "r.yml", "--pipeline", "x").returncode == 2
    (tmp_path / "bad.yml").write_text("title: x\n")
    bad = soc_here("rules", "convert", "bad.yml")
    assert (bad.returncode, "bad.yml: cannot be converted" in bad.stderr) == (4, True)
