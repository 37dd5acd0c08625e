"""Playbooks at work: which one fits, begin it, find runs, what still keeps an incident open."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from domain import duties, i18n
from domain import playbook as pb
from domain import run as runs
from domain.alert import Entity
from domain.errors import ContentError, UsageError
from domain.incident import Incident
from domain.playbook import Playbook, Step
from domain.query import Query, Test
from domain.registers import parse_address
from domain.run import Run
from domain.window import TimeWindow
from jobs.respond import desk, find_alert, get, log, registers_of, resolve
from jobs.runtime import Runtime
from playbooks import deeds, load, runner, values
from playbooks.ask import Answer, ask
from playbooks.deeds import Doing, proposal
from playbooks.lint import lint
from playbooks.runner import Deed, View
from playbooks.source import Problem, read
from playbooks.values import fill_commands, fill_letter, undo_commands

FEW = 5
"""A log source of more machines than this says nothing about which one is meant."""
__all__ = ["Answer", "Deed", "Doing", "Proposal", "Unmet", "View", "fill_commands", "fill_letter", "proposal", "undo_commands"]


def books(runtime: Runtime) -> tuple[dict[str, Playbook], list[Problem]]:
    """Playbooks by id, content folders over what is shipped, and what is wrong with the others."""
    return load.load_all(runtime.content("playbooks"))


def book(runtime: Runtime, name: str) -> Playbook:
    """One playbook, by id in any case of letters. ContentError when its file is wrong, UsageError when there is none."""
    found, problems = books(runtime)
    match = next((b for key, b in found.items() if key.lower() == name.lower()), None)
    if match is None:
        if problems:
            raise ContentError("\n".join(str(p) for p in problems[:5]), hint="soc playbook lint")
        raise UsageError(f"no playbook {name}", hint=f"there are: {' '.join(found)}")
    return match


def lint_files(runtime: Runtime, paths: Sequence[Path]) -> tuple[int, list[Problem]]:
    """(files looked at, problems) of these files and folders, or of everything that is in force."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
    if not paths:
        found = load.files(runtime.content("playbooks"))
    return len(found), [problem for path in found for problem in lint(read(path))]


@dataclass(frozen=True)
class Proposal:
    """A playbook that fits an incident."""

    book: Playbook
    why: str
    """The tag, rule, model or category that calls for it."""


def proposals(runtime: Runtime, incident: Incident) -> list[Proposal]:
    """Playbooks that the incident's alerts and category call for, the ones called for most often first."""
    found: dict[str, list[str]] = {}
    known, _ = books(runtime)
    alerts = [find_alert(runtime, a) for a in incident.alerts[:200]]
    facts = [(frozenset(a.rule.tags), a.rule.id) for a in alerts] or [(frozenset[str](), "")]
    for tags, rule_id in facts:
        for key, candidate in known.items():
            why = pb.matches(candidate.triggers, tags=tags, rule_id=rule_id, category=incident.category)
            if why:
                found.setdefault(key, []).append(why)
    ranked = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Proposal(known[key], reasons[0]) for key, reasons in ranked]


def start(runtime: Runtime, prefix: str, name: str, inputs: Mapping[str, Sequence[str]]) -> tuple[View, bool]:
    """Begin a playbook on an incident (the one that fits best when none is named): (view, whether it is new)."""
    incident = get(runtime, prefix)
    if name:
        chosen = book(runtime, name)
    else:
        fitting = proposals(runtime, incident)
        if not fitting:
            known, _ = books(runtime)
            raise UsageError("no playbook fits by itself", hint=f"soc playbook start {incident.id} {' | '.join(known)}")
        chosen = fitting[0].book
    alerts = [find_alert(runtime, a) for a in incident.alerts[:200]]
    about = tuple(dict.fromkeys(e for a in alerts for e in a.entities))
    source = Path(chosen.origin).read_bytes()
    chosen = load.from_text(source.decode("utf-8"), chosen.origin)
    return runner.start(desk(runtime), incident.id, runner.Beginning(chosen, source, inputs, about, _beside(runtime, incident)))


def _beside(runtime: Runtime, incident: Incident) -> tuple[Entity, ...]:
    """Machines that send the incident's log sources (when they are few), and registered addresses of its machines."""
    hosts = [e.value for e in incident.entities if e.type == "host"]
    sources = tuple(e.value for e in incident.entities if e.type == "source")
    if sources and not hosts:
        span = TimeWindow(incident.t0 - timedelta(days=7), runtime.clock.now())
        table = runtime.store.events.aggregate(Query(Test("thapcanh.source", "eq", sources), span), ["host.name"])
        names = [name for name in table["host.name"].to_pylist() if name] if table.num_rows else []
        hosts = names if len(names) <= FEW else []
    known = [asset for host in hosts for asset in [registers_of(runtime).asset_of(host, incident.t0)] if asset]
    addresses = [a for asset in known for a in asset.addresses if parse_address(a)]
    return tuple(dict.fromkeys([*(Entity("host", h) for h in hosts), *(Entity("ip", a) for a in addresses)]))


def all_runs(runtime: Runtime, incident: str = "") -> list[Run]:
    """Runs, oldest first; of one incident when given."""
    by_key: dict[str, list[Any]] = {}
    for record in runtime.store.records.find(runs.STREAM):
        by_key.setdefault(record.key, []).append(record)
    found = [runs.fold(records) for records in by_key.values()]
    return [r for r in found if incident in ("", r.incident)]


def resolve_run(runtime: Runtime, text: str) -> str:
    """The run that an id, a unique prefix, or an incident with one run means."""
    if runtime.store.records.read(runs.STREAM, text):
        return text
    keys = sorted({r.key for r in runtime.store.records.find(runs.STREAM) if r.key.lower().startswith(text.lower())})
    if len(keys) == 1:
        return keys[0]
    if keys:
        raise UsageError(f"{text} could be: {', '.join(keys[:5])}")
    raise UsageError(f"no run {text}", hint="soc playbook start INCIDENT [PLAYBOOK]")


Inputs: TypeAlias = Mapping[str, Sequence[str]]


def set_inputs(runtime: Runtime, text: str, values: Inputs, more: Inputs) -> View:
    """Replace values of placeholders, or add more to them."""
    return runner.set_inputs(desk(runtime), resolve_run(runtime, text), values, more)


def next_step(runtime: Runtime, text: str, step: str = "", *, refresh: bool = False) -> Deed | None:
    """The next step (or this one) with its questions answered; None when all is finished."""
    return runner.look(desk(runtime), resolve_run(runtime, text), step, refresh=refresh)


def view(runtime: Runtime, text: str) -> View:
    """A run with its incident and playbook."""
    return runner.open_run(desk(runtime), resolve_run(runtime, text))


def ready(runtime: Runtime, seen: View) -> list[Step]:
    """Open steps that nothing blocks, in the order to do them."""
    return runner.ready(desk(runtime), seen)


def done(runtime: Runtime, text: str, step: str, how: Doing) -> Deed:
    """Do a step."""
    return deeds.done(desk(runtime), resolve_run(runtime, text), step, how)


def skip(runtime: Runtime, text: str, step: str, reason: str) -> Deed:
    """The step does not apply."""
    return deeds.skip(desk(runtime), resolve_run(runtime, text), step, reason)


def reopen(runtime: Runtime, text: str, step: str, reason: str) -> Deed:
    """Do a step again."""
    return deeds.reopen(desk(runtime), resolve_run(runtime, text), step, reason)


def approve(runtime: Runtime, text: str, step: str, note: str, *, alone: bool) -> Deed:
    """Agree to a step."""
    deed = deeds.approve(desk(runtime), resolve_run(runtime, text), step, note, alone=alone)
    if not deed.already:
        log(runtime, "playbook.approve", deed.view.run.id, step=deed.step.id, alone=alone)
    return deed


def filled(seen: View, runtime: Runtime) -> dict[str, tuple[str, ...]]:
    """Values of all placeholders for commands and letters."""
    return {**values.builtins(seen.incident, runtime.clock.now()), **seen.run.inputs}


@dataclass(frozen=True)
class Unmet:
    """What still keeps an incident open."""

    kind: str
    """duty, step, condition."""
    id: str
    text: str
    """In the reader's language."""


def unmet(runtime: Runtime, prefix: str) -> list[Unmet]:
    """Legal duties whose clock runs, required steps that are open, close conditions that the logs contradict."""
    incident = get(runtime, resolve(runtime, prefix))
    owed = [d for d in duties.due(incident, runtime.clock.now()) if d.state != "done" and d.started]
    found = [Unmet("duty", d.id, i18n.t(f"duties.{d.id}")) for d in owed if d.clause.law or d.id == "classify"]
    for run in all_runs(runtime, incident.id):
        found += _unmet_run(runtime, run)
    return found


def _unmet_run(runtime: Runtime, run: Run) -> list[Unmet]:
    work, lang = desk(runtime), i18n.lang()
    seen = runner.open_run(work, run.id)
    steps = {s.id: s for s in seen.book.steps}
    found = [Unmet("step", f"{run.playbook}/{s}", pb.say(steps[s].title, lang)) for s in runs.missing(seen.book, run)]
    for condition in seen.book.close:
        if condition.query and ask(work.store.events, condition.query, seen.incident, seen.run, work.now).failed:
            found.append(Unmet("condition", f"{run.playbook}/{condition.id}", pb.say(condition.text, lang)))
    return found


FORMS = ("md", "html", "docx", "pdf")


def paper(runtime: Runtime, name: str, form: str) -> bytes:
    """The paper checklist of a playbook, or of a run (with what is known and done), as md, html, docx or pdf."""
    from playbooks.paper import checklist
    from reports.render import render

    if form not in FORMS:
        raise UsageError(f"--format {form}: {' | '.join(FORMS)}")
    known, _ = books(runtime)
    match = next((b for key, b in known.items() if key.lower() == name.lower()), None)
    now = runtime.clock.now()
    if match:
        return render(checklist(match, i18n.lang(), now), form)
    seen = view(runtime, name)
    return render(checklist(seen.book, i18n.lang(), now, (seen.incident, seen.run), filled(seen, runtime)), form)


def cacao(runtime: Runtime, name: str) -> dict[str, Any]:
    """The playbook as CACAO 2.0."""
    from playbooks.cacao import export

    return export(book(runtime, name), i18n.lang(), runtime.clock.now())


def origin(found: Playbook) -> str:
    """The file of a playbook that comes from a content folder; "" = shipped."""
    return "" if Path(found.origin).parent == load.LIBRARY else found.origin


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    run: str
    incident: str
    finished: int
    steps: int
    next: str
    """Id of the next step; empty when all are finished."""
    started: Any
    started_by: str


def progress(runtime: Runtime, prefix: str = "") -> list[Progress]:
    """Every run (of one incident), oldest first."""
    work = desk(runtime)
    found = []
    for run in all_runs(runtime, resolve(runtime, prefix) if prefix else ""):
        seen = runner.open_run(work, run.id)
        steps = [s.id for s in seen.book.steps]
        following = next((s.id for s in runner.ready(work, seen)), "")
        count = sum(run.finished(s) for s in steps)
        found.append(Progress(run.id, run.incident, count, len(steps), following, run.started, run.started_by))
    return found


def book_json(found: Playbook) -> dict[str, Any]:
    """A playbook for machines."""
    plain = dataclasses.asdict(found)
    return {**plain, "origin": origin(found)}
