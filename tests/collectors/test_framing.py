"""Bytes to records: the fast way and the slow way give what a plain split gives."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import framing

ALPHABET = st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b"bc", b"\0", b"\xff", "ễ".encode()]), max_size=60).map(b"".join)


def plainly(data: bytes) -> list[tuple[int, bytes]]:
    """The same, one line at a time."""
    out, at = [], 0
    for line in data.split(b"\n"):
        record = line.removesuffix(b"\r")
        hole = re.match(rb"\0{16,}", record)
        start = hole.end() if hole else 0
        if record[start:]:
            out.append((at + start, record[start:]))
        at += len(line) + 1
    return out


@given(ALPHABET)
def test_like_a_plain_split(data: bytes) -> None:
    cut = framing.cut(data, 0, last=True)
    got = list(zip(cut.positions.tolist(), cut.records.to_pylist(), strict=True))
    assert got == plainly(data)
    assert cut.used == len(data)


@given(ALPHABET, st.integers(1, 7))
def test_pieces_give_what_the_whole_gives(data: bytes, size: int) -> None:
    whole = framing.cut(data, 0, last=True).records.to_pylist()
    got, base, seen = [], 0, 0
    while base < len(data):
        seen = min(seen + size, len(data))
        piece = framing.cut(data[base:seen], base, last=seen == len(data))
        got += piece.records.to_pylist()
        base += piece.used
    assert got == whole


TEXTS = st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1), max_size=20)


@given(rows=TEXTS, form=st.sampled_from([("utf-16-le", b"\n\0"), ("utf-16-be", b"\0\n")]))
def test_utf16(rows: list[str], form: tuple[str, bytes]) -> None:
    encoding, mark = form
    cut = framing.cut("".join(f"{row}\r\n" for row in rows).encode(encoding), 2, mark)
    assert [raw.decode(encoding) for raw in cut.records.to_pylist()] == rows


def test_at_most_so_many_records_at_once() -> None:
    cut = framing.cut(b"x\n" * (framing.ROWS + 5), 7)
    assert len(cut.records) == framing.ROWS
    assert cut.used == 2 * framing.ROWS
    assert cut.positions[-1] == 7 + 2 * (framing.ROWS - 1)


def test_at_the_limit_a_record_is_kept_beyond_it_refused() -> None:
    cut = framing.cut(b"a" * framing.LIMIT + b"\n" + b"b" * (framing.LIMIT + 1) + b"\nc\n", 0)
    assert [len(raw) for raw in cut.records.to_pylist()] == [framing.LIMIT, 1]
    assert [(position, reason, len(raw)) for position, reason, raw in cut.dead] == [(framing.LIMIT + 1, "line_too_long", framing.LIMIT + 1)]


@pytest.mark.parametrize(
    ("first", "style"),
    [
        pytest.param(b"\xff\xfea\0", framing.Style("utf-16-le", b"\n\0", 2), id="UTF-16LE mark"),
        pytest.param(b"\xfe\xff\0a", framing.Style("utf-16-be", b"\0\n", 2), id="UTF-16BE mark"),
        pytest.param(b"\xef\xbb\xbfa", framing.Style("utf-8", b"\n", 3), id="UTF-8 mark"),
        pytest.param(b"a\rb\rc\r", framing.Style("cp1258", b"\r"), id="carriage returns only"),
        pytest.param(b"a\r", framing.Style("cp1258", b"\n"), id="CRLF under way"),
        pytest.param(b"a\rb\rc\n", framing.Style("cp1258", b"\n"), id="both"),
    ],
)
def test_style(first: bytes, style: framing.Style) -> None:
    assert framing.style(first, "cp1258") == style
