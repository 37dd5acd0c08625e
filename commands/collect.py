"""`soc collect`: pull, receive, the ledger, dead letters."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Mapping
from typing import Annotated

import typer

from commands.common import OPTIONS, emit, runtime, say, show
from domain.clock import iso_local, show_local
from domain.errors import LackingError, SourceError, UsageError
from domain.i18n import t
from domain.text import one_line
from jobs import collect_replay
from jobs.collect import Outcome, collect, configured, evidence
from jobs.collect_run import run as run_job
from jobs.collect_status import Ledger, ledgers, plain, totals
from jobs.config_check import without_password

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Format = Annotated[str, typer.Option("--format", help="table | json | csv")]


class _Stderr(logging.Handler):
    """What collectors have to say goes where messages go."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"soc: {one_line(record.getMessage(), 1000)}")


@app.callback()
def _listen() -> None:
    logger = logging.getLogger("collectors")
    if not logger.handlers:
        logger.addHandler(_Stderr())
        logger.propagate = False


@app.command(help=t("collect.help_once"))
def once(
    path: Annotated[list[str] | None, typer.Option("--path", help=t("collect.option_path"))] = None,
    parser: Annotated[str, typer.Option(help=t("collect.option_parser"))] = "auto",
    incident: Annotated[str, typer.Option(help=t("collect.option_incident"))] = "",
    source: Annotated[list[str] | None, typer.Option("--source", help=t("collect.option_source"))] = None,
) -> None:
    """Every source, some of them, or these files; exit 5 when one could not be read."""
    if path and source:
        raise UsageError("--path and --source exclude each other")
    if not path and (parser != "auto" or incident):
        raise UsageError("--parser and --incident go with --path")
    now = runtime()
    sources = evidence(path, parser, incident) if path else configured(now, source or ())
    outcomes = collect(now, sources, None if OPTIONS.json else _told)
    if OPTIONS.json:
        emit({"sources": [_outcome(outcome) for outcome in outcomes]})
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed:
        what = f"{len(failed)} of {len(outcomes)} sources could not be read to the end: {failed[0].error}"
        lacking = any(outcome.exit_code == LackingError.exit_code for outcome in failed)
        raise (LackingError if lacking else SourceError)(what, hint="soc collect status")


@app.command(help=t("collect.help_run"))
def run() -> None:
    """Until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_job(runtime(), stop, _event)


@app.command(help=t("collect.help_status"))
def status(form: Format = "table") -> None:
    """The ledger of each source."""
    found = ledgers(runtime())
    if OPTIONS.json:
        emit({"sources": [_times(line) for line in plain(found)], "total": totals(found)})
        return
    headers = ["source", "received", "stored", "unparsed", "rejected", "duplicates", "spooled", "lag", "dropped", "lost", "last"]
    show([t(f"collect.{name}") for name in headers], [_line(one) for one in found], form)
    for one in found:
        for note in one.notes:
            say(f"{one.source}: {one_line(note, 500)}")


@app.command(help=t("collect.help_sources"))
def sources(form: Format = "table") -> None:
    """Configured sources and those that the store knows."""
    now = runtime()
    named = {source.id: source for source in now.config.sources}
    rows = []
    for one in ledgers(now):
        known = named.get(one.source)
        where = (known.listen or known.path or f"{without_password(known.url)} {known.index}".strip()) if known else ""
        kind, every = (known.type, known.expect_every) if known else ("-", "")
        last = show_local(one.last_delivery) if one.last_delivery else ""
        rows.append([one.source, kind, where, known.parser if known else "", every, last, t("collect.yes") if one.silent else ""])
    if OPTIONS.json:
        emit([_source(one, named.get(one.source)) for one in ledgers(now)])
        return
    show([t(f"collect.{name}") for name in ("source", "type", "where", "parser", "expected", "last_delivery", "silent")], rows, form)


@app.command(help=t("collect.help_replay"))
def replay(source: Annotated[str, typer.Option(help=t("collect.option_source"))] = "") -> None:
    """Dead letters become events."""
    stored = collect_replay.replay(runtime(), source)
    if OPTIONS.json:
        emit({"stored": stored})
    else:
        say(t("collect.replayed", n=stored))


def _told(outcome: Outcome) -> None:
    if outcome.busy:
        say(t("collect.busy", source=outcome.source))
        return
    values = {name: getattr(outcome, name) for name in ("source", "stored", "unparsed", "duplicates")}
    _event("done", {**values, "rejected": sum(outcome.rejected.values())})
    if outcome.error:
        say(t("collect.failed", source=outcome.source, error=outcome.error))


def _event(key: str, values: Mapping[str, object]) -> None:
    say(t(f"collect.{key}", **{name: one_line(str(value), 1000) for name, value in values.items()}))


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "source": outcome.source, "received": outcome.received, "stored": outcome.stored, "unparsed": outcome.unparsed,
        "rejected": outcome.rejected, "duplicates": outcome.duplicates, "busy": outcome.busy, "error": outcome.error,
    }  # fmt: skip


def _times(line: dict[str, object]) -> dict[str, object]:
    return line | {name: iso_local(line[name]) if line[name] else None for name in ("last_event", "last_delivery")}  # type: ignore[arg-type]


def _source(one: Ledger, known: object) -> dict[str, object]:
    settings = {name: getattr(known, name, "") for name in ("type", "path", "listen", "url", "index", "parser", "expect_every")}
    settings["url"] = without_password(settings["url"])
    last = iso_local(one.last_delivery) if one.last_delivery else None
    return {"source": one.source, **settings, "configured": one.configured, "last_delivery": last, "silent": one.silent}


def _line(one: Ledger) -> list[object]:
    lag = "" if one.lag_seconds is None else f"{one.lag_seconds:.0f}"
    rejected = ", ".join(f"{reason} {n}" for reason, n in one.rejected.items()) or 0
    last = show_local(one.last_event) if one.last_event else ""
    return [
        one.source, one.received, one.stored, one.unparsed, rejected, one.duplicates, one.spooled, lag,
        one.dropped_by_kernel + one.dropped_by_quota, one.lost_bytes, last,
    ]  # fmt: skip
