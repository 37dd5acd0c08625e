"""`soc rules check`: what each rule can see of what is really there, which techniques are lost, and what to do about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from domain import titles
from domain.alert import RuleRef
from domain.i18n import lang, t
from domain.query import And, Expr, Not, Or, Test, all_of
from jobs.rule_seen import Seen

if TYPE_CHECKING:
    from detectors.sigma.model import Other, Rule
    from detectors.sigma.ruleset import RuleSet

LIVE: Final = "LIVE"
PARTIAL: Final = "PARTIAL"
BLIND: Final = "BLIND"
ERROR: Final = "ERROR"
RANK: Final = (LIVE, PARTIAL, BLIND, ERROR)
LOST: Final = "LOST"
WEAKENED: Final = "WEAKENED"
Why: TypeAlias = "tuple[str, Mapping[str, Any]]"
"""A sentence of the catalogue `logsources` and its values."""
_TECHNIQUE: Final = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)
_ANY_BASE: Final = frozenset({"event_count", "value_count", "value_sum", "value_avg", "value_percentile", "value_median"})
"""Correlations to which one base rule that sees is enough; the others need all."""


@dataclass(frozen=True)
class State:
    """One rule and whether it can see."""

    status: str
    """LIVE, PARTIAL, BLIND, ERROR."""
    id: str
    title: str
    level: str
    file: str
    tags: tuple[str, ...] = ()
    source: tuple[str, str, str] = ("", "", "")
    """Product, category, service; empty for correlations."""
    why: tuple[Why, ...] = ()
    name: str = ""
    missing: tuple[str, ...] = ()
    """Event fields that never occur."""

    @property
    def reason(self) -> str:
        """Why, in English: data."""
        return self.told("en")

    @property
    def spoken(self) -> str:
        """The title in the reader's language, the rule's own beside it."""
        product, category, service = self.source
        return titles.full(RuleRef(self.id, self.title, self.level, "", self.tags, source=category or service or product))

    @property
    def techniques(self) -> list[str]:
        """ATT&CK ids: T1059.001."""
        return sorted({found[1].upper() for tag in self.tags if (found := _TECHNIQUE.fullmatch(tag))})

    @property
    def next(self) -> str:
        """Key `next_*` of what to do; "" when there is nothing."""
        return "" if self.status in (LIVE, ERROR) else advice(self.source, self.missing, self.why)

    def told(self, language: str = "") -> str:
        """Why, for people."""
        return "; ".join(t(f"logsources.{key}", language or lang(), **values) for key, values in self.why)


def check(rules: RuleSet, seen: Seen, elsewhere: Mapping[str, Seen] | None = None) -> list[State]:
    """Each rule against what the store holds (`rule_seen.store`) and what the sources hold that are only read.

    BLIND: no event of its log source, or none that has the fields the rule cannot do without. PARTIAL: a branch of it can never hold, or a
    field that it excludes by never occurs. A rule is as good as where it sees best; the sources in which it sees less are named.
    """
    states = [_everywhere(rule, seen, elsewhere or {}) for rule in rules.rules]
    states += blind(rules)
    return states + _correlations(rules.correlations, states) + broken(rules)


def blind(rules: RuleSet) -> list[State]:
    """Rules that no event of ours can feed, whatever the store holds."""
    return [
        State(BLIND, b.id, b.title, b.level, b.file, b.tags, b.source, ((f"why_{b.why}", {"what": b.what}),), b.name) for b in rules.blind
    ]


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
    for when, body in branches(rule.route, rule.body):
        for dataset in seen.datasets(when):
            found.append(_against(made, body, seen.held(dataset)))
            if found[-1].status == LIVE:
                return found[-1]
    if not found:
        return replace(made, why=(("no_events", {"source": str(where)}),))
    return min(found, key=lambda state: (RANK.index(state.status), len(state.missing)))


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
        idle |= {name for test in _tests(expr.child) for name in _named(test) - held}
    elif isinstance(expr, (And, Or)):
        lost = [_blockers(child, held) for child in expr.children] if isinstance(expr, Or) else [frozenset[str]()] * len(expr.children)
        if any(lost):
            dead.append((sum(map(bool, lost)), len(lost), frozenset().union(*lost)))
        for child, gone in zip(expr.children, lost, strict=True):
            if not gone:
                _weak(child, held, dead, idle)


def _tests(expr: Expr) -> Iterable[Test]:
    from domain.query import tests

    return tests(expr)


def _correlations(correlations: Sequence[Other], states: Sequence[State]) -> list[State]:
    """A correlation sees as well as its base rules: all of them, or, where it counts, the best. Chains are followed."""
    known = {key: state for state in states for key in (state.id, state.name) if key}
    left = list(correlations)
    out: list[State] = []
    while left:
        waiting = {str(other.data[key]) for other in left for key in ("id", "name") if other.data.get(key)}
        ready = [other for other in left if not _bases(other) & waiting] or list(left)
        for other in ready:
            left.remove(other)
            state = _correlation(other, known)
            out.append(state)
            known |= {key: state for key in (state.id, state.name) if key}
    return out


def _bases(other: Other) -> set[str]:
    spec = other.data.get("correlation")
    rules = spec.get("rules") if isinstance(spec, dict) else None
    return {str(rule) for rule in ([rules] if isinstance(rules, str) else rules or ())}


def _correlation(other: Other, known: Mapping[str, State]) -> State:
    data = other.data
    tags = tuple(str(tag) for tag in data.get("tags") or ())
    ident, title, level, name = (str(data.get(key) or "") for key in ("id", "title", "level", "name"))
    made = State(LIVE, ident, title, level, other.file, tags, name=name)
    bases = {name: known.get(name) for name in sorted(_bases(other))}
    worse = {name: base.status if base else BLIND for name, base in bases.items() if base is None or base.status != LIVE}
    if not worse:
        return made
    blind = [name for name, status in worse.items() if status == BLIND]
    counts = str(data["correlation"].get("type", "")) in _ANY_BASE
    lost = len(blind) == len(bases) if counts else bool(blind)
    labels = {name: base.title if base else name for name, base in bases.items()}
    missing = tuple(sorted({field for name in blind if (base := bases[name]) for field in base.missing}))
    why = ("bases_blind" if blind else "bases_partial", {"rules": ", ".join(labels[name] for name in (blind or worse))})
    source = next((base.source for name in (blind or worse) if (base := bases[name])), ("", "", ""))
    return replace(made, status=BLIND if lost else PARTIAL, why=(why,), missing=missing, source=source)


@dataclass(frozen=True)
class Technique:
    """One ATT&CK technique and the rules that name it."""

    id: str
    state: str
    """LOST: no rule is LIVE; WEAKENED: some rule is not; LIVE: all are."""
    live: int
    partial: int
    blind: int


def techniques(states: Sequence[State]) -> list[Technique]:
    """Every technique that rules name: lost ones first, then weakened ones, by the number of rules that see nothing."""
    counts: dict[str, Counter[str]] = {}
    for state in states:
        for name in state.techniques:
            counts.setdefault(name, Counter())[state.status] += 1
    out = [Technique(name, _fate(c), c[LIVE], c[PARTIAL], c[BLIND]) for name, c in counts.items()]
    return sorted(out, key=lambda one: ((LOST, WEAKENED, LIVE).index(one.state), -one.blind, one.id))


def _fate(counts: Counter[str]) -> str:
    return LOST if not counts[LIVE] else WEAKENED if counts[PARTIAL] + counts[BLIND] else LIVE


@dataclass(frozen=True)
class Sight:
    """One log source and the rules that are written for it."""

    source: tuple[str, str, str]
    live: int
    partial: int
    blind: int
    why: str
    """The commonest reason, for people."""
    next: str
    """Key `next_*` of what would help most rules; "" when nothing is wanting."""

    @property
    def label(self) -> str:
        """`windows / process_creation`."""
        return " / ".join(part for part in self.source if part) or "-"


def sources(states: Sequence[State]) -> list[Sight]:
    """Every log source of the rules, those with most rules first."""
    groups: dict[tuple[str, str, str], list[State]] = {}
    for state in states:
        if any(state.source) and state.status != ERROR:
            groups.setdefault(state.source, []).append(state)
    out = []
    for source, its in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        counts = Counter(state.status for state in its)
        worse = [state for state in its if state.status != LIVE]
        why = Counter(state.told() for state in worse if state.status == max((s.status for s in worse), key=RANK.index))
        to_do = Counter(state.next for state in worse if state.next)
        out.append(Sight(source, counts[LIVE], counts[PARTIAL], counts[BLIND], _most(why), _most(to_do)))
    return out


def steps(states: Sequence[State]) -> list[tuple[str, int]]:
    """(key `next_*`, rules it would help), most first."""
    return Counter(state.next for state in states if state.next).most_common()


def _most(counts: Counter[str]) -> str:
    return counts.most_common(1)[0][0] if counts else ""


def advice(source: tuple[str, str, str], missing: Sequence[str], why: Sequence[Why]) -> str:
    """What to do: the first line of rules/pipelines/advice.yml that fits the log source and, where it names one, a missing field."""
    reasons = {key.removeprefix("why_") for key, _ in why}
    for entry in _advice():
        fits = all(entry.get(name, own) == own for name, own in zip(("product", "category", "service"), source, strict=True))
        if fits and entry.get("field", next(iter(missing), None)) in (missing or (None,)) and entry.get("why") in (None, *reasons):
            return str(entry["next"])
    return ""


@cache
def _advice() -> Sequence[Mapping[str, Any]]:
    from detectors.sigma.route import load

    return load("advice.yml")
