"""Whether one rule can see: LIVE, PARTIAL, BLIND, ERROR, with the reason and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from domain import titles
from domain.alert import RuleRef
from domain.i18n import lang, t

LIVE: Final = "LIVE"
PARTIAL: Final = "PARTIAL"
BLIND: Final = "BLIND"
ERROR: Final = "ERROR"
RANK: Final = (LIVE, PARTIAL, BLIND, ERROR)
Why: TypeAlias = "tuple[str, Mapping[str, Any]]"
"""A sentence of the catalogue `logsources` and its values."""
_TECHNIQUE: Final = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)


@dataclass(frozen=True)
class State:
    """One rule and whether it can see."""

    status: str
    """LIVE, PARTIAL, BLIND, ERROR."""
    id: str
    title: str
    level: str
    file: str
    tags: tuple[str, ...] = ()
    source: tuple[str, str, str] = ("", "", "")
    """Product, category, service; empty for correlations."""
    why: tuple[Why, ...] = ()
    name: str = ""
    missing: tuple[str, ...] = ()
    """Event fields that never occur."""

    @property
    def reason(self) -> str:
        """Why, in English: data."""
        return self.told("en")

    @property
    def spoken(self) -> str:
        """The title in the reader's language, the rule's own beside it."""
        product, category, service = self.source
        return titles.full(RuleRef(self.id, self.title, self.level, "", self.tags, source=category or service or product))

    @property
    def techniques(self) -> list[str]:
        """ATT&CK ids: T1059.001."""
        return sorted({found[1].upper() for tag in self.tags if (found := _TECHNIQUE.fullmatch(tag))})

    @property
    def next(self) -> str:
        """Key `next_*` of what to do; "" when there is nothing."""
        return "" if self.status in (LIVE, ERROR) else advice(self.source, self.missing, self.why)

    def told(self, language: str = "") -> str:
        """Why, for people."""
        return "; ".join(t(f"logsources.{key}", language or lang(), **values) for key, values in self.why)


def advice(source: tuple[str, str, str], missing: Sequence[str], why: Sequence[Why]) -> str:
    """What to do: the first line of rules/pipelines/advice.yml that fits the log source and, where it names one, a missing field."""
    reasons = {key.removeprefix("why_") for key, _ in why}
    for entry in _advice():
        fits = all(entry.get(name, own) == own for name, own in zip(("product", "category", "service"), source, strict=True))
        if fits and entry.get("field", next(iter(missing), None)) in (missing or (None,)) and entry.get("why") in (None, *reasons):
            return str(entry["next"])
    return ""


@cache
def _advice() -> Sequence[Mapping[str, Any]]:
    from detectors.sigma.route import load

    return load("advice.yml")
