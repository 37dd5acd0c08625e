"""`soc alerts`: list, show, take, assign, decide, silence, replay, export."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from commands.alert_view import HEADERS, SHORT, detail_json, detail_text, listed, row, short_row
from commands.common import OPTIONS, clock, emit, runtime, say, show
from domain import titles
from domain.alert import Alert, Entity
from domain.alert_fold import to_json
from domain.clock import iso_local, show_local
from domain.errors import UsageError
from domain.i18n import t
from domain.text import one_line
from domain.window import duration, moment
from jobs import alerts as jobs
from jobs import silences as quiet
from jobs.alert_detail import LINES
from jobs.alert_detail import detail as full
from jobs.alert_detail import replay as run_again

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Ids = Annotated[list[str], typer.Argument(help=t("alerts.arg_ids"), metavar="ID…")]
Id = Annotated[str, typer.Argument(help=t("alerts.arg_id"), metavar="ID")]
Limit = Annotated[int, typer.Option(help=t("alerts.opt_limit"), min=0)]
Form = Annotated[str, typer.Option("--format", help="table | json | csv")]
Why = Annotated[str, typer.Option(help=t("alerts.opt_reason"))]
Status = Annotated[str, typer.Option(help="new,assigned,ack,closed,silenced,open")]
Level = Annotated[str, typer.Option(help=t("alerts.opt_level"))]
Rule = Annotated[str, typer.Option(help=t("alerts.opt_rule"))]
About = Annotated[str, typer.Option("--entity", help=t("alerts.opt_entity"))]
Since = Annotated[str, typer.Option(help=t("alerts.opt_since"))]
Until = Annotated[str, typer.Option(help=t("alerts.opt_until"))]
Incident = Annotated[str, typer.Option(help=t("alerts.opt_incident"))]
Assignee = Annotated[str, typer.Option(help=t("alerts.opt_assignee"))]


def _filter(status: str, level: str, rule: str, entity: str, since: str, until: str, incident: str, assignee: str) -> jobs.Filter:
    now = clock().now()
    wanted = {"open": ("new", "assigned", "ack")}.get(status) or tuple(s.strip() for s in status.split(",") if s.strip())
    return jobs.Filter(
        wanted, level, rule, entity, moment(since, now) if since else None, moment(until, now) if until else None, incident, assignee
    )  # fmt: skip


@app.command("list", help=t("alerts.help_list"))
def list_(
    status: Status = "", level: Level = "", rule: Rule = "", entity: About = "", since: Since = "", until: Until = "",
    incident: Incident = "", assignee: Assignee = "", limit: Limit = 50, form: Form = "table",
) -> None:  # fmt: skip
    """Alerts, newest first."""
    found = jobs.select(runtime().store.records, _filter(status, level, rule, entity, since, until, incident, assignee))
    shown = found[:limit] if limit else found
    if OPTIONS.json:
        emit([listed(a) for a in shown])
    elif form == "json":
        _lines(shown)
    else:
        names, cells = (SHORT, short_row) if form == "table" else (HEADERS, row)
        show([t(f"alerts.col_{h}") for h in names], map(cells, shown), form)
        say(t("alerts.listed", shown=len(shown), total=len(found)) if found else t("alerts.none"))


def _lines(found: Iterable[Alert]) -> None:
    for alert in found:
        emit(to_json(alert))


@app.command("show", help=t("alerts.help_show"))
def show_(id_: Id, lines: Annotated[int, typer.Option(help=t("alerts.opt_lines"), min=0)] = LINES) -> None:
    """One alert in full."""
    found = full(runtime(), id_, lines)
    if OPTIONS.json:
        emit(detail_json(found))
    else:
        sys.stdout.write("\n".join(detail_text(found)) + "\n")


@app.command("ack", help=t("alerts.help_ack"))
def ack(ids: Ids) -> None:
    """I am looking at these."""
    _done(jobs.ack(runtime(), ids))


@app.command("assign", help=t("alerts.help_assign"))
def assign(ids: Ids, to: Annotated[str, typer.Option(help=t("alerts.opt_to"))]) -> None:
    """These are yours."""
    _done(jobs.assign(runtime(), ids, to))


@app.command("verdict", help=t("alerts.help_verdict"))
def verdict(
    id_: Id,
    value: Annotated[str, typer.Argument(metavar="VERDICT", help="true_positive | false_positive | benign | duplicate")],
    reason: Why = "",
    of: Annotated[str, typer.Option(help=t("alerts.opt_of"))] = "",
    more: Annotated[list[str] | None, typer.Option("--also", help=t("alerts.opt_also"))] = None,
) -> None:
    """The decision, with its reason."""
    _done(jobs.verdict(runtime(), [id_, *(more or [])], value, reason, of))


@app.command("reopen", help=t("alerts.help_reopen"))
def reopen(ids: Ids, reason: Why = "") -> None:
    """Take a verdict back."""
    _done(jobs.reopen(runtime(), ids, reason))


def _done(changed: Sequence[Alert]) -> None:
    if OPTIONS.json:
        emit([to_json(a) for a in changed])
        return
    for alert in changed:
        say(t("alerts.now", id=alert.id[:8], title=titles.title(alert.rule), status=t(f"alerts.status_{alert.status}")))


@app.command("silence", help=t("alerts.help_silence"))
def silence(
    id_: Annotated[str, typer.Argument(metavar="[ID]", help=t("alerts.arg_like"))] = "",
    rule: Annotated[str, typer.Option(help=t("alerts.opt_silence_rule"))] = "",
    entity: Annotated[list[str] | None, typer.Option(help=t("alerts.opt_silence_entity"))] = None,
    until: Annotated[str, typer.Option("--for", help=t("alerts.opt_for"))] = "7d",
    reason: Why = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("alerts.opt_dry_run"))] = False,
) -> None:
    """Keep quiet what is known; it is still counted."""
    run = runtime()
    entities = [_entity(e) for e in entity or []]
    if id_:
        like = jobs.get(run.store.records, id_)
        rule, entities = rule or like.rule.id, entities or list(like.entities)
    end = run.clock.now() + duration(until)
    hush = quiet.silence(run, quiet.Wish(rule, tuple(entities), end, reason), dry_run=dry_run)
    if OPTIONS.json:
        emit({"silence": _silence_json(hush.silence), "covers": len(hush.covered), "silenced": list(hush.quietened), "dry_run": dry_run})
    else:
        say(t("alerts.silence_covers", n=len(hush.covered)))
        done = "alerts.silence_dry" if dry_run else "alerts.silence_made"
        say(t(done, id=hush.silence.id, until=show_local(hush.silence.until), n=len(hush.quietened)))


def _entity(text: str) -> Entity:
    kind, sign, value = text.partition("=")
    if not sign or not value:
        raise UsageError(f"--entity {one_line(text, 60)}: type=value is expected", hint="--entity ip=203.0.113.5")
    return Entity(kind, value)


@app.command("silences", help=t("alerts.help_silences"))
def silences(
    revoke: Annotated[str, typer.Option(help=t("alerts.opt_revoke"), metavar="ID")] = "", limit: Limit = 50, form: Form = "table"
) -> None:
    """What is kept quiet, until when, by whom and why."""
    run = runtime()
    if revoke:
        say(t("alerts.silence_ended", id=quiet.revoke(run, revoke).id))
    found = quiet.every(run.store.records)
    found = found[:limit] if limit else found
    if OPTIONS.json:
        emit([_silence_json(s) for s in found])
        return
    now = run.clock.now()
    headers = [t(f"alerts.col_{h}") for h in ("id", "rule", "entities", "until", "owner", "reason", "state")]
    show(headers, [
        (s.id, s.rule, ", ".join(f"{e.type}={e.value}" for e in s.entities), show_local(s.until), s.owner, s.reason,
         t(f"alerts.silence_{'revoked' if s.revoked else 'over' if s.until <= now else 'holds'}"))
        for s in found
    ], form)  # fmt: skip


def _silence_json(silence_: Any) -> dict[str, Any]:
    return {
        "id": silence_.id, "rule": silence_.rule, "entities": [{"type": e.type, "value": e.value} for e in silence_.entities],
        "until": iso_local(silence_.until), "owner": silence_.owner, "reason": silence_.reason, "created": iso_local(silence_.created),
        "revoked": iso_local(silence_.revoked) if silence_.revoked else None,
    }  # fmt: skip


@app.command("replay", help=t("alerts.help_replay"))
def replay(id_: Id) -> None:
    """Does the alert come about again? Exit 1 when not."""
    result = run_again(runtime(), id_)
    if OPTIONS.json:
        emit({
            "id": result.alert.id, "rule": result.alert.rule.id, "version": result.alert.rule.version, "same": result.same,
            "events": len(result.alert.events), "present": result.present, "matching": result.matching, "changed": list(result.changed),
        })  # fmt: skip
    elif result.same:
        say(t("alerts.replay_same", id=result.alert.id[:8], n=result.matching))
    else:
        for line in result.changed:
            say(line)
    if not result.same:
        raise typer.Exit(1)


@app.command("export", help=t("alerts.help_export"))
def export(
    out: Annotated[Path, typer.Option(help=t("alerts.opt_out"))],
    status: Status = "", level: Level = "", rule: Rule = "", entity: About = "", since: Since = "", until: Until = "",
    incident: Incident = "", assignee: Assignee = "", form: Annotated[str, typer.Option("--format", help="json | csv")] = "",
) -> None:  # fmt: skip
    """JSON lines or CSV, all fields."""
    kind = form or out.suffix.lstrip(".").replace("jsonl", "json")
    if kind not in ("json", "csv"):
        raise UsageError(f"--format {one_line(kind, 20) or '?'}: json | csv")
    found = jobs.select(runtime().store.records, _filter(status, level, rule, entity, since, until, incident, assignee))
    try:
        with out.open("wb") as file:
            if kind == "json":
                file.writelines(orjson.dumps(to_json(a)) + b"\n" for a in found)
            else:
                file.write(jobs.as_csv(found).encode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", where=str(out)) from None
    say(t("alerts.exported", n=len(found), file=str(out)))
