"""`soc report`: documents, and the list of what can be made."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.common import OPTIONS, emit, say, show
from commands.common import runtime as open_runtime
from domain.i18n import t

app = typer.Typer(rich_markup_mode=None)


@app.command(help=t("report.help"))
def report(
    kind: Annotated[str, typer.Argument(help=t("report.help_kind"))],
    period: Annotated[str, typer.Option(help=t("report.help_period"))] = "",
    calendar: Annotated[bool, typer.Option("--calendar", help=t("report.help_calendar"))] = False,
    incident: Annotated[str, typer.Option(help=t("report.help_incident"))] = "",
    form: Annotated[str, typer.Option("--format", help=t("report.help_format"))] = "",
    out: Annotated[str, typer.Option(help=t("report.help_out"))] = "",
    answers: Annotated[str, typer.Option(help=t("report.help_answers"))] = "",
    final: Annotated[bool, typer.Option("--final", help=t("report.help_final"))] = False,
    number: Annotated[str, typer.Option(help=t("report.help_number"))] = "",
) -> None:
    """Make a document; exit 1 with --final while something is missing."""
    if kind == "list":
        _list(form or "table")
        return
    from jobs.report import Request, make

    formats = tuple(dict.fromkeys(f.strip() for f in (form or "docx,pdf").split(",") if f.strip()))
    made = make(open_runtime(), Request(kind, period, calendar, incident, formats, out, answers, final, number))
    if OPTIONS.json:
        emit({
            "document": made.key, "title": made.title, "number": made.number, "final": made.final, "files": [str(f) for f in made.files],
            "answers": str(made.answers), "missing": list(made.missing),
        })  # fmt: skip
    else:
        for file in made.files:
            typer.echo(str(file))
    if made.answers_new:
        say(t("report.answers_new", file=made.answers))
    if made.missing:
        say(t("report.still_missing", n=len(made.missing)))
        for key in made.missing:
            say(f"  - {t(f'report.{key}')}")
    if final and not made.final:
        say(t("report.not_final"))
        raise typer.Exit(1)


def _list(form: str) -> None:
    from jobs.report import kinds

    if OPTIONS.json or form == "json":
        emit([{"kind": kind.name, "subject": kind.subject, "built": bool(kind.module)} for kind in kinds()])
        return
    headers = [t("report.kind"), t("report.about"), t("report.built"), t("report.what")]
    rows = []
    for kind in kinds():
        about, built = t(f"report.subject_{kind.subject}"), t("report.built_yes" if kind.module else "report.built_no")
        rows.append((kind.name, about, built, t(f"report.kind_{kind.name.replace('-', '_')}")))
    show(headers, rows, form)
