"""What the states of rules come to: ATT&CK techniques that are lost or weakened, log sources, and the steps that would help most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobs.rule_state import BLIND, ERROR, LIVE, PARTIAL, RANK, State

LOST: Final = "LOST"
WEAKENED: Final = "WEAKENED"


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
    return sorted(out, key=lambda one: ((LOST, WEAKENED, LIVE).index(one.state), bool(one.partial), -one.blind, one.id))


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
