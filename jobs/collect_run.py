"""`soc collect run`: receivers and periodic pulls, until it is told to stop. Several on one store do no harm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from collectors import spool
from collectors.spool_writer import PAUSE, WINDOW
from collectors.syslog import BLOCK, Listener
from domain.errors import StoreError
from jobs.collect import Outcome, configured, one, place
from jobs.config import Source
from jobs.leases import Leases
from jobs.receive import Receivers
from jobs.runtime import Runtime

POLL: Final = 1.0
"""Seconds between looks when nothing is new."""
ASK: Final = 10.0
"""Seconds between looks at a cluster of others: each is a question for every shard."""
TURN: Final = 4
"""Deliveries of one source before the next has its turn."""
PATIENCE: Final = 5.0
"""Seconds to wait after the store refused."""

Tell = Callable[[str, Mapping[str, object]], None]


def run(runtime: Runtime, stop: threading.Event, tell: Tell) -> None:
    """Until `stop` is set; what was received by then is stored before it returns, if the store takes it."""
    sources = configured(runtime)
    listening = [source for source in sources if source.listen]
    receivers = Receivers([_listener(runtime, source) for source in listening]) if listening else None
    if any(source.listen.startswith("tcp") for source in listening):
        tell("bound", {"window": WINDOW, "block": BLOCK, "milliseconds": round(PAUSE * 1000)})
    leases = Leases(runtime)
    try:
        teller, due = _Teller(tell), Due()
        while not stop.is_set():
            for source, event, text in receivers.said() if receivers else ():
                teller.say(source, event, {"source": source, "text": text})
            moved = _round(runtime, [s for s in sources if due(s, time.monotonic())], leases, teller, stop)
            stop.wait(0 if moved else POLL)
        if receivers is not None:
            receivers.stop()
            receivers = None
        _round(runtime, listening, leases, teller, None)
    finally:
        if receivers is not None:
            receivers.stop()
        leases.release()


class Due:
    """Clusters of others are asked now and then, everything else at every look."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def __call__(self, source: Source, now: float) -> bool:
        """Whether it is its turn; `now` in seconds, monotonic."""
        if source.type != "opensearch":
            return True
        if now < self._next.get(source.id, now):
            return False
        self._next[source.id] = now + ASK
        return True


def _listener(runtime: Runtime, source: Source) -> Listener:
    known = [c.state.get("number", 0) for c in runtime.store.events.checkpoints(source.id)]
    floor = max((int(str(number)) for number in known), default=0)
    where = spool.folder(place(runtime).spool, source.id)
    return Listener(source.id, source.listen, where, source.framing, runtime.config.spool_quota, floor)


def _round(runtime: Runtime, sources: list[Source], leases: Leases, teller: _Teller, stop: threading.Event | None) -> bool:
    """Every source once; whether anything was stored."""
    moved = False
    for source in sources:
        if stop is not None and stop.is_set():
            break
        try:
            outcome = one(runtime, source, leases, most=TURN if stop is not None else 0)
        except StoreError as error:
            teller.say("", "store", {"error": str(error)})
            if stop is not None:
                stop.wait(PATIENCE)
            return False
        moved |= outcome.received > 0
        teller.outcome(outcome)
    return moved


class _Teller:
    """Says what changed, once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._last: dict[str, tuple[str, str]] = {}

    def say(self, about: str, key: str, values: Mapping[str, object]) -> None:
        """One message, unless it was the last one about this."""
        if self._last.get(about) != (key, str(values)):
            self._last[about] = (key, str(values))
            self._tell(key, values)

    def outcome(self, outcome: Outcome) -> None:
        """How a source fared."""
        if outcome.error:
            self.say(f"{outcome.source} pull", "failed", {"source": outcome.source, "error": outcome.error})
        elif outcome.busy:
            self.say(f"{outcome.source} pull", "busy", {"source": outcome.source})
        elif f"{outcome.source} pull" in self._last:
            del self._last[f"{outcome.source} pull"]
            self._tell("again", {"source": outcome.source})
