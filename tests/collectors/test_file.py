"""Files that grow, rotate, are copied, truncated, compressed and replaced: every line once, bytes equal, in order."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from collectors import identity
from collectors.file import Files
from domain.errors import ConfigError, SourceError
from tests.collectors.following import Follower, Settings, append, lines, text


@pytest.fixture
def logs(tmp_path: Path) -> Follower:
    return Follower(tmp_path)


def test_rename_and_a_writer_that_keeps_the_old_handle(logs: Follower) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 10))
    assert logs.pull() == lines(0, 10)
    with live.open("ab", buffering=0) as old:
        live.rename(logs.folder / "a.log.1")
        old.write(text(10, 12))
        append(live, text(20, 22))
        assert sorted(logs.pull()) == lines(10, 12) + lines(20, 22)
        old.write(text(12, 13))
    append(live, text(22, 23))
    assert sorted(logs.pull()) == lines(12, 13) + lines(22, 23)
    logs.exact(*lines(0, 13), *lines(20, 23))


def test_rotated_out_of_the_pattern_the_rest_is_still_read(logs: Follower) -> None:
    logs.settings = Settings(path="a.log")
    live = logs.folder / "a.log"
    append(live, text(0, 3))
    logs.pull()
    append(live, text(3, 5))
    live.rename(logs.folder / "a.log.1")
    append(live, text(5, 6))
    logs.pull()
    append(logs.folder / "other.log", text(90, 99))
    logs.exact(*lines(0, 6))


def test_three_rotations_between_two_looks(logs: Follower) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 5))
    logs.pull()
    append(live, text(5, 6))
    for turn in range(3):
        for number in (2, 1):
            if (old := logs.folder / f"a.log.{number}").exists():
                old.rename(logs.folder / f"a.log.{number + 1}")
        live.rename(logs.folder / "a.log.1")
        append(live, text(10 + turn, 11 + turn))
    logs.pull()
    logs.exact(*lines(0, 6), *lines(10, 13))


@pytest.mark.parametrize("regrown", [1, 50])
def test_copy_and_truncate_with_an_unread_rest(logs: Follower, regrown: int) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 5))
    logs.pull()
    append(live, text(5, 7))
    shutil.copyfile(live, logs.folder / "a.log.1")
    os.truncate(live, 0)
    append(live, text(10, 10 + regrown))
    logs.pull()
    logs.exact(*lines(0, 7), *lines(10, 10 + regrown))


def test_copy_is_not_read_before_the_truncation(logs: Follower) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 400))
    logs.pull()
    data = live.read_bytes()
    append(logs.folder / "a.log.1", data[:700])  # cp under way
    assert logs.pull() == []
    append(logs.folder / "a.log.1", data[700:])
    assert logs.pull() == []
    os.truncate(live, 0)
    append(live, text(500, 501))
    logs.pull()
    logs.exact(*lines(0, 400), *lines(500, 501))


def test_copy_truncate_three_times_between_two_looks(logs: Follower) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 5))
    logs.pull()
    for turn in range(3):
        append(live, text(100 * turn + 5, 100 * turn + 8))
        for number in (2, 1):
            if (old := logs.folder / f"a.log.{number}").exists():
                old.rename(logs.folder / f"a.log.{number + 1}")
        shutil.copyfile(live, logs.folder / "a.log.1")
        os.truncate(live, 0)
    logs.pull()
    logs.exact(*lines(0, 8), *lines(105, 108), *lines(205, 208))


def test_hole_of_a_writer_that_missed_the_truncation(logs: Follower) -> None:
    live = logs.folder / "a.log"
    with live.open("wb", buffering=0) as stale:
        stale.write(text(0, 50))
        logs.pull()
        shutil.copyfile(live, logs.folder / "a.log.1")
        os.truncate(live, 0)
        stale.write(text(50, 52))
    assert live.read_bytes().startswith(b"\0" * 100)
    logs.pull()
    logs.exact(*lines(0, 52))


@pytest.mark.parametrize("size", [2, 80])
def test_same_inode_after_delete_and_create(logs: Follower, size: int) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 20))
    logs.pull()
    inode = live.stat().st_ino
    live.unlink()
    append(live, text(100, 100 + size))
    if live.stat().st_ino != inode:
        pytest.skip("this file system does not use an inode again at once")
    logs.pull()
    logs.exact(*lines(0, 20), *lines(100, 100 + size))


def test_same_header_empty_and_small_files(logs: Follower) -> None:
    header = b"#Software: IIS\n#Fields: " + b"x" * 1100 + b"\n"
    for name in ("u_ex261124.log", "u_ex261125.log", "other.log"):
        append(logs.folder / name, header)
    append(logs.folder / "empty.log", b"")
    append(logs.folder / "small.log", b"1\n")
    logs.pull()
    for number, name in enumerate(("u_ex261124.log", "u_ex261125.log", "other.log")):
        append(logs.folder / name, text(10 * number, 10 * number + 3))
    append(logs.folder / "empty.log", b"2\n")
    append(logs.folder / "small.log", b"3\n")
    logs.pull()
    heads = header.splitlines() * 3
    logs.exact(*heads, *lines(0, 3), *lines(10, 13), *lines(20, 23), b"1", b"2", b"3")


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2"])
@pytest.mark.parametrize("unread", [0, 3])
def test_compressed_after_rotation(logs: Follower, kind: str, unread: int) -> None:
    live, old = logs.folder / "a.log", logs.folder / "a.log.1"
    append(live, text(0, 300))
    logs.pull()
    append(live, text(300, 300 + unread))
    live.rename(old)
    append(live, text(900, 905))
    packed = PACKERS[kind](old.read_bytes())
    logs.pull() if not unread else None
    target = logs.folder / f"a.log.2.{kind}"
    append(target, packed[: len(packed) // 2])  # compression under way
    if not unread:
        assert logs.pull() == []
    append(target, packed[len(packed) // 2 :])
    if not unread:
        assert logs.pull() == []
    old.unlink()
    logs.pull()
    logs.exact(*lines(0, 300 + unread), *lines(900, 905))


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2", "zst"])
def test_compressed_before_it_was_ever_seen(logs: Follower, kind: str) -> None:
    data = text(0, 1000) + b"last without end"
    raw = PACKERS[kind](data)
    if kind == "zst":
        with pa.CompressedOutputStream(str(logs.folder / "a.log.1.zst"), "zstd") as out:
            out.write(data)
    else:
        append(logs.folder / f"a.log.1.{kind}", raw)
    logs.pull()
    logs.exact(*lines(0, 1000), b"last without end")


def test_damaged_archive_gives_what_can_be_read_and_says_so(logs: Follower, caplog: pytest.LogCaptureFixture) -> None:
    rows = [os.urandom(30).hex().encode() for _ in range(5000)]
    whole = gzip.compress(b"\n".join(rows) + b"\n")
    append(logs.folder / "a.log.1.gz", whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        found = logs.pull()
    assert 1000 < len(found) < 4000
    assert found == rows[: len(found)]
    assert "cannot be unpacked to its end" in caplog.text
    logs.exact(*found)


def test_last_line_waits_for_its_end_over_a_restart(logs: Follower) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 2) + b"SEQ=a:0")
    assert logs.pull() == lines(0, 2)
    logs.wait(minutes=2)
    append(live, b"00002\n")
    logs.pull()
    logs.exact(*lines(0, 3))


def test_first_line_completed_after_the_file_left_the_pattern(logs: Follower) -> None:
    logs.settings = Settings(path="a.log")
    append(logs.folder / "a.log", b"SEQ=a:0")
    assert logs.pull() == []
    (logs.folder / "a.log").rename(logs.folder / "a.log.1")
    append(logs.folder / "a.log.1", b"00000\n")
    append(logs.folder / "a.log", text(1, 2))
    logs.pull()
    logs.exact(*lines(0, 2))


def test_last_line_that_is_never_completed_is_taken_once(logs: Follower) -> None:
    live = logs.folder / "a.log"
    append(live, b"one\ntw")
    assert logs.pull() == [b"one"]
    logs.wait(minutes=4)
    assert logs.pull() == []
    append(live, b"o")
    assert logs.pull() == []
    logs.wait(minutes=4)
    assert logs.pull() == []  # the wait began anew
    logs.wait(minutes=2)
    assert logs.pull() == [b"two"]
    append(live, b" and more\nthree\n")
    logs.pull()
    logs.exact(b"one", b"two", b" and more", b"three")


@pytest.mark.parametrize("cut", range(7))
def test_records_of_several_lines_cut_anywhere(logs: Follower, cut: int) -> None:
    logs.settings = replace(logs.settings, record_start="# Time: ")
    rows = [b"# Time: 1\n", b"# User@Host: a\n", b"select 1;\n", b"# Time: 2\n", b"select\n", b"  2;\n", b"# Time: 3\n", b"x\n"]
    live = logs.folder / "slow.log"
    append(live, b"".join(rows[:cut]))
    logs.pull()
    live.rename(logs.folder / "slow.log.1")
    append(logs.folder / "slow.log.1", b"".join(rows[cut:]))
    logs.pull()
    logs.pull()
    logs.wait(minutes=6)
    logs.pull()
    logs.exact(b"# Time: 1\n# User@Host: a\nselect 1;", b"# Time: 2\nselect\n  2;", b"# Time: 3\nx")


def test_long_line_is_kept_whole_as_dead_letter_and_the_next_is_intact(logs: Follower) -> None:
    long = b"L" * (20 << 20)
    append(logs.folder / "a.log", b"before\n" + long + b"\nafter\n")
    assert logs.pull() == [b"before", b"after"]
    assert logs.dead == [("line_too_long", long)]
    logs.exact(b"before", b"after")


def test_endless_line_is_refused_in_pieces(logs: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.file.CHUNK", 1 << 20)
    monkeypatch.setattr("collectors.file.PIECE", 4 << 20)
    append(logs.folder / "a.log", b"L" * (9 << 20) + b"\nafter\n")
    assert logs.pull() == [b"after"]
    assert b"".join(raw for _, raw in logs.dead) == b"L" * (9 << 20)
    logs.exact(b"after")


def test_odd_bytes_stay(logs: Follower) -> None:
    odd = [b"nul\0inside", b"\xff\xfe not text", b"cr\rinside", "Nguyễn Văn A".encode(), b"\xc4\x90 tcvn \xae", b"trailing nul\0"]
    append(logs.folder / "a.log", b"\n".join(odd) + b"\r\n\r\n\n")
    logs.pull()
    logs.exact(*odd)


def test_carriage_returns_alone_end_lines(logs: Follower) -> None:
    append(logs.folder / "a.log", b"one\rtwo\rthree\r")
    assert logs.pull() == [b"one", b"two", b"three"]
    append(logs.folder / "a.log", b"four\r")
    logs.pull()
    logs.exact(b"one", b"two", b"three", b"four")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_that_grows_in_the_middle_of_a_character(logs: Follower, encoding: str) -> None:
    rows = ["đăng nhập thất bại ਊ", "上 dòng hai", "ba"]
    bom = b"\xff\xfe" if encoding == "utf-16-le" else b"\xfe\xff"
    data = bom + "".join(f"{row}\r\n" for row in rows).encode(encoding)
    for byte in range(0, len(data), 3):
        append(logs.folder / "ERRORLOG", data[byte : byte + 3])
        logs.pull()
    logs.exact(*(row.encode(encoding) for row in rows))
    assert encoding in logs.encodings


def test_byte_order_mark_of_utf8_is_no_text(logs: Follower) -> None:
    append(logs.folder / "a.csv", b"\xef\xbb\xbfdate,name\n1,2\n")
    logs.pull()
    logs.exact(b"date,name", b"1,2")


def test_switched_link(logs: Follower, tmp_path: Path) -> None:
    store = tmp_path / "real"
    store.mkdir()
    logs.settings = Settings(path="current.log")
    append(store / "1.log", text(0, 3))
    link = logs.folder / "current.log"
    link.symlink_to(store / "1.log")
    logs.pull()
    append(store / "1.log", text(3, 5))
    append(store / "2.log", text(10, 12))
    (logs.folder / "new").symlink_to(store / "2.log")
    (logs.folder / "new").rename(link)
    logs.pull()
    append(store / "1.log", text(5, 6))
    logs.pull()
    logs.exact(*lines(0, 6), *lines(10, 12))


def test_two_names_of_one_file_are_one_file(logs: Follower) -> None:
    append(logs.folder / "a.log", text(0, 3))
    (logs.folder / "b.log").hardlink_to(logs.folder / "a.log")
    (logs.folder / "c.log").symlink_to(logs.folder / "a.log")
    logs.pull()
    logs.exact(*lines(0, 3))


def test_wider_pattern_reads_only_what_is_new_to_it(logs: Follower) -> None:
    (logs.folder / "sub").mkdir()
    append(logs.folder / "a.log", text(0, 3))
    append(logs.folder / "sub" / "b.log", text(0, 3, "b"))
    logs.settings = Settings(path="*.log")
    logs.pull()
    logs.settings = Settings(path="**/*.log")
    assert logs.pull() == lines(0, 3, "b")
    logs.exact(*lines(0, 3), *lines(0, 3, "b"))


def test_replaced_by_a_longer_copy_of_itself(logs: Follower) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 30))
    logs.pull()
    append(logs.folder / ".part", text(0, 35))  # as rsync does
    (logs.folder / ".part").rename(live)
    logs.pull()
    logs.exact(*lines(0, 35))


def test_vanished_rest_is_told_once(logs: Follower, caplog: pytest.LogCaptureFixture) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 3) + b"half")
    logs.pull()
    live.unlink()
    with caplog.at_level(logging.WARNING):
        logs.pull()
        assert caplog.text == ""  # a rename may be under way
        logs.wait(minutes=2)
        logs.pull()
        logs.wait(minutes=2)
        logs.pull()
    assert caplog.text.count("is gone with 4 bytes that were not read yet") == 1
    assert '"lost": 4' in logs.checkpoints[f"{live}#1"]


def test_streams_without_files_are_forgotten_but_not_their_numbers(logs: Follower) -> None:
    live = logs.folder / "a.log"
    for number in range(3):
        live.unlink(missing_ok=True)
        append(live, text(10 * number, 10 * number + 2))
        logs.pull()
    assert sorted(logs.checkpoints) == [f"{live}#1", f"{live}#2", f"{live}#3"]
    live.unlink()
    logs.pull()
    logs.wait(days=8)
    logs.pull()
    assert sorted(logs.checkpoints) == [f"{live}#3"]
    append(live, text(50, 51))
    logs.pull()
    assert f"{live}#4" in logs.checkpoints


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up rights and take them back")
def test_a_file_that_may_not_be_read_is_told_and_stops_no_other(logs: Follower) -> None:
    shut, free = logs.folder / "a.log", logs.folder / "b.log"
    append(shut, text(0, 3))
    append(free, text(0, 3, "b"))
    shut.chmod(0)
    for folder in (logs.folder, *logs.folder.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o755)
    os.seteuid(65534)
    try:
        pulled = Files(logs.settings, logs.folder, logs.clock).pull([])
        batch = next(pulled)
        with pytest.raises(SourceError, match=r"a\.log: Permission denied"):
            next(pulled)
    finally:
        os.seteuid(0)
    logs.store(batch.checkpoint)
    assert batch.records.to_pylist() == lines(0, 3, "b")
    shut.chmod(0o644)
    assert logs.pull() == lines(0, 3)


def test_a_place_that_is_not_there(logs: Follower) -> None:
    logs.settings = Settings(path="nowhere/*.log")
    with pytest.raises(SourceError, match="nowhere: no such folder"):
        logs.pull()
    logs.settings = Settings(path="nothing.log")
    with pytest.raises(SourceError, match=r"nothing\.log: no such file"):
        logs.pull()
    logs.settings = Settings(path="")
    with pytest.raises(ConfigError, match="a file source needs path"):
        logs.pull()


def test_a_pipe_does_not_block(logs: Follower) -> None:
    os.mkfifo(logs.folder / "fifo")
    append(logs.folder / "a.log", text(0, 1))
    logs.pull()
    logs.exact(*lines(0, 1))


def test_truncated_while_it_is_read(logs: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    live = logs.folder / "a.log"
    append(live, text(0, 100))
    logs.pull()
    append(live, text(100, 200))
    before = identity.Tail.continued_by
    calls = []

    def rotating(tail: identity.Tail, content: object) -> bool:
        calls.append(1)
        if len(calls) == 3:  # after the piece was read, before it is checked
            shutil.copyfile(live, logs.folder / "a.log.1")
            os.truncate(live, 0)
            append(live, text(300, 600))
        return before(tail, content)  # type: ignore[arg-type]

    monkeypatch.setattr(identity.Tail, "continued_by", rotating)
    assert logs.pull() == []
    monkeypatch.undo()
    logs.pull()
    logs.exact(*lines(0, 200), *lines(300, 600))


def test_evidence_takes_the_last_line_at_once(logs: Follower) -> None:
    logs.idle = timedelta(0)
    append(logs.folder / "a.log", b"one\ntwo")
    logs.pull()
    logs.exact(b"one", b"two")
