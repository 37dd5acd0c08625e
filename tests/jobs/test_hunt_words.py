"""Keywords in a hunt: values that records write in another way (%20, hex, numbers for names, fields of sibling records) are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from collectors.detect import parse
from detectors.sigma.model import LogSource, Rule
from detectors.sigma.ruleset import RuleSet
from domain.alert import RuleRef
from domain.event import TableBatch
from domain.query import TRUE, Test
from domain.raw import Checkpoint, RawBatch
from jobs.hunt import Hunter
from jobs.hunt_tasks import lot
from match.folded import safe_word
from match.keywords import searchable

GOLDEN = Path(__file__).parents[1] / "data" / "parsers"
REGISTRY = (
    rb'{"EventID": 4657, "Channel": "Security", "ObjectName": "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\x", "ObjectValueName":'
    rb' "Start", "NewValueType": "%%1876", "NewValue": "4", "Odd": 0.0000001}'
)


def _batch(lines: list[bytes]) -> RawBatch:
    numbers = np.arange(len(lines), dtype=np.int64)
    return RawBatch("s", "", pa.array(lines, pa.large_binary()), numbers, np.zeros(len(lines), np.int64), Checkpoint("s", "", len(lines)))


def _rules(word: str) -> RuleSet:
    return RuleSet([Rule(RuleRef("1", "1", "high", ""), TRUE, Test(None, "contains", (word,)), "", LogSource())])


def _hidden(batch: RawBatch) -> Iterator[str]:
    """For each column one word of a value that its record does not write so."""
    for group in parse(batch):
        for name in filter(searchable, group.table.column_names):
            column = group.table[name].to_pylist()
            pairs = zip((safe_word(v.lower()) if isinstance(v, str) else "" for v in column), group.rows, strict=True)
            yield from [word for word, row in pairs if word and word.encode() not in batch.records[int(row)].as_py().lower()][:1]


@pytest.mark.parametrize("log", sorted(GOLDEN.glob("*/*.log")), ids=lambda log: f"{log.parent.name}/{log.stem}")
def test_words_that_only_parsing_shows_are_found(log: Path) -> None:
    batch = _batch(log.read_bytes().rstrip(b"\n").split(b"\n"))
    for word in sorted(set(_hidden(batch))):
        rules = _rules(word)
        whole = [int(g.rows[row]) for g in parse(batch) for _, rows in rules.matcher.run(TableBatch(g.table)) for row in rows]
        assert [hit.record for hit in Hunter(rules).step(lot([batch])).hits] == sorted(whole)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b'10.20.1.9 - - [24/Nov/2026:08:15:05 +0700] "GET /t?q=%27%20UNION%20SELECT HTTP/1.1" 500 0 "-" "x"', "union select"),
        (REGISTRY, "currentcontrolset"),
        (REGISTRY, "dword (0x00000004)"),
        (REGISTRY, "1e-07"),
        (b'type=EXECVE msg=audit(1795482903.120:7001): argc=3 a0="sh" a1="-c" a2=2F62696E2F7368202D69', "/bin/sh -i"),
    ],
)
def test_an_attack_written_in_escapes(line: bytes, word: str) -> None:
    assert [hit.record for hit in Hunter(_rules(word)).step(lot([_batch([line])])).hits] == [0]


def test_a_header_line_counts_for_records_that_are_read_again() -> None:
    """IIS: what a column is called stands in another record."""
    head = (
        b"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip sc-status sc-substatus sc-win32-status cs-host"
    )
    lines = [
        head,
        b"2026-11-24 01:02:03 10.0.0.2 POST /x.aspx cmd=whoami 443 - 10.1.1.9 200 0 0 shop.example",
        b"2026-11-24 01:02:04 10.0.0.2 GET /i.aspx - 443 - 2001:db8::8 200 0 0 shop.example",
    ]
    found = Rule(RuleRef("1", "1", "high", ""), Test("url.path", "eq", ("/x.aspx",)), Test(None, "contains", ("whoami",)), "", LogSource())
    (hit,) = Hunter(RuleSet([found])).step(lot([_batch(lines)])).hits
    assert hit.event is not None
    assert (hit.record, hit.event["url.path"], hit.event["source.ip"]) == (1, "/x.aspx", "10.1.1.9")
