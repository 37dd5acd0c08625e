"""Files that were damaged or forged: what can be read is read, the rest is told, and no file stops the others."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from collectors import evtx
from tests.conftest import Soc

LINE = b"Nov 24 08:15:03 web01 sshd[1]: Failed password for root from 198.51.100.40 port 1 ssh2\n"


@pytest.fixture
def forged(tmp_path: Path, shared_data: Path) -> Path:
    """A real event log whose first record bears a number that no signed integer holds."""
    with tarfile.open(shared_data / "evtx" / "attack-samples-dev.tar.xz") as archive:
        member = next(m for m in archive if m.name.endswith(".evtx") and m.size < 200_000)
        inner = archive.extractfile(member)
        assert inner is not None
        data = bytearray(inner.read())
    start = 4096 + 512
    assert data[start : start + 4] == b"**\0\0"
    end = start + int.from_bytes(data[start + 4 : start + 8], "little")
    number = next(evtx.records(io.BytesIO(data), evtx.Damage()))[0].to_bytes(8, "little")
    assert number in data[start:end]
    data[start:end] = data[start:end].replace(number, b"\xfe" + b"\xff" * 7)
    path = tmp_path / "logs" / "forged.evtx"
    path.parent.mkdir()
    path.write_bytes(data)
    return path


def test_a_forged_record_number_costs_no_record(soc_here: Soc, forged: Path) -> None:
    done = soc_here("parse", str(forged))
    assert done.returncode == 0, done.stderr
    numbers = [json.loads(line)["record"] for line in done.stdout.splitlines()]
    assert numbers[0] == 2**62
    assert len(numbers) > 1
    assert soc_here("collect", "once", "--path", str(forged), "--data", "data").returncode == 0
    (source,) = json.loads(soc_here("collect", "status", "--data", "data", "--json").stdout)["sources"]
    assert (source["received"], source["stored"]) == (len(numbers), len(numbers))


def test_a_file_name_that_is_no_text_is_collected_like_any_other(soc_here: Soc, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_bytes(LINE)
    Path(os.fsdecode(os.fsencode(logs) + b"/b\xff.log")).write_bytes(LINE)
    for _ in range(2):
        done = soc_here("collect", "once", "--path", str(logs), "--data", "data")
        assert done.returncode == 0, done.stderr
    total = json.loads(soc_here("collect", "status", "--data", "data", "--json").stdout)["total"]
    assert (total["received"], total["stored"]) == (2, 2)
    assert soc_here("parse", os.fsdecode(os.fsencode(logs) + b"/b\xff.log")).returncode == 0
    assert soc_here("try", os.fsdecode(os.fsencode(logs) + b"/b\xff.log")).returncode == 0
    assert soc_here("hunt", str(logs), "--out", "h.jsonl").returncode == 0


def test_a_folder_that_links_to_its_parent_is_read_once(soc_here: Soc, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_bytes(LINE)
    (tmp_path / "outside.log").write_bytes(LINE)
    (logs / "loop").symlink_to("..")
    assert soc_here("collect", "once", "--path", str(logs), "--data", "data").returncode == 0
    (source,) = json.loads(soc_here("collect", "status", "--data", "data", "--json").stdout)["sources"]
    assert source["stored"] == 1


def test_try_tells_a_line_beyond_the_limit(soc: Soc, tmp_path: Path) -> None:
    (tmp_path / "long.log").write_bytes(LINE + b"x" * (20 << 20) + b"\n" + LINE)
    done = soc("try", str(tmp_path / "long.log"), "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert "long.log: 1 " in problem


def test_event_logs_cut_off_or_empty_are_told(soc: Soc, tmp_path: Path) -> None:
    head = (b"ElfFile\0" + bytes(34) + b"\2\0").ljust(4096, b"\0")
    (tmp_path / "cut.evtx").write_bytes(head + b"ElfChnk\0")
    (tmp_path / "none.evtx").touch()
    for command in ("parse", "hunt", "try"):
        told = soc(command, str(tmp_path)).stderr
        assert "cut.evtx: " in told, command
        assert "none.evtx: " in told, command
    problems = json.loads(soc("try", str(tmp_path), "--json").stdout)["problems"]
    assert ["none.evtx" in p or "cut.evtx" in p for p in problems] == [True, True]


@pytest.mark.parametrize("command", ["parse", "hunt", "try"])
def test_what_is_no_file_is_not_waited_for(soc: Soc, tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    done = soc(command, str(tmp_path / "pipe.log"))
    assert "pipe.log: no" in done.stderr
    assert "Traceback" not in done.stderr
