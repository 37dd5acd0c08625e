"""Items 2 to 4: what was attacked, how, by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from domain import i18n, severity, titles
from domain.document import UNKNOWN, Block, Column, Paragraph, Table, number_text
from domain.registers import Registers, parse_address
from domain.text import one_line
from reports.attacks import where
from reports.facts import AlertFact, Seen, ranked
from reports.shown import level, moment, span
from reports.text import LANG, vi
from reports.weekly.gather import WORTH, Weekly
from reports.weekly.situation import MOST, left_out

_NAMES: Final = 3
"""Names of the other side in a cell."""


def victims(facts: Weekly, registers: Registers) -> Iterator[Block]:
    """2. Attacked objects that need attention."""
    seen = ranked(facts.attacks.victims)
    rows = tuple(_victim(s, registers, facts.now) for s in seen[:MOST])
    columns = (
        Column(vi("col_address"), 20), Column(vi("col_service"), 27), Column(vi("col_when"), 23, "center"),
        Column(vi("col_times"), 11, "right"), Column(vi("col_level"), 13, "center"),
    )  # fmt: skip
    yield Table(columns, rows, vi("table_victims"), vi("col_no"), vi("nothing_found"))
    yield from left_out(len(seen) - len(rows))
    if rows:
        yield Paragraph(vi("victims_note", levels=", ".join(level(n) for n in WORTH)), style="note")


def _victim(seen: Seen, registers: Registers, now: datetime) -> tuple[str, ...]:
    asset = registers.asset_of(seen.key, seen.last)
    parts = [asset.description or asset.name] if asset else []
    about = ", ".join(parts + unit_names(seen, registers, now)) or vi("not_registered")
    name = seen.key
    if asset and parse_address(seen.key) is None and asset.addresses:
        name = f"{asset.addresses[0]} ({seen.key})"
    return one_line(name, 80), about, span(seen.first, seen.last), number_text(seen.count), level(seen.level)


def unit_names(seen: Seen, registers: Registers, now: datetime) -> list[str]:
    """The unit at that time; when it has been reorganised since, with what it is now."""
    unit = registers.unit_of(seen.key, seen.last)
    if unit is None or unit.valid(now):
        return [unit.name] if unit else []
    heirs = ", ".join(u.name for u in registers.units_at(unit.code, now))
    return [vi("unit_now", old=unit.name, new=heirs) if heirs else vi("unit_gone", old=unit.name)]


def techniques(facts: Weekly) -> Iterator[Block]:
    """3. Techniques found, with the evidence."""
    groups: dict[tuple[str, str], list[AlertFact]] = {}
    for fact in facts.alerts:
        if fact.alert.status != "silenced" and fact.alert.verdict not in ("false_positive", "benign", "duplicate"):
            groups.setdefault((technique(fact.alert.rule.tags), fact.alert.rule.id), []).append(fact)
    order = sorted(groups.items(), key=lambda g: (-severity.rank(g[1][0].alert.rule.level), -sum(f.count for f in g[1]), g[0]))
    rows = tuple(_technique(name, group, facts.events) for (name, _), group in order[:MOST])
    columns = (
        Column(vi("col_technique"), 24), Column(vi("col_rule"), 30), Column(vi("col_times"), 10, "right"),
        Column(vi("col_level"), 12, "center"), Column(vi("col_evidence"), 24),
    )  # fmt: skip
    yield Table(columns, rows, vi("table_techniques"), vi("col_no"), vi("nothing_found"))
    yield from left_out(len(order) - len(rows))


def _technique(name: str, group: list[AlertFact], events: Mapping[str, Mapping[str, object]]) -> tuple[str, ...]:
    ids = [f.alert.id for f in group]
    shown = ", ".join(ids[:_NAMES]) + (f" {vi('and_more', n=len(ids) - _NAMES)}" if len(ids) > _NAMES else "")
    rule = group[0].alert.rule
    evidence = vi("evidence_alerts", ids=shown)
    if any(e in events for f in group for e in f.alert.events):
        evidence = f"{evidence}; {vi('evidence_annex')}"
    return name, one_line(titles.full(rule, LANG), 120), number_text(sum(f.count for f in group)), level(rule.level), evidence


def technique(tags: tuple[str, ...]) -> str:
    """ATT&CK techniques of a rule with their tactic in words: `T1110.001 Đoán mật khẩu (Truy cập thông tin xác thực)`."""
    names = [t.removeprefix("attack.") for t in tags if t.startswith("attack.")]
    named = i18n.catalogue(LANG, "attack")
    ids = [f"{n.upper()} {named.get(n.lower(), '')}".rstrip() for n in names if re.match(r"[tT]\d", n)]
    known = (vi(f"tactic_{n.replace('-', '_').replace('.', '_')}") for n in names if not re.match(r"[tgs]\d", n))
    tactics = [text for text in known if not text.startswith("report.")]
    text = ", ".join(ids) or "; ".join(tactics) or vi("technique_unknown")
    return f"{text} ({'; '.join(tactics)})" if ids and tactics else text


def attackers(facts: Weekly, registers: Registers) -> Iterator[Block]:
    """4. Who attacked."""
    seen = ranked(facts.attacks.attackers)
    rows = tuple(_attacker(s, facts, registers) for s in seen[:MOST])
    columns = (
        Column(vi("col_attacker"), 20), Column(vi("col_origin"), 18), Column(vi("col_target"), 22), Column(vi("col_time"), 20, "center"),
        Column(vi("col_times"), 10, "right"), Column(vi("col_blocked"), 10, "center"),
    )  # fmt: skip
    yield Table(columns, rows, vi("table_attackers"), vi("col_no"), vi("nothing_found"))
    yield from left_out(len(seen) - len(rows))
    if rows:
        yield Paragraph(vi("attackers_note"), style="note")


def _attacker(seen: Seen, facts: Weekly, registers: Registers) -> tuple[str, ...]:
    origin = ", ".join([vi(f"origin_{where(seen.key)}"), *unit_names(seen, registers, facts.now)])
    targets = [one_line(t, 50) for t in seen.others]
    shown = ", ".join(targets[:_NAMES]) + (f" {vi('and_more', n=len(targets) - _NAMES)}" if len(targets) > _NAMES else "")
    times = moment(seen.first) if seen.first == seen.last else span(seen.first, seen.last)
    return one_line(seen.key, 80), origin, shown or UNKNOWN, times, number_text(seen.count), _stopped(facts.blocked.get(seen.key))


def _stopped(counts: tuple[int, int] | None) -> str:
    if counts is None or not counts[1]:
        return UNKNOWN
    stopped, total = counts
    if 0 < stopped < total:
        return vi("blocked_part", share=number_text(100 * stopped / total, 1))
    return vi("blocked_all" if stopped else "blocked_none")
