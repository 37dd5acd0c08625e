"""Spool segments: what was acknowledged is read back exactly, whatever happens to the files; only what is damaged is lost, and said."""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from collectors import spool, spool_writer
from collectors.spool_writer import Writer
from collectors.spooled import Spooled, waiting
from domain.errors import SourceError
from domain.raw import Checkpoint, RawBatch
from tests.collectors.following import Settings, lines

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return spool.folder(tmp_path, "s")


def written(place: Path, records: list[bytes], peer: bytes = b"192.0.2.1") -> None:
    writer = Writer(place)
    for number, record in enumerate(records):
        writer.add(1000 + number, peer, record)
        writer.flush()
    writer.close()
    assert writer.synced == writer.written


def pulled(root: Path, known: list[Checkpoint]) -> tuple[list[bytes], list[RawBatch]]:
    """What is new, and the batches; `known` is brought up to date."""
    found = list(Spooled(Settings(), root).pull(known))
    for batch in found:
        known[:] = [c for c in known if c.stream != batch.stream] + [batch.checkpoint]
    return [raw for batch in found for raw in batch.records.to_pylist()], found


def test_read_back_with_peer_and_arrival_once(place: Path, tmp_path: Path) -> None:
    written(place, [b"one", b"nul\0 \xff", b"line\nbreak"], b"2001:db8::1")
    known: list[Checkpoint] = []
    got, (batch,) = pulled(tmp_path, known)
    assert got == [b"one", b"nul\0 \xff", b"line\nbreak"]
    assert batch.peers is not None
    assert batch.peers.to_pylist() == ["2001:db8::1"] * 3
    assert batch.arrivals.tolist() == [1000, 1001, 1002]
    assert pulled(tmp_path, known)[0] == []


def test_restarts_and_segments(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_writer, "SEGMENT", 2000)
    known: list[Checkpoint] = []
    got = []
    for start in range(0, 200, 50):
        written(place, lines(start, start + 50))
        if start % 100:
            got += pulled(tmp_path, known)[0]
    assert got == lines(0, 200)
    assert len(spool.segments(place)) > 4
    assert pulled(tmp_path, known)[0] == []
    assert len(spool.segments(place)) == 1  # the newest stays
    written(place, lines(200, 201))
    assert pulled(tmp_path, known)[0] == lines(200, 201)


def test_segments_stay_until_the_store_has_them(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_writer, "SEGMENT", 500)
    written(place, lines(0, 100))
    before = spool.segments(place)
    assert pulled(tmp_path, [])[0] == pulled(tmp_path, [])[0] == lines(0, 100)
    assert spool.segments(place) == before


def test_torn_last_frame(place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(place, lines(0, 10))
    (segment,) = spool.segments(place)
    os.truncate(segment.path, segment.path.stat().st_size - 3)
    known: list[Checkpoint] = []
    assert pulled(tmp_path, known)[0] == lines(0, 9)
    written(place, lines(20, 22))
    with caplog.at_level(logging.WARNING):
        got, batches = pulled(tmp_path, known)
    assert got == lines(20, 22)
    assert all(not batch.dead for batch in batches)  # it was never acknowledged
    assert "bytes are no sound frame" in caplog.text


@pytest.mark.parametrize("where", ["magic", "size", "body"])
def test_flipped_bit_costs_one_frame(place: Path, tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture) -> None:
    written(place, lines(0, 10))
    (segment,) = spool.segments(place)
    data = bytearray(segment.path.read_bytes())
    frame = next(f for f in spool.frames(bytes(data), 0) if isinstance(f, spool.Frame) and f.data == lines(4, 5)[0])
    data[frame.offset + {"magic": 0, "size": 6, "body": spool.FRAME + 12}[where]] ^= 0x40
    segment.path.write_bytes(data)
    known: list[Checkpoint] = []
    with caplog.at_level(logging.WARNING):
        got, (batch,) = pulled(tmp_path, known)
    assert got == lines(0, 4) + lines(5, 10)
    assert dict(batch.rejected) == {"spool_damaged": 1}
    assert batch.received == 10
    assert bytes(data[frame.offset : frame.end]) == batch.dead[0][2]
    assert "1 received records are damaged" in caplog.text


def test_missing_segment_is_counted(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_writer, "SEGMENT", 600)
    written(place, lines(0, 60))
    gone = spool.segments(place)[1]
    inside = [f.data for f in spool.frames(gone.path.read_bytes(), 0) if isinstance(f, spool.Frame) and f.kind == spool.RECORD]
    gone.path.unlink()
    got, batches = pulled(tmp_path, [])
    assert got == [line for line in lines(0, 60) if line not in inside]
    assert sum(batch.rejected.get("spool_damaged", 0) for batch in batches) == len(inside)


def test_waiting_is_what_the_store_does_not_hold(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_writer, "SEGMENT", 700)
    written(place, lines(0, 30))
    assert waiting(tmp_path, "s", []).records == 30
    known: list[Checkpoint] = []
    pulled(tmp_path, known)
    assert waiting(tmp_path, "s", known).records == 0
    written(place, lines(30, 100))
    found = waiting(tmp_path, "s", known)
    assert (found.records, found.oldest is not None) == (70, True)
    before = list(known)
    pulled(tmp_path, known)
    pulled(tmp_path, known)  # removes segments
    assert waiting(tmp_path, "s", before).records == 70  # seen from the older checkpoint, whatever was removed since


def test_one_writer_at_a_time(place: Path) -> None:
    writer = Writer(place)
    with pytest.raises(SourceError, match="another process receives for this source"):
        Writer(place)
    writer.close()
    Writer(place).close()


def test_numbers_go_on_after_what_the_store_knows(place: Path) -> None:
    written(place, lines(0, 3))
    writer = Writer(place, floor=10)  # a power failure took frames that had been stored
    assert writer.add(0, b"", b"x") == 11
    writer.close()


def test_drops_are_totals_over_restarts(place: Path, tmp_path: Path) -> None:
    for _ in range(2):
        writer = Writer(place)
        writer.note_drops(0, 5, 2)
        writer.close()
    found = waiting(tmp_path, "s", [])
    assert (found.dropped_by_kernel, found.dropped_by_quota, found.records) == (10, 4, 0)
    known: list[Checkpoint] = []
    pulled(tmp_path, known)
    assert waiting(tmp_path, "s", known).dropped_by_kernel == 10


def test_quota(place: Path) -> None:
    writer = Writer(place, limit=1000)
    while not writer.full:
        writer.add(0, b"", b"x" * 100)
        writer.flush()
    writer.close()
    assert 900 < writer.usage() < 1200


NO_SPACE = """
import resource, signal, sys
from pathlib import Path
from collectors.spool_writer import Writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = Writer(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for number in range(50):
    writer.add(0, b"", b"SEQ=a:%06d" % number)
    writer.flush()
print(writer.error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(writer.flush())
writer.close()
"""


def test_no_space_keeps_everything_until_there_is_some(place: Path, tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", NO_SPACE, str(place)], cwd=ROOT, capture_output=True, text=True, check=True)
    error, flushed = done.stdout.splitlines()
    assert error in ("No space left on device", "File too large")
    assert flushed == "True"
    assert pulled(tmp_path, [])[0] == lines(0, 50)


KILLED = """
import sys
from pathlib import Path
from collectors.spool_writer import Writer
writer = Writer(Path(sys.argv[1]), synced=lambda: print(writer.synced, flush=True))
for number in range(100000):
    writer.add(0, b"", b"SEQ=a:%06d" % number)
    if number % 7 == 0:
        writer.flush()
"""


@pytest.mark.parametrize("point", ["spool-write:500", "spool-sync:3"])
def test_killed_while_writing(place: Path, tmp_path: Path, point: str) -> None:
    environment = os.environ | {"SOC_FAULT": point}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(place)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == -9
    acknowledged = max((int(line) for line in done.stdout.split()), default=0)
    known: list[Checkpoint] = []
    got = pulled(tmp_path, known)[0]
    assert got == lines(0, len(got))
    assert len(got) >= acknowledged
    written(place, lines(500000, 500001))
    got, batches = pulled(tmp_path, known)
    assert got == lines(500000, 500001)
    assert json.loads(json.dumps(dict(batches[-1].checkpoint.state)))["number"] > acknowledged
