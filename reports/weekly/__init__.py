"""Weekly monitoring report (TT 31/2017/TT-BTTTT, Điều 5 khoản 3 điểm d): the five items, even when there is nothing to tell."""

from __future__ import annotations

from collections.abc import Sequence

from reports.answers import Question
from reports.base import Account
from reports.text import vi
from reports.weekly.build import build
from reports.weekly.gather import Weekly, gather

__all__ = ["account", "build", "gather", "questions", "symbol"]


def symbol(_: Weekly) -> str:
    """A report."""
    return vi("symbol_report")


def questions(_: Weekly) -> Sequence[Question]:
    """What logs cannot tell."""
    return Question("recommendations"), Question("changes_note", required=False), Question("overview", required=False)


def account(facts: Weekly) -> Account:
    """Where the figures come from."""
    gaps = tuple((s.id, g) for s in facts.sources for g in s.gaps)
    rules = {f.alert.rule.id: f.alert.rule.version for f in facts.alerts}
    return Account(facts.figures, gaps, rules, facts.period.window)
