"""`soc scan`: the scheduled job."""

from __future__ import annotations

from typing import Annotated

import typer

from commands import common
from domain.errors import LackingError, SourceError
from domain.i18n import t

app = typer.Typer()


@app.command(help=t("rulehelp.cmd_scan"))
def scan(fail_on: Annotated[str, typer.Option(help=t("rulehelp.opt_fail_on"))] = "") -> None:
    """Run the detectors over what arrived since the last scan."""
    from jobs import scan as job

    runtime = common.runtime()
    with common.bar(t("scan.working"), job.work(runtime)) as tick:
        report = job.scan(runtime, tick)
    if common.OPTIONS.json:
        common.emit(vars(report))
    common.say(t("scan.done", events=report.events, opened=len(report.opened), updated=len(report.updated), silenced=report.silenced))
    if report.rules:
        common.say(t("scan.rules", rules=report.rules, blind=report.blind, broken=report.broken))
    if report.retro:
        common.say(t("scan.retro", n=report.retro))
    for note in report.notes:
        common.say(note)
    for name in report.skipped:
        common.say(t("scan.skipped", name=name))
    if fail_on and job.reaches(runtime, report, fail_on):
        raise typer.Exit(1)
    if report.failed:
        kind = LackingError if report.exit_code == LackingError.exit_code else SourceError
        raise kind("; ".join(report.failed), hint="soc collect status")
