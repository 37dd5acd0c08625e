"""One fault point: `SOC_FAULT=<point>` kills this process there, as a power failure would. Tests of crash safety use it."""

from __future__ import annotations

import os
import signal


def point(name: str) -> None:
    """Die here when the environment asks for it."""
    if os.environ.get("SOC_FAULT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
