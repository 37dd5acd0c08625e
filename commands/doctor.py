"""`soc doctor`: health, each finding with the next command."""

from __future__ import annotations

from dataclasses import asdict

import typer

from commands.common import OPTIONS, emit, runtime, say, show
from domain.i18n import t
from jobs.doctor import Finding, examine

app = typer.Typer(rich_markup_mode=None)


@app.command(help=t("doctor.help"))
def doctor() -> None:
    """Everything that is looked at; exit 1 when something is wrong."""
    found = examine(runtime())
    wrong = sum(finding.level == "wrong" for finding in found)
    if OPTIONS.json:
        emit({"wrong": wrong, "findings": [{**asdict(finding), "sentence": _sentence(finding)} for finding in found]})
    else:
        headers = [t("doctor.state"), t("doctor.check"), t("doctor.finding"), t("doctor.next")]
        show(headers, [(t(f"doctor.level_{f.level}"), t(f"doctor.check_{f.check}"), _sentence(f), f.next) for f in found])
        say(t("doctor.sick", n=wrong) if wrong else t("doctor.well"))
    raise typer.Exit(1 if wrong else 0)


def _sentence(finding: Finding) -> str:
    return t(f"doctor.{finding.text}", "", **finding.values)
