"""`soc drill`: realistic logs with hidden attacks and an answer key; how detection did on them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from commands.common import OPTIONS, emit, runtime, say, show, track
from domain.clock import show_local
from domain.errors import UsageError
from domain.i18n import lang, t
from jobs import drill as job

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
EVERY: Final = timedelta(minutes=30)

Seed = Annotated[int, typer.Option(help=t("drill.help_seed"))]
Events = Annotated[int, typer.Option(help=t("drill.help_events"))]
Days = Annotated[int, typer.Option(help=t("drill.help_days"))]
Start = Annotated[str, typer.Option(help=t("drill.help_start"))]
Reserved = Annotated[bool, typer.Option("--reserved", help=t("drill.help_reserved"))]
Form = Annotated[str, typer.Option("--format", help="table | json | csv")]


@app.command("list", help=t("drill.help_list"))
def list_(form: Form = "table") -> None:
    """The scenarios."""
    show(
        [t("drill.scenario"), t("drill.title"), t("drill.variants")],
        [(r["scenario"], r[lang()], r["variants"]) for r in job.listing()],
        form,
        keys=("scenario", "title", "variants"),
    )


@app.command(help=t("drill.help_generate"))
def generate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=t("drill.help_dir"))],
    scenario: Annotated[str, typer.Option(help=t("drill.help_scenario"))] = "all",
    seed: Seed = 1, events: Events = job.EVENTS, days: Days = job.DAYS, start: Start = "", reserved: Reserved = False,
    exercise: Annotated[bool, typer.Option("--exercise", help=t("drill.help_exercise"))] = False,
) -> None:  # fmt: skip
    """Logs, soc.toml, registers and the answer key in a new folder."""
    drill = job.prepare(_wish(scenario, seed, events, days, start, reserved=reserved), folder, exercise=exercise)
    for _ in track(drill.stream(), t("drill.writing")):
        pass
    total = sum(drill.records.values())
    if OPTIONS.json:
        emit(
            {
                "folder": str(folder),
                "records": total,
                "sources": dict(drill.records),
                "steps": len(drill.steps),
                "key": str(folder / job.KEY),
            }
        )
    else:
        show([t("drill.source"), t("drill.records")], sorted(drill.records.items()))
        say(t("drill.generated", n=total, folder=folder, steps=len(drill.steps)))
        say(t("drill.next_collect", folder=folder))


@app.command(help=t("drill.help_run"))
def run(
    scenario: Annotated[str, typer.Argument(help=t("drill.help_scenario"))],
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help=t("drill.help_run_dir"))] = None,
    seed: Seed = 1, events: Events = job.EVENTS, days: Days = job.DAYS, start: Start = "", reserved: Reserved = False,
) -> None:  # fmt: skip
    """Generate, collect, scan and check as time passes; exit 1 when a step was missed."""
    folder = folder or Path("drills") / f"{scenario.replace(',', '-')}-{seed}{'-reserved' if reserved else ''}"
    wish = _wish(scenario, seed, events, days, start, reserved=reserved)
    job.clear(folder)
    drill = job.prepare(wish, folder, exercise=True)
    now = job.open_folder(folder)
    for moment in track(job.play(now, drill, EVERY), t("drill.playing")):
        say(t("drill.moment", at=show_local(moment.at), stored=moment.stored, alerts=moment.alerts))
    say(t("drill.kept", folder=folder))
    _result(job.report(job.check(now, folder / job.KEY)))


@app.command(help=t("drill.help_check"))
def check(
    key: Annotated[Path, typer.Option(help=t("drill.help_key"))],
    form: Form = "table",
) -> None:
    """The key against the alerts of the store; exit 1 when a step was missed."""
    _result(job.report(job.check(runtime(), key)), form)


def _wish(scenario: str, seed: int, events: int, days: int, start: str, *, reserved: bool) -> job.Wish:
    scenarios = () if scenario == "all" else tuple(part.strip() for part in scenario.split(","))
    return job.Wish(seed, events, days, _day(start), scenarios, reserved)


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise UsageError(f"--start {text}: not a date", hint="2026-11-17") from None


def _result(result: dict[str, Any], form: str = "table") -> None:
    if OPTIONS.json:
        emit(result)
    else:
        rows = [_row(r) for r in sorted((*result["found"], *result["missed"]), key=lambda r: (r["attack"], r["from"]))]
        show([t("drill.attack"), t("drill.step"), t("drill.began"), t("drill.after"), t("drill.taken"), t("drill.by")], rows, form)
        say(t("drill.summary", found=len(result["found"]), missed=len(result["missed"]), outside=len(result["outside"])))
    if result["missed"]:
        raise typer.Exit(1)


def _row(step: dict[str, Any]) -> tuple[object, ...]:
    began = show_local(datetime.fromisoformat(step["from"]))
    if "seconds" not in step:
        return step["attack"], step["step"], began, t("drill.missed"), "", ""
    taken = _minutes(step["taken_seconds"]) if "taken_seconds" in step else t("drill.open")
    return step["attack"], step["step"], began, _minutes(step["seconds"]), taken, f"{step['title']} ({step['rule']})"


def _minutes(seconds: float) -> str:
    return t("drill.minutes", n=round(seconds / 60))
