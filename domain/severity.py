"""Severity of rules and alerts: Sigma's five levels, ordered."""

from __future__ import annotations

from typing import Final

LEVELS: Final = ("informational", "low", "medium", "high", "critical")


def rank(level: str) -> int:
    """0 (informational) to 4 (critical); an unknown level counts as medium."""
    return LEVELS.index(level) if level in LEVELS else 2
