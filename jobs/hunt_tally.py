"""Hits of a hunt counted: by rule and host, by tactic, by time; with a few examples of each rule. In bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from detectors.sigma.refs import spoken
from detectors.sigma.ruleset import RuleSet
from domain import severity, titles
from domain.alert import RuleRef
from domain.window import micros
from jobs.hunt_found import FileEpisode, FileHit

SAMPLES: Final = 3
"""Examples kept of each rule."""
_PAIRS: Final = 100_000
"""(rule, host) pairs that are counted apart: names of hosts come from the logs."""
_BUCKETS: Final = 50_000
_HOUR: Final = 3_600_000_000
OTHER: Final = "…"
"""Stands for the hosts beyond the limit."""


@dataclass
class Count:
    """How often, and between which event times (microseconds; None = no record told its time)."""

    hits: int = 0
    first: int | None = None
    last: int | None = None

    def add(self, first: int | None, last: int | None) -> None:
        """One more hit."""
        self.hits += 1
        if first is not None and (self.first is None or first < self.first):
            self.first = first
        if last is not None and (self.last is None or last > self.last):
            self.last = last


@dataclass
class OfRule:
    """One rule's hits."""

    ref: RuleRef
    """As people read it: the title in their language."""
    title: str
    """As the rule has it."""
    short: str
    """In the language of the reader, without the rule's own title."""
    all: Count = field(default_factory=Count)
    hosts: dict[str, Count] = field(default_factory=dict)
    samples: list[FileHit] = field(default_factory=list)
    """The first ones found, of different hosts first."""
    episodes: list[FileEpisode] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    level: str
    rule_id: str
    rule: str
    host: str
    count: Count


class Tally:
    """Takes hits and episodes one by one."""

    def __init__(self, rules: RuleSet) -> None:
        self._refs = [rule.ref for rule in rules.rules]
        self.rules: dict[str, OfRule] = {}
        """By rule id."""
        self.total = 0
        self.hosts: dict[str, Count] = {}
        self.hours: dict[int, Counter[str]] = {}
        """Hour since the epoch -> hits by level."""
        self.untimed = 0
        """Hits whose record tells no time."""
        self._pairs = 0

    def hit(self, hit: FileHit) -> None:
        """Count one hit."""
        at = micros(hit.at) if hit.at else None
        one = self._rule(self._refs[hit.rule])
        self._count(one, hit.host, at, at)
        if len(one.samples) < SAMPLES:
            one.samples.append(hit)
        elif any(s.host == hit.host for s in one.samples):
            return
        else:
            seen = [s.host for s in one.samples]
            double = next((i for i, h in enumerate(seen) if h in seen[:i]), None)
            if double is not None:
                one.samples[double] = hit

    def episode(self, episode: FileEpisode) -> None:
        """Count one episode; its group stands for the host."""
        one = self._rule(episode.ref)
        self._count(one, ", ".join(episode.group.values()), episode.start, episode.last)
        if len(one.episodes) < SAMPLES:
            one.episodes.append(episode)

    def _rule(self, ref: RuleRef) -> OfRule:
        found = self.rules.get(ref.id)
        if found is None:
            found = self.rules[ref.id] = OfRule(spoken(ref), ref.title, titles.title(ref))
        return found

    def _count(self, one: OfRule, host: str, first: int | None, last: int | None) -> None:
        self.total += 1
        one.all.add(first, last)
        if host not in one.hosts:
            self._pairs += 1
            host = host if self._pairs <= _PAIRS else OTHER
        one.hosts.setdefault(host, Count()).add(first, last)
        if host in self.hosts or len(self.hosts) < _PAIRS:
            self.hosts.setdefault(host, Count()).add(first, last)
        if first is None:
            self.untimed += 1
            return
        hour = first // _HOUR
        if hour in self.hours or len(self.hours) < _BUCKETS:
            self.hours.setdefault(hour, Counter())[one.ref.level] += 1

    def rows(self) -> list[Row]:
        """By level, then count: one for each rule and host."""
        out = [Row(one.ref.level, id_, one.ref.title, host, count) for id_, one in self.rules.items() for host, count in one.hosts.items()]
        return sorted(out, key=lambda r: (-severity.rank(r.level), -r.count.hits, r.rule, r.host))

    def ranked(self) -> list[OfRule]:
        """Rules that hit, worst first."""
        return sorted(self.rules.values(), key=lambda o: (-severity.rank(o.ref.level), -o.all.hits, o.ref.title))

    def levels(self) -> dict[str, tuple[int, int]]:
        """Level -> (rules, hits), worst first."""
        out = {}
        for level in reversed(severity.LEVELS):
            found = [o.all.hits for o in self.rules.values() if o.ref.level == level]
            if found:
                out[level] = (len(found), sum(found))
        return out

    def tactics(self) -> list[tuple[str, int, dict[str, int]]]:
        """(tactic, hits, technique -> hits) in the order of an attack; a hit counts for each tactic and technique of its rule."""
        hits: Counter[str] = Counter()
        techniques: dict[str, Counter[str]] = {}
        for one in self.rules.values():
            named = _tactics(one.ref.tags)
            for tactic in named:
                hits[tactic] += one.all.hits
                for technique in _techniques(one.ref.tags):
                    techniques.setdefault(tactic, Counter())[technique] += one.all.hits
        return [(t, hits[t], dict(techniques.get(t, Counter()).most_common())) for t in TACTICS if hits[t]]


TACTICS: Final = (
    "reconnaissance", "resource_development", "initial_access", "execution", "persistence", "privilege_escalation", "stealth",
    "defense_impairment", "defense_evasion", "credential_access", "discovery", "lateral_movement", "collection", "command_and_control",
    "exfiltration", "impact",
)  # fmt: skip
"""In the order of an attack."""


def _tactics(tags: Iterable[str]) -> list[str]:
    names = [tag.lower().removeprefix("attack.").replace("-", "_") for tag in tags if tag.lower().startswith("attack.")]
    return [t for t in TACTICS if t in names]


def _techniques(tags: Iterable[str]) -> list[str]:
    from domain.spoken import is_technique

    names = [tag.lower().removeprefix("attack.") for tag in tags if tag.lower().startswith("attack.")]
    return [n for n in dict.fromkeys(names) if is_technique(n)]
