"""Conformance: rules against raw events, as `soc rules verify` runs them. No field mapping, no routing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from detectors.sigma.correlation_cases import fired
from detectors.sigma.dialect import Loader
from detectors.sigma.load import Loaded, Parsed, load_file, parse
from detectors.sigma.model import inside
from detectors.sigma.why import reason
from domain.errors import UsageError
from domain.query import TRUE
from match import Entry, Matcher
from match.jsonbatch import JsonBatch, raw

REFUSED: Final = "refused"
"""The answer to a case whose rule_path leads out of ROOT: never what was expected."""


@dataclass
class Outcome:
    """What `--json` prints."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)


def verify(cases: Iterable[Mapping[str, Any]], root: Path | None) -> Outcome:
    """Run every case; cases of one rule are matched in one batch."""
    groups: dict[str, tuple[Any, list[Mapping[str, Any]]]] = {}
    out = Outcome()
    for number, case in enumerate(cases):
        if "rules" in case:
            _judge(out, case, _correlation(case))
            continue
        key = str(case.get("rule_path") or case.get("rule") or number)
        groups.setdefault(key, (case.get("rule"), []))[1].append(case)
    for key, (rule, members) in groups.items():
        for case, got in zip(members, _answers(key, rule, members, root), strict=True):
            _judge(out, case, got)
    return out


def _judge(out: Outcome, case: Mapping[str, Any], got: tuple[Any, str | Callable[[], str]]) -> None:
    answer, why = got
    expected = case.get("expected")
    if answer != REFUSED and type(answer) is type(expected) and _plain(answer) == _plain(expected):
        out.passed += 1
        return
    out.failed += 1
    out.errors += answer in ("error", REFUSED)
    out.failures.append({"id": case.get("id"), "expected": expected, "got": answer, "why": why if isinstance(why, str) else why()})


def _plain(answer: Any) -> Any:
    """Ids of one event in any order."""
    return [sorted(map(str, one)) if isinstance(one, list) else one for one in answer] if isinstance(answer, list) else answer


def _answers(key: str, rule: Any, cases: Sequence[Mapping[str, Any]], root: Path | None) -> list[tuple[Any, str | Callable[[], str]]]:
    parsed = _rule(key, rule, root)
    if parsed is None:
        return [(REFUSED, f"rule_path {key} leads out of {root}: only rules below it are read")] * len(cases)
    if isinstance(parsed, str):
        return [("error", parsed)] * len(cases)
    expr = parsed.expr or TRUE
    batch = JsonBatch([case.get("event") or {} for case in cases])
    hits: set[int] = set()
    for _, rows in Matcher([Entry(0, TRUE, raw(expr))]).run(batch):
        hits.update(rows.tolist())
    return [(number in hits, partial(reason, expr, case.get("event") or {})) for number, case in enumerate(cases)]


def _rule(key: str, rule: Any, root: Path | None) -> Parsed | str | None:
    """The rule, or what is wrong with it; None when its path leads out of `root`."""
    found = Loaded()
    if rule is None and key.isdecimal():
        return "the case has no rule"
    if rule is None:
        if root is None:
            raise UsageError(f"case names rule_path {key}", hint="--rules ROOT: the folder that the paths start from")
        try:
            path = inside(root, key)
            if path is None:
                return None
            load_file(key, path.read_bytes(), {}, found)
        except OSError as error:
            return f"{key}: {error.strerror}"
        except ValueError as error:
            return f"{key!r}: {error}"
    elif isinstance(rule, str):
        load_file("rule", rule.encode(), {}, found)
    elif not isinstance(rule, dict):
        return "a rule is a mapping"
    else:
        parsed = parse("rule", "", rule, {})
        if isinstance(parsed, Parsed):
            found.rules.append(parsed)
        else:
            found.broken.extend(parsed)
    return _single(found)


def _single(found: Loaded) -> Parsed | str:
    if found.broken:
        return "; ".join(f"line {b.line}: {b.reason}" for b in found.broken)
    if len(found.rules) != 1:
        return f"{len(found.rules)} rules where one was expected"
    if found.rules[0].expr is None:
        return f"placeholder %{found.rules[0].unfilled}% has no values"
    return found.rules[0]


def _correlation(case: Mapping[str, Any]) -> tuple[Any, str]:
    """Raw firings of a correlation: for each event the ids of the correlations whose condition holds then."""
    found: list[Parsed] = []
    broken: list[str] = []
    correlations: list[Mapping[str, Any]] = []
    try:
        for document in _documents(case["rules"]):
            if not isinstance(document, dict):
                broken.append("a rule is a mapping")
            elif "correlation" in document:
                correlations.append(document)
            else:
                parsed = parse("rule", "", document, {})
                if isinstance(parsed, Parsed):
                    found.append(parsed)
                else:
                    broken += [b.reason for b in parsed]
        if broken:
            return "error", "; ".join(broken)
        events = case.get("events") or []
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            return "error", "events is a list of mappings"
        return fired(found, correlations, events), "raw firings"
    except (ValueError, yaml.YAMLError) as error:
        return "error", str(error)


def _documents(rules: Any) -> list[Any]:
    if isinstance(rules, str):
        return list(yaml.load_all(rules, Loader=Loader))
    if not isinstance(rules, list):
        raise ValueError("rules is YAML text, or a list of rules")
    return [d for r in rules for d in (_documents(r) if isinstance(r, str) else [r]) if d is not None]
