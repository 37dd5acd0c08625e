"""`soc hunt`: Sigma over files, or over the store's past."""

from __future__ import annotations

from typing import Annotated

import typer

from commands import common
from domain.errors import SourceError, UsageError
from domain.i18n import t

app = typer.Typer()


@app.command()
def hunt(
    paths: Annotated[list[str] | None, typer.Argument(help="files, folders, archives")] = None,
    rules: Annotated[list[str] | None, typer.Option(help="rule file or folder (default: shipped, imported and content rules)")] = None,
    out: Annotated[list[str] | None, typer.Option(help="hits as JSON lines (.jsonl) or timeline (.csv); may be repeated")] = None,
    html: Annotated[str, typer.Option(help="summary as one page that loads nothing")] = "",
    stats: Annotated[str, typer.Option(help="figures of the run as JSON")] = "",
    parser: Annotated[str, typer.Option(help="parser name, or auto")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="processes; 0 = one per core")] = 0,
    store: Annotated[bool, typer.Option("--store", help="hunt in the store instead of files")] = False,
    since: Annotated[str, typer.Option(help="hits from this event time on: ISO 8601, or 24h, 7d")] = "",
    until: Annotated[str, typer.Option(help="hits before this event time")] = "",
    min_level: Annotated[str, typer.Option(help="only rules of this level or above: low, medium, high, critical")] = "",
    hash_files: Annotated[bool, typer.Option("--hash", help="SHA-256 of every input file, for --html and --stats")] = False,
    limit: Annotated[int, typer.Option(min=0, help="rows of the table; 0 = all")] = 40,
    form: Annotated[str, typer.Option("--format", help="the table as table, json or csv")] = "table",
) -> None:
    """Hunt with Sigma; the table counts hits by rule and host.

    With --json each hit is one line on stdout; with --json and --out the figures are one document there.
    """
    from commands import hunt_view
    from jobs import hunt_run
    from jobs.hunt import size_of

    if store == bool(paths):
        raise UsageError("either files or --store", hint="soc hunt PATH… or soc hunt --store --since 7d")
    hunt_view.check(form)
    asked = hunt_run.Asked(
        paths or (), rules or (), out or (), html, stats, parser, workers, since, until, min_level, hash_files
    )  # fmt: skip
    hunt_run.check(asked)
    tell = common.emit if common.OPTIONS.json and not out else None
    runtime = common.runtime()
    with common.bar(t("hunt.working"), size_of(asked.paths), size=bool(paths)) as tick:
        outcome = hunt_run.run(runtime, asked, tick, tell)
    hunt_view.show(asked, outcome, form, limit)
    if outcome.stopped:
        raise typer.Exit(130)
    if outcome.result.problems and not outcome.result.events:
        problem = outcome.result.problems[0]
        raise SourceError(problem.reason, where=problem.source)
