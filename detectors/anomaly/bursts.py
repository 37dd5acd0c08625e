"""When are failed logins too many? Pure: attempts of one source (or on one user) in time order -> the windows that stand out.

Causal: an attempt is judged only by what came before it, so the answer does not depend on how the log is cut into scans. Somebody who
mistypes a password and then gets in has resolved his failures: a whole office behind one address is no attack.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from detectors.anomaly.base import DAY, MINUTE, SECOND
from detectors.anomaly.logins import Login

FAST: Final = 10 * MINUTE
SLOW: Final = DAY
MISTYPED: Final = 4
"""Up to so many failures followed by a success are a person's mistake."""


@dataclass(frozen=True)
class Limits:
    """From how many on."""

    fast: int
    """Failures within FAST."""
    fast_parties: int
    """Parties (users of a source, sources of a user) within FAST."""
    slow: int
    """Failures within SLOW."""
    slow_parties: int
    told: int
    """Bits of Login.told that say: already part of a fast burst, does not count for the slow window."""


@dataclass
class _Window:
    """Unresolved failures of the last `span` microseconds."""

    span: int
    rows: deque[Login] = field(default_factory=deque)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(source, user) -> failures that count."""
    unnamed: int = 0
    """Failures whose record names no user: often a second record of the same attempt, so the larger number counts, not the sum."""
    counted: set[int] = field(default_factory=set)

    def add(self, login: Login) -> None:
        """One more failure that counts; what is older than the span leaves."""
        self.rows.append(login)
        self.counted.add(id(login))
        if login.user:
            self.pairs[login.source, login.user] += 1
        else:
            self.unnamed += 1
        while self.rows and self.rows[0].at <= login.at - self.span:
            self.forget(self.rows.popleft())

    def forget(self, login: Login) -> None:
        """It does not count any more."""
        if id(login) not in self.counted:
            return
        self.counted.discard(id(login))
        pair = (login.source, login.user)
        if not login.user:
            self.unnamed -= 1
        elif self.pairs[pair] > 1:
            self.pairs[pair] -= 1
        else:
            del self.pairs[pair]

    def resolve(self, source: str, user: str) -> None:
        """The pair got in after few failures: they do not count any more."""
        if 0 < self.pairs.get((source, user), 0) <= MISTYPED:
            for row in self.rows:
                if row.source == source and row.user == user:
                    self.forget(row)

    @property
    def failures(self) -> int:
        """How many count."""
        return max(self.pairs.total(), self.unnamed)

    def parties(self, *, by_source: bool) -> int:
        """Distinct users of a source, or sources of a user."""
        return len({user if by_source else source for source, user in self.pairs} - {""})


@dataclass
class Assessed:
    """What stands out among the attempts."""

    burst: list[Login] = field(default_factory=list)
    """Failures of windows with too many, few parties."""
    spread: list[Login] = field(default_factory=list)
    """Failures of windows with too many parties."""
    slow: list[Login] = field(default_factory=list)
    """Failures of a day with too many, where neither of the above holds."""
    most: int = 0
    """Most unresolved failures in any FAST window."""

    @property
    def ordinary(self) -> bool:
        """Nothing stands out."""
        return not (self.burst or self.spread or self.slow)


def assess(rows: Sequence[Login], limits: Limits, *, by_source: bool) -> Assessed:
    """`rows`: the attempts of one source (`by_source`) or on one user, in time order."""
    out = Assessed()
    fast, slow = _Window(FAST), _Window(SLOW)
    marks: dict[str, dict[int, Login]] = {"burst": {}, "spread": {}, "slow": {}}
    last: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.ok:
            fast.resolve(row.source, row.user)
            slow.resolve(row.source, row.user)
            continue
        second = row.at // SECOND
        if last.get((row.source, row.user)) == second:  # one attempt often writes several records
            fast.rows.append(row)
            continue
        last[row.source, row.user] = second
        fast.add(row)
        if not row.told & limits.told:
            slow.add(row)
        out.most = max(out.most, fast.failures)
        kind = _kind(fast, slow, limits, by_source=by_source)
        if kind == "slow":
            _mark(marks[kind], slow)
        elif kind:
            for marked in _mark(marks[kind], fast):
                slow.forget(marked)
    out.burst, out.spread, out.slow = (list(marks[kind].values()) for kind in ("burst", "spread", "slow"))
    return out


def _mark(marked: dict[int, Login], window: _Window) -> list[Login]:
    """Mark all rows of the window; the fresh ones are given back. What lies before a marked row is marked already."""
    fresh: list[Login] = []
    for row in reversed(window.rows):
        if id(row) in marked:
            break
        fresh.append(row)
    fresh.reverse()
    marked.update((id(row), row) for row in fresh)
    return fresh


def _kind(fast: _Window, slow: _Window, limits: Limits, *, by_source: bool) -> str:
    failures = fast.failures
    if failures >= min(limits.fast, limits.fast_parties):
        if fast.parties(by_source=by_source) >= limits.fast_parties and (by_source or failures >= limits.fast):
            return "spread"
        if failures >= limits.fast and by_source:
            return "burst"
    if slow.failures >= limits.slow and slow.parties(by_source=by_source) >= limits.slow_parties:
        return "slow"
    return ""
