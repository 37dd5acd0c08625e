"""vn-2017: incident notice (TT 20/2017/TT-BTTTT, Điều 9 khoản 3 điểm a)."""

from __future__ import annotations

from collections.abc import Iterator

from domain.document import Block, Entry, Form, Paragraph, Title
from reports import case as cases
from reports import office
from reports.answers import Draft
from reports.case import Case
from reports.notice.letter import contact
from reports.office import Paper
from reports.shown import clock_text
from reports.text import vi


def blocks(case: Case, paper: Paper, draft: Draft) -> Iterator[Block]:
    """The facts in the order of the text."""
    org = paper.organisation
    yield office.letterhead(paper, draft)
    yield Title(vi("notice_name"), vi("notice_about"))
    yield office.addressees(paper, draft)
    yield Form((
        Entry(vi("n17_sender"), draft.need(org.agency.name, "need_agency"), required=True),
        Entry(vi("n17_sender_address"), draft.need(org.agency.address, "need_address"), required=True),
        Entry(vi("n17_contact"), contact(paper, draft)),
        Entry(vi("n17_system"), draft.need(cases.system_line(case), "need_system"), required=True),
        Entry(vi("n17_operator"), draft.need(cases.joined(case, "operator") or org.operator.name, "need_operator"), required=True),
        Entry(vi("n17_owner"), draft.need(cases.joined(case, "owner") or org.owner.name, "need_owner"), required=True),
        Entry(vi("n17_t0"), clock_text(case.incident.t0), required=True),
        Entry(vi("n17_description"), draft.ask("description"), required=True),
        Entry(vi("n17_result"), draft.ask("result"), required=True),
        Entry(vi("n17_proposals"), draft.ask("proposals"), required=True),
    ))  # fmt: skip
    yield from cases.personal_data(case)
    yield Paragraph(vi("notice_end", agency=org.agency.name or vi("our_agency")))
    yield office.closing(paper, draft)
