"""Documents: one folder per kind; figures come from the store, names from the registers, the rest from people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Kind:
    """A kind of document."""

    name: str
    subject: str
    """period or incident."""
    module: str = ""
    """Where it is built; empty = not built yet."""
    period: str = ""
    """Kind of period when none is given: week, month, ..."""


_ALL: Final = (
    Kind("daily", "period"),
    Kind("weekly", "period", "reports.weekly", "week"),
    Kind("monthly", "period"),
    Kind("quarterly", "period"),
    Kind("half-year", "period"),
    Kind("annual", "period"),
    Kind("programme", "period"),
    Kind("compliance", "period"),
    Kind("drill", "period"),
    Kind("advisory", "period"),
    Kind("notice", "incident", "reports.notice"),
    Kind("initial", "incident", "reports.initial"),
    Kind("progress", "incident"),
    Kind("closing", "incident", "reports.closing"),
    Kind("personal-data", "incident"),
)
KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}
"""Every kind of the command line; those with a module can be made."""
BUILT: Final = tuple(kind.name for kind in _ALL if kind.module)
