"""Make a document: ask the store, fill in registers and answers, write the files, keep a record of it (stream `document`)."""

from __future__ import annotations

import hashlib
import importlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

from domain.clock import LOCAL, iso_local
from domain.document import Document
from domain.errors import ConfigError, UsageError
from domain.periods import Kind as PeriodKind
from domain.periods import last_full, parse, previous
from domain.playbook import say
from domain.text import one_line
from domain.window import duration
from jobs import registers
from jobs.runtime import Runtime
from playbooks.load import load_all
from reports import BUILT, KINDS, Kind, answers
from reports.answers import Draft
from reports.base import Account, Order, Report
from reports.office import Paper
from reports.render import FORMATS, render
from reports.text import LANG
from store.base import NewRecord, RecordStore

STREAM: Final = "document"


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    kind: str
    period: str = ""
    calendar: bool = False
    incident: str = ""
    """Incident id or a unique beginning of it."""
    formats: tuple[str, ...] = ("docx", "pdf")
    out: str = ""
    answers: str = ""
    final: bool = False
    number: str = ""


@dataclass(frozen=True)
class Written:
    """What came of it."""

    key: str
    """Kind and period or incident: which document it is."""
    title: str
    files: tuple[Path, ...]
    answers: Path
    answers_new: bool
    missing: tuple[str, ...]
    """Keys `report.<key>` of what is mandatory and not there."""
    number: str
    final: bool
    """False when `--final` was not given, or something is missing."""


def make(runtime: Runtime, request: Request) -> Written:
    """Build and write it. UsageError for what cannot be asked for; the files are written even when something is missing."""
    kind = known(request)
    order = _order(runtime, request, kind)
    module = cast("Report", importlib.import_module(kind.module))
    facts = module.gather(runtime.store, order)
    key = f"{kind.name}:{order.incident or (order.period.name if order.period else '')}"
    out, name = Path(request.out) if request.out else runtime.config.root / "documents", key.replace(":", "-")
    questions = module.questions(facts)
    sheet = Path(request.answers) if request.answers else out / f"{name}.answers.yml"
    fresh = _write_new(sheet, answers.sheet(questions, key))
    draft = Draft(questions, answers.read(sheet, questions))
    paper = Paper(kind.name, module.symbol(facts), _number(request), order.now, order.registers)
    if request.final and not paper.number:
        draft.need("", "need_number")
    if paper.organisation.example:
        draft.need("", "need_example")
    _number_free(runtime.store.records, paper, key)
    document = replace(module.build(facts, paper, draft), missing=tuple(draft.missing))
    files = tuple(_write(out / f"{name}.{form}", render(document, form)) for form in request.formats)
    final = request.final and not document.missing
    written = Written(key, document.title, files, sheet, fresh, document.missing, paper.full_number if paper.number else "", final)
    _keep(runtime, written, document, module.account(facts))
    return written


def kinds() -> Sequence[Kind]:
    """Every kind of document, in the order of the command line's documentation."""
    return tuple(KINDS.values())


def known(request: Request) -> Kind:
    """The kind, when it can be made as asked."""
    kind = KINDS.get(request.kind)
    if kind is None or not kind.module:
        what = "is not built yet" if kind else "no such kind of document"
        raise UsageError(f"{one_line(request.kind, 40)}: {what}", hint=f"soc report list: {', '.join(BUILT)}")
    for form in request.formats:
        if form not in FORMATS:
            raise UsageError(f"--format {one_line(form, 20)}: {' | '.join(FORMATS)}")
    if kind.subject == "incident" and (request.period or not request.incident):
        raise UsageError(f"{kind.name} is about an incident", hint=f"soc report {kind.name} --incident ID; soc incident list")
    if kind.subject == "period" and request.incident:
        raise UsageError(f"{kind.name} is about a period", hint=f"soc report {kind.name} --period 2026-W47")
    return kind


def _order(runtime: Runtime, request: Request, kind: Kind) -> Order:
    style = "calendar" if request.calendar else runtime.config.period_style
    now = runtime.clock.now()
    found = registers.load(runtime)
    if kind.subject == "incident":
        return Order(kind.name, now, found, incident=_incident(runtime.store.records, request.incident), steps=_steps(runtime))
    period = parse(request.period, style) if request.period else last_full(cast("PeriodKind", kind.period), now, style)
    expected = {s.id: _pause(s.expect_every) for s in runtime.config.sources if not s.exercise}
    return Order(kind.name, now, found, period, previous(period, style), expected=expected)


def _steps(runtime: Runtime) -> dict[tuple[str, str], str]:
    """What the steps of the playbooks are called in documents."""
    books, _ = load_all(runtime.content("playbooks"))
    return {(book.id, step.id): say(step.title, LANG) for book in books.values() for step in book.steps}


def _pause(text: str) -> timedelta | None:
    return duration(text) if text else None


def _incident(records: RecordStore, prefix: str) -> str:
    """The only incident whose id begins so."""
    keys = sorted({r.key for r in records.find("incident") if r.type == "opened"})
    found = [k for k in keys if k == prefix] or [k for k in keys if k.lower().startswith(prefix.lower())]
    if len(found) != 1:
        what = "several incidents begin so" if found else "no such incident"
        raise UsageError(f"--incident {one_line(prefix, 60)}: {what}", hint=", ".join(found[:5]) or "soc incident list")
    return found[0]


def _number(request: Request) -> str:
    number = request.number.strip()
    if number and not number.replace("-", "").replace(".", "").isalnum():
        raise UsageError(f"--number {one_line(number, 40)}: digits, or what the clerk has written", hint="--number 05")
    return number.lstrip("0") or number


def _number_free(records: RecordStore, paper: Paper, key: str) -> None:
    """Two documents of one symbol and year cannot have one number."""
    if not paper.number:
        return
    for record in records.find(STREAM):
        year = str(record.body.get("signed", ""))[:4]
        if record.type == "final" and record.key != key and record.body.get("number") == paper.full_number and year == str(paper.day.year):
            raise UsageError(f"--number {paper.number}: {paper.full_number} is {record.key} already", hint="the next free number")


def _write_new(path: Path, text: str) -> bool:
    """Make the file unless it is there; what people wrote is never touched."""
    if path.exists():
        return False
    _write(path, text.encode())
    return True


def _write(path: Path, data: bytes) -> Path:
    """Whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(data)
        Path(file.name).chmod(0o640)
        os.replace(file.name, path)  # noqa: PTH105  atomic
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror}", where=str(path), hint="--out DIR") from None
    return path


def _keep(runtime: Runtime, written: Written, document: Document, account: Account) -> None:
    """One record per version of the document; the same files again are not recorded again."""
    body = _body(runtime, written, document, account)
    kind = "final" if written.final else "draft"
    old = runtime.store.records.read(STREAM, written.key)
    if not old or old[-1].type != kind or any(old[-1].body.get(name) != body[name] for name in ("files", "number")):
        record = NewRecord(STREAM, written.key, kind, body, runtime.actor)
        runtime.store.records.append([record], document.at, {(STREAM, written.key): len(old)})


def _body(runtime: Runtime, written: Written, document: Document, account: Account) -> dict[str, Any]:
    rules = sorted(account.rules.items())
    window = account.window
    return {
        "kind": document.kind, "title": document.title, "number": written.number,
        "signed": document.at.astimezone(LOCAL).date().isoformat(),
        "from": iso_local(window.start) if window else None, "to": iso_local(window.end) if window else None,
        "files": [{"name": f.name, "sha256": digest(f.read_bytes()), "size": f.stat().st_size} for f in written.files],
        "answers": digest(written.answers.read_bytes()), "missing": list(written.missing), "made": iso_local(document.at),
        "queries": [f.plain() for f in account.figures], "head": runtime.store.events.head(),
        "gaps": [{"source": s, "from": iso_local(g.start), "to": iso_local(g.end)} for s, g in account.gaps],
        "rules": digest(repr(rules).encode()), "rule_count": len(rules),
    }  # fmt: skip


def digest(data: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(data).hexdigest()
