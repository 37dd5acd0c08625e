"""`soc audit`: the chained log of who did what."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from commands.common import OPTIONS, clock, emit, runtime, say, show
from domain.clock import iso_local, show_local
from domain.i18n import t
from jobs import audit as jobs

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command(help=t("audit.log_help"))
def log(
    since: Annotated[str, typer.Option(help=t("audit.since"))] = "",
    until: Annotated[str, typer.Option(help=t("audit.until"))] = "",
    limit: Annotated[int, typer.Option(help=t("audit.limit"), min=0)] = 100,
    form: Annotated[str, typer.Option("--format", help="table | json | csv")] = "table",
) -> None:
    """Who did what; the newest entries, oldest of them first."""
    found = jobs.latest(runtime().store.records, since, until, limit, clock().now())
    if OPTIONS.json or form == "json":
        for entry in found:
            emit({
                "number": entry.number, "at": iso_local(entry.at), "actor": entry.actor, "action": entry.action, "target": entry.target,
                "detail": dict(entry.detail), "hash": entry.hash,
            })  # fmt: skip
        return
    rows = (
        (e.number, show_local(e.at), e.actor, e.action, e.target, orjson.dumps(dict(e.detail)).decode() if e.detail else "", e.hash[:12])
        for e in found
    )
    show([t(f"audit.col_{c}") for c in ("number", "at", "actor", "action", "target", "detail", "hash")], rows, form)


@app.command(help=t("audit.verify_help"))
def verify(expect: Annotated[str, typer.Option(metavar="NUMBER:HASH", help=t("audit.expect"))] = "") -> None:
    """Recompute the chain; exit 1 when it is broken."""
    found = jobs.verify(runtime().store.records, expect)
    if OPTIONS.json:
        emit({"entries": found.entries, "head": f"{found.entries}:{found.head}", "problems": list(found.problems)})
    else:
        if found.problems:
            show([t("audit.problem")], [(p,) for p in found.problems])
        say(t("audit.broken", n=len(found.problems)) if found.problems else t("audit.sound", n=found.entries))
        say(t("audit.head", head=f"{found.entries}:{found.head}"))
    raise typer.Exit(1 if found.problems else 0)
