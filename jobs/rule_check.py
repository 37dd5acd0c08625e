"""`soc rules check`: what each rule can see of what is really there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from domain.query import FALSE, And, Expr, Not, Or, Test, all_of, any_of, fields_of, tests
from jobs import rule_check_chains
from jobs.rule_seen import Seen
from jobs.rule_state import BLIND, ERROR, LIVE, PARTIAL, RANK, State, Why

if TYPE_CHECKING:
    from detectors.sigma.model import BlindRule, LogSource, Rule
    from detectors.sigma.ruleset import RuleSet


def check(rules: RuleSet, seen: Seen, elsewhere: Mapping[str, Seen] | None = None) -> list[State]:
    """Each rule against what the store holds (`rule_seen.store`) and what the sources hold that are only read.

    BLIND: no event of its log source, or none that has the fields the rule cannot do without. PARTIAL: a branch of it can never hold, or a
    field that it excludes by never occurs. A rule is as good as where it sees best; the sources in which it sees less are named.
    """
    states = [_everywhere(rule, seen, elsewhere or {}) for rule in rules.rules]
    states += blind(rules)
    return states + rule_check_chains.judged(rules.correlations, states, None if elsewhere else seen) + broken(rules)


def blind(rules: RuleSet) -> list[State]:
    """Rules that no event of ours can feed, whatever the store holds."""
    return [State(BLIND, b.id, b.title, b.level, b.file, b.tags, b.source, (_told(b),), b.name) for b in rules.blind]


def _told(one: BlindRule) -> Why:
    return (f"why_{one.why}", {"what": one.what}) if one.why else ("error", {"text": one.reason})


def broken(rules: RuleSet) -> list[State]:
    """Rules that are not loaded."""
    return [State(ERROR, "", "", "", f"{b.file}:{b.line}", why=(("error", {"text": b.reason}),)) for b in rules.broken]


def _everywhere(rule: Rule, seen: Seen, elsewhere: Mapping[str, Seen]) -> State:
    own = judge(rule, seen)
    others = {source: judge(rule, held) for source, held in elsewhere.items() if held.datasets(rule.route)}
    best = min([own, *others.values()], key=lambda state: RANK.index(state.status))
    worse = tuple(("elsewhere", {"source": n, "status": s.status, "why": s.reason}) for n, s in others.items() if s.status != best.status)
    return replace(best, why=best.why + worse)


def judge(rule: Rule, seen: Seen) -> State:
    """One rule against one place: the best of its feeds and their data sets."""
    where = rule.source
    named = (where.product, where.category, where.service)
    made = State(BLIND, rule.ref.id, rule.ref.title, rule.ref.level, rule.file, rule.ref.tags, named, name=rule.name)
    found: list[State] = []
    pairs = branches(rule.route, rule.body)
    for when, body in pairs:
        asked = _here(body, when)
        for dataset in seen.datasets(when) if asked != FALSE else ():
            found.append(_against(made, asked, seen.held(dataset)))
            if len(pairs) > 1 and found[-1].status == LIVE:
                found[-1] = _narrow(found[-1], rule.source, when, pairs)
            if found[-1].status == LIVE:
                return found[-1]
    if not found:
        return replace(made, why=(("no_events", {"source": str(where)}),))
    return min(found, key=lambda state: (RANK.index(state.status), len(state.missing)))


def _narrow(state: State, source: LogSource, when: Expr, pairs: Sequence[tuple[Expr, Expr]]) -> State:
    """PARTIAL where another feed of the log source holds fields of the rule that this one never does: their branches were left out."""
    asked = {name for other, body in pairs if other != when for name in fields_of(body)}
    lost = asked & _lacking(source, when)
    if not lost:
        return state
    return replace(state, status=PARTIAL, missing=tuple(sorted(lost)), why=(("feed_lacks", {"fields": _listed(lost)}),))


@cache
def _lacking(source: LogSource, when: Expr) -> frozenset[str]:
    """Event fields, as the other feeds name them, that events of this feed never hold."""
    from detectors.sigma.route import Blind, feeds

    out: set[str] = set()
    known = feeds(source, ("sysmon", "security"))
    for feed in (f for f in known if f.when == when):
        for other in (f for f in known if f.when != when):
            for name in feed.map.absent - other.map.absent:
                with contextlib.suppress(Blind):
                    out.add(other.map.name(name))
    return frozenset(out)


def branches(route: Expr, body: Expr) -> list[tuple[Expr, Expr]]:
    """(events, condition) of each feed of a rule: `route.compiled` joins them by `or`, filters stand beside."""
    whens = route.children if isinstance(route, Or) else ()
    if not whens:
        return [(route, body)]
    parts = body.children if isinstance(body, And) else (body,)
    joined = next((p for p in parts if isinstance(p, Or) and len(p.children) == len(whens)), None)
    if joined is None:
        return [(route, body)]
    rest = [p for p in parts if p is not joined]
    return [(when, all_of(_without(child, when), *rest)) for when, child in zip(whens, joined.children, strict=True)]


def _without(expr: Expr, when: Expr) -> Expr:
    known = when.children if isinstance(when, And) else (when,)
    return all_of(*expr.children[len(known) :]) if isinstance(expr, And) and expr.children[: len(known)] == known else expr


def _here(expr: Expr, when: Expr) -> Expr:
    """Without the branches that are about other events than these: filters name the feeds of a log source side by side."""
    parts = when.children if isinstance(when, And) else (when,)
    fixed = {t.field: {str(v).lower() for v in t.values} for t in parts if isinstance(t, Test) and t.op == "eq"}
    return _folded(expr, fixed) if any(_other(test, fixed) for test in tests(expr)) else expr


def _other(test: Test, fixed: Mapping[str | None, set[str]]) -> bool:
    return test.op == "eq" and test.field in fixed and fixed[test.field].isdisjoint(str(v).lower() for v in test.values)


def _folded(expr: Expr, fixed: Mapping[str | None, set[str]]) -> Expr:
    if isinstance(expr, Test):
        return FALSE if _other(expr, fixed) else expr
    if isinstance(expr, Not):
        child = _folded(expr.child, fixed)
        return all_of() if child == FALSE else Not(child)
    children = [_folded(child, fixed) for child in expr.children]
    if isinstance(expr, And):
        return FALSE if FALSE in children else all_of(*children)
    return any_of(*(child for child in children if child != FALSE))


def _against(made: State, body: Expr, held: frozenset[str]) -> State:
    wanting = _blockers(body, held)
    if wanting:
        return replace(made, missing=tuple(sorted(wanting)), why=(("never_seen", {"fields": _listed(wanting)}),))
    dead: list[tuple[int, int, frozenset[str]]] = []
    idle: set[str] = set()
    _weak(body, held, dead, idle)
    if not dead and not idle:
        return replace(made, status=LIVE)
    missing = idle.union(*(fields for _, _, fields in dead))
    why: list[Why] = [("never_seen", {"fields": _listed(missing)})]
    why += [("dead", {"n": n, "of": of, "fields": _listed(fields)}) for n, of, fields in dead]
    why += [("idle", {"fields": _listed(idle)})] if idle else []
    return replace(made, status=PARTIAL, missing=tuple(sorted(missing)), why=tuple(why))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _absent(test: Test) -> bool:
    return test.op == "null" or (test.op == "exists" and not test.values[0])


def _named(test: Test) -> set[str]:
    """Fields without which a test is false."""
    if _absent(test) or test.field is None:
        return set()
    return {test.field, *(str(v) for v in test.values if test.op.startswith("fieldref"))}


def _blockers(expr: Expr, held: frozenset[str]) -> frozenset[str]:
    """Fields for want of which the expression can never hold; empty = it can."""
    if isinstance(expr, Test):
        return frozenset(_named(expr) - held)
    if isinstance(expr, Not):
        return frozenset()
    parts = [_blockers(child, held) for child in expr.children]
    if isinstance(expr, Or) and not all(parts):
        return frozenset()
    return frozenset().union(*parts)


def _weak(expr: Expr, held: frozenset[str], dead: list[tuple[int, int, frozenset[str]]], idle: set[str]) -> None:
    """Branches of an `or` that can never hold (how many, of how many, for want of which fields); fields of exclusions that never occur."""
    if isinstance(expr, Not):
        idle |= {name for test in tests(expr.child) for name in _named(test) - held}
    elif isinstance(expr, (And, Or)):
        lost = [_blockers(child, held) for child in expr.children] if isinstance(expr, Or) else [frozenset[str]()] * len(expr.children)
        if any(lost):
            dead.append((sum(map(bool, lost)), len(lost), frozenset().union(*lost)))
        for child, gone in zip(expr.children, lost, strict=True):
            if not gone:
                _weak(child, held, dead, idle)


def idle_filters(rules: RuleSet, seen: Seen) -> list[str]:
    """Titles of filters that hide nothing: no rule that they name has events here in which all that they ask for can occur."""
    from detectors.sigma.route import Blind, feeds

    out = []
    for one in rules.filters:
        works = False
        for source in {rule.source for rule in rules.rules if one.covers(rule.ref.id, rule.name, rule.source)}:
            for feed in feeds(source):
                try:
                    hidden = feed.map.expr(Not(one.expr))
                except Blind:
                    continue
                works = works or any(not _blockers(_plain(hidden), seen.held(dataset)) for dataset in seen.datasets(feed.when))
        if not works:
            out.append(one.title)
    return out


def _plain(expr: Expr) -> Expr:
    """`not (not x)` as x: what a filter hides."""
    return expr.child.child if isinstance(expr, Not) and isinstance(expr.child, Not) else expr
