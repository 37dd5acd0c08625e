"""Runs: who did which step of a playbook when, and what was found. Append-only (stream `run`, key = run id); `Run` is the projection.

Functions that change a run return a `Change`; the runner appends it together with what it means for the incident, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from domain.incident import Change, RecordLike
from domain.playbook import Playbook, Step

STREAM: Final = "run"
FINISHED: Final = ("done", "skipped")


@dataclass(frozen=True)
class Result:
    """What a live query gave when it was last stored."""

    query: str
    """Id of the query in its step."""
    text: str
    """The query as it ran, with values filled in."""
    count: int
    file: str
    """Name of the evidence file."""
    sha256: str
    at: datetime


@dataclass(frozen=True)
class Approval:
    """Somebody agreed to a step."""

    actor: str
    at: datetime
    note: str
    alone: bool = False
    """Nobody else could be reached: who approved may also do it."""


@dataclass(frozen=True)
class StepState:
    """How far one step is."""

    status: str = "open"
    """open, done, skipped."""
    at: datetime | None = None
    actor: str = ""
    note: str = ""
    """Note of the one who did it, or the reason it was skipped."""
    answer: str = ""
    """Option chosen."""
    proposed: bool = False
    """The answer is the one the logs proposed, taken as it was."""
    approvals: tuple[Approval, ...] = ()
    results: Mapping[str, Result] = field(default_factory=dict)
    accepted: bool = False
    """Done although a verification failed."""
    rounds: int = 0
    """How often it was opened again."""


@dataclass(frozen=True)
class Run:
    """One playbook on one incident."""

    id: str
    incident: str
    playbook: str
    version: int
    digest: str
    """SHA-256 of the playbook file: the run goes on with the version it started with."""
    started: datetime
    started_by: str
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    steps: Mapping[str, StepState] = field(default_factory=dict)
    records: int = 0
    """Number of records: the version that the next append expects."""

    def state(self, step_id: str) -> StepState:
        """The state of a step; open when nothing happened yet."""
        return self.steps.get(step_id, StepState())

    def finished(self, step_id: str) -> bool:
        """Done or skipped."""
        return self.state(step_id).status in FINISHED


def run_id(incident: str, playbook: str) -> str:
    """One run of a playbook per incident: `SC-20261124-ab12cd.PB04`."""
    return f"{incident}.{playbook}"


def started(incident: str, playbook: Playbook, inputs: Mapping[str, Iterable[str]]) -> Change:
    """The first record."""
    body = {"run": run_id(incident, playbook.id), "incident": incident, "playbook": playbook.id, "version": playbook.version}
    return "started", {**body, "digest": playbook.digest, "inputs": {k: list(v) for k, v in inputs.items()}}


def inputs_set(inputs: Mapping[str, Iterable[str]]) -> Change:
    """Values of placeholders, replacing those known."""
    return "inputs", {"inputs": {k: list(v) for k, v in inputs.items()}}


def queried(step: str, result: Mapping[str, Any]) -> Change:
    """A live query was run and its result stored: {query, text, count, file, sha256}."""
    return "queried", {"step": step, **result}


def step_done(step: str, *, note: str = "", answer: str = "", proposed: bool = False, accepted: bool = False) -> Change:
    """The step is done."""
    return "step_done", {"step": step, "note": note, "answer": answer, "proposed": proposed, "accepted": accepted}


def step_skipped(step: str, reason: str) -> Change:
    """The step does not apply, and why."""
    return "step_skipped", {"step": step, "reason": reason}


def step_opened(step: str, reason: str) -> Change:
    """The step has to be done again, and why."""
    return "step_opened", {"step": step, "reason": reason}


def approved(step: str, note: str, *, alone: bool = False) -> Change:
    """Somebody approved the step; `alone`: nobody else could be reached."""
    return "approval", {"step": step, "note": note, "alone": alone}


def fold(records: Iterable[RecordLike]) -> Run:
    """The run that its records tell of. ValueError when the first is not `started`."""
    items = list(records)
    if not items or items[0].type != "started":
        raise ValueError("a run starts with the record 'started'")
    first, body = items[0], items[0].body
    run = Run(
        body["run"], body["incident"], body["playbook"], body["version"], body["digest"], first.at, first.actor,
        {k: tuple(v) for k, v in body["inputs"].items()}, records=len(items),
    )  # fmt: skip
    for record in items[1:]:
        run = _apply(run, record)
    return run


def _apply(run: Run, record: RecordLike) -> Run:
    body = record.body
    if record.type == "inputs":
        return replace(run, inputs={**run.inputs, **{k: tuple(v) for k, v in body["inputs"].items()}})
    if "step" not in body:
        return run
    state = _step(run.state(body["step"]), record)
    return replace(run, steps={**run.steps, body["step"]: state})


def _step(state: StepState, record: RecordLike) -> StepState:
    body, at, actor = record.body, record.at, record.actor
    if record.type == "step_done":
        done = replace(state, status="done", at=at, actor=actor, note=body["note"], answer=body["answer"])
        return replace(done, proposed=bool(body.get("proposed")), accepted=bool(body.get("accepted")))
    if record.type == "step_skipped":
        return replace(state, status="skipped", at=at, actor=actor, note=body["reason"])
    if record.type == "step_opened":
        return StepState(rounds=state.rounds + 1, note=body["reason"])
    if record.type == "approval":
        return replace(state, approvals=(*state.approvals, Approval(actor, at, body["note"], bool(body.get("alone")))))
    if record.type == "queried":
        result = Result(body["query"], body["text"], body["count"], body["file"], body["sha256"], at)
        return replace(state, results={**state.results, result.query: result})
    return state


_AFTER: Final[Mapping[str, tuple[str, ...]]] = {
    "contain": ("preserve",), "eradicate": ("preserve",), "recover": ("contain", "eradicate"), "lessons": ("recover",),
}  # fmt: skip
"""Phase -> phases whose required steps come first: evidence before anything is changed, no recovery while the attacker can act."""


def blockers(playbook: Playbook, run: Run, step: Step) -> list[str]:
    """Ids of the steps that must be finished first: what it needs, and the phases that come before its own."""
    before = list(step.needs)
    before += [s.id for s in playbook.steps if s.phase in _AFTER.get(step.phase, ()) and s.required]
    return [s for s in dict.fromkeys(before) if s != step.id and not run.finished(s)]


def missing(playbook: Playbook, run: Run) -> list[str]:
    """Required steps that are neither done nor skipped."""
    return [s.id for s in playbook.steps if s.required and not run.finished(s.id)]
