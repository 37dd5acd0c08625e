"""Annexes: the evidence line by line, and how every figure came about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from domain.document import UNKNOWN, Appendix, Block, Column, Paragraph, Table, number_text, roman
from domain.text import one_line
from reports.facts import Figure
from reports.shown import moment
from reports.text import vi
from reports.weekly.gather import Weekly

_PER_RULE: Final = 3
_MOST: Final = 60
_EXCERPT: Final = 240
_QUERY: Final = 300
"""Characters of a query in print; the record of the document holds all of it."""


def annexes(facts: Weekly) -> Iterator[Block]:
    """One after the other, numbered as they come."""
    rows = tuple(_evidence(facts))
    number = 1
    if rows:
        columns = (
            Column(vi("col_alert"), 14), Column(vi("col_time"), 12, "center"), Column(vi("col_source"), 12), Column(vi("col_raw"), 42),
            Column(vi("col_sha256"), 20),
        )  # fmt: skip
        yield Appendix(vi("appendix", n=roman(number)), vi("annex_evidence"), landscape=True)
        yield Table(columns, rows, "", vi("col_no"))
        yield Paragraph(vi("evidence_note", per=_PER_RULE, most=_MOST), style="note")
        number += 1
    yield Appendix(vi("appendix", n=roman(number)), vi("annex_figures"), landscape=True)
    yield from figures(facts.figures)


def _evidence(facts: Weekly) -> Iterator[tuple[str, ...]]:
    shown: dict[str, int] = {}
    for fact in facts.alerts:
        for event_id in fact.alert.events:
            event = facts.events.get(event_id)
            rule = fact.alert.rule.id
            if event is None or shown.get(rule, 0) >= _PER_RULE:
                continue
            if sum(shown.values()) >= _MOST:
                return
            shown[rule] = shown.get(rule, 0) + 1
            raw = str(event.get("event.original") or "")
            source, digest = (str(event.get(name) or UNKNOWN) for name in ("thapcanh.source", "sha256"))
            yield fact.alert.id, _time(event.get("@timestamp")), source, one_line(raw, _EXCERPT), digest


def _time(value: object) -> str:
    return moment(datetime.fromisoformat(str(value))) if value else UNKNOWN


def figures(found: tuple[Figure, ...]) -> Iterator[Block]:
    """The queries behind the figures."""
    columns = (
        Column(vi("col_figure"), 24), Column(vi("col_query"), 30), Column(vi("col_by"), 18), Column(vi("col_window"), 18, "center"),
        Column(vi("col_result"), 10, "right"),
    )  # fmt: skip
    rows = tuple(
        (
            vi(f"figure_{f.name}"),
            one_line(f.query, _QUERY),
            ", ".join(f.by) + (f" / {f.every}" if f.every else ""),
            f"{moment(f.window.start)} – {moment(f.window.end)}",
            number_text(f.result),
        )
        for f in found
    )
    yield Table(columns, rows, "", vi("col_no"))
    yield Paragraph(vi("figures_note"), style="note")
