"""The demonstration: a drill in a folder of its own goes down the whole chain, from log lines to documents, and its story is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from domain.alert import Alert
from domain.clock import iso_local
from domain.errors import NotPermitted, UsageError
from domain.i18n import lang, t
from domain.incident import Incident
from domain.playbook import say
from jobs import drill, respond, respond_playbook
from jobs.runtime import Runtime
from playbooks.deeds import Doing, proposal
from playbooks.drills.key import KeyStep, Result

EVERY: Final = timedelta(hours=1)
STEPS: Final = 5
"""Playbook steps that the demonstration does by itself."""


@dataclass
class Story:
    """What happened, in numbers and paths."""

    folder: Path
    first: datetime
    last: datetime
    """End of the last day: the `--now` of everything afterwards."""
    records: int = 0
    """Log records written."""
    sources: int = 0
    stored: int = 0
    unparsed: int = 0
    alerts: int = 0
    result: Result | None = None
    incidents: Sequence[Incident] = ()
    incident: Incident | None = None
    """The one that was worked on."""
    run: str = ""
    """Playbook run."""
    playbook: str = ""
    steps: tuple[str, ...] = ()
    """Titles of the playbook steps done."""
    documents: tuple[Path, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    """By stage: collect (with generation and scans), check, respond, documents."""


@dataclass(frozen=True)
class Attack:
    """How detection did on one attack."""

    name: str
    found: int
    steps: int
    began: datetime
    first: Alert | None
    """The earliest alert."""

    @property
    def minutes(self) -> int:
        """From the first step to the first alert."""
        return round((self.first.opened_at - self.began).total_seconds() / 60) if self.first else 0


def play(folder: Path, wish: drill.Wish, tell: Callable[[drill.Moment], None]) -> Story:
    """Generate, collect and scan as time passes, check, walk the playbook of an incident, write its documents."""
    drill.clear(folder)
    made = drill.prepare(wish, folder)
    first, last = (datetime.fromtimestamp(at, UTC) for at in (made.world.start, made.world.end))
    story, runtime = Story(folder, first, last), drill.open_folder(folder)
    for stage, work in (("collect", _collect), ("check", _check), ("respond", _respond), ("documents", _documents)):
        since = time.monotonic()
        if stage == "collect":
            for moment in drill.play(runtime, made, EVERY):
                tell(moment)
            story.records, story.sources = sum(made.records.values()), len(made.records)
        work(runtime, story)
        story.seconds[stage] = round(time.monotonic() - since, 1)
    runtime.store.close()
    return story


def _collect(runtime: Runtime, story: Story) -> None:
    ledger = runtime.store.events.ledger()
    story.stored, story.unparsed = sum(s.stored for s in ledger), sum(s.unparsed for s in ledger)


def _check(runtime: Runtime, story: Story) -> None:
    story.result = drill.check(runtime, story.folder / drill.KEY)
    story.alerts = len({a.id for _, seen in story.result.found for a in seen} | {a.id for a in story.result.outside})


def attacks(story: Story) -> list[Attack]:
    """The attacks in the order in which they began."""
    found: list[tuple[KeyStep, Sequence[Alert]]] = list(story.result.found) if story.result else []
    steps = [*found, *((step, ()) for step in (story.result.missed if story.result else ()))]
    out = []
    for name in dict.fromkeys(step.attack for step, _ in steps):
        own = [(step, seen) for step, seen in steps if step.attack == name]
        alerts = sorted((a for _, seen in own for a in seen), key=lambda a: (a.opened_at, a.id))
        out.append(Attack(name, sum(bool(seen) for _, seen in own), len(own), min(s.start for s, _ in own), alerts[0] if alerts else None))
    return sorted(out, key=lambda a: a.began)


def _respond(runtime: Runtime, story: Story) -> None:
    """The incident that holds most of the web attack, and its playbook."""
    story.incidents = respond.incidents(runtime)
    web = {a.id for step, seen in story.result.found if step.attack == "web" for a in seen} if story.result else set()
    chosen = max(story.incidents, key=lambda i: (len(web & set(i.alerts)), len(i.alerts)), default=None)
    if chosen is None:
        return
    fitting = respond_playbook.proposals(runtime, chosen)
    book = fitting[0].book if fitting else respond_playbook.book(runtime, "PB04")
    view, _ = respond_playbook.start(runtime, chosen.id, book.id, {})
    story.run, story.playbook = view.run.id, f"{book.id} {say(book.title, lang())}"
    story.steps = tuple(_walk(runtime, view.run.id))
    story.incident = respond.get(runtime, chosen.id)


def _walk(runtime: Runtime, run: str) -> Iterator[str]:
    """Do the first steps: the answer that the logs propose, else the first one that the step offers; stop where approval is needed."""
    for _ in range(STEPS):
        deed = respond_playbook.next_step(runtime, run)
        if deed is None:
            return
        options = deed.step.decision.options if deed.step.decision else ()
        answer = proposal(deed.step, deed.answers) or next((o.value for o in options), "")
        doing = Doing(note=t("demo.note"), answer=answer, accept=True)
        try:
            respond_playbook.done(runtime, run, deed.step.id, doing)
        except (NotPermitted, UsageError):
            return
        yield f"{deed.step.id} {say(deed.step.title, lang())}"


def _documents(runtime: Runtime, story: Story) -> None:
    """The notice and the first report of the incident, and the weekly report."""
    from jobs.report import Request, make

    requests = [Request(kind, incident=story.incident.id) for kind in ("notice", "initial")] if story.incident else []
    requests.append(Request("weekly", period=story.last.strftime("%G-W%V")))
    story.documents = tuple(path for request in requests for path in make(runtime, request).files)


def as_json(story: Story) -> dict[str, Any]:
    """The story as one JSON document."""
    incident = story.incident.id if story.incident else None
    return {
        "folder": str(story.folder), "now": iso_local(story.last), "records": story.records, "sources": story.sources,
        "stored": story.stored, "unparsed": story.unparsed, "alerts": story.alerts, "incidents": [i.id for i in story.incidents],
        "check": drill.report(story.result) if story.result else {}, "incident": incident, "run": story.run,
        "steps": list(story.steps), "documents": [str(p) for p in story.documents], "seconds": story.seconds,
    }  # fmt: skip
