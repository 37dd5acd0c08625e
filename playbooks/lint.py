"""The linter: everything that is wrong with a playbook in one run, each with file and line.

First the form (`schema`), then what the form cannot say: references, order of phases, placeholders, queries that parse, fields that exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from domain import duties, fields
from domain.errors import SocError
from domain.grammar import parse
from domain.playbook import BUILTINS, PHASES
from domain.query import fields_of
from playbooks import schema
from playbooks.source import Problem, Source, Where
from playbooks.values import MOMENT, NAME, TERM, fill_query

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,23}")
_EVERY: Final = re.compile(r"\d{1,4}[mhd]")


def lint(source: Source) -> list[Problem]:
    """All problems of a file as read, in order of lines; empty = it can be used."""
    if source.data is None and not source.problems:
        source.problem((), "the file is empty")
    if source.problems:
        return sorted(set(source.problems))
    schema.check(source)
    if not source.problems:
        for check in CHECKS:
            check(source)
    return sorted(set(source.problems))


def _steps(source: Source) -> Iterator[tuple[Where, dict[str, Any]]]:
    for number, step in enumerate(source.data["steps"]):
        yield ("steps", number), step


def _queries(source: Source) -> Iterator[tuple[Where, dict[str, Any]]]:
    for where, step in _steps(source):
        for number, query in enumerate(step.get("queries", ())):
            yield (*where, "queries", number), query
    for number, condition in enumerate(source.data["close"]):
        if "query" in condition:
            yield ("close", number, "query"), condition["query"]


def _ids(source: Source) -> None:
    """Ids are short, plain and stand once."""
    seen: dict[str, str] = {}
    for where, step in _steps(source):
        if not _ID.fullmatch(step["id"]):
            source.problem((*where, "id"), f"step id {step['id']}: letters, digits, - and _, at most 24")
        if step["id"] in seen:
            source.problem((*where, "id"), f"step id {step['id']} stands twice")
        seen[step["id"]] = step["phase"]
    if not _ID.fullmatch(source.data["id"]):
        source.problem(("id",), f"playbook id {source.data['id']}: letters, digits, - and _, at most 24")


def _references(source: Source) -> None:
    """Steps, letters, duties and answers that are named exist."""
    known = {step["id"] for _, step in _steps(source)}
    letters, legal = set(source.data.get("letters", {})), {c.id for c in duties.table()}
    for where, step in _steps(source):
        _exist(source, (*where, "needs"), step.get("needs", ()), known, "step")
        _exist(source, (*where, "letters"), step.get("letters", ()), letters, "letter")
        _exist(source, (*where, "duties"), step.get("duties", ()), legal, "duty")
        for number, option in enumerate(step.get("decision", {}).get("options", ())):
            for key in ("skips", "reopens"):
                _exist(source, (*where, "decision", "options", number, key), option.get(key, ()), known, "step")


def _exist(source: Source, where: Where, names: Any, known: set[str], what: str) -> None:
    for name in names:
        if name not in known:
            source.problem(where, f"no {what} {name}; there are: {', '.join(sorted(known)) or 'none'}")


def _decisions(source: Source) -> None:
    """The proposed answers are options, and the query that proposes is one of the step."""
    for where, step in _steps(source):
        decision = step.get("decision")
        if decision is None:
            continue
        options = {o["value"] for o in decision["options"]}
        for key in ("some", "none", "default"):
            if decision.get(key) and decision[key] not in options:
                source.problem((*where, "decision", key), f"{decision[key]} is not an option: {', '.join(sorted(options))}")
        queries = {q["id"] for q in step.get("queries", ())}
        if decision.get("query") and decision["query"] not in queries:
            there = ", ".join(sorted(queries)) or "none"
            source.problem((*where, "decision", "query"), f"no query {decision['query']} in this step; there are: {there}")


def _order(source: Source) -> None:
    """Steps stand in the order of the phases; nothing needs a later step; evidence is secured before anything is changed."""
    position = -1
    before: set[str] = set()
    for where, step in _steps(source):
        rank = PHASES.index(step["phase"])
        if rank < position:
            late = f"step {step['id']}: phase {step['phase']} after {PHASES[position]}"
            source.problem((*where, "phase"), f"{late}; order: {', '.join(PHASES)}")
        position = max(position, rank)
        for need in step.get("needs", ()):
            if need not in before:
                source.problem((*where, "needs"), f"step {step['id']} needs {need}, which does not stand before it")
        before.add(step["id"])
    phases = {step["phase"] for _, step in _steps(source)}
    if phases & {"contain", "eradicate"} and not any(s["phase"] == "preserve" and s.get("required", True) for _, s in _steps(source)):
        source.problem(("steps",), "steps that contain or eradicate need a required step of phase preserve before them")


def _query_placeholders(source: Source) -> None:
    """In queries a placeholder is the whole value of a term, and an input."""
    inputs = set(source.data["inputs"])
    for where, query in _queries(source):
        text = query["query"]
        for name in sorted(set(NAME.findall(TERM.sub("", text)))):
            source.problem((*where, "query"), f"{{{name}}} must be the whole value of a term: field:{{{name}}}")
        for field, name, _ in TERM.findall(text):
            if field.endswith(("|re", "|cidr")):
                source.problem((*where, "query"), f"{{{name}}} cannot fill {field}: a value from the logs must stay literal")
        _known(source, (*where, "query"), [n for _, n, _ in TERM.findall(text)], inputs)


def _text_placeholders(source: Source) -> None:
    """In instructions, commands and letters a placeholder is an input or built in; notes take none."""
    known = {*source.data["inputs"], *BUILTINS}
    for where, step in _steps(source):
        for lang, text in step["do"].items():
            _known(source, (*where, "do", lang), NAME.findall(text), known)
        for number, command in enumerate(step.get("commands", ())):
            _command(source, (*where, "commands", number), command, known)
    for name, letter in source.data.get("letters", {}).items():
        for lang, body in letter["body"].items():
            _known(source, ("letters", name, "body", lang), NAME.findall(body), known)


def _command(source: Source, where: Where, command: dict[str, Any], known: set[str]) -> None:
    _known(source, where, NAME.findall(command["text"] + command.get("undo", "")), known)
    for lang, text in command.get("note", {}).items():
        if NAME.search(text):
            source.problem((*where, "note", lang), "a note takes no placeholders; the text of the command does")
    if command.get("family", 0) not in (0, 4, 6):
        source.problem((*where, "family"), "family must be 4 or 6")


def _known(source: Source, where: Where, names: list[str], known: set[str]) -> None:
    for name in dict.fromkeys(names):
        if name not in known:
            source.problem(where, f"unknown placeholder {{{name}}}; there are: {', '.join(sorted(known))}")


def _query_texts(source: Source) -> None:
    """Queries parse, windows are moments, fields are in the dictionary."""
    samples = dict.fromkeys(source.data["inputs"], ("::1",))
    steps = {step["id"] for _, step in _steps(source)}
    for where, query in _queries(source):
        if not {name for _, name, _ in TERM.findall(query["query"])} - set(samples):
            _parses(source, (*where, "query"), query, samples)
        for key in ("start", "end"):
            match = MOMENT.fullmatch(query.get(key, "now"))
            if match is None:
                source.problem((*where, key), f"not a moment: {query[key]}; t0-24h | now | step:C1+5m")
            elif match[1].startswith("step:") and match[1].removeprefix("step:") not in steps:
                source.problem((*where, key), f"no step {match[1].removeprefix('step:')}")
        for key in ("by", "fields"):
            _fields(source, (*where, key), query.get(key, ()))
        if query.get("every") and not _EVERY.fullmatch(query["every"]):
            source.problem((*where, "every"), f"{query['every']}: 5m | 1h | 1d")


def _parses(source: Source, where: Where, query: dict[str, Any], samples: Mapping[str, tuple[str, ...]]) -> None:
    try:
        expr = parse(fill_query(" ".join(query["query"].split()), samples))
    except SocError as error:
        source.problem(where, f"{error.what.splitlines()[0]}{f' ({error.hint})' if error.hint else ''}")
        return
    _fields(source, where, sorted(fields_of(expr) - {"*"}))


def _fields(source: Source, where: Where, names: Any) -> None:
    for name in names:
        if fields.lookup(name) is None:
            source.problem(where, f"field {name} is not in the dictionary (domain/fields.yml)")


CHECKS: Final[tuple[Callable[[Source], None], ...]] = (
    _ids, _references, _decisions, _order, _query_placeholders, _text_placeholders, _query_texts,
)  # fmt: skip
