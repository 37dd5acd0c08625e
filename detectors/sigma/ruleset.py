"""A rule set: rule files loaded, mapped, routed and compiled; what is blind or broken, with the reason. Cached as JSON, never pickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson

from detectors.sigma.model import BlindRule, Broken, LogSource, Other, Rule, rule_files
from domain.alert import RuleRef
from domain.query import from_json, to_json
from match import Entry, Matcher

PIPELINES: Final = Path(__file__).parents[2] / "rules" / "pipelines"
ENGINE: Final = 7
"""Goes up when compiling changes: an older cache is then made anew."""


@dataclass
class RuleSet:
    """What runs, and what does not."""

    rules: list[Rule] = field(default_factory=list)
    correlations: list[Other] = field(default_factory=list)
    blind: list[BlindRule] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    notes: list[Broken] = field(default_factory=list)
    """What rules say that nobody reads: they run all the same."""
    fingerprint: str = ""
    """Hash of everything the result depends on: changes when a rule changes."""

    @cached_property
    def matcher(self) -> Matcher:
        """The evaluator of all rules; keys are positions in `rules`."""
        return Matcher([Entry(number, rule.route, rule.body) for number, rule in enumerate(self.rules)])

    @cached_property
    def fields(self) -> frozenset[str]:
        """Every event field that some rule reads; "*" when a rule has keywords."""
        from domain.query import fields_of

        names: set[str] = set()
        for rule in self.rules:
            names |= fields_of(rule.route) | fields_of(rule.body)
        return frozenset(names)


def read(roots: Sequence[Path]) -> list[tuple[str, bytes]]:
    """(label, content) of every rule file below the roots."""
    out = []
    for root in roots:
        for path in rule_files([root]):
            out.append((str(path), path.read_bytes()))
    return out


def cached(roots: Sequence[Path], folder: Path | None, placeholders: Mapping[str, Sequence[str]] | None = None) -> RuleSet:
    """`build`, from the cache in `folder` when nothing it depends on has changed. A cache that cannot be read or written is no error."""
    files = read(roots)
    key = fingerprint(files, placeholders or {})
    path = folder / f"rules-{key}.json" if folder else None
    if path is not None and path.exists():
        found = _load_cache(path)
        if found is not None:
            found.fingerprint = key
            return found
    from detectors.sigma.build import build

    rules = build(files, placeholders)
    rules.fingerprint = key
    if path is not None:
        _save_cache(path, rules)
    return rules


def fingerprint(files: Sequence[tuple[str, bytes]], placeholders: Mapping[str, Sequence[str]]) -> str:
    """Hash of rules, pipelines, field dictionary, placeholders, engine and pySigma."""
    digest = hashlib.blake2b(f"{ENGINE} {version('pysigma')}".encode(), digest_size=12)
    dictionary = Path(__file__).parents[2] / "domain" / "fields.yml"
    for path in (*sorted(PIPELINES.glob("*.yml")), dictionary):
        digest.update(path.read_bytes())
    digest.update(json.dumps(placeholders, sort_keys=True, default=list).encode())
    for label, content in files:
        digest.update(label.encode() + b"\0" + hashlib.blake2b(content, digest_size=16).digest())
    return digest.hexdigest()


def _save_cache(path: Path, rules: RuleSet) -> None:
    data = {
        "rules": [[asdict(r.ref), to_json(r.route), to_json(r.body), r.file, asdict(r.source), r.name, r.quiet] for r in rules.rules],
        "correlations": [[o.kind, o.data, o.file, o.line] for o in rules.correlations],
        "blind": [asdict(b) for b in rules.blind],
        "broken": [asdict(b) for b in rules.broken],
        "notes": [asdict(b) for b in rules.notes],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{id(rules)}.part")
        part.write_bytes(orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS, default=str))
        part.replace(path)
        for old in sorted(path.parent.glob("rules-*.json"), key=lambda p: p.stat().st_mtime)[:-4]:
            old.unlink(missing_ok=True)
    except OSError:
        return


def _load_cache(path: Path) -> RuleSet | None:
    try:
        data: dict[str, Any] = orjson.loads(path.read_bytes())
        rules = [_rule(item) for item in data["rules"]]
        return RuleSet(
            rules,
            [Other(*item) for item in data["correlations"]],
            [BlindRule(**b) for b in data["blind"]],
            [Broken(**b) for b in data["broken"]],
            [Broken(**b) for b in data["notes"]],
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _rule(item: Sequence[Any]) -> Rule:
    ref, where, body, file, source, name, quiet = item
    return Rule(RuleRef(**{**ref, "tags": tuple(ref["tags"])}), from_json(where), from_json(body), file, LogSource(**source), name, quiet)
