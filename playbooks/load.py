"""From files to `Playbook` values: what is shipped, overlaid by id with the content folders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from domain.errors import ContentError
from domain.playbook import Command, Condition, Decision, Input, Letter, Option, Playbook, Query, Step, Trigger, as_text
from playbooks.lint import lint
from playbooks.source import Problem, Source, parse, read

LIBRARY: Final = Path(__file__).parent / "library"
START, END = "t0-24h", "now"
"""Default window of a query."""


def files(folders: Sequence[Path] = ()) -> list[Path]:
    """Playbook files: the library first, then the content folders in overlay order."""
    return [path for folder in (LIBRARY, *folders) for path in sorted(folder.glob("*.yml"))]


def load_all(folders: Sequence[Path] = ()) -> tuple[dict[str, Playbook], list[Problem]]:
    """Playbooks by id, and what is wrong with the files that could not be used (an overlay that is wrong leaves the shipped one)."""
    books: dict[str, Playbook] = {}
    problems: list[Problem] = []
    for path in files(folders):
        source = read(path)
        found = lint(source)
        if found:
            problems += found
        else:
            book = build(source)
            books[book.id] = book
    return dict(sorted(books.items())), problems


def from_text(text: str, name: str) -> Playbook:
    """A playbook from its text (the snapshot of a run); ContentError lists every problem."""
    source = parse(text, name)
    found = lint(source)
    if found:
        raise ContentError("\n".join(str(p) for p in found), hint=f"soc playbook lint {name}")
    return build(source)


def build(source: Source) -> Playbook:
    """The value of a file that lint found right."""
    data: dict[str, Any] = source.data
    return Playbook(
        id=data["id"],
        version=data["version"],
        title=as_text(data["title"]),
        summary=as_text(data["summary"]),
        categories=tuple(data["categories"]),
        triggers=Trigger(**{k: tuple(v) for k, v in data["triggers"].items()}),
        inputs={name: Input(name, item["entity"], as_text(item["label"]), item.get("scope", "")) for name, item in data["inputs"].items()},
        steps=tuple(_step(item) for item in data["steps"]),
        letters={name: _letter(name, item) for name, item in data.get("letters", {}).items()},
        close=tuple(_condition(item) for item in data["close"]),
        digest=hashlib.sha256(source.text.encode()).hexdigest(),
        origin=source.file,
    )


def _letter(name: str, item: Mapping[str, Any]) -> Letter:
    return Letter(name, as_text(item["title"]), as_text(item["to"]), as_text(item["body"]))


def _condition(item: Mapping[str, Any]) -> Condition:
    return Condition(item["id"], as_text(item["text"]), _query(item["query"]) if "query" in item else None)


def _step(item: Mapping[str, Any]) -> Step:
    plain = {k: item[k] for k in ("id", "phase", "who", "required", "approval", "hours", "status") if k in item}
    return Step(
        **plain,
        title=as_text(item["title"]),
        do=as_text(item["do"]),
        needs=tuple(item.get("needs", ())),
        queries=tuple(_query(q) for q in item.get("queries", ())),
        decision=_decision(item["decision"]) if "decision" in item else None,
        commands=tuple(_command(c) for c in item.get("commands", ())),
        letters=tuple(item.get("letters", ())),
        duties=tuple(item.get("duties", ())),
        evidence=tuple(as_text(e) for e in item.get("evidence", ())),
    )


def _query(item: Mapping[str, Any]) -> Query:
    values: dict[str, Any] = {k: as_text(item[k]) for k in ("ask", "some", "none") if k in item}
    values |= {k: tuple(item[k]) for k in ("by", "fields") if k in item}
    values |= {k: item[k] for k in ("every", "limit", "expect") if k in item}
    query = " ".join(item["query"].split())
    return Query(id=item["id"], query=query, start=item.get("start", START), end=item.get("end", END), **values)


def _decision(item: Mapping[str, Any]) -> Decision:
    plain = {k: item[k] for k in ("query", "some", "none", "default") if k in item}
    return Decision(as_text(item["ask"]), tuple(_option(o) for o in item["options"]), **plain)


def _option(item: Mapping[str, Any]) -> Option:
    plain = {k: item[k] for k in ("value", "category", "level", "status", "flags") if k in item}
    return Option(label=as_text(item["label"]), skips=tuple(item.get("skips", ())), reopens=tuple(item.get("reopens", ())), **plain)


def _command(item: Mapping[str, Any]) -> Command:
    plain = {k: item[k] for k in ("system", "text", "undo", "family") if k in item}
    return Command(note=as_text(item.get("note", {})), **plain)
