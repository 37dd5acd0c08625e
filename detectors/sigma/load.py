"""Rule files -> rules: YAML, pySigma, Expr. Anything wrong is a value (Broken) that travels beside the good rules."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from detectors.sigma import mend
from detectors.sigma.express import Unfilled, Unsupported, express, merged
from detectors.sigma.model import Broken, LogSource, Other
from detectors.sigma.refs import reference
from domain.alert import RuleRef
from domain.query import Expr

mend.install()
MAX_FILE: Final = 1 << 20
"""Bytes; a larger rule file is refused."""
MAX_DEPTH: Final = 40
_MAX_NODES: Final = 200_000
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEYS: Final = (
    "title", "id", "name", "taxonomy", "related", "status", "description", "license", "references", "author", "date", "modified",
    "logsource", "detection", "fields", "falsepositives", "level", "tags", "scope", "simulation", "regression_tests_path",
)  # fmt: skip
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
    """Parse one file into `out`; all its problems go to `out.broken`."""
    if len(content) > MAX_FILE:
        out.broken.append(Broken(label, 1, f"{len(content)} bytes; the limit is {MAX_FILE}"))
        return
    text = content.decode("utf-8", "replace")
    try:
        documents = [d for d in yaml.load_all(text, Loader=_LOADER) if d is not None]
        _bounded(documents)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        out.broken.append(Broken(label, mark.line + 1 if mark else 1, f"not valid YAML: {reason}"))
        return
    except (ValueError, RecursionError) as error:
        out.broken.append(Broken(label, 1, f"not valid YAML: {error}"))
        return
    if not documents:
        out.broken.append(Broken(label, 1, "the file holds no rule"))
    for document in documents:
        _document(label, text, document, placeholders, out)


def _bounded(value: object, depth: int = 0, left: list[int] | None = None) -> None:
    """Refuse YAML bombs: aliases that unfold without end, and deep nesting."""
    left = [_MAX_NODES] if left is None else left
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise ValueError("it unfolds to more than is sensible (aliases or nesting)")
    if isinstance(value, dict):
        for child in value.values():
            _bounded(child, depth + 1, left)
    elif isinstance(value, list):
        for child in value:
            _bounded(child, depth + 1, left)


def _document(label: str, text: str, data: object, placeholders: Mapping[str, Sequence[str]], out: Loaded) -> None:
    if not isinstance(data, dict):
        out.broken.append(Broken(label, 1, "a rule is a mapping"))
    elif "correlation" in data or "filter" in data:
        out.others.append(
            Other("correlation" if "correlation" in data else "filter", data, label, line_of(text, str(data.get("title", ""))))
        )
    else:
        parsed = parse(label, text, data, placeholders)
        if isinstance(parsed, Parsed):
            out.rules.append(parsed)
        else:
            out.broken.extend(parsed)


def parse(label: str, text: str, data: Mapping[str, Any], placeholders: Mapping[str, Sequence[str]]) -> Parsed | list[Broken]:
    """One rule document."""
    problems = mend.check(data.get("detection"))
    if problems:
        return [Broken(label, line_of(text, p.partition(":")[0]), p) for p in problems]
    try:
        rule = SigmaRule.from_dict(_strict(data), collect_errors=True)
        if rule.errors:
            return [Broken(label, _error_line(text, e), _message(e)) for e in rule.errors]
        _fill(rule, placeholders)
        expr: Expr | None = merged(express(condition.parse()) for condition in rule.detection.parsed_condition)
        unfilled = ""
    except Unfilled as error:
        expr, unfilled = None, str(error)
    except (Unsupported, SigmaError) as error:
        return [Broken(label, _error_line(text, error), _message(error))]
    except Exception as error:  # noqa: BLE001  pySigma raises plain errors on odd documents; one rule must not stop the others
        return [Broken(label, 1, f"not understood: {type(error).__name__}: {error}")]
    notes = tuple(Broken(label, line_of(text, str(key)), _unknown(str(key))) for key in data if str(key) not in _KEYS)
    return Parsed(reference(data), _source(rule), expr, label, unfilled, str(data.get("name") or ""), notes)


def _unknown(key: str) -> str:
    close = difflib.get_close_matches(key, _KEYS, 1)
    return f"unknown key {key} says nothing to this program" + (f"; did you mean {close[0]}?" if close else "")


def _strict(data: Mapping[str, Any]) -> dict[str, Any]:
    """The document for pySigma, which takes only UUIDs as ids; the specification recommends them but allows others."""
    return {k: v for k, v in data.items() if k != "id" or _UUID.fullmatch(str(v))}


def _source(rule: SigmaRule) -> LogSource:
    found = rule.logsource
    return LogSource(found.product or "", found.category or "", found.service or "")


def _fill(rule: SigmaRule, placeholders: Mapping[str, Sequence[str]]) -> None:
    """`%name%` of `|expand` by the values of registers and configured lists."""
    if not placeholders:
        return
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
    from sigma.processing.transformations import ValueListPlaceholderTransformation

    known = {name: list(values) for name, values in placeholders.items() if values}
    item = ProcessingItem(ValueListPlaceholderTransformation(include=list(known)))
    pipeline = ProcessingPipeline(items=[item], vars=known)
    pipeline.apply(rule)


def _message(error: Exception) -> str:
    text = str(error).splitlines()[0]
    return re.sub(r" in None$| in rule .*$", "", text)


def _error_line(text: str, error: Exception) -> int:
    for word in re.findall(r"'([^']{2,80})'", str(error)):
        found = line_of(text, word)
        if found > 1:
            return found
    return line_of(text, "detection")


def line_of(text: str, word: str) -> int:
    """1-based line on which a word first stands; 1 when it stands nowhere."""
    if word:
        for number, line in enumerate(text.splitlines(), 1):
            if word in line:
                return number
    return 1
