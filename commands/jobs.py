"""`soc jobs`: the schedule."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from commands.common import OPTIONS, runtime, say, show
from domain.clock import iso_local, show_local
from domain.i18n import t
from jobs import schedule
from jobs.service import run_now

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list", help=t("jobs.help_list"))
def list_(form: Annotated[str, typer.Option("--format", help="table | json | csv")] = "table") -> None:
    """Every job: when it runs, when next, how the last run ended."""
    now = runtime()
    rows = []
    for name in schedule.JOBS:
        cron = now.config.schedule.get(name, "off")
        following = schedule.next_at(cron, now.clock.now())
        runs = schedule.history(now.store.coordination, name)
        last = (_time(datetime.fromisoformat(runs[-1].started)), runs[-1].code) if runs else ("", "")
        rows.append((name, cron, _time(following), *last))
    headers = [t("jobs.job"), t("jobs.cron"), t("jobs.next"), t("jobs.last"), t("jobs.code")]
    show(headers, rows, form, ("job", "schedule", "next", "last", "code"))


@app.command("run", help=t("jobs.help_run_one"))
def run(name: str) -> None:
    """One run, now; its exit code is ours."""
    ran = run_now(runtime(), name)
    say(t("jobs.ran", job=name, code=ran.code, seconds=ran.seconds))
    raise typer.Exit(ran.code if ran.code >= 0 else 70)


@app.command("history", help=t("jobs.help_history"))
def history(
    name: Annotated[str, typer.Argument(help=t("jobs.help_name"))] = "",
    limit: Annotated[int, typer.Option(help=t("jobs.help_limit"))] = 20,
    form: Annotated[str, typer.Option("--format", help="table | json | csv")] = "table",
) -> None:
    """The last runs, newest first."""
    now = runtime()
    names = [schedule.job(name).name] if name else list(schedule.JOBS)
    runs = [(job, ran) for job in names for ran in schedule.history(now.store.coordination, job)]
    runs = sorted(runs, key=lambda entry: entry[1].started, reverse=True)[:limit]
    headers = [t("jobs.job"), t("jobs.due"), t("jobs.started_at"), t("jobs.seconds"), t("jobs.code"), t("jobs.output")]
    rows = [(j, _shown(r.due), _shown(r.started), r.seconds, r.code, r.said) for j, r in runs]
    show(headers, rows, form, ("job", "due", "started", "seconds", "code", "said"))


def _time(at: datetime | None) -> str:
    return "" if at is None else iso_local(at) if OPTIONS.json else show_local(at)


def _shown(stamp: str) -> str:
    return _time(datetime.fromisoformat(stamp))
