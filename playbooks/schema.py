"""The form of a playbook file, as data, and the walker that checks a file against it: every problem, each with its line."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from domain.incident import CATEGORIES, FLAGS, LEVELS, STATUSES
from domain.playbook import ENTITIES, PHASES, ROLES, SCOPES, SYSTEMS
from playbooks.source import Source, Where

ENUMS: Final[Mapping[str, tuple[str, ...]]] = {
    "category": CATEGORIES, "level": LEVELS, "status": STATUSES, "flag": FLAGS, "phase": PHASES, "role": ROLES, "system": SYSTEMS,
    "entity": ENTITIES, "expect": ("some", "none"), "scope": SCOPES,
}  # fmt: skip

SCHEMA: Final[Mapping[str, Mapping[str, str]]] = {
    "playbook": {
        "id": "str!", "version": "int!", "title": "text!", "summary": "text!", "categories": "list category!", "triggers": "triggers!",
        "inputs": "map input!", "steps": "list step!", "letters": "map letter", "close": "list condition!",
    },
    "triggers": {"sigma_tags": "list str", "rules": "list str", "models": "list str", "categories": "list category"},
    "input": {"entity": "entity!", "label": "text!", "scope": "scope"},
    "letter": {"title": "text!", "to": "text!", "body": "text!"},
    "condition": {"id": "str!", "text": "text!", "query": "query"},
    "step": {
        "id": "str!", "phase": "phase!", "who": "role!", "title": "text!", "do": "text!", "required": "bool", "needs": "list str",
        "queries": "list query", "decision": "decision", "commands": "list command", "letters": "list str", "approval": "role",
        "duties": "list str", "hours": "number", "evidence": "list text", "status": "status",
    },
    "query": {
        "id": "str!", "ask": "text!", "query": "str!", "start": "str", "end": "str", "by": "list str", "every": "str",
        "fields": "list str", "limit": "int", "some": "text", "none": "text", "expect": "expect",
    },
    "decision": {"ask": "text!", "options": "list option!", "query": "str", "some": "str", "none": "str", "default": "str"},
    "option": {
        "value": "str!", "label": "text!", "category": "category", "level": "level", "status": "status", "flags": "map_flag bool",
        "skips": "list str", "reopens": "list str",
    },
    "command": {"system": "system!", "text": "str!", "note": "text", "undo": "str", "family": "int"},
}  # fmt: skip
"""Kind of object -> key -> form. Forms: str, int, number, bool, text (mapping vi, en), an enumeration, an object kind, `list F`, `map F`;
a closing `!` = required."""


def check(source: Source) -> None:
    """Compare the file with the form; problems are added to the source."""
    _object(source.data, "playbook", (), source)


def _object(value: Any, kind: str, where: Where, source: Source) -> None:
    form = SCHEMA[kind]
    if not isinstance(value, dict):
        source.problem(where, f"{_name(where)} must be a mapping with {', '.join(form)}")
        return
    for key in value:
        if key not in form:
            source.problem((*where, key), f"unknown key {key} in {kind}{_suggest(key, form)}")
    for key, rule in form.items():
        if key in value:
            _value(value[key], rule.removesuffix("!"), (*where, key), source)
        elif rule.endswith("!"):
            source.problem(where, f"{_name(where) or kind} lacks {key}")


def _suggest(key: str, allowed: Mapping[str, object] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(key, list(allowed), 1)
    return f"; did you mean {close[0]}?" if close else f"; allowed: {', '.join(allowed)}"


def _name(where: Where) -> str:
    return ".".join(str(p + 1) if isinstance(p, int) else p for p in where)


def _value(value: Any, rule: str, where: Where, source: Source) -> None:
    head, _, rest = rule.partition(" ")
    if head == "list":
        _list(value, rest, where, source)
    elif head in ("map", "map_flag"):
        _map(value, rest, where, source, flags=head == "map_flag")
    elif rule in SCHEMA:
        _object(value, rule, where, source)
    elif rule == "text":
        _text(value, where, source)
    elif rule in ENUMS:
        if value not in ENUMS[rule]:
            source.problem(where, f"{_name(where)}: {value}{_suggest(str(value), ENUMS[rule])}")
    else:
        _scalar(value, rule, where, source)


def _list(value: Any, rule: str, where: Where, source: Source) -> None:
    if not isinstance(value, list):
        source.problem(where, f"{_name(where)} must be a list")
        return
    for number, item in enumerate(value):
        _value(item, rule, (*where, number), source)


def _map(value: Any, rule: str, where: Where, source: Source, *, flags: bool) -> None:
    if not isinstance(value, dict):
        source.problem(where, f"{_name(where)} must be a mapping")
        return
    for key, item in value.items():
        if flags and key not in FLAGS:
            source.problem((*where, key), f"unknown flag {key}{_suggest(key, FLAGS)}")
        _value(item, rule, (*where, key), source)


def _text(value: Any, where: Where, source: Source) -> None:
    if not isinstance(value, dict) or not str(value.get("vi", "")).strip():
        source.problem(where, f"{_name(where)} must be a mapping with the text in vi (and en)")
        return
    for lang, text in value.items():
        if lang not in ("vi", "en"):
            source.problem((*where, lang), f"unknown language {lang}: vi | en")
        if not isinstance(text, str) or not text.strip():
            source.problem((*where, lang), f"{_name(where)}.{lang} must be text")
        elif not unicodedata.is_normalized("NFC", text):
            source.problem((*where, lang), f"{_name(where)}.{lang} is not NFC")
    if "en" not in value:
        source.problem(where, f"{_name(where)} has no English text (en)")


_SCALARS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "str": ((str,), "text"), "int": ((int,), "a whole number"), "number": ((int, float), "a number"), "bool": ((bool,), "true or false"),
}  # fmt: skip


def _scalar(value: Any, rule: str, where: Where, source: Source) -> None:
    kinds, name = _SCALARS[rule]
    wrong_bool = isinstance(value, bool) and bool not in kinds
    if not isinstance(value, kinds) or wrong_bool or value == "":
        source.problem(where, f"{_name(where)} must be {name}")
