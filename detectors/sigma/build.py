"""Rule files -> a RuleSet: parsed by pySigma, filtered, mapped, routed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from detectors.sigma import filters, route
from detectors.sigma.correlation_check import link
from detectors.sigma.load import Loaded, Parsed, load
from detectors.sigma.model import BlindRule, LogSource, Rule
from detectors.sigma.route import SYSMON, Blind
from detectors.sigma.ruleset import RuleSet


def build(
    files: Sequence[tuple[str, bytes]], placeholders: Mapping[str, Sequence[str]] | None = None, windows: tuple[str, ...] = (SYSMON,)
) -> RuleSet:
    """Compile rule files and apply their filters; later files override earlier ones with the same rule id.

    `windows`: the feeds of the generic Windows categories (`route.feeds`).
    """
    return compiled(files, placeholders, windows).filtered()


def compiled(
    files: Sequence[tuple[str, bytes]], placeholders: Mapping[str, Sequence[str]] | None = None, windows: tuple[str, ...] = (SYSMON,)
) -> RuleSet:
    """The same, with filters read but not applied."""
    loaded = load(files, placeholders)
    out = RuleSet(broken=loaded.broken)
    chosen: dict[str, Parsed] = {}
    for rule in loaded.rules:
        chosen[rule.ref.id] = rule
    _filters(loaded, out)
    for rule in chosen.values():
        out.notes += rule.notes
        _compile(rule, windows, out)
    correlations = {str(o.data.get("id") or o.data.get("name") or o.file): o for o in loaded.others if o.kind == "correlation"}
    out.correlations = list(correlations.values())
    known: dict[str, LogSource | None] = {key: rule.source for rule in chosen.values() for key in (rule.ref.id, rule.name) if key}
    known |= {str(o.data[key]): None for o in out.correlations for key in ("id", "name") if o.data.get(key)}
    out.notes += filters.remarks(out.filters, known)
    _silence_bases(out)
    return out


def _compile(rule: Parsed, windows: tuple[str, ...], out: RuleSet) -> None:
    try:
        route.feeds(rule.source, windows)
        if rule.expr is None:
            raise route.blind("placeholder", str(rule.unfilled))
        where, body = route.compiled(rule.source, rule.expr, windows)
    except Blind as error:
        ref, source = rule.ref, rule.source
        named = (source.product, source.category, source.service)
        out.blind.append(BlindRule(ref.id, ref.title, rule.file, str(error), ref.level, ref.tags, named, error.why, error.what, rule.name))
        return
    out.rules.append(Rule(rule.ref, where, body, rule.file, rule.source, rule.name))


def _filters(loaded: Loaded, out: RuleSet) -> None:
    """The filter documents; of those with the same id the last one counts."""
    found: dict[str, filters.Filter] = {}
    for other in loaded.others:
        if other.kind == "filter":
            one = filters.read(other)
            if isinstance(one, filters.Filter):
                found[one.id] = one
            else:
                out.broken += one
    out.filters = list(found.values())


def _silence_bases(out: RuleSet) -> None:
    """Rules that a correlation uses give no alerts of their own unless it says `generate: true`; one that is wrong silences nothing."""
    names = [(r.ref.id, r.name) for r in out.rules] + [(b.id, b.name) for b in out.blind]
    quiet = {rule for one in link(out.correlations, names).correlations if not one.generate for rule in one.distinct}
    if quiet:
        out.rules = [replace(r, quiet=r.ref.id in quiet) for r in out.rules]
