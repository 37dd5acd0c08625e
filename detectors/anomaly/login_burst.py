"""Model `login_burst`: brute force, password spraying, attacks on one account from many places, and the success that follows.

Two windows, 10 minutes and 24 hours, per source (IPv4 address or IPv6 /64; the machine itself when there is no address) and per user,
over any source whose events say `event.category: authentication` and `event.outcome`. Speaks from the first hour.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from detectors.anomaly.base import DAY, MINUTE, SECOND, Model, address_test, at, capped, is_value, query_text, reason, rule
from detectors.anomaly.bursts import SLOW, Assessed, Limits, assess
from detectors.anomaly.logins import Login, read
from detectors.base import Scanned
from domain import i18n
from domain.alert import Entity, Finding, Reason
from domain.clock import show_local
from store.base import Chunk, EventStore

MODEL: Final = Model(
    "login_burst", 1, ("event.category", "event.outcome", "source.ip", "user.name", "host.name"),
    ("anomaly.login_burst", "anomaly.login_burst.spray", "anomaly.login_burst.slow", "anomaly.login_burst.distributed",
     "anomaly.login_burst.success"),
)  # fmt: skip
BURST, SPRAY, SLOWLY, SPREAD, SPREAD_SLOWLY, SUCCESS = (1 << i for i in range(6))
OF_SOURCE: Final = Limits(fast=10, fast_parties=5, slow=30, slow_parties=0, told=BURST | SPRAY)
OF_USER: Final = Limits(fast=10, fast_parties=4, slow=30, slow_parties=8, told=SPREAD)
AFTER: Final = 30 * MINUTE
"""A success within this time of the last failure belongs to the attack."""
GUESSED: Final = 8
"""So many failures of one user from one source before his success are no mistyping."""
STREAMED: Final = 5
"""More users than this getting in during a spray: an office behind one address, only those who failed count."""
KEEP: Final = 64
"""Attempts kept per source and user beyond the fast window."""
KEEP_FAST: Final = 2_000
INVOLVED: Final = 20
"""Users, hosts and addresses that a finding names besides; sprays of one list of users are one incident by them."""
KEEP_KEYS: Final = 5_000
_TAGS: Final = ("attack.credential_access", "attack.t1110")


class LoginBurst:
    """The detector."""

    name = "anomaly.login_burst"

    def scan(self, chunks: Iterable[Chunk], state: Mapping[str, Any], now: datetime, events: EventStore) -> Scanned:  # noqa: ARG002
        """Findings about the sources and users with new attempts."""
        groups = {key: [Login.from_json(r) for r in rows] for key, rows in state.get("groups", {}).items()}
        suspects = {_suspect(key) for key in groups}
        touched = _collect(groups, read(chunks, suspects))
        assessed: list[tuple[str, list[Login], Assessed]] = []
        for key in touched:
            rows = groups[key] = _merged(groups[key])
            source = not key.startswith("user:")
            assessed.append((key, rows, assess(rows, OF_SOURCE if source else OF_USER, by_source=source)))
        usual = max([int(state.get("usual", 0)), *(a.most for key, _, a in assessed if a.ordinary and not key.startswith("user:"))])
        findings = [f for key, rows, found in assessed for f in _judge(key, rows, found, usual)]
        notes: list[str] = []
        return Scanned(findings, {"groups": _kept(groups, notes), "usual": usual}, notes)


def _suspect(key: str) -> str:
    kind, _, value = key.partition(":")
    return key if kind == "user" else value if kind == "ip" else ""


def _collect(groups: dict[str, list[Login]], logins: Iterable[Login]) -> list[str]:
    """Add the attempts to the groups of their source and user; the keys that grew, sorted."""
    touched: set[str] = set()
    for login in logins:
        where = ("ip", login.source) if login.source else ("host", login.host)
        keys = [f"{kind}:{name}" for kind, name in (where, ("user", login.user)) if name]
        for key in keys:
            groups.setdefault(key, []).append(login)
        touched.update(keys)
    return sorted(touched)


def _merged(rows: list[Login]) -> list[Login]:
    """In time order, each event once (a replayed scan brings the same events again)."""
    unique: dict[str, Login] = {}
    for row in rows:
        unique.setdefault(row.id, row)
    return sorted(unique.values(), key=lambda r: (r.at, r.id))


def _judge(key: str, rows: list[Login], found: Assessed, usual: int) -> list[Finding]:
    if key.startswith("user:"):
        cases = [(found.spread, SPREAD, ".distributed", "medium"), (found.slow, SPREAD_SLOWLY, ".distributed", "medium")]
    else:
        cases = [(found.burst, BURST, "", "medium"), (found.spread, SPRAY, ".spray", "medium"), (found.slow, SLOWLY, ".slow", "low")]
    findings = []
    for marked, bit, name, level in cases:
        for episode in _episodes(marked, SLOW if bit in (SLOWLY, SPREAD_SLOWLY) else AFTER):
            finding = _finding(key, episode, bit, (name, level), usual)
            if finding is not None:
                findings.append(finding)
    return findings if key.startswith("user:") else findings + _successes(key, rows)


def _episodes(marked: list[Login], pause: int) -> list[list[Login]]:
    """Cut where nothing happened for longer than `pause`."""
    out: list[list[Login]] = []
    for row in marked:
        if not out or row.at - out[-1][-1].at > pause:
            out.append([])
        out[-1].append(row)
    return out


def _finding(key: str, marked: list[Login], bit: int, what: tuple[str, str], usual: int) -> Finding | None:
    """The attempts of one episode that no earlier finding holds."""
    fresh = [r for r in marked if not r.told & bit]
    if not fresh:
        return None
    for row in fresh:
        row.told |= bit
    name, level = what
    kind, _, value = key.partition(":")
    return Finding(
        rule(MODEL.name_of(name), level, _tags(bit), MODEL.version, (OF_USER if kind == "user" else OF_SOURCE,)),
        (Entity(kind, value),), at(fresh[0].at), at(fresh[-1].at), len(fresh), capped([r.id for r in fresh]),
        (_why(key, marked, usual),), _evidence(kind, value, "failure"), at(marked[0].at), at(marked[-1].at + SECOND),
        exercise=all(r.exercise for r in fresh), related=_related(kind, fresh),
    )  # fmt: skip


def _tags(bit: int) -> tuple[str, ...]:
    return (*_TAGS, "attack.t1110.001" if bit in (BURST, SLOWLY) else "attack.t1110.003")


def _why(key: str, rows: Sequence[Login], usual: int) -> Reason:
    kind, _, value = key.partition(":")
    users = Counter(r.user for r in rows if r.user)
    sources = Counter(r.source for r in rows if r.source)
    hosts = Counter(r.host for r in rows if r.host)
    text = {"ip": "failures_of_source", "host": "failures_at_host", "user": "failures_of_user"}[kind]
    return reason(
        "event.outcome", len(rows), usual, text, who=value, n=len(rows), users=len(users), sources=len(sources), hosts=len(hosts),
        names=_top(users), addresses=_top(sources), usual=usual,
        first=show_local(at(rows[0].at)), last=show_local(at(rows[-1].at)),
    )  # fmt: skip


def _top(counter: Counter[str]) -> str:
    shown = ", ".join(name for name, _ in sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:5])
    return f"{shown}, …" if len(counter) > 5 else shown


def _evidence(kind: str, value: str, outcome: str = "") -> str:
    who = {"ip": address_test(value), "host": is_value("host.name", value), "user": is_value("user.name", value)}[kind]
    result = [is_value("event.outcome", outcome)] if outcome else []
    return query_text(is_value("event.category", "authentication"), *result, who)


def _related(kind: str, rows: Sequence[Login]) -> tuple[Entity, ...]:
    """Who and what else was involved, the most frequent first, at most INVOLVED of each."""
    found: list[Entity] = []
    for name, counter in (
        ("user", Counter(r.user for r in rows)), ("host", Counter(r.host for r in rows)), ("ip", Counter(r.source for r in rows)),
    ):  # fmt: skip
        if name != kind:
            found += [Entity(name, v) for v, _ in sorted(counter.items(), key=lambda i: (-i[1], i[0]))[:INVOLVED] if v]
    return tuple(found)


def _successes(key: str, rows: Sequence[Login]) -> list[Finding]:
    """Successes from a source that guessed: of a user it failed for, or during a spray of whoever got in."""
    failures = [r for r in rows if not r.ok]
    moments = [r.at for r in failures]
    through = [(r.at, r.user) for r in rows if r.ok]
    out = []
    for login in rows:
        if login.ok and not login.told & SUCCESS:
            near = failures[bisect_left(moments, login.at - AFTER) : bisect_right(moments, login.at)]
            tries = _guesses(login, near, through)
            if tries:
                login.told |= SUCCESS
                out.append(_success(key, login, tries))
    return out


def _guesses(login: Login, near: Sequence[Login], through: Sequence[tuple[int, str]]) -> list[Login]:
    """The failures that the success ends; empty when it is an ordinary one."""
    own = [r for r in near if r.user == login.user]
    if len({r.at // SECOND for r in own}) >= GUESSED:
        return own
    sprayed = [r for r in near if r.told & SPRAY]
    if not sprayed:
        return []
    return sprayed if own or len({user for at_, user in through if at_ >= sprayed[0].at}) <= STREAMED else []


def _success(key: str, login: Login, tries: Sequence[Login]) -> Finding:
    kind, _, value = key.partition(":")
    ids = [*capped([r.id for r in tries], 100), login.id]
    why = reason(
        "event.outcome", "success", "", "success_after_failures", user=login.user, who=value, n=len(tries),
        users=len({r.user for r in tries if r.user}), last=show_local(at(login.at)), first=show_local(at(tries[0].at)),
    )  # fmt: skip
    return Finding(
        rule(MODEL.name_of(".success"), "high", (*_TAGS, "attack.initial_access", "attack.t1078"), MODEL.version, (GUESSED, AFTER)),
        tuple(sorted({Entity(kind, value), Entity("user", login.user)} if login.user else {Entity(kind, value)})),
        at(tries[0].at), at(login.at), len(ids), tuple(ids), (why,), _evidence(kind, value), at(tries[0].at), at(login.at + SECOND),
        exercise=login.exercise, related=(Entity("host", login.host),) if login.host else (),
    )  # fmt: skip


def _kept(groups: Mapping[str, list[Login]], notes: list[str]) -> dict[str, list[list[object]]]:
    """What later scans need: the fast window, and the newest attempts of a day; only of those who failed; bounded."""
    newest = max((rows[-1].at for rows in groups.values() if rows), default=0)
    alive: list[tuple[int, str, list[Login]]] = []
    for key, rows in groups.items():
        end = rows[-1].at
        if end <= newest - DAY or all(r.ok for r in rows):
            continue
        fast = [r for r in rows if r.at > end - AFTER][-KEEP_FAST:]
        older = [r for r in rows if end - SLOW < r.at <= end - AFTER and not r.ok and not r.told & (BURST | SPRAY | SPREAD)][-KEEP:]
        alive.append((end, key, [*older, *fast]))
    if len(alive) > KEEP_KEYS:
        notes.append(i18n.t("anomaly.shed", model=MODEL.name, n=len(alive) - KEEP_KEYS))
        alive = sorted(alive, key=lambda a: (a[0], a[1]))[-KEEP_KEYS:]
    return {key: [r.to_json() for r in rows] for _, key, rows in alive}
