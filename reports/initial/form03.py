"""Mẫu 03 (TT 20/2017/TT-BTTTT, Phụ lục I): every field, in the order of the form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from domain import i18n
from domain.clock import LOCAL
from domain.document import Block, Entry, Form, Heading, Paragraph, Ticks, Title
from reports import case as cases
from reports import office
from reports.answers import Draft, Question
from reports.case import HANDLED, Case
from reports.office import Paper, or_dots
from reports.redact import public
from reports.shown import day_text
from reports.text import vi

DETECTED: Final[Mapping[str, str]] = {
    "ids": "ids", "sigma": "logs", "correlation": "logs", "anomaly": "logs", "antivirus": "antivirus", "notice": "notice", "user": "notice",
}  # fmt: skip
"""`detected_by` of the incident -> box of the form."""
_DETECTED_BOXES: Final = ("ids", "logs", "notice", "antivirus", "other")
_SENT_BOXES: Final = ("owner", "coordinator", "specialised", "isp")
_SERVICE_BOXES: Final = ("web", "mail", "database", "dns", "file", "application", "other")
_CONTROL_BOXES: Final = ("antivirus", "firewall", "ids", "waf", "edr", "backup", "other")
_ATTACHED_BOXES: Final = ("logs", "samples", "other")


def questions(case: Case) -> Sequence[Question]:
    """What is left to people."""
    return (
        Question("description", default=cases.description(case)), Question("measures_planned", required=False),
        Question("support", required=False, default=cases.fact(case.incident, "support")), Question("proposals", required=False),
        Question("confidential", default=vi("yes_word")),
    )  # fmt: skip


def blocks(case: Case, paper: Paper, draft: Draft) -> Iterator[Block]:
    """The form."""
    yield office.letterhead(paper, draft)
    yield Title(vi("m03_title"))
    yield office.addressees(paper, draft)
    yield from organisation(paper, draft)
    yield from _contact(paper, draft)
    yield from _system(case, paper, draft)
    yield from _incident(case, draft)
    yield from _more(case)
    yield Ticks(vi("m03_secret"), ((vi("m03_secret_yes"), _secret(draft)), (vi("m03_secret_no"), not _secret(draft))))
    yield Heading(vi("m03_proposals"))
    yield Paragraph(or_dots(draft.ask("proposals")))
    yield made_at(case.now)
    yield office.closing(paper, draft, vi("sign_seal"))


def made_at(now: datetime) -> Form:
    """When the report was made."""
    local = now.astimezone(LOCAL)
    made = vi("m03_time_text", day=day_text(local.date()), hour=f"{local:%H}", minute=f"{local:%M}")
    return Form((Entry(vi("m03_time"), made, required=True),))


def organisation(paper: Paper, draft: Draft) -> Iterator[Block]:
    """Who reports: the first part of Mẫu 03 and of Mẫu 04."""
    agency = paper.organisation.agency
    yield Heading(vi("m03_sender"))
    yield Form((
        Entry(vi("m03_name"), draft.need(agency.name, "need_agency"), required=True),
        Entry(vi("m03_address"), draft.need(agency.address, "need_address"), required=True),
        Entry(vi("m03_phone"), draft.need(agency.phone, "need_phone"), required=True),
        Entry(vi("m03_email"), draft.need(agency.email, "need_email"), required=True),
    ))  # fmt: skip


def _contact(paper: Paper, draft: Draft) -> Iterator[Block]:
    contact = paper.organisation.contact
    yield Heading(vi("m03_contact"))
    yield Form((
        Entry(vi("m03_person"), draft.need(contact.name, "need_contact"), required=True),
        Entry(vi("m03_position"), or_dots(contact.position)),
        Entry(vi("m03_phone"), draft.need(contact.phone or contact.mobile, "need_contact_phone"), required=True),
        Entry(vi("m03_email"), draft.need(contact.email, "need_contact_email"), required=True),
    ))  # fmt: skip


def _system(case: Case, paper: Paper, draft: Draft) -> Iterator[Block]:
    org = paper.organisation
    yield Heading(vi("m03_system"))
    yield Form((
        Entry(vi("m03_operator"), draft.need(cases.joined(case, "operator") or org.operator.name, "need_operator"), required=True),
        Entry(vi("m03_owner"), or_dots(cases.joined(case, "owner") or org.owner.name)),
        Entry(vi("m03_name_of_system"), or_dots(cases.system_line(case))),
        Entry(vi("m03_level"), or_dots(cases.joined(case, "level"))),
        Entry(vi("m03_provider"), or_dots(cases.joined(case, "security_provider") or org.security_provider.name)),
        Entry(vi("m03_isp"), or_dots(cases.joined(case, "isp"))),
    ))  # fmt: skip


def _incident(case: Case, draft: Draft) -> Iterator[Block]:
    incident = case.incident
    local = incident.t0.astimezone(LOCAL)
    yield Form((
        Entry(vi("m03_description"), draft.ask("description"), required=True),
        Entry(vi("m03_harm"), vi("m03_harm_text", level=cases.level(incident) or vi("unclassified"), spread=cases.spread(case))),
        Entry(vi("m03_measures"), "; ".join(cases.measures(case)) or vi("measures_none")),
        Entry(vi("m03_planned"), or_dots(draft.ask("measures_planned"))),
        Entry(vi("m03_support"), draft.ask("support") or vi("support_none")),
        Entry(vi("m03_date"), day_text(local.date()), required=True),
        Entry(vi("m03_clock"), vi("m03_clock_text", hour=f"{local:%H}", minute=f"{local:%M}"), required=True),
    ))  # fmt: skip
    handled = incident.status in HANDLED
    yield Ticks(vi("m03_state"), ((vi("m03_state_done"), handled), (vi("m03_state_open"), not handled)), required=True)
    how = DETECTED.get(incident.detected_by, "other")
    yield Ticks(vi("m03_detected"), tuple((vi(f"m03_detected_{box}"), box == how) for box in _DETECTED_BOXES), required=True)
    yield _sent(case)


def _sent(case: Case) -> Ticks:
    """Boxes of the form by addressee; what fits none stands behind `other`."""
    to = [n.to for n in case.incident.sent]
    names = {box: (box, *(i18n.t(f"duties.to_{box}", language=lang).lower() for lang in i18n.LANGS)) for box in _SENT_BOXES}
    ticked = {box: any(t.lower() in known for t in to) for box, known in names.items()}
    rest = [t for t in to if not any(t.lower() in known for known in names.values())]
    other = vi("m03_sent_other") + (f": {'; '.join(dict.fromkeys(rest))}" if rest else "")
    return Ticks(vi("m03_sent"), (*((vi(f"m03_sent_{box}"), ticked[box]) for box in _SENT_BOXES), (other, bool(rest))), required=True)


def _more(case: Case) -> Iterator[Block]:
    services, controls = {s for a in case.assets for s in a.services}, {c for a in case.assets for c in a.controls}
    yield Heading(vi("m03_more"))
    yield Form(tuple(Entry(vi(f"m03_{name}"), or_dots(cases.joined(case, name))) for name in ("os", "os_version")))
    yield Ticks(vi("m03_services"), tuple((vi(f"service_{box}"), box in services) for box in _SERVICE_BOXES))
    yield Ticks(vi("m03_controls"), tuple((vi(f"control_{box}"), box in controls) for box in _CONTROL_BOXES))
    yield Form((
        Entry(vi("m03_addresses"), or_dots(", ".join(dict.fromkeys(public(x for a in case.assets for x in a.addresses))))),
        Entry(vi("m03_domains"), or_dots(", ".join(dict.fromkeys(x for a in case.assets for x in a.domains)))),
        Entry(vi("m03_purpose"), or_dots(cases.joined(case, "purpose") or cases.joined(case, "description"))),
    ))  # fmt: skip
    yield from cases.personal_data(case)
    attached = bool(case.incident.evidence)
    yield Ticks(vi("m03_attached"), tuple((vi(f"m03_attached_{box}"), box == "logs" and attached) for box in _ATTACHED_BOXES))
    yield cases.evidence(case)


def _secret(draft: Draft) -> bool:
    return draft.ask("confidential").strip().lower() in (vi("yes_word"), "yes", "true")
