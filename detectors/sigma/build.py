"""Rule files -> a RuleSet: parsed by pySigma, filtered, mapped, routed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from detectors.sigma.load import Loaded, Parsed, load, parse
from detectors.sigma.model import BlindRule, Other, Rule
from detectors.sigma.route import Blind, field_map, route
from detectors.sigma.ruleset import RuleSet
from domain.query import all_of


def build(files: Sequence[tuple[str, bytes]], placeholders: Mapping[str, Sequence[str]] | None = None) -> RuleSet:
    """Compile rule files; later files override earlier ones with the same rule id."""
    loaded = load(files, placeholders)
    out = RuleSet(broken=loaded.broken)
    chosen: dict[str, Parsed] = {}
    for rule in loaded.rules:
        chosen[rule.ref.id] = rule
    filters = _filters(loaded, out)
    for rule in chosen.values():
        out.notes += rule.notes
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
