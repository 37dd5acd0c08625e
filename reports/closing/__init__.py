"""Closing report: Mẫu 04 of TT 20/2017/TT-BTTTT, with the points of QĐ 05/2017 and NĐ 333/2026 as an annex (no newer form is official)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from domain import duties
from domain.document import Document, map_text
from domain.duties import Duty
from domain.text import one_line
from reports import case as cases
from reports.answers import Draft, Question
from reports.base import Account, Order
from reports.case import Case
from reports.closing import annex, form04
from reports.office import Paper
from reports.redact import without_internal
from reports.text import LANG, vi
from store.base import RecordStore, Store

__all__ = ["account", "build", "gather", "questions", "symbol"]


@dataclass(frozen=True)
class Closed:
    """An incident at its end."""

    case: Case
    number: str
    """Of the initial report; empty when none is known."""
    day: date | None
    """When it was signed."""
    duties: tuple[Duty, ...]


def gather(store: Store, order: Order) -> Closed:
    """The incident, its initial report and what was owed."""
    case = cases.gather(store, order)
    number, day = _initial(store.records, case)
    return Closed(case, number, day, tuple(duties.due(case.incident, order.now)))


def _initial(records: RecordStore, case: Case) -> tuple[str, date | None]:
    """Number and day of the initial report, or of the notice, that went out: our own record first, then what was noted as sent."""
    for kind in ("initial", "notice"):
        for record in reversed(records.read("document", f"{kind}:{case.incident.id}")):
            if record.type == "final":
                return str(record.body["number"]), date.fromisoformat(str(record.body["signed"]))
    sent = next((n for n in case.incident.sent if n.number), None)
    return (sent.number, sent.at.date()) if sent else ("", None)


def symbol(_: Closed) -> str:
    """A report."""
    return vi("symbol_report")


def questions(closed: Closed) -> Sequence[Question]:
    """What logs and registers cannot tell; facts noted in the incident are the defaults."""
    incident = closed.case.incident
    facts = (("cause", True), ("consequences", True), ("damage_vnd", False), ("attacker", False), ("forecast", False), ("lessons", True))
    return (
        Question("description", default=cases.description(closed.case)), Question("result"),
        *(Question(name, required, cases.fact(incident, name)) for name, required in facts),
        Question("proposals", default=cases.fact(incident, "recommendations")),
    )  # fmt: skip


def build(closed: Closed, paper: Paper, draft: Draft) -> Document:
    """Form and annex; internal addresses are taken out of every text."""
    case = closed.case
    if case.incident.recovered is None:
        draft.need("", "need_recovered")
    blocks = (*form04.blocks(closed, paper, draft), *annex.blocks(closed, draft))
    title = one_line(f"{vi('c04_title')} {case.incident.id}: {without_internal(case.incident.title)}", 200)
    shown = map_text(blocks, without_internal)
    return Document("closing", title, shown, case.now, paper.organisation.agency.name, LANG, tuple(draft.missing))


def account(closed: Closed) -> Account:
    """Where the facts come from."""
    return cases.account(closed.case)
