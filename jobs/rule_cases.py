"""Cases of a rule: raw lines through their parser, or ready fields, and whether the rule fires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from collectors.detect import parse
from detectors.sigma import correlate, second
from detectors.sigma.ruleset import RuleSet
from domain.errors import ContentError
from domain.event import TableBatch, row, table_of
from domain.raw import Checkpoint, RawBatch

_ARRIVAL = 1_794_700_800_000_000
"""15 November 2026, UTC: lines without a year are read as of then."""


def fires(rules: RuleSet, case: Sequence[Mapping[str, Any] | str], file: str) -> tuple[bool, str]:
    """Whether a rule or correlation of this file fires on the case's events, and the events as they were seen."""
    tables = [parsed(item) for item in case]
    correlations = second.readable(rules)
    users = second.users(rules, correlations)
    bases: dict[int, list[correlate.Hit]] = {}
    hit = False
    for order, table in enumerate(tables):
        batch = TableBatch(table)
        for key, rows in rules.matcher.run(batch):
            number = int(str(key))
            hit |= rules.rules[number].file == file
            for index, name in users.get(number, ()):
                bases.setdefault(index, []).extend(_base(rules, correlations[index], name, number, batch, rows, order))
    found: list[tuple[correlate.Correlation, list[correlate.Episode]]] = []
    for index, correlation in enumerate(correlations):
        passed = [h for child, its in found for h in correlate.passed_on(child, its, correlation)]
        found.append((correlation, correlate.episodes(correlation, [*bases.get(index, ()), *passed])))
        hit |= correlation.file == file and bool(found[-1][1])
    return hit, str([row(t, 0) for t in tables])


def _base(  # noqa: PLR0913, PLR0917  one call in the middle of a long expression
    rules: RuleSet, rule: correlate.Correlation, name: str, number: int, batch: TableBatch, rows: Any, order: int
) -> list[correlate.Hit]:
    names = second.mapped_fields(rule, name, rules.rules[number].source)
    *groups, values = [correlate.texts(batch, f, rows) if f else [None] * len(rows) for f in names]
    out = []
    for place, at in enumerate(batch.table["@timestamp"].take(pa.array(rows)).to_pylist()):
        key = [column[place] for column in groups]
        if all(k is not None for k in key):
            out.append(correlate.Hit(at.timestamp(), order, name, tuple(map(str, key)), values[place], str(order)))
    return out


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
