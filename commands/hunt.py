"""`soc hunt`: Sigma over files, or over the store's past."""

from __future__ import annotations

from typing import Annotated

import typer

from commands import common
from domain.errors import SourceError, UsageError
from domain.i18n import t

app = typer.Typer()


@app.command(help=t("rulehelp.cmd_hunt"))
def hunt(
    paths: Annotated[list[str] | None, typer.Argument(help=t("rulehelp.arg_paths"))] = None,
    rules: Annotated[list[str] | None, typer.Option(help=t("rulehelp.opt_rules"))] = None,
    out: Annotated[list[str] | None, typer.Option(help=t("rulehelp.opt_out"))] = None,
    html: Annotated[str, typer.Option(help=t("rulehelp.opt_html"))] = "",
    stats: Annotated[str, typer.Option(help=t("rulehelp.opt_stats"))] = "",
    parser: Annotated[str, typer.Option(help=t("rulehelp.opt_parser"))] = "auto",
    workers: Annotated[int, typer.Option(min=0, help=t("rulehelp.opt_workers"))] = 0,
    store: Annotated[bool, typer.Option("--store", help=t("rulehelp.opt_store"))] = False,
    since: Annotated[str, typer.Option(help=t("rulehelp.opt_since"))] = "",
    until: Annotated[str, typer.Option(help=t("rulehelp.opt_until"))] = "",
    min_level: Annotated[str, typer.Option(help=t("rulehelp.opt_min_level"))] = "",
    hash_files: Annotated[bool, typer.Option("--hash", help=t("rulehelp.opt_hash"))] = False,
    limit: Annotated[int, typer.Option(min=0, help=t("rulehelp.opt_rows"))] = 40,
    form: Annotated[str, typer.Option("--format", help=t("rulehelp.opt_form_table"))] = "table",
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
