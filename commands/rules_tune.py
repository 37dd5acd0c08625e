"""`soc rules coverage|scorecard|filter`: how well the rules do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from commands import rules_filter
from commands.common import OPTIONS, emit, level_word, runtime, say, show
from domain import periods, spoken
from domain.clock import iso_local, show_local
from domain.errors import UsageError
from domain.i18n import t
from domain.text import one_line
from domain.window import TimeWindow, moment

if TYPE_CHECKING:
    from jobs.rule_coverage import Covered, Row
    from jobs.rule_scorecard import Card
    from jobs.runtime import Runtime

app = typer.Typer()
app.add_typer(rules_filter.app, name="filter")

Form = Annotated[str, typer.Option("--format", help="table | json | csv")]
Limit = Annotated[int, typer.Option("--limit", help=t("tuning.opt_limit"), min=0)]
Since = Annotated[str, typer.Option(help=t("tuning.opt_since"))]
Until = Annotated[str, typer.Option(help=t("tuning.opt_until"))]
Period = Annotated[str, typer.Option(help=t("tuning.opt_period"))]


def _window(run: Runtime, since: str, until: str, period: str, default: str) -> tuple[TimeWindow, str]:
    """The period asked for, and its name."""
    if period:
        if since or until:
            raise UsageError("--period stands alone, without --since and --until")
        found = periods.parse(period, run.config.period_style)
        return found.window, found.name
    now = run.clock.now()
    window = TimeWindow(moment(since or default, now), moment(until, now) if until else now + timedelta(seconds=1))
    return window, f"{show_local(window.start)} - {show_local(window.end)}"


@app.command("coverage", help=t("tuning.help_coverage"))
def coverage(
    layer: Annotated[str, typer.Option("--layer", help=t("tuning.opt_layer"))] = "all",
    out: Annotated[Path | None, typer.Option("--out", help=t("tuning.opt_layers"))] = None,
    since: Since = "", until: Until = "", period: Period = "", form: Form = "table",
) -> None:  # fmt: skip
    """ATT&CK: covered, visible, fired, blind today; as a table by tactic, and as layers of the Navigator."""
    from jobs import rule_check, rule_coverage, rule_off, rule_seen
    from jobs.alerts import every

    if layer not in (*rule_coverage.LAYERS, "all"):
        raise UsageError(f"--layer {one_line(layer, 20)}: {' | '.join((*rule_coverage.LAYERS, 'all'))}")
    run = runtime()
    window, name = _window(run, since, until, period, "30d")
    rules = rule_off.scanning(run)
    states = rule_check.check(rules, rule_seen.store(run.store.events), rule_seen.elsewhere(run))
    alerts = [a for a in every(run.store.records).values() if a.first < window.end and a.last >= window.start]
    found = rule_coverage.cover(states, alerts)
    kinds = rule_coverage.LAYERS if layer == "all" else (layer,)
    layers = {kind: rule_coverage.layer(found, kind, name) for kind in kinds}
    files = rule_coverage.write(out, layers) if out else []
    rows = rule_coverage.by_tactic(found)
    if OPTIONS.json or form == "json":
        emit(_coverage_json(found, rows, layers, name))
    else:
        shown = [(spoken.tactic(r.tactic) if r.tactic else t("tuning.no_tactic"), *_counts(r), ", ".join(r.lost)) for r in rows]
        show([t(f"tuning.col_{key}") for key in ("tactic", "covered", "visible", "fired", "dark", "lost")], shown, form)
    totals = {kind: sum(1 for one in found.techniques if one.score(kind)) for kind in rule_coverage.LAYERS}
    say(t("tuning.covered", "", **totals))
    if found.moved:
        say(t("tuning.moved", list=", ".join(f"{old} → {new}" for old, new in found.moved.items())))
    if found.odd:
        say(t("tuning.odd", list=", ".join(f"{name} ({n})" for name, n in found.odd.items())))
    for file in files:
        say(t("tuning.layer_written", file=file))


def _counts(row: Row) -> tuple[int, int, int, int]:
    return row.covered, row.visible, row.fired, row.blind


def _coverage_json(found: Covered, rows: Sequence[Row], layers: Mapping[str, Any], period: str) -> dict[str, Any]:
    techniques = [
        {"id": one.id, "tactics": list(one.tactics), "live": one.live, "partial": one.partial, "blind": one.blind, "alerts": one.fired}
        for one in found.techniques
    ]
    tactics = [
        {"tactic": r.tactic, "covered": r.covered, "visible": r.visible, "fired": r.fired, "blind": r.blind, "lost": list(r.lost)}
        for r in rows
    ]
    return {
        "period": period, "techniques": techniques, "tactics": tactics, "retired": dict(found.moved), "odd": dict(found.odd),
        "layers": layers,
    }  # fmt: skip


@app.command("scorecard", help=t("tuning.help_scorecard"))
def scorecard(
    since: Since = "", until: Until = "", period: Period = "",
    cost: Annotated[bool, typer.Option("--cost", help=t("tuning.opt_cost"))] = False,
    advice: Annotated[str, typer.Option("--advice", help="retire | tune | blind | keep | off")] = "",
    form: Form = "table", limit: Limit = 50,
) -> None:  # fmt: skip
    """How each rule did: hits, verdicts, precision, cost, what to do with it and why."""
    from domain import tuning
    from jobs import rule_filters
    from jobs import rule_scorecard as job

    if advice and advice not in tuning.ADVICE:
        raise UsageError(f"--advice {one_line(advice, 20)}: {' | '.join(tuning.ADVICE)}")
    run = runtime()
    window, name = _window(run, since, until, period, "90d")
    rules = rule_filters.load(run)
    every = job.cards(run, rules, window)
    found = [card for card in every if card.advice == advice] if advice else every
    shown = found[:limit] if limit else found
    if cost:
        shown = job.measured(run, rules, shown)
    if OPTIONS.json or form == "json":
        emit([_card_json(card) for card in shown])
    else:
        _cards(shown, form, cost=cost)
    counts = job.counted(every)
    say(t("tuning.scored", "", period=name, shown=len(shown), total=len(every), **{key: counts.get(key, 0) for key in tuning.ADVICE}))


def off(rules: Any, form: str, limit: int) -> None:
    """`soc rules list --off`."""
    from jobs import rule_off

    found = rule_off.listing(runtime(), rules)
    shown = found[:limit] if limit else found
    own = OPTIONS.json or form != "table"
    rows = [(one.level if own else level_word(one.level), one.title, one.id, one.reason("en" if OPTIONS.json else "")) for one in shown]
    show([t(f"rules.{key}") for key in _OFF], rows, form, _OFF)
    say(t("tuning.off", n=len(found)))


_OFF: Final = ("level", "title", "id", "reason")
_CARD: Final = ("advice", "rule", "hits", "alert_count", "verdicts", "precision", "last", "blind_days", "why", "next")
_WIDE: Final = ("rule", "why")
"""Columns of the table that stay on one line."""


def _cards(shown: Sequence[Card], form: str, *, cost: bool) -> None:
    keys = (*_CARD[:-2], *(("cost",) if cost else ()), *_CARD[-2:])
    cut = [keys.index(key) for key in _WIDE] if form == "table" else []
    show([t(f"tuning.col_{key}") for key in keys], ([_cell(card, key) for key in keys] for card in shown), form, cut=cut)


def _cell(card: Card, key: str) -> object:
    record = card.record
    return {
        "advice": t(f"tuning.advice_{card.advice}"), "rule": card.spoken, "hits": record.hits, "alert_count": record.alerts,
        "verdicts": f"{record.true}/{record.false}/{record.benign}/{record.open}" if record.alerts else "",
        "precision": "" if record.precision is None else f"{record.precision:.0%} ({record.true}/{record.true + record.false})",
        "last": show_local(card.last)[:10] if card.last else "", "blind_days": card.blind_days or "", "why": _because(card),
        "next": card.next, "cost": "" if record.seconds is None else f"{record.seconds:.3f}",
    }[key]  # fmt: skip


def _because(card: Card) -> str:
    record = card.record
    precision = "" if record.precision is None else f"{record.precision:.0%}"
    seconds = "" if record.seconds is None else f"{record.seconds:.1f}"
    numbers = {"true": record.true, "false": record.false, "benign": record.benign, "open": record.open, "judged": record.judged}
    key = "unfed" if card.why == "blind" and not card.blind_days else card.why
    return t(f"tuning.why_{key}", "", **numbers, alerts=record.alerts, precision=precision, seconds=seconds, days=card.blind_days)


def ordinary(rule: str) -> dict[str, Any] | None:
    """What the rule did on the benign days and attack samples that precision.json tells of; None when it was not tried."""
    from jobs import rule_off

    one = rule_off.measured().get(rule)
    return None if one is None else {**vars(one), "alerts_a_day": round(one.a_day, 2), "noisy": one.noisy}


def _card_json(card: Card) -> dict[str, Any]:
    record = card.record
    return {
        "id": card.id, "title": card.title, "level": card.level, "status": card.status, "advice": card.advice, "why": card.why,
        "reason": _because(card), "next": card.next, "hits": record.hits, "alerts": record.alerts,
        "verdicts": {"true_positive": record.true, "false_positive": record.false, "benign": record.benign, "duplicate": record.duplicate},
        "open": record.open, "precision": record.precision, "last": iso_local(card.last) if card.last else None,
        "seconds_per_million_events": record.seconds, "blind_days": card.blind_days, "ordinary_days": ordinary(card.id),
    }  # fmt: skip
