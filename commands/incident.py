"""`soc incident`: open, see, write down, classify, keep evidence, clocks, hand on, close."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from commands import incident_view as look
from commands.common import OPTIONS, emit, instant, runtime, say, show
from domain.alert import Entity
from domain.errors import UsageError
from domain.i18n import t
from domain.incident import Incident, Notice
from domain.text import clean
from jobs import respond, respond_evidence, respond_playbook

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(metavar="INCIDENT", help=t("incident.help_id"))]
Form = Annotated[str, typer.Option("--format", help="table | json | csv")]
Alerts = Annotated[list[str], typer.Option("--alert", help=t("incident.help_alert"))]
Reason = Annotated[str, typer.Option(help=t("incident.help_reason"))]
Limit = Annotated[int, typer.Option(help=t("incident.help_limit"), min=0)]


@app.command("list", help=t("incident.help_list"))
def list_(
    everything: Annotated[bool, typer.Option("--all", help=t("incident.help_all"))] = False, form: Form = "table", limit: Limit = 0
) -> None:
    """Open incidents, oldest first."""
    job = runtime()
    found = respond.incidents(job, closed=everything)
    look.listed(found[:limit] if limit else found, job.clock.now(), form)


@app.command("open", help=t("incident.help_open"))
def open_(
    title: Annotated[str, typer.Option(help=t("incident.help_title"))] = "",
    t0: Annotated[str, typer.Option(help=t("incident.help_t0"))] = "",
    alert: Alerts = [],  # noqa: B006  typer copies defaults
    entity: Annotated[list[str], typer.Option(help=t("incident.help_entity"))] = [],  # noqa: B006
    level: Annotated[str, typer.Option(help=t("incident.help_level"))] = "",
    category: Annotated[str, typer.Option(help=t("incident.help_category"))] = "",
    flag: Annotated[list[str], typer.Option(help=t("incident.help_flag"))] = [],  # noqa: B006
    asset: Annotated[list[str], typer.Option(help=t("incident.help_asset"))] = [],  # noqa: B006
    unit: Annotated[list[str], typer.Option(help=t("incident.help_unit"))] = [],  # noqa: B006
    by: Annotated[str, typer.Option(help=t("incident.help_by"))] = "",
    exercise: Annotated[bool, typer.Option("--exercise", help=t("incident.help_exercise"))] = False,
) -> None:
    """Open an incident from alerts or by hand."""
    job = runtime()
    wish = respond.Wish(
        title=title, t0=instant(t0) if t0 else None, alerts=tuple(alert), entities=tuple(Entity(*pair(e, "--entity")) for e in entity),
        detected_by=by, level=level, category=category, flags=tuple(flag), assets=tuple(asset), units=tuple(unit), exercise=exercise,
    )  # fmt: skip
    incident, new = respond.open_incident(job, wish)
    _told(incident, t("incident.opened" if new else "incident.opened_before", id=incident.id), job)


def pair(text: str, option: str) -> tuple[str, str]:
    """`key=value`."""
    key, sign, value = text.partition("=")
    if not sign or not key or not value:
        raise UsageError(f"{option} {text}: key=value")
    return key, value


def _told(incident: Incident, text: str, job: Any) -> None:
    if OPTIONS.json:
        emit(respond_evidence.to_json(incident, job.clock.now()))
    else:
        say(text)


@app.command("show", help=t("incident.help_show"))
def show_(incident: Id) -> None:
    """Everything about one incident."""
    job = runtime()
    found = respond.get(job, incident)
    if OPTIONS.json:
        emit(respond_evidence.to_json(found, job.clock.now()))
        return
    running = [f"{r.id} ({r.started_by})" for r in respond_playbook.all_runs(job, found.id)]
    fitting = [f"{p.book.id} ({p.why})" for p in respond_playbook.proposals(job, found)]
    look.detail(found, job.clock.now(), running, fitting)


@app.command(help=t("incident.help_merge"))
def merge(incident: Id, others: Annotated[list[str], typer.Argument(metavar="INCIDENT...", help=t("incident.help_id"))]) -> None:
    """Put others into this one."""
    job = runtime()
    found = respond.merge(job, incident, others)
    _told(found, t("incident.merged", id=found.id), job)


@app.command(help=t("incident.help_split"))
def split(incident: Id, alert: Alerts, title: Annotated[str, typer.Option(help=t("incident.help_title"))] = "") -> None:
    """Move alerts into an incident of their own."""
    job = runtime()
    found, _ = respond.split(job, incident, alert, title)
    _told(found, t("incident.split", id=found.id), job)


@app.command(help=t("incident.help_add"))
def add(incident: Id, alert: Alerts) -> None:
    """Add alerts."""
    job = runtime()
    found = respond.add_alerts(job, incident, alert)
    _told(found, t("incident.written", id=found.id), job)


@app.command(help=t("incident.help_note"))
def note(
    incident: Id, text: Annotated[str, typer.Argument(metavar="TEXT")], at: Annotated[str, typer.Option(help=t("incident.help_at"))] = ""
) -> None:
    """Write something down."""
    job = runtime()
    found = respond.note(job, incident, text, instant(at) if at else None)
    _told(found, t("incident.written", id=found.id), job)


@app.command(help=t("incident.help_status"))
def status(incident: Id, value: Annotated[str, typer.Argument(metavar="STATUS")], reason: Reason = "") -> None:
    """Another stage of the work."""
    job = runtime()
    found = respond.set_status(job, incident, value, reason)
    _told(found, t("incident.written", id=found.id), job)


@app.command(help=t("incident.help_classify"))
def classify(
    incident: Id,
    category: Annotated[str, typer.Option(help=t("incident.help_category"))] = "",
    level: Annotated[str, typer.Option(help=t("incident.help_level"))] = "",
    flag: Annotated[list[str], typer.Option(help=t("incident.help_flag"))] = [],  # noqa: B006
    fact: Annotated[list[str], typer.Option(help=t("incident.help_fact"))] = [],  # noqa: B006
    personal_data_t0: Annotated[str, typer.Option(help=t("incident.help_pd_t0"))] = "",
    reason: Reason = "",
) -> None:
    """Category, level, flags, facts."""
    if personal_data_t0 and not reason:
        raise UsageError("--personal-data-t0 needs --reason")
    job = runtime()
    values = {
        "category": category, "level": level, "reason": reason, "flags": {f.lstrip("-"): not f.startswith("-") for f in flag},
        "facts": facts_of(fact), "personal_data_t0": instant(personal_data_t0) if personal_data_t0 else None,
    }  # fmt: skip
    found = respond.classify(job, incident, values)
    _told(found, t("incident.written", id=found.id), job)


def facts_of(items: list[str]) -> dict[str, Any]:
    """`key=value`, whole numbers as numbers."""
    return {key: int(value) if value.isdecimal() and len(value) < 19 else value for key, value in (pair(i, "--fact") for i in items)}


@app.command(help=t("incident.help_evidence"))
def evidence(
    incident: Id,
    files: Annotated[list[Path], typer.Argument(metavar="[FILE...]", help=t("incident.help_files"))] = [],  # noqa: B006
    note: Annotated[str, typer.Option(help=t("incident.help_file_note"))] = "",
    form: Form = "table",
) -> None:
    """Hand in files, or list what there is."""
    job = runtime()
    if not files:
        look.evidence_table(respond.get(job, incident).evidence, form)
        return
    kept = respond_evidence.add(job, incident, files, note)
    if OPTIONS.json:
        emit([respond_evidence.evidence_json(item) for item in kept])
    for item in kept:
        say(t("incident.kept", name=item.name, sha256=item.sha256))


@app.command(help=t("incident.help_timeline"))
def timeline(incident: Id, form: Form = "table", limit: Limit = 0) -> None:
    """What happened, in order."""
    found = respond.get(runtime(), incident)
    rows = list(respond_evidence.timeline_rows(found.timeline))
    rows = rows[-limit:] if limit else rows
    names = ("at", "recorded", "kind", "actor", "what")
    show(look.headers(*names), rows, form, names)


@app.command(help=t("incident.help_deadlines"))
def deadlines(
    incident: Annotated[str, typer.Argument(metavar="[INCIDENT]", help=t("incident.help_id"))] = "", form: Form = "table"
) -> None:
    """Legal clocks of one incident, or of all that are open."""
    job = runtime()
    found = [respond.get(job, incident)] if incident else respond.incidents(job)
    now = job.clock.now()
    if OPTIONS.json or form == "json":
        emit([row for i in found for row in look.duty_objects(i, now)])
        return
    rows = [row for i in found for row in look.duty_rows(i, now)]
    show(look.headers("incident", "duty", "status", "due", "left", "to", "source"), rows, form)


@app.command(help=t("incident.help_sent"))
def sent(
    incident: Id,
    duty: Annotated[str, typer.Argument(metavar="DUTY", help=t("incident.help_duty"))],
    to: Annotated[str, typer.Option(help=t("incident.help_to"))],
    channel: Annotated[str, typer.Option(help=t("incident.help_channel"))],
    at: Annotated[str, typer.Option(help=t("incident.help_at"))] = "",
    number: Annotated[str, typer.Option(help=t("incident.help_number"))] = "",
    proof: Annotated[Path | None, typer.Option(help=t("incident.help_proof"))] = None,
) -> None:
    """A notice or report went out."""
    channels = ("official_letter", "email", "phone", "fax", "system", "hand")
    if channel not in channels:
        raise UsageError(f"--channel {channel}: {' | '.join(channels)}")
    job = runtime()
    moment = instant(at) if at else job.clock.now()
    if moment > job.clock.now():
        raise UsageError(f"--at {at} lies in the future", hint="record a notice once it was sent")
    proofs = respond_evidence.add(job, incident, [proof], f"{duty} {number}".strip()) if proof else []
    notice = Notice(duty, to, channel, moment, number, proofs[0].name if proofs else "")
    found = respond.sent(job, incident, notice)
    _told(found, t("incident.written", id=found.id), job)


@app.command(help=t("incident.help_export"))
def export(incident: Id, out: Annotated[Path, typer.Option(help=t("incident.help_out"))] = Path()) -> None:
    """One zip."""
    path, files = respond_evidence.export(runtime(), incident, out)
    if OPTIONS.json:
        emit({"path": str(path), "files": files})
    else:
        say(t("incident.exported", n=files, path=path))


@app.command(help=t("incident.help_verify"))
def verify(incident: Annotated[str, typer.Argument(metavar="INCIDENT|ZIP", help=t("incident.help_id"))]) -> None:
    """Exit 1 when something is wrong."""
    archive = Path(incident)
    count, found = respond_evidence.verify_archive(archive) if archive.suffix == ".zip" else respond_evidence.verify(runtime(), incident)
    bad = [f for f in found if not f.harmless]
    if OPTIONS.json:
        emit({"items": count, "ok": not bad, "problems": [{"item": f.item, "kind": f.kind} for f in found]})
    else:
        if found:
            show(look.headers("file", "problem"), [(f.item, t(f"incident.problem_{f.kind}")) for f in found])
        say(t("incident.verified_bad", n=count, bad=len(bad)) if bad else t("incident.verified", n=count))
    raise typer.Exit(1 if bad else 0)


@app.command(help=t("incident.help_close"))
def close(
    incident: Id,
    cause: Annotated[str, typer.Option(help=t("incident.help_cause"))] = "",
    fact: Annotated[list[str], typer.Option(help=t("incident.help_fact"))] = [],  # noqa: B006
    force: Annotated[bool, typer.Option("--force", help=t("incident.help_force"))] = False,
    reason: Reason = "",
) -> None:
    """Exit 1 when conditions are open."""
    job = runtime()
    lacking = respond_playbook.unmet(job, incident)
    if lacking and not (force and reason):
        if OPTIONS.json:
            emit({"closed": False, "open": [{"kind": u.kind, "id": u.id, "text": clean(u.text)} for u in lacking]})
        else:
            say(t("incident.not_closed", n=len(lacking)))
            look.unmet_table(lacking)
            say(t("incident.close_hint", id=incident))
        raise typer.Exit(1)
    found = respond.close(job, incident, cause, facts_of(fact), reason)
    _told(found, t("incident.closed", id=found.id), job)
