"""`soc rules explain`: which rule, and which event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa

from domain import titles
from domain.clock import iso_local
from domain.errors import ContentError, UsageError
from domain.event import table_of
from domain.raw import RawBatch
from jobs import rulesets

if TYPE_CHECKING:
    from detectors.sigma.correlation import Correlation
    from detectors.sigma.model import Rule
    from detectors.sigma.ruleset import RuleSet
    from domain.alert import RuleRef
    from domain.query import Expr
    from jobs.runtime import Runtime

_PLACE = re.compile(r"(.+)([:#])(\d+)")
_NAMED = 5
"""Rules that a message lists."""


@dataclass(frozen=True)
class Found:
    """A rule or a correlation, and the set it stands in."""

    rules: RuleSet
    rule: Rule | None = None
    bare: Expr | None = None
    """The condition of `rule` without filters."""
    correlation: Correlation | None = None

    @property
    def ref(self) -> RuleRef:
        """Its identity."""
        found = self.rule or self.correlation
        assert found is not None  # noqa: S101  one of both is there
        return found.ref


def find_rule(runtime: Runtime, name: str, roots: list[str]) -> Found:
    """By id or its unique prefix, by a file, or by words of the title. UsageError lists the candidates; ContentError: the file is wrong."""
    from detectors.sigma.second import Second

    if Path(name).is_file():
        roots, name = [name], ""
    rules = rulesets.load(runtime, roots)
    correlations = Second(rules).correlations
    folded = name.lower()
    every: list[Rule | Correlation] = [*rules.rules, *correlations]
    found = [r for r in every if _called(r.ref, folded)]
    if not name and correlations and len(found) > 1:
        found = list(correlations)
    exact = [r for r in found if r.ref.id == folded]
    if len(exact or found) == 1:
        return _found(rules, (exact or found)[0])
    blind = [b for b in rules.blind if name and (b.id.startswith(folded) or folded in b.title.lower())]
    if not found and blind:
        raise UsageError(f"{blind[0].title} is BLIND: {blind[0].reason}", where=blind[0].file)
    if not found and rules.broken and not name:
        raise ContentError(rules.broken[0].reason, where=f"{rules.broken[0].file}:{rules.broken[0].line}", hint="soc rules lint")
    listed = "; ".join(f"{r.ref.id[:8]} {r.ref.title}" for r in found[:_NAMED])
    raise UsageError(f"{len(found)} rules are called {name}" + (f": {listed}" if listed else ""), hint="soc rules list")


def _called(ref: RuleRef, folded: str) -> bool:
    return ref.id.startswith(folded) or folded in ref.title.lower() or folded in titles.title(ref).lower()


def _found(rules: RuleSet, one: Rule | Correlation) -> Found:
    from detectors.sigma.model import Rule

    if not isinstance(one, Rule):
        return Found(rules, correlation=one)
    number = next(n for n, rule in enumerate(rules.rules) if rule is one)
    return Found(rules, one, rules.bare.get(number, one.body))


@dataclass(frozen=True)
class Event:
    """One event as a table of one row."""

    table: pa.Table
    stored: bool
    """It lies in the store."""


def find_event(runtime: Runtime, text: str, parser: str) -> Event:
    """An event id (or prefix) of the store, or FILE, FILE:LINE (1-based; EVTX: record id), FILE#RECORD (as `soc hunt` shows it)."""
    place = _PLACE.fullmatch(text)
    if Path(text).is_file():
        return Event(_record(Path(text), None, parser), stored=False)
    if place and Path(place[1]).is_file():
        return Event(_record(Path(place[1]), (place[2], int(place[3])), parser), stored=False)
    if place and place[1].endswith((".evtx", ".log", ".json", ".jsonl", ".ndjson")):
        raise UsageError(f"no such file: {place[1]}")
    from jobs.search import resolve

    found = runtime.store.events.fetch([resolve(runtime.store.events, text)])
    if not found.num_rows:
        raise UsageError(f"no event {text}", hint="soc search QUERY --fields event.id")
    return Event(found, stored=True)


def _record(path: Path, place: tuple[str, int] | None, parser: str) -> pa.Table:
    """The record at a place of a file, the first one without a place."""
    from collectors import evtx, whole

    with path.open("rb") as raw:
        binary = raw.read(len(evtx.MAGIC)) == evtx.MAGIC
    wanted = None if place is None else place[1] - (place[0] == ":" and not binary)
    problems: list[whole.Problem] = []
    for batch in whole.batches(path, path.name, 0, problems.append, parser):
        rows = np.arange(len(batch.records)) if wanted is None else np.flatnonzero(batch.positions == wanted)
        if len(rows):
            return _parsed(batch, int(rows[0]), parser)
    if problems:
        raise UsageError(problems[0].reason, where=problems[0].source)
    raise UsageError(f"no {'record' if binary else 'line'} {place[1] if place else 1}", where=str(path))


def _parsed(batch: RawBatch, row: int, parser: str) -> pa.Table:
    record = batch.records[row].as_py()
    if parser == "auto" and record.startswith(b"{"):
        try:
            event = orjson.loads(record)
        except orjson.JSONDecodeError:
            event = None
        if isinstance(event, dict) and any("." in key for key in event):
            return table_of([event])
    from collectors.detect import parse

    here = slice(row, row + 1)
    one = replace(batch, records=batch.records.slice(row, 1), positions=batch.positions[here], arrivals=batch.arrivals[here])
    return parse(one)[0].table


def facts(table: pa.Table) -> Iterator[tuple[str, str]]:
    """What tells people which event it is."""
    for name in ("@timestamp", "host.name", "event.dataset", "event.code", "event.id"):
        value = table[name][0].as_py() if name in table.column_names else None
        if value is not None:
            yield name, _fact(value)


def _fact(value: object) -> str:
    if isinstance(value, datetime):
        return iso_local(value)
    return value.hex() if isinstance(value, bytes) else str(value)
