"""Model `silence`: a source, or a host within it, stopped talking.

At once where the source declares `expect_every`; else after seven days, when the silence is three times the longest one that began at
such an hour. Learnt silences are measured against the newest event of all sources, so that a replay or a stopped collector does not
make every source silent. One finding for each outage: told when it stands out, again when it has doubled, and when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from detectors.anomaly.activity import Heard, Key, hear
from detectors.anomaly.base import HOUR, SECOND, Model, at, is_value, query_text, reason, rule
from detectors.anomaly.gaps import LEARN, LIVE, MATTERS, STEADY, TIMES, Habit, gaps
from detectors.base import Scanned
from domain import i18n
from domain.alert import Entity, Finding, Reason, RuleRef
from domain.clock import show_local
from domain.window import micros
from store.base import Chunk, EventStore

MODEL: Final = Model(
    "silence", 1, ("@timestamp", "thapcanh.source", "host.name", "event.ingested"), ("anomaly.silence", "anomaly.silence.host"), 7
)
KEEP: Final = 20_000
"""Sources and hosts remembered; those heard longest ago are forgotten first."""
_TAGS: Final = ("attack.defense_impairment", "attack.t1685")
_JOIN: Final = "\x1f"


class Silence:
    """The detector. `expect_every`: source id -> longest silence in seconds that its owner declares normal."""

    name = "anomaly.silence"

    def __init__(self, expect_every: Mapping[str, float] | None = None) -> None:
        self._expected = {source: int(seconds * SECOND) for source, seconds in (expect_every or {}).items()}

    def scan(self, chunks: Iterable[Chunk], state: Mapping[str, Any], now: datetime, events: EventStore) -> Scanned:  # noqa: ARG002
        """Silences that ended in these events, and those that last at `now`."""
        habits: dict[Key, Habit] = {_key(name): Habit(**values) for name, values in state.get("habits", {}).items()}
        watch: dict[str, int] = dict(state.get("watch", {}))
        missed: list[str] = list(state.get("missed", []))
        present = micros(now)
        findings: list[Finding] = []
        told: dict[str, list[tuple[int, int]]] = {}
        for key, heard in sorted(hear(chunks).items()):  # a source stands before its hosts
            findings += self._ended(key, habits, heard, told.setdefault(key[0], []))
        for source in self._expected:
            watch.setdefault(source, present)
        newest = min(present, max((h.last for h in habits.values()), default=0))
        quiet = {key[0] for key, habit in habits.items() if not key[1] and self._lasting(key, habit, present, newest)}
        for key, habit in sorted(habits.items()):
            if not key[1] or key[0] not in quiet:
                findings += self._open(key, habit, self._lasting(key, habit, present, newest))
        missing = [s for s in self._expected if (s, "") not in habits and present - watch[s] > self._expected[s]]
        findings += [self._never(source, watch[source]) for source in sorted(missing) if source not in missed]
        return Scanned(findings, {"habits": _kept(habits), "watch": watch, "missed": missing}, _notes(habits, newest))

    def _ended(self, key: Key, habits: dict[Key, Habit], heard: Heard, told: list[tuple[int, int]]) -> list[Finding]:
        """Gaps between events that stand out; what does not is learnt. `told`: outages of the whole source, not told again per host."""
        habit = habits.get(key)
        found = []
        expected = self._expected.get(key[0], 0) if not key[1] else 0
        if habit is None:
            first = int(heard.slots[0]) * 10 * SECOND
            habit = habits[key] = Habit(first, first, heard.first_arrival, heard.exercise)
        for began, ended in list(gaps(habit, heard, min(MATTERS, expected or MATTERS))):
            known = bool(habit.open) and habit.open[0] == began
            if not known and ended - began <= _limit(key, habit, began, expected):
                habit.learn(began, ended - began)
            elif not key[1]:
                told.append((began, ended))
                found.append(_finding(key, habit, (began, ended), expected, ended=True))
            elif not any(2 * (min(ended, e) - max(began, b)) > ended - began for b, e in told):
                found.append(_finding(key, habit, (began, ended), expected, ended=True))
        _advance(habit, heard, _limit(key, habit, habit.arrived, 0))
        return found

    def _lasting(self, key: Key, habit: Habit, present: int, newest: int) -> int:
        """Until when a silence that stands out has lasted; 0 = none."""
        expected = self._expected.get(key[0], 0)
        if expected and not key[1]:
            return present if present - habit.last > expected else 0
        if habit.arrived - habit.last > LIVE or newest - habit.last <= _limit(key, habit, habit.last, 0):
            return 0
        return newest

    def _open(self, key: Key, habit: Habit, until: int) -> list[Finding]:
        """Tell a lasting silence the first time and whenever it has doubled."""
        if not until or (habit.open and until - habit.last < 2 * (habit.open[1] - habit.last)):
            return []
        habit.open = [habit.last, until]
        expected = 0 if key[1] else self._expected.get(key[0], 0)
        return [_finding(key, habit, (habit.last, until), expected, ended=False)]

    def _never(self, source: str, since: int) -> Finding:
        """A declared source of which nothing was heard since it is watched: told once."""
        limit = _span(self._expected[source])
        why = reason("thapcanh.source", source, limit, "silence_never", source=source, since=show_local(at(since)), limit=limit)
        return Finding(_rule("", declared=True), (Entity("source", source),), at(since), at(since), 1, (), (why,))


def _advance(habit: Habit, heard: Heard, limit: int) -> None:
    """Take the newest event over; a pause between deliveries is as normal as a pause between events."""
    pause = heard.first_arrival - habit.arrived
    if habit.arrived and 0 < pause <= limit and not habit.open:
        habit.learn(habit.last, pause)
    if heard.last > habit.last:
        habit.open = []
    if heard.last >= habit.last:
        habit.last, habit.arrived, habit.exercise = heard.last, heard.arrived, heard.exercise


def _limit(key: Key, habit: Habit, began: int, expected: int) -> int:
    """Silence allowed, microseconds; endless while learning, and for hosts that are switched off now and then."""
    if expected:
        return expected
    if not habit.learnt(began) or (key[1] and habit.longest()[0] > STEADY):
        return 1 << 62
    return habit.normal(began)


def _rule(host: str, *, declared: bool) -> RuleRef:
    level = "low" if host else "high" if declared else "medium"
    return rule(MODEL.name_of(".host" if host else ""), level, _TAGS, MODEL.version, (TIMES, LEARN, STEADY))


def _finding(key: Key, habit: Habit, span: tuple[int, int], expected: int, *, ended: bool) -> Finding:
    source, host = key
    began, until = span
    entities = tuple(sorted([Entity("source", source), *([Entity("host", host)] if host else [])]))
    query = query_text(is_value("thapcanh.source", source), *([is_value("host.name", host)] if host else []))
    return Finding(
        _rule(host, declared=bool(expected)), entities, at(began), at(until), 1, (), (_why(key, habit, span, expected, ended=ended),),
        query, at(began - HOUR), at(began + 10 * SECOND), exercise=habit.exercise,
    )  # fmt: skip


def _why(key: Key, habit: Habit, span: tuple[int, int], expected: int, *, ended: bool) -> Reason:
    began, until = span
    longest, when = habit.longest(began)
    text = ("silence_declared" if expected else "silence_learnt") + ("_ended" if ended else "")
    name = key[1] or key[0]
    return reason(
        "thapcanh.source", _span(until - began), _span(expected or longest), text, source=key[0], name=name, span=_span(until - began),
        last=show_local(at(began)), until=show_local(at(until)), limit=_span(expected), longest=_record(longest, when),
    )  # fmt: skip


def _record(longest: int, when: int) -> str:
    if not longest:
        return i18n.t("anomaly.record_none", span=_span(MATTERS))
    return i18n.t("anomaly.record_at", span=_span(longest), when=show_local(at(when)))


def _span(micros_: int) -> str:
    """`5 h 20 min` in the language of the process."""
    minutes = round(micros_ / (60 * SECOND))
    if minutes == 0:
        return i18n.t("anomaly.span_seconds", n=micros_ // SECOND)
    if minutes < 60:
        return i18n.t("anomaly.span_minutes", n=minutes)
    return i18n.t("anomaly.span_hours", n=minutes // 60, m=minutes % 60)


def _key(name: str) -> Key:
    source, _, host = name.partition(_JOIN)
    return source, host


def _kept(habits: Mapping[Key, Habit]) -> dict[str, Any]:
    newest = sorted(habits.items(), key=lambda item: (item[1].last, item[0]))[-KEEP:]
    return {_JOIN.join(key): habit.to_json() for key, habit in newest}


def _notes(habits: Mapping[Key, Habit], newest: int) -> list[str]:
    learning = sorted(key[0] for key, habit in habits.items() if not key[1] and not habit.learnt(newest))
    if not learning:
        return []
    return [i18n.t("anomaly.learning", model="silence", days=LEARN // (24 * HOUR), names=", ".join(learning[:10]), n=len(learning))]
