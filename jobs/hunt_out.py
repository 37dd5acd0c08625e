"""Where hits of a hunt go: JSON lines, a CSV timeline, a table by rule and host."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import orjson

from detectors.sigma.correlate import Correlation, Episode
from detectors.sigma.ruleset import RuleSet
from domain import severity
from domain.clock import iso_local
from domain.errors import UsageError
from domain.text import csv_safe
from jobs.hunt import FileHit, episode_line, hit_line

_COLUMNS: Final = (
    "datetime", "timestamp_desc", "message", "level", "rule_id", "tags", "host", "source", "record",
)  # fmt: skip
"""Timesketch needs datetime, timestamp_desc and message."""


class Sink(AbstractContextManager["Sink"]):
    """Takes hits; this one forgets them."""

    def hit(self, hit: FileHit) -> None:
        """One rule on one record."""

    def episode(self, correlation: Correlation, episode: Episode) -> None:
        """One episode of a correlation."""

    def __exit__(self, *exc: object) -> None:
        """Write what is left and close."""


def sink(out: str, rules: RuleSet) -> Sink:
    """The sink for `--out F`."""
    if not out:
        return Sink()
    if out.endswith(".csv"):
        return _Csv(Path(out), rules)
    if out.endswith((".jsonl", ".ndjson", ".json")):
        return _Lines(Path(out), rules)
    raise UsageError(f"--out {out}: .jsonl or .csv")


class _Lines(Sink):
    def __init__(self, path: Path, rules: RuleSet) -> None:
        self._rules = rules
        self._file: IO[bytes] = path.open("wb")

    def hit(self, hit: FileHit) -> None:
        self._file.write(orjson.dumps(hit_line(self._rules, hit), default=str) + b"\n")

    def episode(self, correlation: Correlation, episode: Episode) -> None:
        self._file.write(orjson.dumps(episode_line(correlation, episode)) + b"\n")

    def __exit__(self, *exc: object) -> None:
        self._file.close()


class _Csv(Sink):
    """Rows in event-time order: they are held until the end."""

    def __init__(self, path: Path, rules: RuleSet) -> None:
        self._rules = rules
        self._rows: list[tuple[float, list[str]]] = []
        self._file: IO[str] = path.open("w", newline="", encoding="utf-8")

    def hit(self, hit: FileHit) -> None:
        ref = self._rules.rules[hit.rule].ref
        at = hit.at.timestamp() if hit.at else 0.0
        cells = [_iso(at), "Event Logged", ref.title, ref.level, ref.id, " ".join(ref.tags), hit.host, hit.source, str(hit.record)]
        self._rows.append((at, cells))

    def episode(self, correlation: Correlation, episode: Episode) -> None:
        ref = correlation.ref
        group = ", ".join(f"{k}={v}" for k, v in zip(correlation.group_by, episode.group, strict=True))
        text = f"{ref.title} ({group}; {len(episode.events)} events)"
        self._rows.append((episode.first, [_iso(episode.first), "Correlation", text, ref.level, ref.id, " ".join(ref.tags), "", "", ""]))

    def __exit__(self, *exc: object) -> None:
        writer = csv.writer(self._file)
        writer.writerow(_COLUMNS)
        for _, cells in sorted(self._rows, key=lambda r: r[0]):
            writer.writerow([csv_safe(c) for c in cells])
        self._file.close()


def _iso(at: float) -> str:
    return iso_local(datetime.fromtimestamp(at, UTC)) if at else ""


class Table:
    """Counts by level, rule and host, worst first."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self.total = 0

    def hit(self, hit: FileHit) -> None:
        """Count one hit."""
        ref = self._rules.rules[hit.rule].ref
        self._counts[ref.level, ref.title, hit.host] += 1
        self.total += 1

    def episode(self, correlation: Correlation, episode: Episode) -> None:
        """Count one episode."""
        self._counts[correlation.ref.level, correlation.ref.title, "/".join(episode.group)] += 1
        self.total += 1

    def rows(self) -> Sequence[Sequence[Any]]:
        """(level, rule, host, hits)."""
        order = sorted(self._counts.items(), key=lambda i: (-severity.rank(i[0][0]), -i[1], i[0]))
        return [(level, title, host, count) for (level, title, host), count in order]
