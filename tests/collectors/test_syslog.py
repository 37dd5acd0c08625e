"""Receivers: frames cut at every byte, resets, datagrams; what was acknowledged lies in the spool, what was dropped is counted."""

from __future__ import annotations

import multiprocessing
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import spool
from collectors.framing import LIMIT
from collectors.rfc6587 import Framer
from collectors.spool import RECORD, REFUSED
from collectors.spooled import waiting
from collectors.syslog import Listener, Loop, Port, kernel_drops, opened
from domain.errors import ConfigError, SourceError
from jobs.receive import Receivers, serve
from tests.collectors.following import Clock, lines

MIXED = (
    b"<34>one\n7 <34>two<34>three\r\n<34>four\0\n11 <34>fi\nve\0\n\n<34>six\0<34>seven\n2026-11-24 08:15 <x> plain\n12 no octets\n<34>last"
)
RECORDS = [b"<34>one", b"<34>two", b"<34>three", b"<34>four", b"<34>fi\nve", b"<34>six", b"<34>seven", b"2026-11-24 08:15 <x> plain",
           b"12 no octets", b"<34>last"]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_both_framings_on_one_connection_cut_anywhere(size: int) -> None:
    framer = Framer()
    got = [frame for at in range(0, len(MIXED), size) for frame in framer.feed(MIXED[at : at + size])] + framer.end()
    assert got == [(RECORD, record) for record in RECORDS]


def test_octets_only_and_newlines_only() -> None:
    assert Framer("octet").feed(b"5 ab\ncd3 xyz") == [(RECORD, b"ab\ncd"), (RECORD, b"xyz")]
    assert Framer("newline").feed(b"7 <34>two\n") == [(RECORD, b"7 <34>two")]


@pytest.mark.parametrize("size", [1 << 16, LIMIT, 3 * LIMIT])
def test_too_long_is_refused_whole_and_the_next_is_intact(size: int) -> None:
    for data in (b"x" * (LIMIT + 5) + b"\n<1>next\n", b"%d <" % (2 * LIMIT) + b"y" * (2 * LIMIT - 1) + b"<1>next\n"):
        framer = Framer()
        got = [frame for at in range(0, len(data), size) for frame in framer.feed(data[at : at + size])]
        assert [raw for kind, raw in got if kind == RECORD] == [b"<1>next"]
        assert sum(len(raw) for kind, raw in got if kind == REFUSED) in (LIMIT + 5, 2 * LIMIT)


@pytest.mark.parametrize(
    ("listen", "text"),
    [
        ("http://x:1", "udp://[::]:5514 | tcp://[::]:5514"),
        ("udp://[::]:99999", "udp://[::]:5514 | tcp://[::]:5514"),
    ],
)
def test_addresses_that_are_none(listen: str, text: str) -> None:
    with pytest.raises(ConfigError) as error:
        opened(listen)
    assert text in str(error.value)


def test_a_port_in_use() -> None:
    with opened("tcp://[::1]:0") as first, pytest.raises(SourceError, match=r"cannot listen on tcp://.*: Address already in use"):
        opened(f"tcp://[::1]:{first.getsockname()[1]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def receiving(tmp_path: Path, port: int) -> Iterator[Receivers]:
    """Both transports on one port number, in a process of their own."""
    made = Receivers([Listener(kind, f"{kind}://[::]:{port}", spool.folder(tmp_path, kind)) for kind in ("udp", "tcp")])
    said: list[tuple[str, str, str]] = []
    deadline = time.monotonic() + 20
    while len(said) < 2 and time.monotonic() < deadline:
        said += made.said()
        time.sleep(0.02)
    assert sorted(event for _, event, _ in said) == ["listening", "listening"], said
    yield made
    made.stop()


def spooled(root: Path, source: str) -> list[tuple[bytes, bytes]]:
    """(peer, record), in order."""
    return [
        (frame.peer, frame.data)
        for segment in spool.segments(spool.folder(root, source))
        for frame in spool.frames(segment.path.read_bytes(), 0)
        if isinstance(frame, spool.Frame) and frame.kind == spool.RECORD
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_closed_connection_is_acknowledged_after_the_sync(receiving: Receivers, tmp_path: Path, port: int, host: str) -> None:
    with socket.create_connection((host, port), timeout=10) as sender:
        for line in lines(0, 500):
            sender.sendall(line + b"\n")
        sender.sendall(b"<34>half")
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(1) == b""
    assert spooled(tmp_path, "tcp") == [(host.encode(), line) for line in (*lines(0, 500), b"<34>half")]


def test_reset_in_the_middle_keeps_what_came(receiving: Receivers, tmp_path: Path, port: int) -> None:
    sender = socket.create_connection(("127.0.0.1", port))
    sender.sendall(b"<34>whole\n<34>ha")
    time.sleep(0.5)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sender.close()
    receiving.stop()
    assert [raw for _, raw in spooled(tmp_path, "tcp")] == [b"<34>whole", b"<34>ha"]


def test_stopping_takes_what_has_arrived(receiving: Receivers, tmp_path: Path, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sender:
        sender.sendall(b"<34>one\n<34>two")
        time.sleep(0.3)
        receiving.stop()
        assert sender.recv(1) == b""
    assert [raw for _, raw in spooled(tmp_path, "tcp")] == [b"<34>one", b"<34>two"]


def test_a_killed_receiver_resets_what_it_has_not_synced(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOC_FAULT", "spool-write")
    context = multiprocessing.get_context("spawn")
    listener = Listener("tcp", f"tcp://[::]:{port}", spool.folder(tmp_path, "tcp"))
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=([listener], theirs))
    process.start()
    assert ours.poll(20)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
        sender.sendall(b"<34>lost with the receiver\n")
        sender.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            sender.recv(1)
    process.join()
    assert process.exitcode == -9


def test_datagrams_of_both_families(receiving: Receivers, tmp_path: Path, port: int) -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            for data in (b"<34>a line\nand another\r\n", b"", b"<34>same", b"<34>same", b"<34>nul\0"):
                sender.sendto(data, (host, port))
    receiving.stop()
    kept = [b"<34>a line\nand another", b"<34>same", b"<34>same", b"<34>nul"]
    assert spooled(tmp_path, "udp") == [(host, raw) for host in (b"127.0.0.1", b"::1") for raw in kept]


def test_the_receiver_is_started_again_when_it_dies(receiving: Receivers) -> None:
    receiving._process.kill()
    receiving._process.join()
    said: list[tuple[str, str, str]] = []
    deadline = time.monotonic() + 20
    while len(said) < 3 and time.monotonic() < deadline:
        said += receiving.said()
        time.sleep(0.02)
    assert [event for _, event, _ in said] == ["died", "listening", "listening"]


def test_two_receivers_for_one_source_do_no_harm(receiving: Receivers, tmp_path: Path, port: int) -> None:
    second = Receivers([Listener("udp", f"udp://[::]:{port}", spool.folder(tmp_path, "udp"))])
    deadline = time.monotonic() + 20
    said: list[tuple[str, str, str]] = []
    while not said and time.monotonic() < deadline:
        said += second.said()
        time.sleep(0.02)
    assert said[0][:2] == ("udp", "waiting")
    assert "another process receives for this source" in said[0][2]
    receiving.stop()
    while len(said) < 2 and time.monotonic() < deadline:
        said += second.said()
        time.sleep(0.02)
    assert said[1][:2] == ("udp", "listening")
    second.stop()


def test_a_burst_beyond_the_buffer_is_counted(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.syslog.BUFFER", 64 << 10)
    loop = Loop(Clock())  # type: ignore[arg-type]
    loop.ports.append(Port(Listener("udp", f"udp://[::]:{port}", spool.folder(tmp_path, "udp")), loop))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        for line in lines(0, 2000):
            sender.sendto(line, ("::1", port))  # nobody reads meanwhile
    assert kernel_drops(loop.ports[0].socket) > 0
    loop.turn()
    loop.close()
    got = [raw for _, raw in spooled(tmp_path, "udp")]
    assert got == lines(0, len(got))
    assert len(got) + waiting(tmp_path, "udp", []).dropped_by_kernel == 2000


def test_at_the_quota_tcp_waits_and_udp_is_counted(tmp_path: Path, port: int) -> None:
    loop = Loop(Clock())  # type: ignore[arg-type]
    for kind in ("udp", "tcp"):
        loop.ports.append(Port(Listener(kind, f"{kind}://[::]:{port}", spool.folder(tmp_path, kind), quota=2000), loop))
    sender = socket.create_connection(("::1", port))
    sender.sendall(b"".join(line + b"\n" for line in lines(0, 100)))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
        for line in lines(0, 100):
            datagrams.sendto(line, ("::1", port))
    for _ in range(5):
        loop.turn()
    assert all(each.spool.full for each in loop.ports)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
        for line in lines(100, 150):
            datagrams.sendto(line, ("::1", port))
    sender.sendall(b"".join(line + b"\n" for line in lines(100, 150)))
    for _ in range(5):
        loop.turn()
    assert len(spooled(tmp_path, "tcp")) == 100
    for each in loop.ports:
        each.spool.quota = 1 << 20  # the reader has made room
    for _ in range(5):
        loop.turn()
    loop.close()
    sender.close()
    assert [raw for _, raw in spooled(tmp_path, "tcp")] == lines(0, 150)
    assert [raw for _, raw in spooled(tmp_path, "udp")] == lines(0, 100)
    assert waiting(tmp_path, "udp", []).dropped_by_quota == 50
