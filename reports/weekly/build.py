"""Figures -> blocks of the weekly report."""

from __future__ import annotations

from collections.abc import Iterator

from domain.document import Block, Document, Heading, Paragraph, Title, number_text
from domain.registers import Registers
from domain.text import one_line
from reports import office
from reports.answers import Draft
from reports.office import Paper
from reports.shown import clock_text, day_text, duration
from reports.text import LANG, vi
from reports.weekly import annexes, attacked, situation
from reports.weekly.gather import Weekly


def build(facts: Weekly, paper: Paper, draft: Draft) -> Document:
    """The whole document."""
    title = title_of(facts)
    blocks = (
        office.letterhead(paper, draft), Title(vi("weekly_name"), title), office.addressees(paper, draft),
        *(Paragraph(text, style="basis") for text in office.grounds(paper.day)),
        *_body(facts, paper.registers, draft), Paragraph(vi("weekly_end", agency=paper.organisation.agency.name or "…")),
        office.closing(paper, draft), *annexes.annexes(facts),
    )  # fmt: skip
    author = paper.organisation.agency.name
    return Document("weekly", one_line(f"{vi('weekly_name')} – {title}"), blocks, facts.now, author, LANG, tuple(draft.missing))


def title_of(facts: Weekly) -> str:
    """What the report is about."""
    period = facts.period
    key = "weekly_about_week" if period.kind == "week" else "weekly_about"
    year, week, _ = period.first.isocalendar()
    return vi(key, week=f"{week:02d}", year=year, first=day_text(period.first), last=day_text(period.last))


def _body(facts: Weekly, registers: Registers, draft: Draft) -> Iterator[Block]:
    yield Heading(vi("weekly_sources"))
    yield from situation.sources(facts)
    yield from (Paragraph(line) for line in draft.lines("overview"))
    yield Heading(vi("weekly_results"))
    yield Heading(vi("weekly_item1"), 2)
    yield Paragraph(_watched(facts))
    yield Heading(vi("weekly_item2"), 2)
    yield from attacked.victims(facts, registers)
    yield Heading(vi("weekly_item3"), 2)
    yield from attacked.techniques(facts)
    yield Heading(vi("weekly_item4"), 2)
    yield from attacked.attackers(facts, registers)
    yield Heading(vi("weekly_item5"), 2)
    yield from situation.changes(facts)
    yield from (Paragraph(line) for line in draft.lines("changes_note"))
    yield Heading(vi("weekly_alerts"))
    yield from situation.alerts(facts)
    yield from situation.incidents(facts)
    yield Heading(vi("weekly_recommendations"))
    yield from (Paragraph(line) for line in draft.lines("recommendations"))


def _watched(facts: Weekly) -> str:
    window = facts.period.window
    lost = [s for s in facts.sources if s.gaps]
    text = vi("weekly_watched", start=clock_text(window.start), end=clock_text(window.end), days=len(facts.period.days))
    if facts.now < window.end:
        text += " " + vi("weekly_unfinished", now=clock_text(facts.now))
    if lost:
        worst = max(lost, key=lambda s: s.lost)
        return f"{text} " + vi("weekly_lost", n=number_text(len(lost)), source=worst.id or vi("unnamed"), time=duration(worst.lost))
    return f"{text} " + vi("weekly_not_lost" if facts.sources else "weekly_no_source")
