"""Mẫu 04 (TT 20/2017/TT-BTTTT, Phụ lục I), field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from domain.clock import LOCAL
from domain.document import Block, Entry, Form, Heading, Paragraph, Ticks, Title
from reports import case as cases
from reports import office
from reports.answers import Draft
from reports.initial.form03 import made_at, organisation
from reports.office import Paper, or_dots
from reports.shown import day_text
from reports.text import vi

if TYPE_CHECKING:
    from reports.closing import Closed


def blocks(closed: Closed, paper: Paper, draft: Draft) -> Iterator[Block]:
    """The form."""
    case, org = closed.case, paper.organisation
    local = case.incident.t0.astimezone(LOCAL)
    yield office.letterhead(paper, draft)
    yield Title(vi("c04_title"))
    yield office.addressees(paper, draft)
    yield from organisation(paper, draft)
    yield Heading(vi("c04_initial"))
    number = draft.need(closed.number, "need_initial_number")
    yield Form((Entry(vi("c04_number"), number), Entry(vi("c04_day"), day_text(closed.day) if closed.day else or_dots(""))))
    yield Heading(vi("m03_system"))
    yield Form((
        Entry(vi("m03_operator"), draft.need(cases.joined(case, "operator") or org.operator.name, "need_operator"), required=True),
        Entry(vi("m03_owner"), or_dots(cases.joined(case, "owner") or org.owner.name)),
        Entry(vi("m03_name_of_system"), or_dots(cases.system_line(case))), Entry(vi("m03_level"), or_dots(cases.joined(case, "level"))),
        Entry(vi("c04_description"), draft.ask("description"), required=True),
        Entry(vi("m03_date"), day_text(local.date()), required=True),
        Entry(vi("m03_clock"), vi("m03_clock_text", hour=f"{local:%H}", minute=f"{local:%M}"), required=True),
    ))  # fmt: skip
    yield Heading(vi("c04_result"))
    yield from (Paragraph(line) for line in draft.lines("result"))
    boxes = {"course": True, "plan": False, "logs": bool(case.incident.evidence)}
    yield Ticks(vi("c04_attached"), tuple((vi(f"c04_attached_{name}"), on) for name, on in boxes.items()))
    yield made_at(case.now)
    yield office.closing(paper, draft, vi("sign_seal"))
