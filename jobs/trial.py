"""`soc try`: the first minute with somebody's log files. A scratch store, all rules at hand, a summary, nothing left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from collectors import whole
from domain.alert import Alert
from domain.i18n import t
from domain.query import Query, Test
from domain.text import one_line
from jobs import scan as scanning
from jobs.alerts import every
from jobs.collect import collect, evidence
from jobs.runtime import Runtime

if TYPE_CHECKING:
    from store.base import EventStore

_SAMPLES = 3


@dataclass(frozen=True)
class Kind:
    """Events of one data set."""

    dataset: str
    events: int
    first: datetime
    last: datetime


@dataclass
class Trial:
    """What was found."""

    events: int = 0
    unparsed: int = 0
    kinds: list[Kind] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    """Beginnings of records that no parser could read."""
    problems: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """Problems that the log on stderr has shown."""
    alerts: list[Alert] = field(default_factory=list)
    """Worst first."""
    rules: int = 0
    blind: int = 0
    blind_reasons: Mapping[str, int] = field(default_factory=dict)


def run(runtime: Runtime, paths: Sequence[str], parser: str = "auto") -> Trial:
    """Collect the files into a scratch store, scan, summarise."""
    out = Trial()
    for file, label in (pair for path in paths for pair in whole.files(Path(path))):
        if whole.is_empty_log(file):
            out.problems.append(f"{label}: {t('collect.evtx_empty')}")
    with tempfile.TemporaryDirectory(prefix="soc-try-") as folder:
        scratch = replace(runtime, data=folder, packs=runtime.packs or runtime.state_dir / "rules")
        try:
            for outcome in collect(scratch, evidence(paths, parser, "")):
                if outcome.error:
                    out.problems.append(str(outcome.error))
                out.problems += [t("collect.trial_rejected", source=outcome.source, n=n, why=why) for why, n in outcome.rejected.items()]
                kept = scratch.store.events.checkpoints(outcome.source)
                out.told += sorted({str(c.state["problem"]) for c in kept if c.state.get("problem")})
            report = scanning.scan(scratch)
            out.rules, out.blind = report.rules, report.blind
            _summary(scratch.store.events, out)
            out.alerts = sorted(every(scratch.store.records).values(), key=_worst)
        finally:
            scratch.store.close()
    return out


def _worst(alert: Alert) -> tuple[int, int, str]:
    from domain.severity import rank

    return (-rank(alert.rule.level), -alert.count, alert.rule.title)


def _summary(events: EventStore, out: Trial) -> None:
    table = events.aggregate(Query(), ["event.dataset", "event.kind"])
    found: dict[str, Kind] = {}
    for row in table.to_pylist():
        out.events += row["count"]
        if row["event.kind"] == "pipeline_error":
            out.unparsed += row["count"]
            continue
        name = row["event.dataset"] or "-"
        known = found.get(name, Kind(name, 0, row["first"], row["last"]))
        found[name] = Kind(name, known.events + row["count"], min(known.first, row["first"]), max(known.last, row["last"]))
    out.kinds = sorted(found.values(), key=lambda k: -k.events)
    if out.unparsed:
        query = Query(Test("event.kind", "eq", ("pipeline_error",)), limit=_SAMPLES)
        for part in events.search(query):
            out.samples += [one_line(str(m), 160) for m in pc.fill_null(part["message"], "").to_pylist()]


def exists(paths: Sequence[str]) -> str:
    """The first path that does not exist; "" when all do."""
    return next((p for p in paths if not Path(p).exists()), "")
