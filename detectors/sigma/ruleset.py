"""A rule set: rule files loaded, mapped, routed and compiled; what is blind or broken, with the reason. Cached as JSON, never pickled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, cast

import orjson

from detectors.sigma.filters import Filter, apply
from detectors.sigma.model import BlindRule, Broken, LogSource, Other, Rule, rule_files
from domain.alert import RuleRef
from domain.query import Expr, Test, from_json, pooled, shared, to_json
from match import Entry, Matcher

PIPELINES: Final = Path(__file__).parents[2] / "rules" / "pipelines"
ENGINE: Final = 10
"""Goes up when compiling changes: an older cache is then made anew."""

_SUM: Final = 32
"""Characters of the checksum of a cache."""


@dataclass
class RuleSet:
    """What runs, and what does not."""

    rules: list[Rule] = field(default_factory=list)
    correlations: list[Other] = field(default_factory=list)
    blind: list[BlindRule] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    notes: list[Broken] = field(default_factory=list)
    """What rules say that nobody reads: they run all the same."""
    filters: list[Filter] = field(default_factory=list)
    """Every filter that could be read, applied or idle."""
    bare: dict[int, Expr] = field(default_factory=dict)
    """Position -> condition as the rule has it, of the rules that filters narrow."""
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

    def filtered(self, idle: Collection[str] = ()) -> RuleSet:
        """The same rules, each narrowed by the filters that are not `idle` (keys) and no others."""
        rules, bare, notes = apply(self.unfiltered(), self.filters, idle)
        return replace(self, rules=rules, bare=bare, notes=[*self.notes, *(n for n in notes if n not in self.notes)])

    def unfiltered(self) -> list[Rule]:
        """Every rule with its own condition alone."""
        return [replace(rule, body=self.bare.get(number, rule.body)) for number, rule in enumerate(self.rules)]


def read(roots: Sequence[Path]) -> list[tuple[str, bytes]]:
    """(label, content) of every rule file below the roots."""
    out = []
    for root in roots:
        for path in rule_files([root]):
            out.append((str(path), path.read_bytes()))
    return out


def cached(
    roots: Sequence[Path], folder: Path | None, placeholders: Mapping[str, Sequence[str]] | None = None,
    windows: tuple[str, ...] = ("sysmon",), idle: Callable[[Sequence[Filter]], Collection[str]] = lambda _: (),
) -> RuleSet:  # fmt: skip
    """`build`, from the cache in `folder` when nothing it depends on has changed. A cache that cannot be read or written is no error.

    `idle`: which of the filters are not applied (their keys); the cache holds rules without filters, so it does not depend on that.
    """
    found = _compiled(roots, folder, placeholders or {}, windows)
    return found.filtered(idle(found.filters) if found.filters else ())


def _compiled(roots: Sequence[Path], folder: Path | None, placeholders: Mapping[str, Sequence[str]], windows: tuple[str, ...]) -> RuleSet:
    files = read(roots)
    key = fingerprint(files, placeholders, windows)
    path = folder / f"rules-{key}.json" if folder else None
    if path is not None and path.exists():
        found = _load_cache(path)
        if found is not None:
            found.fingerprint = key
            return found
    from detectors.sigma.build import compiled

    rules = compiled(files, placeholders, windows)
    known: dict[Test, Test] = {}
    rules.rules = [replace(rule, body=shared(rule.body, known)) for rule in rules.rules]
    rules.fingerprint = key
    if path is not None:
        _save_cache(path, rules)
    return rules


def fingerprint(files: Sequence[tuple[str, bytes]], placeholders: Mapping[str, Sequence[str]], windows: Sequence[str] = ("sysmon",)) -> str:
    """Hash of rules, pipelines, feeds, field dictionary, placeholders, engine and pySigma."""
    digest = hashlib.blake2b(f"{ENGINE} {version('pysigma')} {' '.join(windows)}".encode(), digest_size=12)
    dictionary = Path(__file__).parents[2] / "domain" / "fields.yml"
    for path in (*sorted(PIPELINES.glob("*.yml")), dictionary):
        digest.update(path.read_bytes())
    digest.update(json.dumps(placeholders, sort_keys=True, default=list).encode())
    for label, content in files:
        digest.update(label.encode() + b"\0" + hashlib.blake2b(content, digest_size=16).digest())
    return digest.hexdigest()


def _sum(content: bytes) -> bytes:
    """What stands before the content of a cache: a flipped bit must not change a rule."""
    return hashlib.blake2b(content, digest_size=_SUM // 2).hexdigest().encode()


def _save_cache(path: Path, rules: RuleSet) -> None:
    pool: dict[Test, int] = {}
    data = {
        "rules": [
            [asdict(r.ref), to_json(r.route, pool), to_json(r.body, pool), r.file, asdict(r.source), r.name, r.quiet] for r in rules.rules
        ],
        "correlations": [[o.kind, o.data, o.file, o.line] for o in rules.correlations],
        "blind": [asdict(b) for b in rules.blind],
        "broken": [asdict(b) for b in rules.broken],
        "notes": [asdict(b) for b in rules.notes],
        "filters": [one.to_json() for one in rules.filters],
        "tests": pooled(pool),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}-{id(rules)}.part")
        content = orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS, default=str)
        part.write_bytes(_sum(content) + content)
        part.replace(path)
        for old in sorted(path.parent.glob("rules-*.json"), key=lambda p: p.stat().st_mtime)[:-4]:
            old.unlink(missing_ok=True)
    except (OSError, TypeError):  # TypeError: a number of more than 64 bits in a correlation
        return


def _load_cache(path: Path) -> RuleSet | None:
    try:
        stored = path.read_bytes()
        content = stored[_SUM:]
        if stored[:_SUM] != _sum(content):
            return None
        data: dict[str, Any] = orjson.loads(content)
        pool = cast("list[Test]", [from_json(test) for test in data["tests"]])
        rules = [_rule(item, pool) for item in data["rules"]]
        return RuleSet(
            rules,
            [Other(*item) for item in data["correlations"]],
            [_blind(b) for b in data["blind"]],
            [Broken(**b) for b in data["broken"]],
            [Broken(**b) for b in data["notes"]],
            [Filter.from_json(one) for one in data["filters"]],
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _blind(item: Mapping[str, Any]) -> BlindRule:
    product, category, service = item["source"]
    return BlindRule(**{**item, "tags": tuple(item["tags"]), "source": (product, category, service)})


def _rule(item: Sequence[Any], pool: Sequence[Test]) -> Rule:
    ref, where, body, file, source, name, quiet = item
    return Rule(
        RuleRef(**{**ref, "tags": tuple(ref["tags"])}),
        from_json(where, pool),
        from_json(body, pool),
        file,
        LogSource(**source),
        name,
        quiet,
    )
