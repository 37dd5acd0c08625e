"""Logins out of any source's events: who tried, from where, did it succeed. Vectorised; one row per attempt that matters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from detectors.anomaly.base import Ints, Mask, names, network, times, where
from domain.event import Column
from store.base import Chunk


@dataclass(slots=True)
class Login:
    """One attempt."""

    at: int
    """Microseconds since the epoch."""
    source: str
    """`network` of source.ip; "" = at the machine itself."""
    user: str
    """Lower case; "" = the log does not say."""
    host: str
    ok: bool
    id: str
    """`event.id`, hex."""
    exercise: bool = False
    told: int = 0
    """Bit set of the findings that already hold it."""

    def to_json(self) -> list[object]:
        """For the model's state."""
        return [self.at, self.source, self.user, self.host, int(self.ok), self.id, int(self.exercise), self.told]

    @classmethod
    def from_json(cls, row: list[object]) -> Login:
        """The inverse of `to_json`."""
        moment, source, user, host, ok, key, exercise, told = row
        return cls(int(str(moment)), str(source), str(user), str(host), bool(ok), str(key), bool(exercise), int(str(told)))


def read(chunks: Iterable[Chunk], suspects: set[str]) -> Iterator[Login]:
    """Failures, and the successes of sources and users in `suspects`, which grows by those that fail.

    A success whose source and user never failed says nothing here and is left out.
    """
    for chunk in chunks:
        yield from _chunk(chunk, suspects)


def _chunk(chunk: Chunk, suspects: set[str]) -> Iterator[Login]:
    logins = where(chunk.column("event.category"), chunk.rows, "authentication".__eq__)
    outcome = chunk.column("event.outcome")
    failed = logins & where(outcome, chunk.rows, "failure".__eq__)
    passed = logins & where(outcome, chunk.rows, "success".__eq__)
    if not failed.any() and not (suspects and passed.any()):
        return
    rows = np.flatnonzero(failed | passed).astype(np.int32)
    ok = passed[rows]
    source, sources = _sources(chunk, rows)
    user, users = names(chunk.column("user.name", rows), len(rows))
    users = [u.lower() for u in users]
    suspects.update(sources[c] for c in np.unique(source[~ok]).tolist())
    suspects.update(f"user:{users[c]}" for c in np.unique(user[~ok]).tolist() if users[c])
    keep = ~ok | _known(source, sources, suspects) | _known(user, [f"user:{u}" for u in users], suspects)
    yield from _logins(chunk, rows[keep], ok[keep], (source[keep], sources), (user[keep], users))


def _sources(chunk: Chunk, rows: np.ndarray[tuple[int], np.dtype[np.int32]]) -> tuple[Ints, list[str]]:
    codes, values = names(_first(chunk, ("source.ip", "client.ip"), rows), len(rows))
    return codes, [network(v) for v in values]


def _first(chunk: Chunk, fields: Iterable[str], rows: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Column | None:
    return next((c for f in fields if (c := chunk.column(f, rows)) is not None), None)


def _known(codes: Ints, values: list[str], suspects: set[str]) -> Mask:
    known: Mask = np.array([v in suspects and v not in ("", "user:") for v in values], np.bool_)[codes]
    return known


def _logins(
    chunk: Chunk, rows: np.ndarray[tuple[int], np.dtype[np.int32]], ok: Mask, source: tuple[Ints, list[str]], user: tuple[Ints, list[str]]
) -> Iterator[Login]:
    if not len(rows):
        return
    host, hosts = names(chunk.column("host.name", rows), len(rows))
    exercise = where(chunk.column("thapcanh.exercise", rows), len(rows), lambda v: v.lower() == "true")
    ids = chunk.ids().take(rows).to_pylist()
    moments = times(chunk, rows.tolist())
    for i, key in enumerate(ids):
        yield Login(
            int(moments[i]), source[1][source[0][i]], user[1][user[0][i]], hosts[host[i]], bool(ok[i]), key.hex(), bool(exercise[i])
        )
