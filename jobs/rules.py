"""What `soc rules` does: list, test cases, verify."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from jobs import rule_check
from jobs.rule_state import LIVE, State

if TYPE_CHECKING:
    from detectors.sigma.ruleset import RuleSet
    from detectors.sigma.verify import Outcome

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def listing(rules: RuleSet) -> list[State]:
    """All rules: those that run are LIVE as far as loading can tell."""
    out = [State(LIVE, r.ref.id, r.ref.title, r.ref.level, r.file, r.ref.tags) for r in rules.rules]
    out += [
        State(LIVE, str(c.data.get("id", "")), str(c.data.get("title", "")), str(c.data.get("level", "")), c.file)
        for c in rules.correlations
    ]
    return out + rule_check.blind(rules) + rule_check.broken(rules)


@dataclass(frozen=True)
class CaseResult:
    """One case of one rule."""

    rule: str
    file: str
    case: str
    """match[0], no_match[2], ..."""
    ok: bool
    why: str = ""


def test_cases(roots: Sequence[Path], least: int) -> Iterator[CaseResult]:
    """Run every NAME.test.yml below the roots against the rule beside it; a rule with fewer cases than `least` of a kind is a failure."""
    from detectors.sigma.model import rule_files

    for root in roots:
        for path in rule_files([root]):
            cases = path.with_name(f"{path.stem}.test.yml")
            if cases.exists():
                yield from _test_file((root if root.is_dir() else root.parent, path, cases), least)
            else:
                yield CaseResult(path.stem, str(path), "-", ok=False, why=f"no cases: {cases.name} is missing")


def _test_file(place: tuple[Path, Path, Path], least: int) -> Iterator[CaseResult]:
    """The cases of one rule. `place`: the folder to which they belong, the rule, the cases."""
    from detectors.sigma.build import build

    root, rule, cases = place
    try:
        text = cases.read_text(encoding="utf-8")
        data = yaml.load(text, Loader=_LOADER) or {}  # noqa: S506  safe loader
        given = data.get("rules") or ()
        names = [given] if isinstance(given, str) else [str(name) for name in given]
        outside = [name for name in names if not _belongs(root, rule, name)]
        if outside:
            yield from (CaseResult(rule.stem, f"{cases}:{_line(text, name)}", "rules", ok=False, why=_away(root, name)) for name in outside)
            return
        rules = build([(str(p), p.read_bytes()) for p in [*(rule.parent / name for name in names), rule]])
    except (OSError, ValueError, yaml.YAMLError, AttributeError, TypeError) as error:
        yield CaseResult(rule.stem, str(cases), "-", ok=False, why=f"the cases cannot be read: {' '.join(str(error).split())[:300]}")
        return
    for problem in rules.broken:
        yield CaseResult(rule.stem, f"{problem.file}:{problem.line}", "-", ok=False, why=problem.reason)
    for blind in rules.blind:
        yield CaseResult(rule.stem, blind.file, "-", ok=False, why=f"BLIND: {blind.reason}")
    if rules.broken or rules.blind:
        return
    yield from _run_cases(rules, rule, cases, {kind: data.get(kind) or () for kind in ("match", "no_match")}, least)


def _belongs(root: Path, rule: Path, name: str) -> bool:
    """Whether a name under `rules:`, which starts at the rule's own folder, stays below the root; links followed."""
    from detectors.sigma.model import inside

    return not Path(name).is_absolute() and inside(root, str(rule.parent.resolve() / name)) is not None


def _away(root: Path, name: str) -> str:
    return f"rules: {name} leads out of {root}: not read; name rules below it, or give soc rules test the folder that holds both"


def _line(text: str, name: str) -> int:
    """Where the name stands under `rules:`, from 1."""
    from detectors.sigma.lint.files import read

    listed = (cell.get("rules") for cell in read(text.encode())[0])
    return next((item.line for cell in listed if cell for item in cell.items if str(item.value) == name), 1)


def _run_cases(rules: RuleSet, rule: Path, cases: Path, kinds: Mapping[str, Sequence[Any]], least: int) -> Iterator[CaseResult]:
    from jobs.rule_cases import fires, read, seen

    events = [case if isinstance(case, list) else [case] for held in kinds.values() for case in held]
    hits = fires(rules, read(events), len(events), str(rule)).tolist()
    first = 0
    for kind, held in kinds.items():
        if len(held) < least:
            yield CaseResult(rule.stem, str(cases), kind, ok=False, why=f"{len(held)} cases under {kind}; at least {least} needed")
        for place, hit in enumerate(hits[first : first + len(held)]):
            ok = hit == (kind == "match")
            why = "" if ok else f"the rule {'fired' if hit else 'did not fire'} on {seen(events[first + place])}"[:400]
            yield CaseResult(rule.stem, str(rule), f"{kind}[{place}]", ok=ok, why=why)
        first += len(held)


def verify(cases: Iterable[Mapping[str, Any]], root: Path | None) -> Outcome:
    """Rules against raw events with known answers."""
    from detectors.sigma.verify import verify as run

    return run(cases, root)
