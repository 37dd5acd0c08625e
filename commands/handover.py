"""`soc handover`: the note for the next shift."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from commands.common import OPTIONS, clock, emit, runtime
from domain.alert_fold import to_json
from domain.clock import iso_local, show_local
from domain.i18n import t
from domain.text import one_line
from domain.window import moment
from jobs.queue import Handover, item_json
from jobs.queue import handover as note

app = typer.Typer(rich_markup_mode=None)
SHOWN = 10


@app.command(help=t("alerts.help_handover"))
def handover(since: Annotated[str, typer.Option(help=t("alerts.opt_shift"))] = "12h") -> None:
    """What came in, what was decided, what waits, what is kept quiet."""
    found = note(runtime(), moment(since, clock().now()))
    if OPTIONS.json:
        emit({
            "since": iso_local(found.since), "now": iso_local(found.now), "opened": [to_json(a) for a in found.opened],
            "closed": [to_json(a) for a in found.closed], "verdicts": dict(found.verdicts),
            "waiting": [item_json(i) for i in found.waiting],
            "notes": [{"incident": case, "at": iso_local(n.at), "actor": n.actor, "text": n.text} for case, n in found.notes],
            "silences": [{"what": w, "until": iso_local(u), "reason": r} for w, u, r in found.silences],
        })  # fmt: skip
    else:
        sys.stdout.write("\n".join(one_line(line) for line in _text(found)) + "\n")


def _text(found: Handover) -> Iterator[str]:
    yield t("alerts.shift", since=show_local(found.since), now=show_local(found.now))
    yield t("alerts.shift_counts", opened=len(found.opened), closed=len(found.closed), waiting=len(found.waiting))
    for verdict, n in sorted(found.verdicts.items()):
        yield f"  {t(f'alerts.verdict_{verdict}')}: {n}"
    if found.waiting:
        yield ""
        yield t("alerts.shift_waiting")
    for item in found.waiting[:SHOWN]:
        who = item.assignee or t("alerts.nobody")
        about = ", ".join(e.value for e in item.entities[:4])
        yield f"  [{item.score}] {item.id if item.kind == 'incident' else item.id[:8]} · {item.title} · {about} · {who}"
    if len(found.waiting) > SHOWN:
        yield f"  {t('alerts.shift_more', n=len(found.waiting) - SHOWN)}"
    if found.notes:
        yield ""
        yield t("alerts.shift_notes")
    for case, note_ in found.notes:
        yield f"  {case} · {show_local(note_.at)} · {note_.actor}: {note_.text}"
    if found.silences:
        yield ""
        yield t("alerts.shift_silences")
    for what, until, reason in found.silences:
        yield f"  {what} · {t('alerts.until', at=show_local(until))} · {reason}"
