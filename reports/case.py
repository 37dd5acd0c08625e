"""What documents about one incident share: the facts, and the sentences made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from domain import i18n, severity, titles
from domain.alert import STREAM as ALERTS
from domain.alert import Alert
from domain.alert_fold import fold_all
from domain.document import Block, Column, Entry, Form, Table, number_text
from domain.incident import STREAM as INCIDENTS
from domain.incident import Incident, StepDone, fold
from domain.registers import Asset, Registers, parse_address
from domain.text import one_line
from domain.window import TimeWindow
from reports.attacks import attacks_of, sample
from reports.base import Account, Order
from reports.facts import AlertFact, Figure, ranked
from reports.redact import public
from reports.shown import clock_text, duration, moment
from reports.text import LANG, vi
from store.base import RecordStore, Store

_TOP: Final = 3
_STEPS: Final = 30
HANDLED: Final = ("recovered", "closed")


@dataclass(frozen=True)
class Case:
    """An incident with its alerts and assets."""

    incident: Incident
    alerts: tuple[Alert, ...]
    """Gravest first."""
    assets: tuple[Asset, ...]
    """As they were at T0."""
    foreign: tuple[str, ...]
    """Addresses of others that took part."""
    registers: Registers
    now: datetime
    records: int
    """Records of the incident so far."""
    steps: Mapping[tuple[str, str], str]
    """Titles of playbook steps."""
    victims: tuple[str, ...] = ()
    """What was attacked, by address or name, worst first."""

    @property
    def first(self) -> datetime | None:
        """First event of the alerts."""
        return min((a.first for a in self.alerts), default=None)

    @property
    def last(self) -> datetime | None:
        """Last event."""
        return max((a.last for a in self.alerts), default=None)

    @property
    def events(self) -> int:
        """Events of the alerts."""
        return sum(a.count for a in self.alerts)


def gather(store: Store, order: Order) -> Case:
    """The incident as its records tell it."""
    records = store.records.read(INCIDENTS, order.incident)
    incident = fold(records)
    alerts = _alerts(store.records, incident)
    facts = [AlertFact(a, a.count, None) for a in alerts]
    attacks = attacks_of(facts, sample(store.events, facts), order.registers)
    victims = tuple(s.key for s in ranked(attacks.victims))
    entities = [*incident.entities, *(e for a in alerts for e in (*a.entities, *a.related))]
    found = [order.registers.asset(a, incident.t0) for a in incident.assets]
    names = [*victims, *(e.value for e in entities if e.type in ("ip", "host", "url"))]
    found += [order.registers.asset_of(name, incident.t0) for name in names]
    assets = {a.id: a for a in found if a is not None}
    addresses = [e.value for e in entities if e.type == "ip" and parse_address(e.value)]
    foreign = dict.fromkeys(a for a in addresses if not order.registers.is_own(a, incident.t0))
    steps, now = order.steps, order.now
    return Case(incident, alerts, tuple(assets.values()), tuple(foreign), order.registers, now, len(records), steps, victims)


def _alerts(records: RecordStore, incident: Incident) -> tuple[Alert, ...]:
    found = fold_all(records.find(ALERTS, keys=incident.alerts)) if incident.alerts else {}
    return tuple(sorted(found.values(), key=lambda a: (-severity.rank(a.rule.level), a.first, a.id)))


def account(case: Case) -> Account:
    """Where the facts come from."""
    window = TimeWindow(case.incident.t0, case.now)
    figures = (
        Figure("case", f"records {INCIDENTS} {case.incident.id}", window, (), "", case.records),
        Figure("case_alerts", f"records {ALERTS} {' '.join(case.incident.alerts)}", window, (), "", case.events),
    )
    return Account(figures, (), {a.rule.id: a.rule.version for a in case.alerts}, window)


def category(incident: Incident) -> str:
    """One of the ten kinds of TT 20/2017, in words; empty while unknown."""
    return i18n.t(f"incident.category_{incident.category}", language=LANG) if incident.category else ""


def level(incident: Incident) -> str:
    """Severity in words; empty while unknown."""
    return i18n.t(f"incident.level_{incident.level}", language=LANG) if incident.level else ""


def fact(incident: Incident, name: str) -> str:
    """What was written down under a key of `domain.incident.FACTS`."""
    value: Any = incident.facts.get(name)
    if isinstance(value, (list, tuple)):
        return "; ".join(str(v) for v in value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value)
    return str(value or "")


def system_names(case: Case) -> str:
    """Names of the systems hit."""
    hosts = [e.value for e in case.incident.entities if e.type == "host"]
    return "; ".join([a.name for a in case.assets] or [one_line(n, 80) for n in (hosts or case.victims)[:_TOP]])


def system_line(case: Case) -> str:
    """Names with domains and Internet addresses."""
    parts = []
    for asset in case.assets:
        more = [*asset.domains, *public(asset.addresses)]
        parts.append(f"{asset.name} ({', '.join(more)})" if more else asset.name)
    return "; ".join(parts) or system_names(case)


def joined(case: Case, field: str) -> str:
    """A field of the assets, each value once."""
    values = [getattr(a, field) for a in case.assets]
    return "; ".join(dict.fromkeys(str(v) for v in values if v not in ("", None)))


def description(case: Case) -> str:
    """`At T0 the monitoring found ... on ..., from n addresses, n events from ... to ...; kind of incident: ...`."""
    incident = case.incident
    named = list(dict.fromkeys(one_line(titles.title(a.rule, LANG), 120) for a in case.alerts))
    what = "; ".join(named[:_TOP]) + (f" {vi('and_more', n=len(named) - _TOP)}" if len(named) > _TOP else "")
    where = system_names(case) or vi("case_where_unknown")
    parts = [vi("case_found", at=clock_text(incident.t0), what=what or incident.title, where=where)]
    if case.foreign:
        shown = ", ".join(case.foreign[:_TOP]) + (", …" if len(case.foreign) > _TOP else "")
        parts.append(vi("case_from", n=number_text(len(case.foreign)), top=shown))
    if case.first and case.last:
        parts.append(vi("case_events", n=number_text(case.events), first=moment(case.first), last=moment(case.last)))
    return "; ".join(parts) + "; " + vi("case_kind", kind=category(incident) or vi("unclassified")) + "."


def spread(case: Case) -> str:
    """How far it has gone, as far as alerts tell."""
    entities = {e for a in case.alerts for e in (*a.entities, *a.related)} | set(case.incident.entities)
    counts = {"systems": len(case.assets), **{f"{kind}s": sum(e.type == kind for e in entities) for kind in ("host", "user")}}
    parts = [vi(f"case_{name}", n=number_text(n)) for name, n in counts.items() if n]
    return vi("case_spread", parts=", ".join(parts)) if parts else vi("being_determined")


def scope(case: Case) -> str:
    """As written down, else what alerts tell, as a sentence."""
    text = fact(case.incident, "scope") or spread(case)
    return text[:1].upper() + text[1:]


def measures(case: Case) -> list[str]:
    """What was done so far: facts and steps of playbooks, in order."""
    out = [fact(case.incident, "measures")] if fact(case.incident, "measures") else []
    for step in [s for s in case.incident.steps if s.result == "done"][:_STEPS]:
        text = vi("case_step", at=moment(step.at), what=step_name(case, step), playbook=step.playbook, step=step.step)
        out.append(f"{text}: {step.note}" if step.note else text)
    return out


def measures_in_short(case: Case) -> str:
    """The same for a letter of one page: what was done last, by name."""
    known, done = fact(case.incident, "measures"), [s for s in case.incident.steps if s.result == "done"]
    names = [step_name(case, s) for s in done[-_TOP:]]
    more = vi("case_steps_more", n=number_text(len(done) - _TOP)) if len(done) > _TOP else ""
    parts = [known] * bool(known) + names + [more] * bool(more)
    return "; ".join(parts) + "." if parts else vi("measures_none")


def step_name(case: Case, step: StepDone) -> str:
    """Its title, or its phase when the playbook is not at hand any more."""
    return case.steps.get((step.playbook, step.step)) or i18n.t(f"playbook.phase_{step.phase}", language=LANG)


def evidence(case: Case) -> Table:
    """Files kept as proof, with their digests."""
    sizes = Column(vi("col_size"), 12, "right"), Column(vi("col_taken"), 22, "center")
    columns = (Column(vi("col_file"), 26), *sizes, Column(vi("col_file_sha256"), 40))
    rows = tuple((one_line(e.name, 80), number_text(e.size), moment(e.taken_at), e.sha256) for e in case.incident.evidence)
    return Table(columns, rows, vi("table_evidence"), vi("col_no"), vi("evidence_none"))


def downtime(case: Case) -> str:
    """How long services were down; empty when not known."""
    minutes = case.incident.facts.get("downtime_minutes")
    return duration(timedelta(minutes=float(minutes))) if isinstance(minutes, (int, float)) and minutes else ""


def personal_data(case: Case) -> Sequence[Block]:
    """What is known of personal data, and which form is owed besides; nothing when none is involved."""
    incident = case.incident
    if not {"personal_data", "biometric", "location"} & set(incident.flags):
        return ()
    unknown = vi("being_determined")
    entries = (
        Entry(vi("pd_types"), fact(incident, "data_types") or joined(case, "personal_data") or unknown),
        Entry(vi("pd_subjects"), fact(incident, "subjects") or unknown),
        Entry(vi("pd_form"), vi(f"pd_form_{incident.personal_data_profile.removeprefix('vn-')}")),
    )
    return (Form(entries),)
