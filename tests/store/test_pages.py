"""Keywords over a store find what a search of every value finds, and dictionary pages hold what their columns hold."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.joined import joined
from domain.query import And, Test
from match import rows as matching
from match.keywords import searchable
from store.local import pages
from tests.store.events import delivery, events

LONG = "x" * 3_000_000
TEXTS = ["plain", "Mimi\u212aatz", "needle" + LONG, LONG + "NEEDLE", "đường", None, "ned", "le"]
KEYWORDS = [("needle",), ("mimikatz", "plain"), ("/x",), ("DLE",), ("đường",), ("200",), ("0.1",), ("nginx-ng",), ("absent everywhere",)]


@pytest.fixture
def filled(tmp_store):
    for first, text in enumerate(TEXTS):
        more = {"message": [text, "other"], "url__path": f"/x{first}", "tags": "a\x1eNeedle" if first == 4 else "b"}
        tmp_store.events.append(delivery(events(10 * first, 9, **more), parser="nginx"))
    return tmp_store


@pytest.mark.parametrize("words", KEYWORDS)
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_a_keyword_is_found_in_every_value(filled, words, narrow, together) -> None:
    keyword = Test(None, "contains", words)
    expr = And((Test("user.name", "eq", ("root",)), keyword)) if narrow else keyword
    found = set()
    for chunk in joined(filled.events.scan(0)) if together else filled.events.scan(0):
        found |= {i.hex() for i in chunk.ids().take(pa.array(matching(expr, chunk))).to_pylist()}
    expected = set()
    for chunk in filled.events.scan(0):
        for event in chunk.table().to_pylist():
            texts = [str(value) for name, value in event.items() if searchable(name) and value is not None]
            hit = any(word.lower() in text.lower() for word in words for text in texts)
            if hit and (not narrow or event["user.name"] == "root"):
                expected.add(event["event.id"].hex())
    assert found == expected


def test_several_rules_with_keywords_are_answered_by_one_search(filled) -> None:
    (chunk, *_) = joined(filled.events.scan(0))
    assert [len(matching(Test(None, "contains", (word,)), chunk)) for word in ("needle", "plain", "mimikatz")] == [19, 5, 5]


def written(path, *, codec="zstd", dictionary=True, checksum=True):
    values = ["one", "two", None, "three" * 9, "two"]
    pq.write_table(
        pa.table({"a": values, "n": [1, 2, 3, 4, 5]}), path, compression=codec, use_dictionary=dictionary, write_page_checksum=checksum
    )
    return pq.ParquetFile(path).metadata.row_group(0)


def page(path, column):
    file = os.open(path, os.O_RDONLY)
    try:
        return pages.dictionary(file, column)
    finally:
        os.close(file)


@pytest.mark.parametrize("codec", ["zstd", "none"])
def test_a_dictionary_page_holds_the_distinct_values(tmp_path, codec) -> None:
    known = written(tmp_path / "a.parquet", codec=codec)
    expected = b"".join(len(v).to_bytes(4, "little") + v for v in (b"one", b"two", b"three" * 9))
    assert page(tmp_path / "a.parquet", known.column(0)) == expected
    assert page(tmp_path / "a.parquet", known.column(1)) is None


@pytest.mark.parametrize("more", [{"dictionary": False}, {"checksum": False}, {"codec": "snappy"}])
def test_what_is_written_otherwise_is_left_to_the_reader(tmp_path, more) -> None:
    assert page(tmp_path / "a.parquet", written(tmp_path / "a.parquet", **more).column(0)) is None


def test_nothing_is_asked_of_a_row_group_without_rows(tmp_path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), path, write_page_checksum=True)
    assert page(path, pq.ParquetFile(path).metadata.row_group(0).column(0)) is None


def test_a_dictionary_so_large_that_values_may_stand_elsewhere_is_left_to_the_reader(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.parquet"
    monkeypatch.setattr(pages, "WHOLE", 6_000)
    found = []
    for count in (100, 2_000):
        values = [f"value {n:06}" for n in range(count)]
        pq.write_table(pa.table({"a": values}), path, compression="zstd", dictionary_pagesize_limit=6_000, write_page_checksum=True)
        found.append(page(path, pq.ParquetFile(path).metadata.row_group(0).column(0)))
    assert (len(found[0]), found[1]) == (100 * 16, None)


def test_a_damaged_header_asks_for_no_more_than_the_column_holds(tmp_path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": pa.array([b"one"])}), path, use_dictionary=False, write_statistics=False, write_page_checksum=True)
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    whole, at = path.read_bytes(), column.data_page_offset
    path.write_bytes(whole[: at + 4] + b"\x15\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + whole[at + 4 :])
    with path.open("rb") as file:
        assert pages.values(file.fileno(), column, np.array([0], np.int32)) is None


def test_no_damage_goes_unseen(tmp_path) -> None:
    path = tmp_path / "a.parquet"
    column = written(path).column(0)
    good, whole = page(path, column), path.read_bytes()
    start, end = column.dictionary_page_offset, column.data_page_offset
    for at in range(start, end):
        for bit in (1, 0x80):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
            assert page(path, column) in (None, good)
    path.write_bytes(whole[: start + 9])
    assert page(path, column) is None


def test_rows_asked_for_are_the_rows_answered(filled) -> None:
    (chunk, *_) = joined(filled.events.scan(0))
    asked = np.arange(0, chunk.rows, 2, dtype=np.int32)
    sought = chunk.search(("needle",), asked)
    assert set(sought.at.tolist()) <= set(range(len(asked)))
    names = [name for name in sought.batch.fields() if sought.batch.column(name, sought.rows) is not None]
    assert set(names) == {"message", "tags"}


@pytest.mark.parametrize("asked", [[0], [1023, 1024, 1025], [2999], [5, 700, 2048, 2999], []])
def test_few_rows_of_many_are_read_from_their_pages(tmp_path, asked) -> None:
    records = [b"record %d " % n * (n % 90) for n in range(3000)]
    path = tmp_path / "a.parquet"
    schema = pa.schema([("r", pa.large_binary())])
    with pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=False, write_statistics=False, write_page_checksum=True
    ) as writer:
        writer.write_table(pa.table({"r": pa.array(records, pa.large_binary())}, schema))
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    whole = path.read_bytes()
    with path.open("rb") as file:
        assert pages.values(file.fileno(), column, np.array(asked, np.int32)) == [records[n] for n in asked]
    for at in range(column.data_page_offset, column.data_page_offset + column.total_compressed_size, 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        with path.open("rb") as file:
            assert pages.values(file.fileno(), column, np.arange(0, 3000, 7, dtype=np.int32)) in (None, records[::7])


def test_a_column_with_gaps_is_left_to_the_reader(tmp_path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"r": pa.array([b"a", None, b"c"], pa.large_binary())}),
        path,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    with path.open("rb") as file:
        assert pages.values(file.fileno(), pq.ParquetFile(path).metadata.row_group(0).column(0), np.array([0], np.int32)) is None


def test_originals_of_few_events_are_those_of_all(filled) -> None:
    for chunk in filled.events.scan(0):
        whole = chunk.table()
        for rows in ([3], [4, 0], [1, 1, 2]):
            few = chunk.table(rows)
            assert few.column_names == whole.column_names
            assert few["event.original"].to_pylist() == whole["event.original"].take(rows).to_pylist()
            assert (
                chunk.table(rows, ["event.original", "user.name"]).to_pylist()
                == whole.select(["event.original", "user.name"]).take(rows).to_pylist()
            )
