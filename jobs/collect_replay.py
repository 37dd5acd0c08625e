"""Dead letters -> events: what was refused is stored after all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.errors import UsageError
from jobs import deliver
from jobs.runtime import Runtime
from store.base import DeadLetter

BYTES: Final = 64 << 20
"""Bytes of one delivery, about."""
LETTERS: Final = 1_000
"""Dead letters of one delivery."""


def replay(runtime: Runtime, source: str = "") -> int:
    """Store the dead letters of a source (all when empty); how many. UsageError for a source that nobody knows."""
    known = {s.id for s in runtime.config.sources} | {s.source for s in runtime.store.events.ledger()}
    if source and source not in known:
        raise UsageError(f"no such source: {source}", hint=f"sources: {', '.join(sorted(known)) or 'none'}")
    settings = {s.id: (s.parser, s.encoding, s.tz) for s in runtime.config.sources}
    stored = 0
    for part in _parts(runtime.store.events.dead_letters(source)):
        runtime.store.events.append(deliver.replay(part, runtime.clock.now(), settings))
        stored += len(part)
    return stored


def _parts(letters: Iterator[tuple[int, DeadLetter]]) -> Iterator[list[tuple[int, DeadLetter]]]:
    part: list[tuple[int, DeadLetter]] = []
    size = 0
    for number, letter in letters:
        if not letter.raw:  # damaged in the spool: there is nothing to store
            continue
        part.append((number, letter))
        size += len(letter.raw)
        if len(part) >= LETTERS or size >= BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
