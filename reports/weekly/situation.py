"""Log sources, alerts, incidents and changes of the week."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain import i18n
from domain.document import UNKNOWN, Block, Chart, Column, Paragraph, Series, Table, number_text
from domain.severity import LEVELS
from reports.facts import SourceFact, day_totals
from reports.shown import clock_text, duration, level, moment, span
from reports.text import LANG, vi
from reports.weekly.gather import Weekly

MOST: Final = 40
"""Rows of a list in the body; what is left out is counted."""
_GAPS: Final = 3
_ROWS: Final = 20
"""Sources in the picture."""
_TODAY: Final = 24


def sources(facts: Weekly) -> Iterator[Block]:
    """I. Log sources: what sent, what was silent."""
    silent = [s for s in facts.sources if s.events is None]
    gaps = [s for s in facts.sources if s.gaps]
    yield Paragraph(
        vi("sources_sum", n=number_text(len(facts.sources)), active=number_text(len(facts.sources) - len(silent)),
           silent=number_text(len(silent)), gaps=number_text(len(gaps)), events=number_text(facts.total))
    )  # fmt: skip
    columns = (
        Column(vi("col_source"), 24), Column(vi("col_events"), 15, "right"), Column(vi("col_last"), 17, "center"),
        Column(vi("col_lost"), 16, "center"), Column(vi("col_gaps"), 28),
    )  # fmt: skip
    rows = tuple(_source_row(s) for s in facts.sources)
    yield Table(columns, rows, vi("table_sources"), vi("col_no"), vi("sources_none"))
    if facts.sources:
        yield Paragraph(vi("sources_note"), style="note")
        yield from _pictures(facts)


def _source_row(source: SourceFact) -> tuple[str, ...]:
    shown = [span(g.start, g.end) for g in source.gaps[:_GAPS]]
    more = len(source.gaps) - len(shown)
    text = "; ".join(shown) + (f"; {vi('and_more', n=more)}" if more else "")
    lost = duration(source.lost) if source.gaps else vi("none_lost")
    name = source.id or vi("unnamed")
    shown_name = f"{name} {vi('fresh')}" if source.fresh and source.events else name
    return shown_name, number_text(source.events), moment(source.last), lost, text


def _pictures(facts: Weekly) -> Iterator[Block]:
    days = facts.period.days
    totals = day_totals(facts.sources, len(days))
    labels = tuple(f"{d:%d/%m}" for d in days)
    unknown = [labels[i] for i, v in enumerate(totals) if v is None]
    about = vi("chart_events_about", days="; ".join(f"{n}: {number_text(v)}" for n, v in zip(labels, totals, strict=True)))
    yield Chart("bars", vi("chart_events"), about, labels, (Series(vi("unit_events"), totals),), vi("unit_events"))
    if unknown:
        yield Paragraph(vi("chart_unknown", days=", ".join(unknown)), style="note")
    worst = sorted(facts.sources, key=lambda s: (-s.lost, s.id))[:_ROWS]
    series = tuple(Series(s.id or vi("unnamed"), s.hours) for s in sorted(worst, key=lambda s: s.id))
    yield Chart("heat", vi("chart_hours"), vi("chart_hours_about", most=_TODAY), labels, series, vi("unit_hours"))


def changes(facts: Weekly) -> Iterator[Block]:
    """5. Changes in what is watched, and in what watches."""
    rows = [(c.where or UNKNOWN, c.action or UNKNOWN, number_text(c.count), span(c.first, c.last)) for c in facts.changes[:MOST]]
    counted = Column(vi("col_count"), 12, "right"), Column(vi("col_time"), 28, "center")
    columns = (Column(vi("col_machine"), 30), Column(vi("col_change"), 30), *counted)
    yield Table(columns, tuple(rows), vi("table_changes"), vi("col_no"), vi("changes_none"))
    yield from left_out(len(facts.changes) - len(rows))
    fresh = [s.id or vi("unnamed") for s in facts.sources if s.fresh and s.events]
    gone = [s.id or vi("unnamed") for s in facts.sources if s.events is None]
    yield Paragraph(vi("watch_fresh", names=", ".join(fresh)) if fresh else vi("watch_fresh_none"))
    yield Paragraph(vi("watch_gone", names=", ".join(gone)) if gone else vi("watch_gone_none"))


def alerts(facts: Weekly) -> Iterator[Block]:
    """III. Alerts by level."""
    shown = [f for f in facts.alerts if f.alert.status != "silenced"]
    hidden, blind = len(facts.alerts) - len(shown), facts.total is None and not facts.alerts
    told = {"n": None if blind else len(shown), "silenced": hidden, "exercises": facts.exercises}
    yield Paragraph(vi("alerts_sum", **{name: number_text(value) for name, value in told.items()}))
    rows = []
    for name in reversed(LEVELS):
        same = [f.alert for f in shown if f.alert.rule.level == name]
        real = sum(a.verdict == "true_positive" for a in same)
        wrong = sum(a.verdict in ("false_positive", "benign") for a in same)
        counts = (len(same), real, wrong, sum(a.is_open for a in same))
        rows.append((level(name), *(number_text(None if blind else n) for n in counts)))
    columns = (
        Column(vi("col_level"), 28), Column(vi("col_alerts"), 18, "right"), Column(vi("col_real"), 18, "right"),
        Column(vi("col_wrong"), 18, "right"), Column(vi("col_open"), 18, "right"),
    )  # fmt: skip
    yield Table(columns, tuple(rows), vi("table_alerts"))
    yield Paragraph(vi("alerts_note"), style="note")
    if shown:
        yield _levels(facts, [name for name in reversed(LEVELS) if any(f.alert.rule.level == name for f in shown)])


def _levels(facts: Weekly, names: list[str]) -> Chart:
    days = facts.period.days
    blind = [total is None for total in day_totals(facts.sources, len(days))]
    series = []
    for name in names:
        same = [f.day for f in facts.alerts if f.alert.rule.level == name and f.alert.status != "silenced"]
        counts = [same.count(i) for i in range(len(days))]
        series.append(Series(level(name), tuple(None if blind[i] and not n else n for i, n in enumerate(counts))))
    about = "; ".join(f"{s.name}: {number_text(sum(v or 0 for v in s.values))}" for s in series)
    return Chart("bars", vi("chart_alerts"), about, tuple(f"{d:%d/%m}" for d in days), tuple(series), vi("unit_alerts"))


def incidents(facts: Weekly) -> Iterator[Block]:
    """Incidents whose T0 lies in the period."""
    columns = (
        Column(vi("col_incident"), 18), Column(vi("col_title"), 30), Column(vi("col_t0"), 18, "center"), Column(vi("col_category"), 20),
        Column(vi("col_status"), 14, "center"),
    )  # fmt: skip
    rows = []
    for item in facts.incidents:
        kind = i18n.t(f"incident.category_{item.category}", language=LANG) if item.category else vi("unclassified")
        state = i18n.t(f"incident.status_{item.status}", language=LANG)
        rows.append((item.id, item.title, clock_text(item.t0), kind, state))
    yield Table(columns, tuple(rows), vi("table_incidents"), vi("col_no"), vi("incidents_none"))


def left_out(count: int) -> Iterator[Block]:
    """Says how many rows are not shown."""
    if count > 0:
        yield Paragraph(vi("left_out", n=number_text(count)), style="note")
