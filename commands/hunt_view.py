"""How a hunt looks on the terminal."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from commands import common
from domain.clock import LOCAL
from domain.errors import UsageError
from domain.i18n import t

if TYPE_CHECKING:
    from jobs.hunt_run import Asked, Outcome
    from jobs.hunt_tally import Row

_PROBLEMS: Final = 20
_WIDE: Final = 100
"""Columns of a terminal from which on both times have room, with the hour."""
KEYS: Final = ("level", "rule", "rule_id", "title", "host", "hits", "first", "last")
"""Names in JSON and CSV."""


def check(form: str) -> None:
    """UsageError for a format that does not exist, before the work."""
    if form not in ("table", "json", "csv"):
        close = difflib.get_close_matches(form, ["table", "json", "csv"], 1)
        raise UsageError(f"--format {form}: table | json | csv", hint=close[0] if close else "")


def show(asked: Asked, outcome: Outcome, form: str, limit: int) -> None:
    """The table on stdout, everything else on stderr."""
    rows = outcome.tally.rows()
    shown = rows[:limit] if limit else rows
    if common.OPTIONS.json:
        if asked.outs:
            common.emit(outcome.figures)
    elif form != "table":
        common.show(KEYS, [_plain(row, outcome) for row in shown], form)
    elif rows:
        _table(shown)
    if len(shown) < len(rows) and not common.OPTIONS.json:
        common.say(t("hunt.more_rows", n=len(rows) - len(shown)))
    _tell(asked, outcome)


def _table(rows: Sequence[Row]) -> None:
    from jobs.hunt_found import instant

    wide = common.width() >= _WIDE
    headers = [t("hunt.level"), t("hunt.rule"), t("hunt.host"), t("hunt.hits"), t("hunt.first"), *([t("hunt.last")] if wide else [])]
    form = "%d/%m/%y %H:%M" if wide else "%d/%m/%y"
    cells = []
    for row in rows:
        times = [row.count.first, *([row.count.last] if wide else [])]
        shown = [instant(at).astimezone(LOCAL).strftime(form) if at is not None else "?" for at in times]
        cells.append([t(f"alerts.level_{row.level}"), row.rule or row.rule_id, row.host, row.count.hits, *shown])
    common.show(headers, cells)


def _plain(row: Row, outcome: Outcome) -> list[object]:
    from jobs.hunt_told import iso

    title = outcome.tally.rules[row.rule_id].title
    return [row.level, row.rule, row.rule_id, title, row.host, row.count.hits, iso(row.count.first), iso(row.count.last)]


def _tell(asked: Asked, outcome: Outcome) -> None:
    from jobs import hunt_about, hunt_told

    for line in hunt_told.lines(outcome.result.records):
        common.say(line)
    problems = outcome.result.problems
    for problem in problems[:_PROBLEMS]:
        common.say(f"{problem.source}: {problem.reason}")
    if len(problems) > _PROBLEMS:
        common.say(t("hunt.more_problems", n=len(problems) - _PROBLEMS))
    for broken in outcome.rules.broken[:10]:
        common.say(broken.told)
    if outcome.tally.total:
        common.say(t("hunt.levels", list=hunt_about.levels(outcome)))
        if outcome.tally.tactics():
            common.say(t("hunt.tactics", list=hunt_about.tactics(outcome)))
    _summary(asked, outcome)
    for line in hunt_about.notes(asked, outcome):
        common.say(line)
    steps = hunt_about.steps(asked, outcome)
    if steps:
        common.say(t("hunt.next"))
        for text, command in steps:
            common.say(f"  {text} {command}")
    if outcome.stopped:
        common.say(hunt_about.partial(outcome))


def _summary(asked: Asked, outcome: Outcome) -> None:
    from jobs import hunt_about

    figures, rules = outcome.figures, outcome.figures["rules"]
    counts = {"loaded": rules["loaded"], "blind": len(rules["blind"]), "errors": len(rules["error"])}
    if asked.paths:
        counts |= {"events": figures["events"], "files": figures["files"], "unparsed": figures["unparsed"]}
        text = t("hunt.summary", hits=outcome.tally.total, rate=round(figures["events_per_second"]), **counts)
    else:
        text = t("hunt.store_summary", events=figures["events"], hits=outcome.tally.total, **counts)
    common.say(text)
    if not outcome.tally.total:
        common.say(t("hunt.nothing"))
    common.say(t("hunt.rules_from", list=hunt_about.rules_from(asked, outcome)))
