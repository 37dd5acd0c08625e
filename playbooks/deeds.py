"""Doing, skipping, opening again, approving a step: what must hold before, and what it means for run and incident."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain import duties, i18n
from domain import incident as inc
from domain import run as runs
from domain.errors import NotPermitted, UsageError
from domain.incident import Change
from domain.playbook import Option, Step, say
from domain.run import StepState
from playbooks.ask import Answer
from playbooks.journal import Desk, RunPart, settle, write
from playbooks.runner import Deed, View, answer_all, find_step, keep_all, open_run


@dataclass(frozen=True)
class Doing:
    """How a step is done."""

    note: str = ""
    answer: str = ""
    accept: bool = False
    """Done although a verification failed; needs a note."""


def done(desk: Desk, run_id: str, step_id: str, how: Doing) -> Deed:
    """Do a step: checks what must come first, verifies in the logs, records answer and effects. Done before = nothing happens."""
    return settle(lambda: _done(desk, run_id, step_id, how))


def _done(desk: Desk, run_id: str, step_id: str, how: Doing) -> Deed:
    view = open_run(desk, run_id)
    step = find_step(view, step_id)
    state = view.run.state(step.id)
    if state.status == "done":
        _same(state, step, how, run_id)
        return Deed(view, step, state, already=True)
    if state.status == "skipped":
        raise UsageError(f"step {step.id} was skipped by {state.actor}: {state.note}", hint=_again(run_id, step))
    _may(desk, view, step)
    verifying = any(q.expect for q in step.queries)
    answers, fresh = answer_all(desk, view, step, refresh=verifying)
    option = _choose(step, answers, how.answer)
    run_changes, changes = keep_all(desk, view, step, fresh)
    if any(a.unverified for a in answers) and not (how.accept and how.note):
        write(desk, view.case, changes, RunPart(run_id, view.run.records, run_changes))
        return Deed(open_run(desk, run_id), step, state, answers, failed=True)
    proposed = bool(option) and not how.answer
    accepted = any(a.unverified for a in answers)
    run_changes.append(runs.step_done(step.id, note=how.note, answer=option.value if option else "", proposed=proposed, accepted=accepted))
    more, effects = _effects(view, step, option, how.note)
    write(desk, view.case, [*changes, *effects], RunPart(run_id, view.run.records, [*run_changes, *more]))
    after = open_run(desk, run_id)
    return Deed(after, step, after.run.state(step.id), answers)


def _again(run_id: str, step: Step) -> str:
    return f"soc playbook step {run_id} {step.id} --reopen REASON"


def _same(state: StepState, step: Step, how: Doing, run_id: str) -> None:
    if how.answer and how.answer != state.answer:
        raise UsageError(f"step {step.id} was done by {state.actor} with the answer {state.answer or '-'}", hint=_again(run_id, step))


def _may(desk: Desk, view: View, step: Step) -> None:
    """What must hold before a step is done; the error names what is lacking and the next command."""
    incident = view.incident
    if not incident.is_open:
        raise UsageError(f"incident {incident.id} is {incident.status}", hint=f"soc incident status {incident.id} investigating")
    waiting = runs.blockers(view.book, view.run, step)
    if waiting:
        hint = f"soc playbook step {view.run.id} {waiting[0]} --done | --skip REASON"
        raise UsageError(f"before {step.id} come: {' '.join(waiting)}", hint=hint)
    if step.approval:
        _approved(desk, view, step)
    owed = [d for d in duties.due(incident, desk.now) if d.id in step.duties and d.state != "done" and d.clause.stops == "sent"]
    if owed:
        hint = f"soc incident sent {incident.id} {owed[0].id} --to RECIPIENT --channel CHANNEL, or --skip REASON"
        raise UsageError(f"not sent yet: {', '.join(d.id for d in owed)}", hint=hint)


def _approved(desk: Desk, view: View, step: Step) -> None:
    given = view.run.state(step.id).approvals
    hint = f"soc playbook approve {view.run.id} {step.id} --note TEXT"
    if not given:
        raise NotPermitted(f"step {step.id} needs the approval of: {step.approval}", hint=hint)
    if not any(a.alone or a.actor != desk.actor for a in given):
        hint = f"another person does it, or: {hint} --alone"
        raise NotPermitted(f"{desk.actor} approved step {step.id} and cannot also do it", hint=hint)


def _choose(step: Step, answers: Sequence[Answer], given: str) -> Option | None:
    """The answer given, else the one the logs propose."""
    decision = step.decision
    if decision is None:
        if given:
            raise UsageError(f"step {step.id} asks nothing", hint="leave out --answer")
        return None
    value = given or proposal(step, answers)
    option = next((o for o in decision.options if o.value == value), None)
    if option is None:
        allowed = " | ".join(o.value for o in decision.options)
        raise UsageError(f"step {step.id}: {'unknown' if given else 'no'} answer {given}".strip(), hint=f"--answer {allowed}")
    return option


def proposal(step: Step, answers: Sequence[Answer]) -> str:
    """The answer that the logs propose; "" when they cannot say."""
    decision = step.decision
    if decision is None:
        return ""
    answer = next((a for a in answers if a.query.id == decision.query), None)
    if answer is None or answer.missing:
        return decision.default
    return (decision.some if answer.count else decision.none) or decision.default


def _effects(view: View, step: Step, option: Option | None, note: str) -> tuple[list[Change], list[Change]]:
    """(more changes of the run, changes of the incident) that doing the step means."""
    changes = [inc.step(view.run.id, view.book.id, (step.id, step.phase, "done"), note)]
    status = (option.status if option else "") or step.status
    if option and (option.category or option.level or option.flags):
        said = f"{view.book.id}/{step.id}: {say(option.label, i18n.lang())}" if option.level else ""
        category = option.category or ("" if view.incident.category or not option.level else view.book.categories[0])
        changes.append(inc.classified(category=category, level=option.level, reason=said, flags=option.flags))
    if status and status != view.incident.status:
        changes.append(inc.status(status, f"{view.book.id}/{step.id}"))
    return _ripples(view, step, option) if option else [], changes


def _ripples(view: View, step: Step, option: Option) -> list[Change]:
    """Steps that an answer takes out or opens again."""
    why = f"{step.id} = {option.value}"
    found = [runs.step_skipped(other, why) for other in option.skips if not view.run.finished(other)]
    again = [other for other in option.reopens if view.run.finished(other)]
    return found + [runs.step_opened(other, why) for other in ([*again, step.id] if option.reopens else [])]


def skip(desk: Desk, run_id: str, step_id: str, reason: str) -> Deed:
    """The step does not apply; a reason is required. Skipped before = nothing happens."""
    if not reason.strip():
        raise UsageError("a step is skipped with a reason", hint=f"soc playbook step {run_id} {step_id} --skip REASON")

    def changes(step: Step, state: StepState) -> list[Change]:
        if state.status == "done":
            raise UsageError(f"step {step.id} was done by {state.actor}", hint=_again(run_id, step))
        return [] if state.status == "skipped" else [runs.step_skipped(step.id, reason)]

    return _simple(desk, run_id, step_id, changes, ("skipped", reason))


def reopen(desk: Desk, run_id: str, step_id: str, reason: str) -> Deed:
    """Do a step again; an open step stays as it is."""

    def changes(step: Step, state: StepState) -> list[Change]:
        return [] if state.status == "open" else [runs.step_opened(step.id, reason)]

    return _simple(desk, run_id, step_id, changes, ("reopened", reason))


def approve(desk: Desk, run_id: str, step_id: str, note: str, *, alone: bool = False) -> Deed:
    """Agree to a step. The same person approving again changes nothing. `alone`: nobody else could be reached; needs a note."""
    if alone and not note.strip():
        raise UsageError("--alone needs --note: why nobody else could be reached")

    def changes(step: Step, state: StepState) -> list[Change]:
        if not step.approval:
            raise UsageError(f"step {step.id} needs no approval", hint=f"soc playbook step {run_id} {step.id} --done")
        known = any(a.actor == desk.actor and a.alone == alone for a in state.approvals)
        return [] if known or state.status != "open" else [runs.approved(step.id, note, alone=alone)]

    return _simple(desk, run_id, step_id, changes, ("approved", note))


def _simple(desk: Desk, run_id: str, step_id: str, changes: Callable[[Step, StepState], list[Change]], said: tuple[str, str]) -> Deed:
    """An action without questions: no changes = it was so before. `said` = (result, note) for the incident's timeline."""

    def action() -> Deed:
        view = open_run(desk, run_id)
        step = find_step(view, step_id)
        made = changes(step, view.run.state(step.id))
        if not made:
            return Deed(view, step, view.run.state(step.id), already=True)
        line = inc.step(run_id, view.book.id, (step.id, step.phase, said[0]), said[1])
        write(desk, view.case, [line], RunPart(run_id, view.run.records, made))
        after = open_run(desk, run_id)
        return Deed(after, step, after.run.state(step.id))

    return settle(action)
