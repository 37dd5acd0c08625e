"""vn-2026: official letter, one page: what the duty of 24 hours and of "at once" asks for."""

from __future__ import annotations

from collections.abc import Iterator

from domain.document import Block, Paragraph
from reports import case as cases
from reports import office
from reports.answers import Draft
from reports.case import Case
from reports.office import Paper
from reports.shown import clock_text
from reports.text import vi


def blocks(case: Case, paper: Paper, draft: Draft) -> Iterator[Block]:
    """Eight numbered lines between head and signature."""
    incident, org = case.incident, paper.organisation
    serious = incident.serious or not incident.level
    yield office.letterhead(paper, draft, vi("letter_subject_serious" if serious else "letter_subject"))
    yield office.addressees(paper, draft)
    kind = vi("letter_kind_serious" if serious else "letter_kind")
    yield Paragraph(vi("letter_start", agency=org.agency.name or vi("our_agency"), kind=kind))
    system = draft.need(cases.system_line(case), "need_system")
    owner = draft.need(cases.joined(case, "owner") or org.owner.name, "need_owner")
    operator = draft.need(cases.joined(case, "operator") or org.operator.name, "need_operator")
    level = cases.joined(case, "level") or vi("level_unknown")
    yield _line(1, vi("letter_system"), vi("letter_system_text", system=system, level=level, owner=owner, operator=operator))
    yield _line(2, vi("letter_t0"), f"{clock_text(incident.t0)}.")
    yield _line(3, vi("letter_description"), draft.ask("description"))
    yield _line(4, vi("letter_scope"), draft.ask("scope"))
    reason = draft.ask("level_reason")
    yield _line(5, vi("letter_level"), vi("letter_level_text", level=draft.need(cases.level(incident), "need_level"), reason=reason))
    yield _line(6, vi("letter_measures"), cases.measures_in_short(case))
    yield _line(7, vi("letter_contact"), contact(paper, draft))
    yield _line(8, vi("letter_support"), draft.ask("proposals"))
    yield from cases.personal_data(case)
    yield Paragraph(vi("letter_end"))
    yield office.closing(paper, draft)


def contact(paper: Paper, draft: Draft) -> str:
    """Who can be reached 24/7."""
    who = paper.organisation.contact
    name = draft.need(who.name, "need_contact")
    phone = draft.need(", ".join(x for x in (who.phone, who.mobile) if x), "need_contact_phone")
    return vi("contact_text", name=name, position=who.position or "–", phone=phone, email=who.email or "–")


def _line(number: int, label: str, text: str) -> Paragraph:
    return Paragraph(text, lead=f"{number}. {label}:")
