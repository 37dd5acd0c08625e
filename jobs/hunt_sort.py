"""Rows sorted by time in bounded memory: runs that do not fit go to temporary files and are merged while they are read."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

import orjson

ROWS: Final = 50_000
"""Rows held in memory."""
_NEVER: Final = 1 << 62
"""Where rows without a time stand: at the end."""


class Row(NamedTuple):
    """One row of the timeline."""

    at: int
    order: int
    """Order of arrival: breaks ties."""
    cells: list[str]


class Sorter:
    """Takes rows in any order, gives them in order of time; those without a time come last."""

    def __init__(self, rows: int = ROWS) -> None:
        self._limit = rows
        self._rows: list[Row] = []
        self._runs: list[IO[bytes]] = []
        self._count = 0

    def add(self, at: int | None, cells: list[str]) -> None:
        """`at`: microseconds since the epoch."""
        self._rows.append(Row(_NEVER if at is None else at, self._count, cells))
        self._count += 1
        if len(self._rows) >= self._limit:
            self._spill()

    def _spill(self) -> None:
        self._rows.sort()
        run = tempfile.TemporaryFile(prefix="soc-hunt-")  # noqa: SIM115  closed in `close`
        run.writelines(orjson.dumps(tuple(row)) + b"\n" for row in self._rows)  # a NamedTuple is none for orjson
        run.seek(0)
        self._runs.append(run)
        self._rows = []

    def __iter__(self) -> Iterator[list[str]]:
        self._rows.sort()
        for row in heapq.merge(*(_read(run) for run in self._runs), self._rows):
            yield row.cells

    def close(self) -> None:
        """Give the temporary files back."""
        for run in self._runs:
            run.close()
        self._runs, self._rows = [], []


def _read(run: IO[bytes]) -> Iterator[Row]:
    for line in run:
        yield Row(*orjson.loads(line))
