"""soc rules explain and convert."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

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
FILTER = """
title: Known scanner
id: 0b9c6f3e-2222-4a57-9a55-0d9b6f7f6f10
logsource: {category: webserver}
owner: an
reason: weekly scan
expires: 2099-01-31
filter:
  rules: [0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f10]
  selection: {source.ip|cidr: 203.0.113.0/24}
  condition: not selection
"""
LINE = '203.0.113.9 - - [15/Nov/2026:08:00:00 +0700] "GET {} HTTP/1.1" {} 12 "-" "Mozilla/5.0"\n'
WINDOWS = """
title: Tool
id: 0b9c6f3e-3333-4a57-9a55-0d9b6f7f6f10
tags: [attack.credential-access, attack.t1003.001]
logsource: {category: process_creation, product: windows}
detection:
  img:
    - Image|endswith: ['\\\\rundll32.exe', '\\\\comsvcs.exe']
    - OriginalFileName|cased: RUNDLL32.EXE
  cmd: {CommandLine|contains: 'sekurlsa::logonpasswords'}
  size: {ProcessId|gt: 100}
  condition: img and cmd and size
"""


def event(**fields: str) -> str:
    data = {f"winlog.event_data.{name}": value for name, value in fields.items()}
    return json.dumps({"event.code": "1", "winlog.channel": "Microsoft-Windows-Sysmon/Operational", **data}) + "\n"


@pytest.fixture
def explained(tmp_path: Path, soc_here: Soc) -> Soc:
    (tmp_path / "r.yml").write_text(RULE)
    (tmp_path / "w.yml").write_text(WINDOWS)
    (tmp_path / "web.log").write_text(LINE.format("/evil", 200) + LINE.format("/evil", 404) + LINE.format("/evi", 200))
    return soc_here


def test_a_hit_is_explained_in_vietnamese(explained: Soc) -> None:
    hit = explained("rules", "explain", "r.yml", "web.log", "--lang", "vi")
    assert hit.returncode == 0
    assert "✓ Đường dẫn (url.path) chứa “evil” · thấy: /evil" in hit.stdout
    assert "→ Kích hoạt: 3 trong 3 điều kiện đúng." in hit.stdout


def test_a_line_of_a_file_and_what_it_lacks(explained: Soc) -> None:
    miss = explained("rules", "explain", "r.yml", "web.log:2", "--lang", "en", "--whole")
    assert miss.returncode == 1
    assert "✗ HTTP status (http.response.status_code) equals “200” · seen: 404\n" in miss.stdout
    assert "✗ User (user.name) equals “an”\n" in miss.stdout, "inside an exclusion nothing is amiss"
    assert "→ Does not fire: 2 of 3 conditions hold; missing: HTTP status (http.response.status_code) equals “200”\n" in miss.stdout
    same = explained("rules", "explain", "r.yml", "web.log#1", "--lang", "en", "--whole")
    assert same.stdout == miss.stdout, "soc hunt counts records of text files from 0"


def test_json_says_why(explained: Soc) -> None:
    found = json.loads(explained("rules", "explain", "r.yml", "web.log:3", "--json").stdout)
    assert (found["holds"], [m["name"] for m in found["missing"]]) == (False, ["url.path"])
    path = next(c for c in found["tree"][1]["children"] if c["name"] == "url.path")
    assert (path["miss"]["why"], path["miss"]["common"], path["seen"]) == ("part", "/evi", "/evi") or path["miss"]["why"] == "far"


def test_a_place_that_is_not_there_is_told(explained: Soc) -> None:
    gone = explained("rules", "explain", "r.yml", "web.log:9")
    assert (gone.returncode, "web.log: no line 9" in gone.stderr) == (2, True)


def test_near_misses_are_told(tmp_path: Path, explained: Soc) -> None:
    near = event(Image="C:\\Windows\\rundll32.exe.bak", OriginalFileName="rundll32.exe", CommandLine="x sekurlsa::logon", ProcessId="77")
    (tmp_path / "near.json").write_text(near)
    out = explained("rules", "explain", "w.yml", "near.json", "--lang", "vi").stdout
    assert out.startswith("Đánh cắp thông tin xác thực: bộ nhớ LSASS [Tool] (0b9c6f3e-3333")
    assert "có “\\rundll32.exe” ở giữa, nhưng luật đòi kết thúc bằng" in out
    assert "bằng “RUNDLL32.EXE” (phân biệt chữ hoa, chữ thường) · thấy: rundll32.exe · chỉ khác chữ hoa, chữ thường" in out
    assert "gần giống “sekurlsa::logonpasswords”: chung đoạn “sekurlsa::logon”" in out
    assert "· thấy: 77 · thấp hơn ngưỡng 100 là 23" in out
    assert "→ Không kích hoạt: 0 trong 3 điều kiện đúng; thiếu: một trong 2 lựa chọn (gần nhất: " in out


def test_another_log_source_is_told_first(tmp_path: Path, explained: Soc) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"event.code": "3", "winlog.channel": "System"}) + "\n")
    out = explained("rules", "explain", "w.yml", "other.json", "--lang", "en")
    assert "Does not fire: the event is not of the log source product=windows/category=process_creation; missing: " in out.stdout
    assert "· the event lacks this field" in out.stdout


def test_the_filter_that_hides_is_named(tmp_path: Path, explained: Soc) -> None:
    (tmp_path / "f.yml").write_text(FILTER)
    out = explained("rules", "explain", "0b9c6f3e-1111", "web.log", "--rules", "r.yml", "--rules", "f.yml", "--lang", "en")
    assert out.returncode == 1
    assert "✗ filter “Known scanner” (an, 2099-01-31, weekly scan)" in out.stdout
    assert "→ Does not fire: all conditions hold, but a filter hides the event: “Known scanner” (" in out.stdout


def test_the_store_tells_whether_any_event_has_the_field(tmp_path: Path, explained: Soc) -> None:
    assert explained("collect", "once", "--path", "web.log").returncode == 0
    key = json.loads(explained("search", "http.response.status_code:404", "--json").stdout.splitlines()[0])["event.id"]
    (tmp_path / "m.yml").write_text(RULE.replace("user.name: an", "user.name: an").replace("and not other", "and other"))
    found = explained("rules", "explain", "m.yml", key, "--lang", "en")
    assert "User (user.name) equals “an” · the event lacks this field; no event of the data set ever had it" in found.stdout


CORRELATION = """
title: Evil often
id: 0b9c6f3e-4444-4a57-9a55-0d9b6f7f6f10
correlation:
  type: event_count
  rules: [0b9c6f3e-1111-4a57-9a55-0d9b6f7f6f10]
  group-by: [source.ip]
  timespan: 5m
  condition: {gte: 3}
level: high
"""


def test_a_correlation_tells_group_and_window(tmp_path: Path, explained: Soc) -> None:
    (tmp_path / "c.yml").write_text(RULE + "---\n" + CORRELATION)
    lines = [LINE.format("/evil", 200).replace("08:00:00", f"08:0{n}:00") for n in (0, 1, 8, 9)]
    (tmp_path / "many.log").write_text("".join(lines))
    assert explained("collect", "once", "--path", "many.log").returncode == 0
    rows = [json.loads(line) for line in explained("search", "url.path:/evil", "--json").stdout.splitlines()]
    last = max(rows, key=lambda row: str(row["@timestamp"]))["event.id"]
    out = explained("rules", "explain", "c.yml", last, "--lang", "vi")
    assert out.returncode == 1, out.stderr
    assert "nhóm: IP nguồn (source.ip) = 203.0.113.9" in out.stdout
    assert "Ten or evil: 2 sự kiện" in out.stdout
    assert (
        "→ Không kích hoạt: 2 sự kiện “Ten or evil” với IP nguồn (source.ip) 203.0.113.9 trong 5 phút (ngưỡng: từ 3 trở lên)" in out.stdout
    )
    found = json.loads(explained("rules", "explain", "c.yml", last, "--json").stdout)
    assert found["event"]["@timestamp"].endswith("+07:00")
    assert (found["window"]["measure"], found["group"]) == (2, {"source.ip": "203.0.113.9"})
    other = explained("rules", "explain", "c.yml", "web.log:2", "--lang", "en")
    assert "→ Does not fire: the event matches none of the 1 base rules." in other.stdout


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
    assert (bad.returncode, "bad.yml:1: cannot be converted: logsource is missing" in bad.stderr) == (4, True)


def test_a_record_of_an_event_log_by_its_id(tmp_path: Path, shared_data: Path, soc_here: Soc) -> None:
    """What an independent engine found, explained: the rule fires; on the record before it does not, and it is said why."""
    name = "AutomatedTestingTools/Malware/DE_timestomp_and_dll_sideloading_and_RunPersist.evtx"
    rule = "rules/windows/process_creation/proc_creation_win_susp_file_characteristics.yml"
    with tarfile.open(shared_data / "evtx" / "attack-samples-dev.tar.xz") as pack:
        member = next(m for m in pack if m.name.endswith(name))
        (tmp_path / "a.evtx").write_bytes(_read(pack, member))
    with tarfile.open(shared_data / "sigma" / "sigmahq-rules.tar.xz") as pack:
        (tmp_path / "r.yml").write_bytes(_read(pack, next(m for m in pack if m.name.endswith(rule))))
    hit = soc_here("rules", "explain", "r.yml", "a.evtx:6577", "--lang", "vi")
    assert (hit.returncode, "→ Kích hoạt: 2 trong 2 điều kiện đúng." in hit.stdout) == (0, True), hit.stderr
    assert soc_here("rules", "explain", "r.yml", "a.evtx#6577").returncode == 0
    assert soc_here("rules", "explain", "r.yml", "a.evtx:6576").returncode == 1
    gone = soc_here("rules", "explain", "r.yml", "a.evtx:1")
    assert (gone.returncode, "a.evtx: no record 1" in gone.stderr) == (2, True)


def _read(pack: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = pack.extractfile(member)
    assert file is not None
    return file.read()


def test_a_rule_file_that_is_wrong_is_told_as_such(tmp_path: Path, soc_here: Soc) -> None:
    (tmp_path / "bad.yml").write_text("title: x\n")
    bad = soc_here("rules", "explain", "bad.yml", "bad.yml")
    assert (bad.returncode, "bad.yml:1: logsource is missing" in bad.stderr) == (4, True)
