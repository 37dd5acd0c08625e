"""Files whose records are no lines: JSON arrays, JSON over several lines, Windows events as XML."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evtx as reader
import pytest

from collectors import documents, recoded, whole
from collectors.detect import parse
from domain.event import row

NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
EVENT = (
    f"<Event xmlns='{NAMESPACE}'><System><Provider Name='Microsoft-Windows-Security-Auditing' Guid='{{54849625-5478-4994-A5BA-3E3B0328C30D}}'/>"
    "<EventID>4688</EventID><TimeCreated SystemTime='2026-11-24T01:15:03.123456700Z'/><EventRecordID>%d</EventRecordID>"
    "<Channel>Security</Channel><Computer>PC-01</Computer><Security/></System>"
    "<EventData><Data Name='CommandLine'>%s</Data><Data Name='Empty'></Data></EventData></Event>"
)


def read(path: Path) -> tuple[list[tuple[int, Any]], list[str]]:
    problems: list[whole.Problem] = []
    out = []
    for batch in whole.batches(path, path.name, 0, problems.append):
        out += [(p, json.loads(r)) for p, r in zip(batch.positions.tolist(), batch.records.to_pylist(), strict=True)]
    return out, [p.reason for p in problems]


@pytest.mark.parametrize("write", [json.dumps, lambda v: json.dumps(v, indent=2)], ids=["one line", "pretty"])
def test_the_values_of_an_array_are_records(tmp_path: Path, write: Callable[[Any], str]) -> None:
    values = [{"a": 1, "b": {"c": "x\ny [{"}}, {"a": 2}, {"a": "Đỗ"}]
    (tmp_path / "f.json").write_text(write(values), encoding="utf-8")
    assert read(tmp_path / "f.json") == (list(enumerate(values)), [])


def test_values_over_several_lines_that_follow_each_other(tmp_path: Path) -> None:
    values = [{"a": 1}, {"a": [1, 2]}]
    (tmp_path / "f.json").write_text("\n".join(json.dumps(v, indent=4) for v in values), encoding="utf-8")
    assert read(tmp_path / "f.json") == (list(enumerate(values)), [])


def test_values_cut_by_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"n": n, "t": "ệ" * 20} for n in range(50)]
    monkeypatch.setattr(recoded, "HEAD", 61)
    (tmp_path / "f.json").write_bytes(b"\xff\xfe" + json.dumps(values, ensure_ascii=False).encode("utf-16-le"))
    assert read(tmp_path / "f.json") == (list(enumerate(values)), [])


def test_an_array_that_breaks_off_is_told(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text('[{"a": 1}, {"a": 2}, {"a": ', encoding="utf-8")
    found, (reason,) = read(tmp_path / "f.json")
    assert found == [(0, {"a": 1}), (1, {"a": 2})]
    assert reason.startswith("bản ghi 2: ")
    assert reason.endswith("; phần sau đó không đọc được")


@pytest.mark.parametrize("head", [b'{"a": 1}\n', b"[2026-11-24] GET /\n", b"[error] {x}\n", b"<190>Nov 24 x\n", b"", b"<html><body>"])
def test_files_of_lines_stay_so(head: bytes) -> None:
    assert documents.kind(head) == ""


@pytest.mark.parametrize(
    ("before", "between", "after", "encoding"),
    [
        ("", "", "", "utf-8"),
        ("", "\r\n", "\r\n", "utf-8"),
        ('<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<Events>', "", "</Events>", "utf-8"),
        ("Record 1\n", "\nRecord 2\n", "", "utf-8"),
        ("<Events>", "\n", "</Events>", "utf-16"),
    ],
    ids=["wevtutil", "lines", "Event Viewer", "dump", "utf-16"],
)
def test_events_as_xml(tmp_path: Path, before: str, between: str, after: str, encoding: str) -> None:
    text = before + between.join((EVENT % (7, "cmd /c &quot;x&quot; &amp; y"), EVENT % (9, "whoami"))) + after
    if text.startswith("Record"):
        text = text.replace("<Event ", '<?xml version="1.0" encoding="utf-8"?>\n<Event ')
    (tmp_path / "f.xml").write_bytes(text.encode(encoding))
    found, problems = read(tmp_path / "f.xml")
    assert problems == []
    assert [n for n, _ in found] == [7, 9]
    assert found[0][1]["Event"]["EventData"] == {"CommandLine": 'cmd /c "x" & y', "Empty": ""}
    (batch,) = whole.batches(tmp_path / "f.xml", "f.xml", 0, lambda _: None)
    (group,) = parse(batch)
    event = row(group.table, 0)
    assert (group.parser, event["event.code"], event["winlog.record_id"], event["host.name"]) == ("windows", "4688", "7", "PC-01")
    assert event["@timestamp"] == "2026-11-24T01:15:03.123Z"
    assert event["winlog.event_data.CommandLine"] == 'cmd /c "x" & y'


def test_characters_that_xml_cannot_hold_cost_no_event(tmp_path: Path) -> None:
    (tmp_path / "f.xml").write_text(EVENT % (1, "a&#x1;b\x02&#27;c"), encoding="utf-8")
    found, problems = read(tmp_path / "f.xml")
    assert (found[0][1]["Event"]["EventData"]["CommandLine"], problems) == ("a\ufffdb\ufffd\ufffdc", [])


def test_damaged_and_cut_events_are_told_and_the_others_read(tmp_path: Path) -> None:
    (tmp_path / "f.xml").write_text(EVENT % (1, "<a>") + EVENT % (2, "ok") + EVENT[:100], encoding="utf-8")
    found, problems = read(tmp_path / "f.xml")
    assert [n for n, _ in found] == [2]
    assert problems[0] == "sự kiện cuối cùng bị cắt cụt"
    assert problems[1].startswith("1 sự kiện không đọc được: mismatched tag")


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    head = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY f SYSTEM "file:///etc/passwd">]><Events>'
    (tmp_path / "f.xml").write_text(head + EVENT % (1, "&a;&f;") + EVENT % (2, "ok") + "</Events>", encoding="utf-8")
    found, (reason,) = read(tmp_path / "f.xml")
    assert [n for n, _ in found] == [2]
    assert "undefined entity" in reason


def test_xml_reads_as_the_event_log_does(shared_data: Path) -> None:
    with tarfile.open(shared_data / "evtx" / "attack-samples-dev.tar.xz") as archive:
        members = [m for m in archive if m.name.endswith(".evtx")][:12]
        for member in members:
            inner = archive.extractfile(member)
            assert inner is not None
            data = inner.read()
            dumped = "\n".join(r["data"] for r in reader.PyEvtxParser(io.BytesIO(data)).records())
            values = [json.loads(r["data"])["Event"] for r in reader.PyEvtxParser(io.BytesIO(data)).records_json()]
            found = [json.loads(r)["Event"] for _, r in documents.xml_events([dumped], pytest.fail)]
            for event, value in zip(found, values, strict=True):
                assert _texts(event.get("EventData")) == _texts(value.get("EventData")), member.name
                assert str(value["System"]["EventRecordID"]) == event["System"]["EventRecordID"]


def _texts(data: Any) -> Any:
    """Numbers as text, as the parser reads them; what is missing and what is empty are one; line ends as XML has them."""
    return {
        k: str(v).lower().replace("\r\n", "\n").replace("\\r\\n", "\\n")
        for k, v in (data or {}).items()
        if k != "#attributes" and v not in (None, "")
    }
