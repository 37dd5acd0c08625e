"""Cases of a rule: raw lines through their parser, or ready fields, and whether the rule fires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from collectors.detect import parse
from detectors.sigma.gathered import Gathered, Where
from detectors.sigma.ruleset import RuleSet
from detectors.sigma.second import Second
from domain.errors import ContentError
from domain.event import Rows, TableBatch, row, table_of
from domain.raw import Checkpoint, RawBatch

_ARRIVAL = 1_794_700_800_000_000
"""15 November 2026, UTC: lines without a year are read as of then."""


def fires(rules: RuleSet, case: Sequence[Mapping[str, Any] | str], file: str) -> tuple[bool, str]:
    """Whether a rule or correlation of this file fires on the case's events, and the events as they were seen."""
    tables = [parsed(item) for item in case]
    passes = Second(rules)
    bases: list[Gathered] = []
    hit = False
    for order, table in enumerate(tables):
        batch = TableBatch(table)
        for key, rows in rules.matcher.run(batch):
            number = int(str(key))
            hit |= rules.rules[number].file == file
            if passes.uses(number):
                bases.append(passes.gather(number, batch, rows, _where(table, rows, order)))
    for _, done in passes.plan.run(bases):
        hit |= done.rule.file == file and bool(done.answer.holds.any())
    return hit, str([row(t, 0) for t in tables])


def _where(table: pa.Table, rows: Rows, order: int) -> Where:
    size = len(rows)
    at = table["@timestamp"].take(pa.array(rows)).cast(pa.int64()).to_numpy()
    places = np.full(size, order, np.int64)
    return Where(at, [""], np.zeros(size, np.int32), places, np.zeros(size, "V16"), np.zeros(size, np.bool_))


def parsed(item: Mapping[str, Any] | str) -> pa.Table:
    """One event: `raw` (with `parser`), or `fields`."""
    spec: Mapping[str, Any] = {"raw": item} if isinstance(item, str) else item
    if "fields" in spec:
        return table_of([spec["fields"]])
    if "raw" not in spec:
        raise ContentError("a case is a raw line, {raw, parser} or {fields}", where=str(spec)[:80])
    batch = RawBatch(
        "case", "", pa.array([str(spec["raw"]).encode()], pa.large_binary()), np.zeros(1, np.int64), np.full(1, _ARRIVAL, np.int64),
        Checkpoint("case", "", 1), parser=str(spec.get("parser", "auto")), tz=str(spec.get("tz", "+07:00")),
    )  # fmt: skip
    table = parse(batch)[0].table
    if "@timestamp" not in table.column_names:
        return table.append_column("@timestamp", pa.array([_ARRIVAL], pa.int64()).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC")))
    return table
