"""Incident notice. vn-2026: official letter of one page (NĐ 331/2026, Điều 31); vn-2017: the facts of TT 20/2017, Điều 9 khoản 3 điểm a."""

from __future__ import annotations

from collections.abc import Sequence

from domain.document import Document, map_text
from domain.text import one_line
from reports import case as cases
from reports.answers import Draft, Question
from reports.case import Case, account, gather
from reports.notice import letter, plain
from reports.office import Paper
from reports.redact import without_internal
from reports.text import LANG, vi

__all__ = ["account", "build", "gather", "questions", "symbol"]


def symbol(case: Case) -> str:
    """None for the official letter; `TB` for a notice."""
    return "" if case.incident.profile == "vn-2026" else vi("symbol_notice")


def questions(case: Case) -> Sequence[Question]:
    """What logs and registers cannot tell."""
    shared = (Question("description", default=cases.description(case)), Question("proposals"))
    if case.incident.profile == "vn-2017":
        return (*shared, Question("result", default="; ".join(cases.measures(case))))
    reason = case.incident.level_reason
    return (*shared, Question("scope", default=cases.scope(case)), Question("level_reason", default=reason))


def build(case: Case, paper: Paper, draft: Draft) -> Document:
    """The form of the regime in force at T0; internal addresses are taken out of every text."""
    make = letter.blocks if case.incident.profile == "vn-2026" else plain.blocks
    blocks = map_text(tuple(make(case, paper, draft)), without_internal)
    title = one_line(f"{vi('notice_title')} {case.incident.id}: {without_internal(case.incident.title)}", 200)
    return Document("notice", title, blocks, case.now, paper.organisation.agency.name, LANG, tuple(draft.missing))
