"""The contract of a kind of document: a module with these four functions; `reports.KINDS` lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from domain.document import Document
from domain.periods import Period
from domain.registers import Registers
from domain.window import TimeWindow
from reports.answers import Draft, Question
from reports.facts import Figure
from reports.office import Paper
from store.base import Store


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    kind: str
    now: datetime
    """When it is made: the signing date."""
    registers: Registers
    period: Period | None = None
    before: Period | None = None
    """The period before it."""
    incident: str = ""
    """Incident id, in full."""
    expected: Mapping[str, timedelta | None] = field(default_factory=dict)
    """Configured sources and the longest pause of each; None = learn it."""
    steps: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Titles of playbook steps: (playbook id, step id) -> text."""


@dataclass(frozen=True)
class Account:
    """How the figures of a document came about: kept with it."""

    figures: tuple[Figure, ...] = ()
    gaps: tuple[tuple[str, TimeWindow], ...] = ()
    """Source and time without data."""
    rules: Mapping[str, str] = field(default_factory=dict)
    """Rule id -> version, of the alerts told of."""
    window: TimeWindow | None = None


class Report(Protocol):
    """What a module of a kind offers."""

    def symbol(self, facts: Any) -> str:
        """Kind of document in its number (`BC`); empty for an official letter."""

    def gather(self, store: Store, order: Order) -> Any:
        """The facts, from the store."""

    def questions(self, facts: Any) -> Sequence[Question]:
        """What people have to add."""

    def build(self, facts: Any, paper: Paper, draft: Draft) -> Document:
        """The document."""

    def account(self, facts: Any) -> Account:
        """Where its figures come from."""
