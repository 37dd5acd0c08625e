"""Cases of a rule: raw lines through their parser, or ready fields, and whether the rule fires. All cases of a rule are read together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors import JOINING
from collectors.detect import parse
from detectors.sigma.gathered import Gathered, Ints, Where
from detectors.sigma.ruleset import RuleSet
from detectors.sigma.second import Second
from domain.errors import ContentError
from domain.event import Rows, TableBatch, row, table_of
from domain.raw import Checkpoint, RawBatch

Item: TypeAlias = Mapping[str, Any] | str
"""One event of a case: a raw line, `{raw, parser, tz}` or `{fields}`."""

_ARRIVAL = 1_794_700_800_000_000
"""15 November 2026, UTC: lines without a year are read as of then."""
_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Part:
    """Events of cases in one table, each seen as if it had come alone."""

    table: pa.Table
    """One row for each event."""
    case: Ints
    """Number of the case, for each row."""
    place: Ints
    """Place of the event in its case, from 0, for each row."""


def read(cases: Sequence[Sequence[Item]]) -> list[Part]:
    """The events of numbered cases. ContentError: an event of no known form; ConfigError: an unknown parser or time zone."""
    groups: dict[tuple[str, str], list[tuple[int, int, Any]]] = {}
    for number, case in enumerate(cases):
        for place, item in enumerate(case):
            key, said = _form(item)
            groups.setdefault(key, []).append((number, place, said))
    out = []
    for (parser, tz), events in groups.items():
        spots = np.array([event[:2] for event in events], np.int64)
        said = [event[2] for event in events]
        tables = _parsed(said, parser, tz) if parser else [(np.arange(len(said)), table_of(said))]
        out += [Part(table, spots[rows, 0], spots[rows, 1]) for rows, table in tables]
    return out


def _form(item: Item) -> tuple[tuple[str, str], Any]:
    """(parser and time zone, the raw line); without a parser: the fields."""
    spec: Mapping[str, Any] = {"raw": item} if isinstance(item, str) else item
    if "fields" in spec:
        return ("", ""), spec["fields"]
    if "raw" not in spec:
        raise ContentError("a case is a raw line, {raw, parser} or {fields}", where=str(spec)[:80])
    return (str(spec.get("parser", "auto")), str(spec.get("tz", "+07:00"))), str(spec["raw"]).removeprefix("\ufeff")


def _parsed(lines: Sequence[str], parser: str, tz: str) -> list[tuple[Ints, pa.Table]]:
    """(numbers of lines, their events); lines that would speak for one another are parsed one by one."""
    size = len(lines)
    batch = RawBatch(
        "case", "", pa.array([line.encode() for line in lines], pa.large_binary()), np.zeros(size, np.int64),
        np.full(size, _ARRIVAL, np.int64), Checkpoint("case", "", 1), parser=parser, tz=tz,
    )  # fmt: skip
    out: list[tuple[Ints, pa.Table]] = []
    for found in parse(batch):
        rows = found.rows.astype(np.int64)
        if found.parser in JOINING and len(rows) > 1:
            out += [(rows[n : n + 1], table) for n in range(len(rows)) for _, table in _parsed([lines[rows[n]]], parser, tz)]
        else:
            out.append((rows, _timed(found.table)))
    return out


def _timed(table: pa.Table) -> pa.Table:
    """With the time of arrival where the event tells none."""
    if "@timestamp" not in table.column_names:
        table = table.append_column("@timestamp", pa.nulls(table.num_rows, _TIME))
    place = table.schema.get_field_index("@timestamp")
    return table.set_column(place, "@timestamp", pc.fill_null(table["@timestamp"], pa.scalar(_ARRIVAL, pa.int64()).cast(_TIME)))


def fires(rules: RuleSet, parts: Sequence[Part], size: int, file: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """For each of `size` cases whether a rule or correlation of this file fires on its events."""
    passes = Second(rules)
    bases: list[list[Gathered]] = [[] for _ in range(size)]
    hit = np.zeros(size, np.bool_)
    for part in parts:
        batch = TableBatch(part.table)
        for key, rows in rules.matcher.run(batch):
            number = int(str(key))
            hit[part.case[rows]] |= rules.rules[number].file == file
            for case in np.unique(part.case[rows]).tolist() if passes.uses(number) else ():
                own = rows[part.case[rows] == case]
                bases[case].append(passes.gather(number, batch, own, _where(part, own)))
    for case, found in enumerate(bases):
        for _, done in passes.plan.run(found):
            hit[case] |= done.rule.file == file and bool(done.answer.holds.any())
    return hit


def _where(part: Part, rows: Rows) -> Where:
    size = len(rows)
    at = _timed(part.table)["@timestamp"].take(pa.array(rows)).cast(pa.int64()).to_numpy()
    return Where(at, [""], np.zeros(size, np.int32), part.place[rows], np.zeros(size, "V16"), np.zeros(size, np.bool_))


def seen(case: Sequence[Item]) -> str:
    """The events of a case as rules see them, in its order."""
    return str([row(read([[item]])[0].table, 0) for item in case])
