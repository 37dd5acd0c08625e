"""Whole files: text, compressed, archives, EVTX; numbers that people can find again; damage that is told, not raised."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from collectors import evtx, lines, whole
from domain.i18n import t


def read(path: Path) -> tuple[list[tuple[str, int, bytes]], list[whole.Problem]]:
    problems: list[whole.Problem] = []
    out = []
    for file, label in whole.files(path):
        for batch in whole.batches(file, label, 0, problems.append):
            out += [(batch.source, p, r) for p, r in zip(batch.positions.tolist(), batch.records.to_pylist(), strict=True)]
    return out, problems


def test_lines_keep_their_numbers_without_line_ends_and_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\r\n\n\x00two\xff\nlast")
    assert read(tmp_path / "a.log") == ([("a.log", 0, b"one"), ("a.log", 2, b"\x00two\xff"), ("a.log", 3, b"last")], [])


def test_folders_give_relative_paths(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "b.log").write_bytes(b"b\n")
    (tmp_path / "a.log").write_bytes(b"a\n")
    assert read(tmp_path)[0] == [("a.log", 0, b"a"), ("x/y/b.log", 0, b"b")]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_compressed(tmp_path: Path, pack: object) -> None:
    (tmp_path / "f").write_bytes(pack(b"1\n2\n"))  # type: ignore[operator]
    assert read(tmp_path / "f")[0] == [("f", 0, b"1"), ("f", 1, b"2")]


def test_archive_members_are_named_and_never_become_paths(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("../../evil.log", "z\n")
    with tarfile.open(tmp_path / "t.tar.xz", "w:xz") as packed:
        info = tarfile.TarInfo("d/m.log")
        info.size = 2
        packed.addfile(info, io.BytesIO(b"t\n"))
    assert read(tmp_path)[0] == [("t.tar.xz!d/m.log", 0, b"t"), ("z.zip!../../evil.log", 0, b"z")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.tar.xz", "z.zip"]


def test_utf16_with_mark(tmp_path: Path) -> None:
    (tmp_path / "u.log").write_bytes(b"\xff\xfe" + "Đỗ\nVăn\n".encode("utf-16-le"))
    assert [r for _, _, r in read(tmp_path / "u.log")[0]] == ["Đỗ".encode(), "Văn".encode()]


def test_a_line_beyond_the_limit_is_told_and_the_next_is_whole(tmp_path: Path) -> None:
    (tmp_path / "big.log").write_bytes(b"before\n" + b"x" * (whole.MAX_LINE + 9_000_000) + b"\nafter\n")
    records, problems = read(tmp_path / "big.log")
    assert records == [("big.log", 0, b"before"), ("big.log", 2, b"after")]
    assert problems == [whole.Problem("big.log", t("collect.long_line", line=1, size=whole.MAX_LINE + 9_000_000, limit=whole.MAX_LINE))]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.gz", gzip.compress(b"x" * 100_000)[:60]),
        ("bad.zip", b"PK\x03\x04" + b"\x00" * 50),
        ("cut.evtx", b"ElfFile\x00" + b"\x00" * 4088),
        ("h.evtx", b"ElfFile\x00"),
    ],
    ids=["gz", "zip", "evtx", "evtx header"],
)
def test_damage_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    records, problems = read(tmp_path / name)
    assert records == [] or name == "cut.gz"
    assert [p.source for p in problems] == [name] or (name == "cut.evtx" and not problems)


def test_empty_files_are_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_bytes(b"")
    assert read(tmp_path / "empty.log") == ([], [])


def _log(count: int, chunks: bytes) -> bytes:
    """An event log whose header counts `count` chunks."""
    head = b"ElfFile\0" + bytes(24) + (128).to_bytes(4, "little") + b"\1\0\3\0\0\x10" + count.to_bytes(2, "little")
    return head.ljust(4096, b"\0") + chunks


@pytest.mark.parametrize(("size", "told"), [(5_000, (0, 2)), (70_000, (1, 2)), (4096 + 2 * 65_536, None)])
def test_an_event_log_cut_off_is_told(size: int, told: tuple[int, int] | None) -> None:
    raw = io.BytesIO(_log(2, b"ElfChnk\0".ljust(65_536, b"\0") * 2)[:size])
    lacking = evtx.cut(raw)
    assert lacking == (t("collect.evtx_cut", present=told[0], count=told[1]) if told else "")
    assert raw.tell() == 0


def test_a_cut_and_an_empty_event_log_are_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "cut.evtx").write_bytes(_log(2, b"ElfChnk\0"))
    (tmp_path / "none.evtx").touch()
    told = {p.source: p.reason for p in reversed(read(tmp_path)[1])}
    assert told["cut.evtx"].startswith(evtx.cut(io.BytesIO(_log(2, b"ElfChnk\0"))))
    assert "0 byte" in told["none.evtx"]


def test_what_precedes_the_cut_of_a_compressed_file_is_read(tmp_path: Path) -> None:
    lines = [hashlib.sha256(str(n).encode()).hexdigest().encode() for n in range(5_000)]
    packed = gzip.compress(b"\n".join(lines))
    (tmp_path / "a.gz").write_bytes(packed[: len(packed) // 2])
    found, problems = read(tmp_path / "a.gz")
    assert len(found) > 1_000
    assert [r for _, _, r in found[:-1]] == lines[: len(found) - 1]
    assert [p.source for p in problems] == ["a.gz"]


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def test_archives_inside_archives(tmp_path: Path) -> None:
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as packed:
        info = tarfile.TarInfo("d/m.log")
        info.size = 2
        packed.addfile(info, io.BytesIO(b"t\n"))
    inner = zipped(("a.log", b"a\n"), ("b.log.gz", gzip.compress(b"b\n")))
    (tmp_path / "o.zip").write_bytes(zipped(("i.zip", inner), ("t.tar.gz", tarred.getvalue())))
    found = [("o.zip!i.zip!a.log", 0, b"a"), ("o.zip!i.zip!b.log.gz", 0, b"b"), ("o.zip!t.tar.gz!d/m.log", 0, b"t")]
    assert read(tmp_path) == (found, [])


def test_too_many_archives_inside_each_other_are_told(tmp_path: Path) -> None:
    content = b"x\n"
    for depth in range(whole.MAX_DEPTH + 2):
        content = zipped((f"{depth}.zip", content))
    (tmp_path / "z.zip").write_bytes(content)
    records, problems = read(tmp_path)
    assert records == []
    assert [p.reason for p in problems] == [t("collect.too_deep", n=whole.MAX_DEPTH)]
    assert problems[0].source == "z.zip!4.zip!3.zip!2.zip!1.zip"[: len(problems[0].source)]


def test_locked_members_are_told_and_the_others_are_read(tmp_path: Path) -> None:
    content = bytearray(zipped(("secret.log", b"s\n"), ("open.log", b"o\n")))
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "z.zip").write_bytes(content)
    assert read(tmp_path) == ([("z.zip!open.log", 0, b"o")], [whole.Problem("z.zip", t("collect.locked", n=1, name="secret.log"))])


@pytest.mark.parametrize(
    ("head", "key", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "no_log", "PNG"),
        (b"MZ\x90\0\x03\0\0\0", "no_log", "EXE, DLL"),
        (b"7z\xbc\xaf\x27\x1c", "pack_unknown", "7-Zip"),
    ],
    ids=["picture", "program", "archive"],
)
def test_what_is_no_log_is_told_not_read(tmp_path: Path, head: bytes, key: str, kind: str) -> None:
    (tmp_path / "f").write_bytes(head + bytes(100))
    (tmp_path / "z.zip").write_bytes(zipped(("f", head + bytes(100))))
    reason = t(f"collect.{key}", kind=kind)
    assert read(tmp_path) == ([], [whole.Problem("f", reason), whole.Problem("z.zip!f", reason)])


def test_a_log_may_begin_like_a_program(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"MZ-2026 started\n")
    assert read(tmp_path / "f")[0] == [("f", 0, b"MZ-2026 started")]


def test_links_are_told_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "up").symlink_to("..")
    (tmp_path / "d" / "gone").symlink_to("nowhere")
    problems: list[whole.Problem] = []
    assert list(whole.files(tmp_path, problems.append)) == []
    assert problems == [whole.Problem("d/up", t("collect.link")), whole.Problem("d/gone", t("collect.broken_link"))]


def test_utf16_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 7)
    (tmp_path / "u.log").write_bytes(b"\xff\xfe" + "Đỗ Văn\r\n😀 hai\nba".encode("utf-16-le"))
    assert [r for _, _, r in read(tmp_path / "u.log")[0]] == ["Đỗ Văn".encode(), "😀 hai".encode(), b"ba"]


def test_parts_of_a_file_with_a_line_longer_than_two_blocks_give_every_record_once(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_bytes(b"first\n" + b"y" * (60 << 20) + b"\n" + b"".join(b"%d\n" % n for n in range(2_000_000)))
    problems: list[whole.Problem] = []
    found = [b for span in whole.spans(path, whole.LINES) for b in whole.part(path, span, "long.log", 0, problems.append)]
    positions = np.concatenate([batch.positions for batch in found])
    assert np.array_equal(positions, np.array([0, *range(2, 2_000_002)]))
    assert found[-1].records[-1].as_py() == b"1999999"
    assert [p.reason for p in problems] == [t("collect.long_line", line=1, size=60 << 20, limit=16 << 20)]


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_small_file_takes_no_large_buffer(tmp_path: Path) -> None:
    (tmp_path / "small.log").write_bytes(b"one\ntwo\n")
    assert _peak(lambda: read(tmp_path)) < 2 << 20


def test_a_line_without_end_is_not_held_to_find_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_bytes(b"y" * (120 << 20) + b"\nlast")
    assert _peak(lambda: list(whole.spans(path, whole.LINES))) < 48 << 20
    assert list(whole.spans(path, whole.LINES)) == [whole.Span(0, (120 << 20) + 1), whole.Span((120 << 20) + 1, (120 << 20) + 5, 1)]


@pytest.mark.parametrize("size", [lines._FIRST - 1, lines._FIRST, lines._FIRST + 1, 3 * lines._FIRST])
def test_a_file_as_large_as_the_first_buffer(tmp_path: Path, size: int) -> None:
    content = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    (tmp_path / "edge.log").write_bytes(content)
    found, problems = read(tmp_path)
    assert (b"\n".join(record for _, _, record in found), problems) == (content.removesuffix(b"\n"), [])


@pytest.mark.parametrize("left", [0, 40_000_000, 64_000_000])
def test_a_file_that_becomes_shorter_while_it_is_read_is_told_once(tmp_path: Path, left: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"0123456\n" * 9_000_000)
    spans = list(whole.spans(path, whole.LINES))
    os.truncate(path, left)
    problems: list[whole.Problem] = []
    found = sum(len(b.records) for span in spans for b in whole.part(path, span, "log", 0, problems.append))
    assert found == left // 8
    assert problems == [whole.Problem("log", t("collect.shrank"))]


def test_damage_of_one_file_is_told_once() -> None:
    one, two, other = whole.Problem("a.evtx", "bad magic", 3), whole.Problem("a.evtx", "crc", 2), whole.Problem("b.evtx", "crc", 1)
    found = whole.together([one, whole.Problem("a.evtx", "cut off"), two, other, whole.Problem("a.evtx", "cut off")])
    assert [(p.source, p.reason) for p in found] == [
        ("a.evtx", t("collect.evtx_damaged", n=5, error="bad magic")), ("a.evtx", "cut off"), ("b.evtx", t("collect.evtx_damaged", n=1, error="crc")),
        ("a.evtx", "cut off"),
    ]  # fmt: skip
