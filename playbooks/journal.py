"""Writing to the streams `incident` and `run`: one atomic append per action, with the version everybody saw.

A command that is killed has either written its action whole or not at all; two people who act at once cannot overwrite each other:
who comes second reads again and decides again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from domain import incident as inc
from domain import run as runs
from domain.errors import ConflictError, UsageError
from domain.incident import Change, Incident
from domain.registers import is_internal
from domain.run import Run
from playbooks.evidence import Vault, link
from store.base import NewRecord, Record, Store

T = TypeVar("T")
TRIES: Final = 8


@dataclass(frozen=True)
class Desk:
    """Who works, when, on what."""

    store: Store
    state_dir: Path
    """Folder that holds `evidence/`."""
    actor: str
    now: datetime
    own: Callable[[str], bool] = is_internal
    """Whether an address is the province's own (registers)."""

    def vault(self, incident: str) -> Vault:
        """The evidence folder of an incident."""
        return Vault.of(self.state_dir, incident)


@dataclass(frozen=True)
class Case:
    """An incident as read, with the version that the next append expects."""

    incident: Incident
    version: int
    chain: str
    """Link of the newest evidence record; the incident id when there is none."""
    records: Sequence[Record] = ()


def case(desk: Desk, incident_id: str) -> Case:
    """Read an incident; UsageError when there is none."""
    records = desk.store.records.read(inc.STREAM, incident_id)
    if not records:
        raise UsageError(f"no incident {incident_id}", hint="soc incident list")
    links = [str(r.body["chain"]) for r in records if r.type == "evidence" and r.body.get("chain")]
    return Case(inc.fold(records), len(records), links[-1] if links else incident_id, records)


def run(desk: Desk, run_id: str) -> Run:
    """Read a run; UsageError when there is none."""
    records = desk.store.records.read(runs.STREAM, run_id)
    if not records:
        raise UsageError(f"no run {run_id}", hint="soc playbook start INCIDENT PLAYBOOK")
    return runs.fold(records)


@dataclass(frozen=True)
class RunPart:
    """What an action adds to a run."""

    id: str
    version: int
    """Number of records of the run as read."""
    changes: Sequence[Change]


def write(desk: Desk, seen: Case, changes: Sequence[Change], part: RunPart | None = None) -> None:
    """Append to the incident and to the run, all or nothing. ConflictError when somebody wrote first: read again."""
    chain, records = seen.chain, []
    for kind, body in changes:
        if kind == "evidence":
            chain = link(chain, body)
            body = {**body, "chain": chain}
        records.append(NewRecord(inc.STREAM, seen.incident.id, kind, body, desk.actor))
    expect = {(inc.STREAM, seen.incident.id): seen.version} if changes else {}
    if part and part.changes:
        records += [NewRecord(runs.STREAM, part.id, kind, body, desk.actor) for kind, body in part.changes]
        expect[(runs.STREAM, part.id)] = part.version
    if records:
        desk.store.records.append(records, desk.now, expect)
    if any(kind == "evidence" for kind, _ in changes):
        desk.vault(seen.incident.id).draw_manifest(case(desk, seen.incident.id).incident.evidence)


def settle(action: Callable[[], T]) -> T:
    """Do an action that reads, decides and writes; when somebody else wrote first, do it again on what is there now."""
    for _ in range(TRIES - 1):
        try:
            return action()
        except ConflictError:
            continue
    return action()
