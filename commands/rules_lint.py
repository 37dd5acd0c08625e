"""`soc rules lint`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from commands import common
from domain.errors import UsageError
from domain.i18n import t
from domain.text import one_line

app = typer.Typer()
_KEYS = ("severity", "code", "file", "line", "column", "reason")


@app.command(help=t("rulehelp.cmd_lint"))
def lint(
    paths: Annotated[list[str] | None, typer.Argument(help=t("rulehelp.arg_lint"))] = None,
    rules: Annotated[list[str] | None, typer.Option("--rules", help=t("rulehelp.opt_lint_rules"))] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help=t("rulehelp.opt_only"))] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", help=t("rulehelp.opt_skip"))] = None,
    level: Annotated[str, typer.Option("--level", help=t("rulehelp.opt_level"))] = "warning",
    form: Annotated[str, typer.Option("--format", help=t("rulehelp.opt_form_lint"))] = "table",
    checks: Annotated[bool, typer.Option("--list", help=t("rulehelp.opt_checks"))] = False,
) -> None:
    """All problems of rule files in one run, each with file, line and column; exit 4 when a rule cannot run."""
    from jobs import rule_lint as job

    if form not in ("table", "json", "csv", "sarif"):
        raise UsageError(f"--format {form}: table | json | csv | sarif")
    if checks:
        common.show([t("lint.severity"), t("lint.code"), t("lint.reason")], job.listing(), form, ("severity", "code", "reason"))
        return
    report = job.lint(common.runtime(), [*(paths or ()), *(rules or ())], (only or (), skip or ()), level)
    _show(report, "json" if common.OPTIONS.json and form != "sarif" else form)
    raise typer.Exit(4 if report.counts["error"] else 0)


def _show(report: Any, form: str) -> None:
    from jobs import rule_lint as job

    if form == "sarif":
        common.emit(job.sarif(report.issues))
    elif form == "json":
        common.emit(job.to_json(report.issues))
    elif form == "csv":
        rows = [[i.severity, i.code, i.file, i.line, i.column, i.reason()] for i in report.issues]
        common.show(_KEYS, rows, form)
    else:
        for i in report.issues:
            sys.stdout.write(one_line(f"{i.file}:{i.line}:{i.column}: {t(f'lint.{i.severity}')}: {i.reason()} [{i.code}]", 1000) + "\n")
    for severity, code, number in report.by_code():
        common.say(f"{number:6} {t(f'lint.{severity}')} {code}")
    if report.left:
        names = ", ".join(one_line(name, 100) for name in report.left[:3]) + (", …" if len(report.left) > 3 else "")
        common.say(t("lint.left", n=len(report.left), names=names))
    kept = {name: report.counts[name] for name in ("error", "warning", "note")}
    common.say(t("lint.summary", files=report.files, rules=report.documents, skipped=report.skipped, **kept))
