"""Runs a playbook on an incident: begins it, says what is next, asks the logs, keeps the answers. Every action is one atomic append.

State is nothing but records, so a run survives a crash and a change of shift. `deeds` does, skips and approves steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain import duties
from domain import incident as inc
from domain import run as runs
from domain.alert import Entity
from domain.errors import StoreError, UsageError
from domain.incident import Change, Incident
from domain.playbook import Playbook, Step
from domain.run import Run, StepState
from playbooks import load
from playbooks.ask import Answer, ask, document, read_back
from playbooks.journal import Case, Desk, RunPart, case, run, settle, write
from playbooks.values import checked, fill_query, from_entities


@dataclass(frozen=True)
class View:
    """A run with everything around it."""

    case: Case
    run: Run
    book: Playbook

    @property
    def incident(self) -> Incident:
        """The incident."""
        return self.case.incident


@dataclass(frozen=True)
class Deed:
    """What an action came to."""

    view: View
    step: Step
    state: StepState
    answers: Sequence[Answer] = ()
    already: bool = False
    """It was done before: nothing was written."""
    failed: bool = False
    """A verification failed: the step stays open."""


@dataclass(frozen=True)
class Beginning:
    """What a run begins with."""

    book: Playbook
    source: bytes
    """Bytes of the playbook file: kept as evidence, so that the run goes on with this version."""
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Inputs that somebody typed."""
    about: Sequence[Entity] = ()
    """What the alerts are about: preferred to the other entities of the incident."""
    beside: Sequence[Entity] = ()
    """What registers and logs know besides: used when neither alerts nor incident say anything."""


def start(desk: Desk, incident_id: str, beginning: Beginning) -> tuple[View, bool]:
    """Begin a playbook, or find it begun: (view, whether it is new)."""
    return settle(lambda: _start(desk, incident_id, beginning))


def _start(desk: Desk, incident_id: str, beginning: Beginning) -> tuple[View, bool]:
    book = beginning.book
    seen = case(desk, incident_id)
    run_id = runs.run_id(incident_id, book.id)
    given = checked(book, beginning.values)
    if desk.store.records.read(runs.STREAM, run_id):
        if given:
            set_inputs(desk, run_id, given)
        return open_run(desk, run_id), False
    if not seen.incident.is_open:
        raise UsageError(f"incident {incident_id} is {seen.incident.status}", hint=f"soc incident status {incident_id} investigating")
    inputs = {**from_entities(book, [beginning.about, seen.incident.entities, beginning.beside], desk.own), **given}
    note = f"{book.id} v{book.version}"
    copy = desk.vault(incident_id).keep(f"playbook-{book.id}.yml", beginning.source, at=desk.now, by=desk.actor, note=note)
    changes = [] if _kept(seen.incident, copy.sha256) else [inc.evidence_added(copy)]
    begun = inc.step(run_id, book.id, ("", "", "started"))
    write(desk, seen, [*changes, begun], RunPart(run_id, 0, [runs.started(incident_id, book, inputs)]))
    return open_run(desk, run_id), True


def _kept(incident: Incident, sha256: str) -> bool:
    return any(item.sha256 == sha256 for item in incident.evidence)


def open_run(desk: Desk, run_id: str) -> View:
    """The run with its incident and the playbook as it was when the run began."""
    state = run(desk, run_id)
    seen = case(desk, state.incident)
    item = next((e for e in seen.incident.evidence if e.sha256 == state.digest), None)
    if item is None:
        raise StoreError(f"the playbook of run {run_id} is not among the evidence", hint=f"soc incident verify {state.incident}")
    data = desk.vault(state.incident).read(item.name)
    return View(seen, state, load.from_text(data.decode("utf-8"), item.name))


def set_inputs(desk: Desk, run_id: str, values: Mapping[str, Sequence[str]], more: Mapping[str, Sequence[str]] | None = None) -> View:
    """Replace the values of placeholders, or add `more` to them; queries run again with them. What changes nothing is not written."""

    def action() -> View:
        view = open_run(desk, run_id)
        wanted = checked(view.book, values)
        for name, added in checked(view.book, more or {}).items():
            wanted[name] = tuple(dict.fromkeys([*wanted.get(name, view.run.inputs.get(name, ())), *added]))
        if all(view.run.inputs.get(name) == given for name, given in wanted.items()):
            return view
        change = runs.inputs_set(wanted)
        write(desk, view.case, [], RunPart(run_id, view.run.records, [change]))
        return open_run(desk, run_id)

    return settle(action)


def find_step(view: View, step_id: str) -> Step:
    """The step with this id, in any case of letters; UsageError lists what there is."""
    step = view.book.step(step_id) or next((s for s in view.book.steps if s.id.lower() == step_id.lower()), None)
    if step is None:
        raise UsageError(f"{view.book.id} has no step {step_id}", hint=f"steps: {' '.join(s.id for s in view.book.steps)}")
    return step


def ready(desk: Desk, view: View) -> list[Step]:
    """Open steps that nothing blocks, in the order to do them: a report that is not pressing yet waits behind what can be done now."""
    found = [s for s in view.book.steps if not view.run.finished(s.id) and not runs.blockers(view.book, view.run, s)]
    owed = {d.id: d.state for d in duties.due(view.incident, desk.now) if d.state != "done" and d.clause.stops == "sent"}
    return sorted(found, key=lambda s: {owed[d] for d in s.duties if d in owed} == {"waiting"})


def look(desk: Desk, run_id: str, step_id: str = "", *, refresh: bool = False) -> Deed | None:
    """The next step (or this one) with its questions answered; answers that are new are kept as evidence. None = all is finished."""

    def action() -> Deed | None:
        view = open_run(desk, run_id)
        step = find_step(view, step_id) if step_id else next(iter(ready(desk, view)), None)
        if step is None:
            return None
        answers, fresh = answer_all(desk, view, step, refresh=refresh)
        if fresh and view.incident.is_open:
            view = _store(desk, view, step, fresh)
            answers, _ = answer_all(desk, view, step)
        return Deed(view, step, view.run.state(step.id), answers)

    return settle(action)


def answer_all(desk: Desk, view: View, step: Step, *, refresh: bool = False) -> tuple[list[Answer], list[Answer]]:
    """All answers of a step, and those that were run now."""
    vault, state = desk.vault(view.incident.id), view.run.state(step.id)
    answers, fresh = [], []
    for query in step.queries:
        kept = state.results.get(query.id)
        answer = None
        if kept and not refresh and kept.text == fill_query(query.query, view.run.inputs) and vault.holds(kept.file, kept.sha256):
            answer = read_back(query, kept, vault.read(kept.file))
        if answer is None:
            answer = ask(desk.store.events, query, view.incident, view.run, desk.now)
            fresh += [answer] if not answer.missing else []
        answers.append(answer)
    return answers, fresh


def _store(desk: Desk, view: View, step: Step, answers: Sequence[Answer]) -> View:
    """Store answers as evidence files and record them."""
    run_changes, changes = keep_all(desk, view, step, answers)
    write(desk, view.case, changes, RunPart(view.run.id, view.run.records, run_changes))
    return open_run(desk, view.run.id)


def keep_all(desk: Desk, view: View, step: Step, answers: Sequence[Answer]) -> tuple[list[Change], list[Change]]:
    """Keep answers as evidence files: (changes of the run, changes of the incident) that tell of them, not yet written."""
    vault = desk.vault(view.incident.id)
    run_changes: list[Change] = []
    changes: list[Change] = []
    for answer in answers:
        data = document(answer, view.incident.id, f"{view.book.id}/{step.id}", desk.actor, desk.now)
        name, note = f"{view.book.id}-{step.id}-{answer.query.id}.json", answer.query.ask.get("vi", "")
        item = vault.keep(name, data, at=desk.now, by=desk.actor, note=note)
        result = {"query": answer.query.id, "text": answer.text, "count": answer.count, "file": item.name, "sha256": item.sha256}
        run_changes.append(runs.queried(step.id, result))
        changes += [] if _kept(view.incident, item.sha256) else [inc.evidence_added(item)]
    return run_changes, changes
