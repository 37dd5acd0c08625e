"""Where hits of a hunt go: JSON lines in the order of the input, a CSV timeline in the order of the events.

The timeline can be imported into Timesketch: it reads `message`, `datetime`, `timestamp_desc` and `tag` (a JSON list), takes `datetime`
for UTC when it computes its own time stamp, and drops rows whose `datetime` is written otherwise than the first one: so all are UTC with
microseconds. Source: timesketch.org/guides/user/import-from-json-csv.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import orjson

from detectors.sigma.refs import spoken
from detectors.sigma.ruleset import RuleSet
from domain.alert import RuleRef
from domain.clock import iso_local
from domain.errors import UsageError
from domain.i18n import t
from domain.text import csv_safe, one_line
from domain.window import micros
from jobs import hunt_told
from jobs.hunt_found import FileEpisode, FileHit, episode_line, hit_line, instant
from jobs.hunt_logs import Records
from jobs.hunt_shown import about
from jobs.hunt_sort import Sorter

COLUMNS: Final = (
    "message", "datetime", "timestamp_desc", "timestamp", "tag", "time_local", "level", "rule_id", "rule_title", "host", "source", "record",
    "details",
)  # fmt: skip
_CELL: Final = 2_000
"""Characters of a cell."""
_MESSAGE: Final = 300
"""Characters of the event in `message`."""


class Sink(AbstractContextManager["Sink"]):
    """Takes hits; this one forgets them."""

    def hit(self, hit: FileHit) -> None:
        """One rule on one record."""

    def episode(self, episode: FileEpisode) -> None:
        """One episode of a correlation."""

    def logs(self, records: Records) -> None:
        """What the logs say of themselves, at the end."""

    def __exit__(self, *exc: object) -> None:
        """Write what is left and close."""


class _All(Sink):
    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def hit(self, hit: FileHit) -> None:
        for sink in self._sinks:
            sink.hit(hit)

    def episode(self, episode: FileEpisode) -> None:
        for sink in self._sinks:
            sink.episode(episode)

    def logs(self, records: Records) -> None:
        for sink in self._sinks:
            sink.logs(records)

    def __exit__(self, *exc: object) -> None:
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.push(sink)


def sink(outs: Iterable[str], rules: RuleSet) -> Sink:
    """The sink for `--out F` (any number): the files are opened at once, so that a wrong name is told before the work."""
    made: list[Sink] = []
    for out in outs:
        if out.lower().endswith(".csv"):
            made.append(_Csv(create(out), rules))
        elif out.lower().endswith((".jsonl", ".ndjson", ".json")):
            made.append(_Lines(create(out), rules))
        else:
            raise UsageError(f"--out {out}: .jsonl or .csv", hint="--html FILE for the summary as a page")
    return _All(made)


def create(name: str) -> IO[bytes]:
    """An output file, empty; UsageError when it cannot be made."""
    try:
        return Path(name).open("wb")
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", where=name) from None


class _Lines(Sink):
    def __init__(self, file: IO[bytes], rules: RuleSet) -> None:
        self._refs = [rule.ref for rule in rules.rules]
        self._file = file

    def hit(self, hit: FileHit) -> None:
        self._file.write(orjson.dumps(hit_line(self._refs[hit.rule], hit), default=str) + b"\n")

    def episode(self, episode: FileEpisode) -> None:
        self._file.write(orjson.dumps(episode_line(episode)) + b"\n")

    def __exit__(self, *exc: object) -> None:
        self._file.close()


@dataclass(frozen=True)
class _Named:
    """The cells that all rows of a rule share, harmless already."""

    title: str
    tags: str
    cells: tuple[str, str, str]
    """Level, id, the rule's own title."""


def _named(ref: RuleRef) -> _Named:
    tags = orjson.dumps(list(ref.tags)).decode()
    return _Named(_safe(spoken(ref).title), _safe(tags), (_safe(ref.level), _safe(ref.id), _safe(ref.title)))


def _safe(cell: str) -> str:
    return csv_safe(one_line(cell, _CELL))


class _Csv(Sink):
    """Rows in event-time order, sorted in bounded memory."""

    def __init__(self, file: IO[bytes], rules: RuleSet) -> None:
        self._refs = [rule.ref for rule in rules.rules]
        self._known: dict[int, _Named] = {}
        self._what = t("hunt.of_event")
        self._rows = Sorter()
        self._file = file

    def hit(self, hit: FileHit) -> None:
        named = self._known.get(hit.rule)
        if named is None:
            named = self._known[hit.rule] = _named(self._refs[hit.rule])
        details = about(hit)
        where = (_safe(hit.host), _safe(hit.source), str(hit.record))
        message = f"{named.title} – {details[:_MESSAGE]}" if details else named.title
        self._add(micros(hit.at) if hit.at else None, message, self._what, named, (*where, csv_safe(details)))

    def episode(self, episode: FileEpisode) -> None:
        group = ", ".join(f"{k}={v}" for k, v in episode.group.items())
        named = _named(episode.ref)
        text = t("hunt.episode", title=named.title, n=len(episode.records), group=group)
        details = t("hunt.episode_until", at=iso_local(instant(episode.last)))
        first = episode.records[0] if episode.records else ("", "")
        self._add(episode.start, _safe(text), t("hunt.of_episode"), named, ("", _safe(first[0]), str(first[1]), details))

    def logs(self, records: Records) -> None:
        for told in hunt_told.rows(records):
            named = _named(RuleRef("", "", "informational", "", (f"thapcanh.{told.tag}",), ""))
            self._add(told.at, _safe(told.text), told.what, named, (_safe(told.host), _safe(told.source), told.record, ""))

    def _add(self, at: int | None, message: str, what: str, named: _Named, where: tuple[str, str, str, str]) -> None:
        """`where`: host, source, record, details."""
        moment = instant(at) if at is not None else None
        times = (moment.isoformat(timespec="microseconds"), what, str(at)) if moment else ("", what, "")
        self._rows.add(at, [message, *times, named.tags, iso_local(moment) if moment else "", *named.cells, *where])

    def __exit__(self, *exc: object) -> None:
        with self._file, io.TextIOWrapper(self._file, encoding="utf-8", newline="", errors="backslashreplace") as text:
            writer = csv.writer(text)
            writer.writerow(COLUMNS)
            writer.writerows(self._rows)
        self._rows.close()
