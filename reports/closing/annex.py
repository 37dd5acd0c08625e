"""What QĐ 05/2017 (Điều 14) and NĐ 333/2026 (Điều 9) ask beyond the form: course, damage, causes, lessons, duties met."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from domain import i18n
from domain.document import UNKNOWN, Appendix, Block, Column, Entry, Form, Heading, Paragraph, Table, roman
from domain.duties import Duty
from reports import case as cases
from reports.answers import Draft
from reports.case import Case
from reports.office import or_dots
from reports.shown import duration, moment
from reports.text import LANG, vi

if TYPE_CHECKING:
    from reports.closing import Closed


def blocks(closed: Closed, draft: Draft) -> Iterator[Block]:
    """The annex."""
    case = closed.case
    yield Appendix(vi("appendix", n=roman(1)), vi("c04_annex"))
    yield Form((
        Entry(vi("c04_victim"), cases.system_names(case) or or_dots("")), Entry(vi("c04_scope"), cases.scope(case)),
        Entry(vi("c04_time"), f"{moment(case.first)} – {moment(case.last)}"),
        Entry(vi("c04_attacker"), draft.ask("attacker") or ", ".join(case.foreign[:10]) or vi("being_determined")),
        Entry(vi("r72_downtime"), cases.downtime(case) or UNKNOWN), Entry(vi("c04_damage"), or_dots(draft.ask("damage_vnd"))),
        Entry(vi("c04_cause"), draft.ask("cause")), Entry(vi("c04_consequences"), draft.ask("consequences")),
        Entry(vi("c04_forecast"), or_dots(draft.ask("forecast"))),
    ))  # fmt: skip
    yield from cases.personal_data(case)
    yield Heading(vi("c04_measures"), 2)
    yield from (Paragraph(f"- {text}") for text in cases.measures(case) or [vi("measures_none")])
    yield Heading(vi("c04_lessons"), 2)
    yield from (Paragraph(line) for line in draft.lines("lessons"))
    yield Heading(vi("c04_proposals"), 2)
    yield from (Paragraph(line) for line in draft.lines("proposals"))
    yield Heading(vi("c04_times"), 2)
    yield _times(case)
    yield cases.evidence(case)
    yield _duties(closed.duties)


def _times(case: Case) -> Form:
    """How long each stage took, from the incident's own records."""
    incident = case.incident
    stages = {
        "detect": (case.first, incident.t0), "open": (incident.t0, incident.opened), "classify": (incident.t0, incident.classified),
        "recover": (incident.t0, incident.recovered),
    }  # fmt: skip
    return Form(tuple(Entry(vi(f"c04_time_{name}"), _between(*stage)) for name, stage in stages.items()))


def _between(start: datetime | None, end: datetime | None) -> str:
    return duration(end - start) if start and end and end >= start else UNKNOWN


def _duties(found: tuple[Duty, ...]) -> Table:
    columns = (
        Column(vi("c04_duty"), 40), Column(vi("c04_due"), 20, "center"), Column(vi("c04_done"), 20, "center"),
        Column(vi("col_status"), 20, "center"),
    )  # fmt: skip
    rows = []
    for duty in (d for d in found if d.clause.law and d.clause.stops == "sent" and d.due_at):
        state = "done_late" if duty.state == "done" and duty.late else duty.state
        name, word = (i18n.t(f"duties.{key}", language=LANG) for key in (duty.id, f"state_{state}"))
        rows.append((name, moment(duty.due_at), moment(duty.done_at), word))
    return Table(columns, tuple(rows), vi("c04_duties"), vi("col_no"), vi("c04_duties_none"))
