"""Who collects a source: a file lock among the processes of one machine, a lease of the store among machines.

The lock ends with its process, so what a killed collector held is free at once on its machine; elsewhere its lease has to run out.
Neither is what keeps events from being stored twice (`Delivery.began` is): they keep two collectors from doing the same work.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import struct
import time
from typing import Final

from jobs.config import Source
from jobs.runtime import Runtime

SECONDS: Final = 60.0
"""For which a source is ours; renewed before every delivery once half of it is over."""


class Leases:
    """The sources that this process may collect."""

    def __init__(self, runtime: Runtime, machine: str = "") -> None:
        self._runtime = runtime
        self._machine = machine or platform.node()
        self._held: dict[str, float] = {}
        runtime.state_dir.mkdir(parents=True, exist_ok=True)
        path = runtime.state_dir / f"collect-{self._machine}.lock"
        self._holder = f"{self._machine}:{path}"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def take(self, source: Source) -> bool:
        """Whether the source is ours for the next half minute at least."""
        name = f"collect:{source.id}@{self._machine}" if source.listen else f"collect:{source.id}"  # spools belong to a machine
        if self._held.get(name, 0.0) - time.monotonic() > SECONDS / 2:
            return True
        begun = time.monotonic()
        free = self._locked(name) and self._runtime.store.coordination.lease(name, self._holder, SECONDS, self._runtime.clock.now())
        if not free:
            self._held.pop(name, None)
            return False
        self._held[name] = begun + SECONDS
        return True

    def release(self) -> None:
        """Give all back."""
        for name in self._held:
            self._runtime.store.coordination.release(name, self._holder)
        self._held.clear()
        os.close(self._file)

    def _locked(self, name: str) -> bool:
        """Lock one byte of the file: the process that has it is alive."""
        place = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "big")
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0))
        except BlockingIOError:
            return False
        return True
