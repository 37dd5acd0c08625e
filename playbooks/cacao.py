"""A playbook as CACAO Security Playbooks 2.0, for other tools.

Format: OASIS, https://docs.oasis-open.org/cacao/security-playbooks/v2.0/

Every step is a manual action: nothing that leaves this product can be executed by a machine without a person reading it. Decisions become
switch steps; an answer that takes steps out leads past them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from domain.playbook import ROLES, Playbook, Query, Step, say

_SPACE: Final = uuid.UUID("5f6d3c52-6f0f-5c37-9c4e-0d4f8a2c6b11")
_TYPES: Final[Mapping[str, str]] = {
    "identify": "detection", "preserve": "investigation", "analyse": "investigation", "report": "notification", "contain": "mitigation",
    "eradicate": "remediation", "recover": "remediation", "prepare": "prevention", "lessons": "prevention",
}  # fmt: skip


def export(book: Playbook, lang: str, at: datetime) -> dict[str, Any]:
    """The CACAO document. Ids are made from the playbook's id and step ids: the same playbook gives the same ids."""
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    first = _entry(book, book.steps[0]) if book.steps else _id(book, "end", "")
    return {
        "type": "playbook", "spec_version": "cacao-2.0", "id": _id(book, "playbook", ""), "name": f"{book.id} {say(book.title, lang)}",
        "description": say(book.summary, lang), "playbook_types": sorted({_TYPES[s.phase] for s in book.steps}),
        "created_by": _id(book, "identity", "thapcanh"), "created": stamp, "modified": stamp,
        "labels": [book.id, f"version-{book.version}"],
        "playbook_variables": _variables(book, lang), "workflow_start": _id(book, "start", ""),
        "workflow": {
            _id(book, "start", ""): {"type": "start", "on_completion": first},
            **{key: step for number in range(len(book.steps)) for key, step in _steps(book, number, lang).items()},
            _id(book, "end", ""): {"type": "end"},
        },
        "agent_definitions": {_id(book, "group", role): {"type": "group", "name": role} for role in ROLES},
    }  # fmt: skip


def _id(book: Playbook, kind: str, name: str) -> str:
    return f"{kind}--{uuid.uuid5(_SPACE, f'{book.id}/{kind}/{name}')}"


def _entry(book: Playbook, step: Step) -> str:
    return _id(book, "action", step.id)


def _variables(book: Playbook, lang: str) -> dict[str, Any]:
    kinds = {"ip": "string", "url": "string", "hash": "string"}
    found = {f"__{i.name}__": {"type": kinds.get(i.entity, "string"), "description": say(i.label, lang), "external": True}
             for i in book.inputs.values()}  # fmt: skip
    answers = {f"__answer_{s.id}__": {"type": "string", "description": say(s.decision.ask, lang)} for s in book.steps if s.decision}
    return {**found, **answers}


def _steps(book: Playbook, number: int, lang: str) -> dict[str, Any]:
    step = book.steps[number]
    action: dict[str, Any] = {
        "type": "action", "name": f"{step.id} {say(step.title, lang)}", "description": say(step.do, lang),
        "agent": _id(book, "group", step.who), "commands": [{"type": "manual", "command": text} for text in _texts(book, step, lang)],
        "on_completion": _after(book, number, frozenset()),
    }  # fmt: skip
    if step.decision is None:
        return {_entry(book, step): action}
    switch = _id(book, "switch-condition", step.id)
    action["on_completion"] = switch
    cases = {o.value: _after(book, number, frozenset(o.skips)) for o in step.decision.options}
    cases["default"] = _after(book, number, frozenset())
    name = {"type": "switch-condition", "name": say(step.decision.ask, lang), "switch": f"__answer_{step.id}__:value", "cases": cases}
    return {_entry(book, step): action, switch: name}


def _after(book: Playbook, number: int, without: frozenset[str]) -> str:
    later = next((s for s in book.steps[number + 1 :] if s.id not in without), None)
    return _entry(book, later) if later else _id(book, "end", "")


def _texts(book: Playbook, step: Step, lang: str) -> list[str]:
    """What the person reads: the instruction, the questions with their queries, commands to type, letters to send."""
    asked = [_question(q, lang) for q in step.queries]
    typed = [f"[{c.system}] {c.text.strip()}" for c in step.commands]
    letters = [f"{say(book.letters[n].title, lang)}\n{say(book.letters[n].body, lang).strip()}" for n in step.letters]
    return [_variables_in(book, text) for text in [say(step.do, lang), *asked, *typed, *letters]]


def _question(query: Query, lang: str) -> str:
    return f"{say(query.ask, lang)} soc search '{query.query}'"


def _variables_in(book: Playbook, text: str) -> str:
    for name in book.inputs:
        text = text.replace(f"{{{name}}}", f"__{name}__:value")
    return text
