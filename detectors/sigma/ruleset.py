"""A rule set: rule files loaded, mapped, routed and compiled, and what is blind or broken, with the reason. Cached as JSON, never pickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson

from detectors.sigma.load import Broken, Loaded, Other, Parsed, load, rule_files
from detectors.sigma.route import PIPELINES, Blind, LogSource, field_map, route
from domain.alert import RuleRef
from domain.query import Expr, all_of, from_json, to_json
from match import Entry, Matcher

ENGINE: Final = 4
"""Goes up when compiling changes: an older cache is then made anew."""


@dataclass(frozen=True)
class Rule:
    """A detection rule that runs."""

    ref: RuleRef
    route: Expr
    """Log source, over event fields."""
    body: Expr
    """Condition, over event fields."""
    file: str
    source: LogSource
    name: str = ""
    quiet: bool = False
    """Only feeds correlations (`generate: false`): its own hits are no alerts."""


@dataclass(frozen=True)
class BlindRule:
    """A rule that cannot see anything here."""

    id: str
    title: str
    file: str
    reason: str


@dataclass
class RuleSet:
    """What runs, and what does not."""

    rules: list[Rule] = field(default_factory=list)
    correlations: list[Other] = field(default_factory=list)
    blind: list[BlindRule] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    fingerprint: str = ""
    """Hash of everything the result depends on: changes when a rule changes."""

    @cached_property
    def matcher(self) -> Matcher:
        """The evaluator of all rules; keys are positions in `rules`."""
        return Matcher([Entry(number, rule.route, rule.body) for number, rule in enumerate(self.rules)])

    @cached_property
    def fields(self) -> frozenset[str]:
        """Every event field that some rule reads; "*" when a rule has keywords."""
        from domain.query import fields_of  # noqa: PLC0415  used once

        names: set[str] = set()
        for rule in self.rules:
            names |= fields_of(rule.route) | fields_of(rule.body)
        return frozenset(names)


def build(files: Sequence[tuple[str, bytes]], placeholders: Mapping[str, Sequence[str]] | None = None) -> RuleSet:
    """Compile rule files; later files override earlier ones with the same rule id."""
    loaded = load(files, placeholders)
    out = RuleSet(broken=loaded.broken)
    chosen: dict[str, Parsed] = {}
    for rule in loaded.rules:
        chosen[rule.ref.id] = rule
    filters = _filters(loaded, out)
    for rule in chosen.values():
        _compile(rule, filters, out)
    correlations = {str(o.data.get("id") or o.data.get("name") or o.file): o for o in loaded.others if o.kind == "correlation"}
    out.correlations = list(correlations.values())
    _silence_bases(out)
    return out


def _compile(rule: Parsed, filters: Sequence[tuple[Other, Parsed]], out: RuleSet) -> None:
    try:
        if rule.expr is None:
            raise Blind(f"placeholder %{rule.unfilled}% has no values: fill the register or list of that name")
        expr = all_of(rule.expr, *(f.expr for o, f in filters if f.expr is not None and _filtered(o, rule)))
        mapped = field_map(rule.source).expr(expr)
        out.rules.append(Rule(rule.ref, route(rule.source), mapped, rule.file, rule.source, rule.name))
    except Blind as error:
        out.blind.append(BlindRule(rule.ref.id, rule.ref.title, rule.file, str(error)))


def _filters(loaded: Loaded, out: RuleSet) -> list[tuple[Other, Parsed]]:
    """Filter documents as expressions, ANDed to the rules they name."""
    from detectors.sigma.load import parse  # noqa: PLC0415  used once

    found = []
    for other in loaded.others:
        if other.kind == "filter":
            body = dict(other.data["filter"]) if isinstance(other.data["filter"], dict) else {}
            body.pop("rules", None)
            document = {"title": "filter", "logsource": other.data.get("logsource"), "detection": body}
            parsed = parse(other.file, "", document, {})
            if isinstance(parsed, Parsed):
                found.append((other, parsed))
            else:
                out.broken += [replace(b, line=other.line) for b in parsed]
    return found


def _filtered(other: Other, rule: Parsed) -> bool:
    names = other.data["filter"].get("rules", [])
    return names == "any" or rule.ref.id in names or (bool(rule.name) and rule.name in names)


def _silence_bases(out: RuleSet) -> None:
    """Rules that a correlation uses give no alerts of their own unless it says `generate: true`."""
    quiet: set[str] = set()
    for other in out.correlations:
        spec = other.data["correlation"]
        if isinstance(spec, dict) and not spec.get("generate", False):
            quiet.update(str(r) for r in spec.get("rules") or ())
    if quiet:
        out.rules = [replace(r, quiet=r.ref.id in quiet or (bool(r.name) and r.name in quiet)) for r in out.rules]


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
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _rule(item: Sequence[Any]) -> Rule:
    ref, where, body, file, source, name, quiet = item
    return Rule(RuleRef(**{**ref, "tags": tuple(ref["tags"])}), from_json(where), from_json(body), file, LogSource(**source), name, quiet)
