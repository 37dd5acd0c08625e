"""Rule files -> rules: YAML, pySigma, Expr. Anything wrong is a value (Broken) that travels beside the good rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import yaml
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from detectors.sigma import combine, condition, expand, mend
from detectors.sigma.cells import MAX_DEPTH, MAX_NODES, UNFOLDS, Cell, guard
from detectors.sigma.dialect import Loader
from detectors.sigma.express import Unfilled, Unsupported
from detectors.sigma.model import Broken, LogSource, Other
from detectors.sigma.refs import reference
from domain.alert import RuleRef
from domain.query import Expr

if TYPE_CHECKING:
    from detectors.sigma.lint import Document

mend.install()
MAX_FILE: Final = 1 << 20
"""Bytes; a larger rule file is refused."""
_KEYS: Final = frozenset((
    "title", "id", "name", "taxonomy", "related", "status", "description", "license", "references", "author", "date", "modified",
    "logsource", "detection", "fields", "falsepositives", "level", "tags", "scope", "simulation", "regression_tests_path",
))  # fmt: skip
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Parsed:
    """A detection rule over its own field names."""

    ref: RuleRef
    source: LogSource
    expr: Expr | None
    """None: a placeholder has no values (`unfilled` names it)."""
    file: str
    unfilled: str = ""
    name: str = ""
    """`name:` of the rule, by which correlations may refer to it."""
    notes: tuple[Broken, ...] = ()
    """What the rule says that nobody reads: unknown keys."""


@dataclass
class Loaded:
    """Everything found in some files."""

    rules: list[Parsed] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


def load(files: Sequence[tuple[str, bytes]], placeholders: Mapping[str, Sequence[str]] | None = None) -> Loaded:
    """Parse (label, content) pairs."""
    out = Loaded()
    for label, content in files:
        load_file(label, content, placeholders or {}, out)
    return out


def load_file(label: str, content: bytes, placeholders: Mapping[str, Sequence[str]], out: Loaded) -> None:
    """Parse one file into `out`; all its problems go to `out.broken`, each with its line and column. Never raises."""
    try:
        _load_file(label, content, placeholders, out)
    except Exception as error:  # noqa: BLE001  whatever a file does, the others are loaded
        out.broken.append(Broken(label, 1, f"not understood: {type(error).__name__}: {error}", 1, "not-understood"))


def _load_file(label: str, content: bytes, placeholders: Mapping[str, Sequence[str]], out: Loaded) -> None:
    documents = _documents(content)
    if documents is None:
        documents, problems = _doubtful(label, content)
        out.broken += problems
    text = content.decode("utf-8", "replace")
    for number, document in enumerate(documents):
        if document is not None:
            _document((label, text, number), document, placeholders, out)


class _Loader(Loader):
    """Notices keys that stand twice, of which YAML keeps the last."""

    doubtful = False

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        self.doubtful = self.doubtful or len(found) != len(node.value)
        return found


def _documents(content: bytes) -> list[Any] | None:
    """The documents of a file in which nothing is odd; None where a closer look is needed."""
    if len(content) > MAX_FILE:
        return None
    try:
        text = content.decode("utf-8")
        guard(text)
        loader = _Loader(text)
        try:
            documents = []
            while loader.check_data():
                documents.append(loader.get_data())
        finally:
            loader.dispose()
        _bounded(documents)
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError, TypeError):  # the last three: !!bool perhaps
        return None
    documents = [d for d in documents if d is not None]
    plain = documents and all(isinstance(d, dict) and "action" not in d for d in documents)
    return documents if plain and not loader.doubtful else None


def _doubtful(label: str, content: bytes) -> tuple[list[Any], list[Broken]]:
    """The documents that can be used all the same (None in the place of others), and what is wrong with the file."""
    from detectors.sigma.lint import file_faults, usable

    problems = [issue.broken() for issue in file_faults(label, content)]
    return usable(content), problems


def _bounded(value: object, depth: int = 0, left: list[int] | None = None) -> None:
    """Refuse YAML bombs: aliases that unfold without end, and deep nesting."""
    left = [MAX_NODES] if left is None else left
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise ValueError(UNFOLDS)
    if isinstance(value, dict):
        for child in value.values():
            _bounded(child, depth + 1, left)
    elif isinstance(value, list):
        for child in value:
            _bounded(child, depth + 1, left)


def _document(place: tuple[str, str, int], data: dict[str, Any], placeholders: Mapping[str, Sequence[str]], out: Loaded) -> None:
    label, text, number = place
    kind = "correlation" if "correlation" in data else "filter" if "filter" in data else ""
    if kind:
        refused = _refusal(label, data)
        if refused:
            out.broken += placed(label, text, number, data, refused)
        else:
            out.others.append(Other(kind, data, label, line_of(text, str(data.get("title", "")))))
        return
    parsed = parse(label, text, data, placeholders, number)
    if isinstance(parsed, Parsed):
        out.rules.append(parsed)
    else:
        out.broken.extend(parsed)


class Refused(Exception):
    """A rule is not taken; the message is the first reason."""


def parse(
    label: str, text: str, data: Mapping[str, Any], placeholders: Mapping[str, Sequence[str]], number: int = 0
) -> Parsed | list[Broken]:
    """One rule document, or all that is wrong with it. `text`: its file, in which it is document `number`; "" when there is none."""
    try:
        parsed = attempt(label, data, placeholders)
    except Refused as error:
        return placed(label, text, number, data, str(error))
    return parsed if _KEYS.issuperset(data) else replace(parsed, notes=_notes(_written(label, text, number, data)))


def attempt(label: str, data: Mapping[str, Any], placeholders: Mapping[str, Sequence[str]]) -> Parsed:
    """One rule document; Refused says the first thing that is wrong."""
    problems = combine.check(data.get("detection"))
    if problems:
        raise Refused(problems[0])
    if isinstance(data.get("id"), (list, dict)):
        raise Refused("id is no text")
    try:
        with expand.filled(placeholders):
            rule = SigmaRule.from_dict(_strict(data), collect_errors=True)
        if rule.errors:
            raise Refused(_message(rule.errors[0]))
        _shape(rule)
        ref = reference(data)
        expr, unfilled = _expression(rule)
    except (Unsupported, SigmaError) as error:
        raise Refused(_message(error)) from None
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001  pySigma raises plain errors on odd documents; one rule must not stop the others
        raise Refused(f"{type(error).__name__}: {error}") from None
    return Parsed(ref, _source(rule), expr, label, unfilled, str(data.get("name") or ""))


def _expression(rule: SigmaRule) -> tuple[Expr | None, str]:
    """The condition, or the placeholder that has no values."""
    try:
        return condition.detection(rule.detection), ""
    except Unfilled as error:
        return None, str(error)


def _shape(rule: SigmaRule) -> None:
    """What pySigma takes without a word."""
    if rule.logsource.custom_attributes:
        raise Refused(f"unknown key in logsource: {next(iter(rule.logsource.custom_attributes))}")
    if "timeframe" in rule.detection.detections:
        raise Refused("timeframe is deprecated")


def _notes(document: Document) -> tuple[Broken, ...]:
    """Top-level keys that nobody reads."""
    from detectors.sigma.lint import CHECKS, found

    return tuple(issue.broken() for issue in found(document, {"custom-key": CHECKS["custom-key"]}))


def _refusal(label: str, data: Mapping[str, Any]) -> str:
    """Why a correlation or filter is not taken; empty when it is. Which rules it names is looked at when all are known."""
    from detectors.sigma import correlation, filters
    from detectors.sigma.lint import Document, faults

    try:
        document = Document.of(label, data)
        if document.kind == "correlation":
            correlation.read(data)
    except (ValueError, TypeError, RecursionError) as error:
        return str(error)
    read = filters.read(Other("filter", data, label)) if document.kind == "filter" else None
    if isinstance(read, list):
        return read[0].reason
    return next((issue.reason("en") for issue in faults(document)), "")


def placed(label: str, text: str, number: int, data: Mapping[str, Any], reason: str) -> list[Broken]:
    """All that is wrong with a document that is not taken, each problem at its place."""
    from detectors.sigma.lint import faults, understood

    document = _written(label, text, number, data)
    document.refusal = reason
    return [issue.broken() for issue in understood(document, faults(document))]


def _written(label: str, text: str, number: int, data: Mapping[str, Any]) -> Document:
    """A document with its places, as far as its text is known."""
    from detectors.sigma.lint import Document
    from detectors.sigma.lint.files import read

    cells = read(text.encode())[0] if text else []
    return Document(label, cells[number], number) if number < len(cells) else Document.of(label, data)


def examine(label: str, number: int, cell: Cell, placeholders: Mapping[str, Sequence[str]]) -> Document:
    """A document for the checks: with its expression when it runs, else with the reason why it does not."""
    from detectors.sigma.lint import Document

    document = Document(label, cell, number, placeholders=placeholders)
    try:
        if document.kind == "rule":
            parsed = attempt(label, cell.value, placeholders)
            document.expr, document.unfilled = parsed.expr, parsed.unfilled
        else:
            document.refusal = _refusal(label, cell.value)
    except Refused as error:
        document.refusal = str(error) or "?"
    return document


def _strict(data: Mapping[str, Any]) -> dict[str, Any]:
    """The document for pySigma, which takes only UUIDs as ids; the specification recommends them but allows others."""
    return {k: v for k, v in data.items() if k != "id" or _UUID.fullmatch(str(v))}


def _source(rule: SigmaRule) -> LogSource:
    found = rule.logsource
    return LogSource(found.product or "", found.category or "", found.service or "")


def _message(error: Exception) -> str:
    text = str(error).splitlines()[0]
    return re.sub(r" in None$| in rule .*$", "", text)


def line_of(text: str, word: str) -> int:
    """1-based line on which a word first stands; 1 when it stands nowhere."""
    if word:
        for number, line in enumerate(text.splitlines(), 1):
            if word in line:
                return number
    return 1
