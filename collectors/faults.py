"""Fault points of the collecting stage: `SOC_FAULT=<point>` kills this process there with SIGKILL, as a power failure would.

`SOC_FAULT=<point>:<n>` does so at the n-th passage. Points: read, spool-write, spool-sync, stored, spool-unlink; of copying stores: copied,
copied-state, copied-records, copied-cursor (and the store's own).
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

_PASSED: Final[Counter[str]] = Counter()


def point(name: str) -> None:
    """Die here when the environment asks for it."""
    wanted, _, times = os.environ.get("SOC_FAULT", "").partition(":")
    if wanted != name:
        return
    _PASSED[name] += 1
    if _PASSED[name] >= int(times or 1):
        os.kill(os.getpid(), signal.SIGKILL)
