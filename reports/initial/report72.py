"""vn-2026: incident report due 72 hours after detection: causes, scope, remedies (NĐ 331/2026, Điều 31 khoản 2 điểm d)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domain.document import Block, Entry, Form, Heading, Paragraph, Ticks, Title
from reports import case as cases
from reports import office
from reports.answers import Draft, Question
from reports.case import Case
from reports.notice.letter import contact
from reports.office import Paper
from reports.shown import clock_text
from reports.text import vi

_STAGES = ("preliminary", "full", "update", "closing")


def questions(case: Case) -> Sequence[Question]:
    """What is left to people; the heading may be changed, since no form is official yet."""
    facts = case.incident
    return (
        Question("heading", default=vi("r72_about", title=facts.title)), Question("description", default=cases.description(case)),
        Question("cause", required=False, default=cases.fact(facts, "cause")),
        Question("scope", default=cases.scope(case)),
        Question("measures_planned"), Question("impact", default=cases.fact(facts, "consequences")),
        Question("proposals", default=cases.fact(facts, "recommendations")),
    )  # fmt: skip


def blocks(case: Case, paper: Paper, draft: Draft) -> Iterator[Block]:
    """Seven parts."""
    cause = draft.ask("cause")
    stage = "preliminary" if not cause else "closing" if case.incident.status == "closed" else "full"
    yield office.letterhead(paper, draft)
    yield Title(vi("weekly_name"), draft.ask("heading"))
    yield office.addressees(paper, draft)
    yield Ticks(vi("r72_stage"), tuple((vi(f"r72_stage_{s}"), s == stage) for s in _STAGES))
    yield Heading(vi("r72_part1"))
    yield _general(case, paper, draft)
    yield Paragraph(draft.ask("description"))
    yield Heading(vi("r72_part2"))
    yield Paragraph(cause or vi("cause_unknown"))
    yield Heading(vi("r72_part3"))
    yield Paragraph(draft.ask("scope"))
    yield _scope(case)
    yield from cases.personal_data(case)
    yield Heading(vi("r72_part4"))
    yield from _remedies(case, draft)
    yield Heading(vi("r72_part5"))
    yield cases.evidence(case)
    yield Heading(vi("r72_part6"))
    yield Paragraph(draft.ask("impact"))
    yield Heading(vi("r72_part7"))
    yield Paragraph(draft.ask("proposals"))
    yield Paragraph(vi("r72_end", agency=paper.organisation.agency.name or vi("our_agency")))
    yield office.closing(paper, draft)


def _general(case: Case, paper: Paper, draft: Draft) -> Form:
    org, incident = paper.organisation, case.incident
    return Form((
        Entry(vi("r72_id"), incident.id), Entry(vi("n17_system"), draft.need(cases.system_line(case), "need_system")),
        Entry(vi("m03_level"), cases.joined(case, "level") or vi("level_unknown")),
        Entry(vi("n17_owner"), draft.need(cases.joined(case, "owner") or org.owner.name, "need_owner")),
        Entry(vi("n17_operator"), draft.need(cases.joined(case, "operator") or org.operator.name, "need_operator")),
        Entry(vi("n17_t0"), clock_text(incident.t0)),
        Entry(vi("r72_category"), draft.need(cases.category(incident), "need_category")),
        Entry(vi("letter_level"), draft.need(cases.level(incident), "need_level")), Entry(vi("n17_contact"), contact(paper, draft)),
    ))  # fmt: skip


def _scope(case: Case) -> Form:
    incident, unknown = case.incident, vi("being_determined")
    touched = bool({"personal_data", "biometric", "location"} & set(incident.flags))
    return Form((
        Entry(vi("r72_services"), cases.joined(case, "description") or unknown), Entry(vi("r72_downtime"), cases.downtime(case) or unknown),
        Entry(vi("r72_records"), cases.fact(incident, "records") or unknown),
        Entry(vi("r72_personal"), vi("yes_word" if touched else "no_word")),
    ))  # fmt: skip


def _remedies(case: Case, draft: Draft) -> Iterator[Block]:
    yield Paragraph("", lead=vi("r72_done"))
    done = cases.measures(case)
    yield from (Paragraph(f"- {text}") for text in done or [vi("measures_none")])
    yield Paragraph(draft.ask("measures_planned"), lead=vi("r72_planned"))
