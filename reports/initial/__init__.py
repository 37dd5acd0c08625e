"""Initial incident report. vn-2017: Mẫu 03 of TT 20/2017/TT-BTTTT; vn-2026: the report of 72 hours (NĐ 331/2026, Điều 31)."""

from __future__ import annotations

from collections.abc import Sequence

from domain.document import Document, map_text
from domain.text import one_line
from reports.answers import Draft, Question
from reports.case import Case, account, gather
from reports.initial import form03, report72
from reports.office import Paper
from reports.redact import without_internal
from reports.text import LANG, vi

__all__ = ["account", "build", "gather", "questions", "symbol"]


def symbol(_: Case) -> str:
    """A report."""
    return vi("symbol_report")


def questions(case: Case) -> Sequence[Question]:
    """What logs and registers cannot tell."""
    return form03.questions(case) if case.incident.profile == "vn-2017" else report72.questions(case)


def build(case: Case, paper: Paper, draft: Draft) -> Document:
    """The form of the regime in force at T0; internal addresses are taken out of every text."""
    make = form03.blocks if case.incident.profile == "vn-2017" else report72.blocks
    blocks = map_text(tuple(make(case, paper, draft)), without_internal)
    title = one_line(f"{vi('initial_title')} {case.incident.id}: {without_internal(case.incident.title)}", 200)
    return Document("initial", title, blocks, case.now, paper.organisation.agency.name, LANG, tuple(draft.missing))
