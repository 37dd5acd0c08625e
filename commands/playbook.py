"""`soc playbook`: see, check, begin, next step, do, approve, print, hand on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from commands import playbook_view as look
from commands.common import OPTIONS, emit, runtime, say, show
from domain import playbook as pb
from domain.clock import show_local
from domain.errors import UsageError
from domain.i18n import lang, t
from domain.text import clean, one_line
from jobs import respond_playbook as job

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
SIDE = 8
"""How many other steps `next` names."""

Name = Annotated[str, typer.Argument(metavar="PLAYBOOK", help=t("playbook.help_playbook"))]
RunId = Annotated[str, typer.Argument(metavar="RUN", help=t("playbook.help_run"))]
StepId = Annotated[str, typer.Argument(metavar="STEP", help=t("playbook.help_step_id"))]
Values = Annotated[list[str], typer.Option("--set", help=t("playbook.help_set"))]
Note = Annotated[str, typer.Option(help=t("playbook.help_note"))]
Form = Annotated[str, typer.Option("--format", help="table | json | csv")]
Out = Annotated[Path | None, typer.Option(help=t("playbook.help_out"))]


def _heads(*names: str) -> list[str]:
    return [t(f"playbook.col_{name}") for name in names]


def inputs_of(pairs: list[str]) -> dict[str, list[str]]:
    """`name=value`, a name may come several times."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise UsageError(f"--set {pair}: NAME=VALUE")
        found.setdefault(name, []).append(value)
    return found


@app.command("list", help=t("playbook.help_list"))
def list_(form: Form = "table") -> None:
    """Playbooks in force, and files that cannot be used."""
    books, problems = job.books(runtime())
    rows = [(b.id, pb.say(b.title, lang()), b.version, len(b.steps), job.origin(b) or t("playbook.shipped")) for b in books.values()]
    show(_heads("id", "title", "version", "steps", "origin"), rows, form, ("id", "title", "version", "steps", "origin"))
    for problem in problems:
        say(str(problem))


@app.command("runs", help=t("playbook.help_runs"))
def runs(incident: Annotated[str, typer.Argument(metavar="[INCIDENT]")] = "", form: Form = "table") -> None:
    """Runs and how far they are."""
    rows = job.progress(runtime(), incident)
    shown = [(r.run, r.incident, f"{r.finished}/{r.steps}", r.next, show_local(r.started), r.started_by) for r in rows]
    keys = ("run", "incident", "progress", "next", "started", "by")
    show(_heads("run", "incident", "progress", "step", "at", "actor"), shown, form, keys)


@app.command("show", help=t("playbook.help_show"))
def show_(name: Name) -> None:
    """Steps of a playbook."""
    book = job.book(runtime(), name)
    if OPTIONS.json:
        emit(job.book_json(book))
        return
    rows = [(t(f"playbook.phase_{s.phase}"), s.id, pb.say(s.title, lang()), t(f"playbook.role_{s.who}")) for s in book.steps]
    show(_heads("phase", "step", "title", "who"), rows)


@app.command(help=t("playbook.help_lint"))
def lint(
    files: Annotated[list[Path], typer.Argument(metavar="[FILE...]", help=t("playbook.help_files"))] = [],  # noqa: B006
) -> None:
    """Exit 4 when something is wrong."""
    count, problems = job.lint_files(runtime(), files)
    if OPTIONS.json:
        emit({"files": count, "problems": [{"file": p.file, "line": p.line, "text": p.text} for p in problems]})
    else:
        for problem in problems:
            sys.stdout.write(f"{clean(str(problem))}\n")
        say(t("playbook.lint_bad", n=count, bad=len(problems)) if problems else t("playbook.lint_ok", n=count))
    raise typer.Exit(4 if problems else 0)


@app.command(help=t("playbook.help_start"))
def start(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT")],
    name: Annotated[str, typer.Argument(metavar="[PLAYBOOK]", help=t("playbook.help_playbook"))] = "",
    value: Values = [],  # noqa: B006
) -> None:
    """Begin, or find it begun."""
    view, new = job.start(runtime(), incident, name, inputs_of(value))
    if OPTIONS.json:
        inputs = {k: list(v) for k, v in view.run.inputs.items()}
        emit({"run": view.run.id, "playbook": view.book.id, "version": view.book.version, "new": new, "inputs": inputs})
    else:
        say(t("playbook.started" if new else "playbook.started_before", run=view.run.id))


@app.command("next", help=t("playbook.help_next"))
def next_(
    run: RunId,
    step: Annotated[str, typer.Argument(metavar="[STEP]", help=t("playbook.help_step_id"))] = "",
    value: Values = [],  # noqa: B006
    add: Annotated[list[str], typer.Option("--add", help=t("playbook.help_add"))] = [],  # noqa: B006
    refresh: Annotated[bool, typer.Option("--refresh", help=t("playbook.help_refresh"))] = False,
) -> None:
    """What to do now, with what the logs say."""
    here = runtime()
    if value or add:
        job.set_inputs(here, run, inputs_of(value), inputs_of(add))
    deed = job.next_step(here, run, step, refresh=refresh)
    if deed is None:
        if OPTIONS.json:
            emit({"run": job.resolve_run(here, run), "step": None})
        else:
            say(t("playbook.all_done", run=job.resolve_run(here, run)))
        return
    _step_out(here, deed)


def _step_out(here: Any, deed: job.Deed) -> None:
    inputs = job.filled(deed.view, here)
    also = [s.id for s in job.ready(here, deed.view) if s.id != deed.step.id][:SIDE]
    if OPTIONS.json:
        emit(look.step_json(deed, inputs, also))
    else:
        look.out(look.step_lines(deed, inputs, also, here.clock.now()))


@app.command(help=t("playbook.help_step"))
def step(
    run: RunId,
    step: StepId,
    done: Annotated[bool, typer.Option("--done", help=t("playbook.help_done"))] = False,
    skip: Annotated[str, typer.Option(metavar="REASON", help=t("playbook.help_skip"))] = "",
    reopen: Annotated[str, typer.Option(metavar="REASON", help=t("playbook.help_reopen"))] = "",
    note: Note = "",
    answer: Annotated[str, typer.Option(help=t("playbook.help_answer"))] = "",
    accept: Annotated[bool, typer.Option("--accept", help=t("playbook.help_accept"))] = False,
) -> None:
    """Exit 1 when a verification fails; without --done, --skip, --reopen the step is shown."""
    if sum([done, bool(skip), bool(reopen)]) > 1:
        raise UsageError("one of --done, --skip REASON, --reopen REASON")
    if accept and not note:
        raise UsageError("--accept needs --note: why it is done although the logs contradict it")
    here = runtime()
    if skip:
        _deed_out(here, job.skip(here, run, step, skip), "skipped")
    elif reopen:
        _deed_out(here, job.reopen(here, run, step, reopen), "reopened")
    elif done:
        _deed_out(here, job.done(here, run, step, job.Doing(note, answer, accept)), "done")
    else:
        next_(run, step, [], [], refresh=False)


def _deed_out(here: Any, deed: job.Deed, what: str) -> None:
    if OPTIONS.json or deed.failed:
        _step_out(here, deed)
    if deed.failed:
        say(t("playbook.failed", step=deed.step.id))
        raise typer.Exit(1)
    if OPTIONS.json:
        return
    if deed.already and what == "done":
        at = show_local(deed.state.at) if deed.state.at else ""
        say(t("playbook.done_before", step=deed.step.id, actor=deed.state.actor, at=at))
    else:
        say(t("playbook.nothing_new" if deed.already else f"playbook.{what}", step=deed.step.id))


@app.command(help=t("playbook.help_approve"))
def approve(
    run: RunId, step: StepId, note: Note = "", alone: Annotated[bool, typer.Option("--alone", help=t("playbook.help_alone"))] = False
) -> None:
    """Agree to a step that needs it."""
    here = runtime()
    _deed_out(here, job.approve(here, run, step, note, alone=alone), "approved")


@app.command("print", help=t("playbook.help_print"))
def print_(
    name: Annotated[str, typer.Argument(metavar="PLAYBOOK|RUN", help=t("playbook.help_run"))],
    form: Annotated[str, typer.Option("--format", help=" | ".join(job.FORMS))] = "md",
    out: Out = None,
) -> None:
    """The paper checklist."""
    _write(job.paper(runtime(), name, form), out)


@app.command(help=t("playbook.help_export"))
def export(name: Name, out: Out = None) -> None:
    """CACAO 2.0."""
    if out is None:
        emit(job.cacao(runtime(), name))
    else:
        import orjson

        _write(orjson.dumps(job.cacao(runtime(), name), option=orjson.OPT_INDENT_2) + b"\n", out)


def _write(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=one_line(str(out))) from None
