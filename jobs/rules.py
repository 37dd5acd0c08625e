"""What `soc rules` does: list, check against the store, test cases, import packs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from domain.query import Not, Test, fields_of, tests

if TYPE_CHECKING:
    from detectors.sigma.model import Rule
    from detectors.sigma.ruleset import RuleSet
    from detectors.sigma.verify import Outcome

LIVE: Final = "LIVE"
PARTIAL: Final = "PARTIAL"
BLIND: Final = "BLIND"
ERROR: Final = "ERROR"
_RANK: Final = (LIVE, PARTIAL, BLIND, ERROR)
Coverage: TypeAlias = "Mapping[str, Mapping[str, int]]"
"""By data set and field: number of events that hold it (`EventStore.coverage`)."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class State:
    """One rule and whether it can see."""

    status: str
    """LIVE, PARTIAL, BLIND, ERROR."""
    id: str
    title: str
    level: str
    file: str
    reason: str = ""
    tags: tuple[str, ...] = ()


def listing(rules: RuleSet) -> list[State]:
    """All rules: those that run are LIVE as far as loading can tell."""
    out = [State(LIVE, r.ref.id, r.ref.title, r.ref.level, r.file, tags=r.ref.tags) for r in rules.rules]
    out += [
        State(LIVE, str(c.data.get("id", "")), str(c.data.get("title", "")), str(c.data.get("level", "")), c.file)
        for c in rules.correlations
    ]
    out += [State(BLIND, b.id, b.title, "", b.file, b.reason) for b in rules.blind]
    out += [State(ERROR, "", "", "", f"{b.file}:{b.line}", b.reason) for b in rules.broken]
    return out


def check(rules: RuleSet, coverage: Coverage, elsewhere: Mapping[str, Coverage] | None = None) -> list[State]:
    """Each rule against the fields that the store's events really hold, and those of sources that are only read (`elsewhere`).

    BLIND: no event of its log source, or a field that the rule cannot do without never occurs. PARTIAL: some field never occurs.
    A rule is as good as where it sees best; the sources in which it sees less are named.
    """
    states = [_everywhere(rule, coverage, elsewhere or {}) for rule in rules.rules]
    return states + [s for s in listing(rules) if s.status in (BLIND, ERROR)]


def _everywhere(rule: Rule, coverage: Coverage, elsewhere: Mapping[str, Coverage]) -> State:
    own = _checked(rule, coverage)
    others = {source: _checked(rule, held) for source, held in elsewhere.items() if any(_feeds(rule, name, held[name]) for name in held)}
    best = min([own, *others.values()], key=lambda state: _RANK.index(state.status))
    worse = [f"{source}: {state.status}, {state.reason}" for source, state in others.items() if state.status != best.status]
    return replace(best, reason="; ".join(filter(None, (best.reason, *worse))))


def _checked(rule: Rule, coverage: Coverage) -> State:
    made = (rule.ref.id, rule.ref.title, rule.ref.level, rule.file)
    fed = [name for name in coverage if _feeds(rule, name, coverage[name])]
    if not fed:
        return State(BLIND, *made, f"no events of log source {rule.source}", rule.ref.tags)
    held = {field for name in fed for field, count in coverage[name].items() if count and field}
    missing = sorted(f for f in fields_of(rule.body) if f != "*" and f not in held)
    if not missing:
        return State(LIVE, *made, "", rule.ref.tags)
    needed = [f for f in missing if f in _required(rule.body)]
    return State(BLIND if needed else PARTIAL, *made, f"never seen: {', '.join(needed or missing)}", rule.ref.tags)


def _feeds(rule: Rule, dataset: str, held: Mapping[str, int]) -> bool:
    """Whether a data set can hold events of the rule's log source: by its name, and by the fields that the route reads."""
    for test in tests(rule.route):
        if test.field == "event.dataset" and test.op == "eq" and dataset not in test.values:
            return False
        if test.field and test.field != "event.dataset" and not held.get(test.field):
            return False
    return True


def _required(expr: Any) -> set[str]:
    """Fields without which the expression cannot hold."""
    if isinstance(expr, Test):
        absent = expr.op == "null" or (expr.op == "exists" and not expr.values[0])
        return set() if absent or expr.field is None else {expr.field}
    if isinstance(expr, Not):
        return set()
    parts = [_required(child) for child in expr.children]
    if type(expr).__name__ == "And":
        return set().union(*parts)
    return set.intersection(*parts) if parts else set()


@dataclass(frozen=True)
class CaseResult:
    """One case of one rule."""

    rule: str
    file: str
    case: str
    """match[0], no_match[2], ..."""
    ok: bool
    why: str = ""


def test_cases(roots: Sequence[Path]) -> Iterator[CaseResult]:
    """Run every NAME.test.yml below the roots against the rule beside it; a rule without cases is a failure."""
    from detectors.sigma.model import rule_files

    for root in roots:
        for path in rule_files([root]):
            cases = path.with_name(f"{path.stem}.test.yml")
            if cases.exists():
                yield from _test_file(path, cases)
            else:
                yield CaseResult(path.stem, str(path), "-", ok=False, why=f"no cases: {cases.name} is missing")


def _test_file(rule: Path, cases: Path) -> Iterator[CaseResult]:
    from detectors.sigma.build import build

    data = yaml.load(cases.read_text(encoding="utf-8"), Loader=_LOADER) or {}  # noqa: S506  safe loader
    bases = [rule.parent / name for name in data.get("rules", ())]
    rules = build([(str(p), p.read_bytes()) for p in [*bases, rule]])
    for problem in rules.broken:
        yield CaseResult(rule.stem, f"{problem.file}:{problem.line}", "-", ok=False, why=problem.reason)
    for blind in rules.blind:
        yield CaseResult(rule.stem, blind.file, "-", ok=False, why=f"BLIND: {blind.reason}")
    if rules.broken or rules.blind:
        return
    for kind in ("match", "no_match"):
        if not data.get(kind):
            yield CaseResult(rule.stem, str(cases), kind, ok=False, why=f"at least one case under {kind} is needed")
        for number, case in enumerate(data.get(kind) or ()):
            yield _run_case(rules, rule, f"{kind}[{number}]", case, wanted=kind == "match")


def _run_case(rules: RuleSet, rule: Path, name: str, case: Any, *, wanted: bool) -> CaseResult:
    from jobs.rule_cases import fires

    hit, seen = fires(rules, case if isinstance(case, list) else [case], str(rule))
    ok = hit == wanted
    return CaseResult(rule.stem, str(rule), name, ok=ok, why="" if ok else f"the rule {'fired' if hit else 'did not fire'} on {seen}"[:400])


def verify(cases: Iterable[Mapping[str, Any]], root: Path | None) -> Outcome:
    """Rules against raw events with known answers."""
    from detectors.sigma.verify import verify as run

    return run(cases, root)
