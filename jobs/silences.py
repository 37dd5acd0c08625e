"""Silences: made, listed, ended. What a silence covers is still found and counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from domain import alert as alerts
from domain import silence as silences
from domain.alert import Alert, Entity
from domain.errors import UsageError
from domain.silence import Silence, created_body, silence_id
from domain.text import clean
from jobs.alerts import every as every_alert
from jobs.alerts import resolve
from store.base import NewRecord, RecordStore

if TYPE_CHECKING:
    from jobs.runtime import Runtime

PAST: Final = timedelta(days=30)
"""How far back a new silence is tried out."""


@dataclass(frozen=True)
class Wish:
    """A silence that somebody asks for."""

    rule: str
    """Pattern of rule ids; empty = every rule."""
    entities: tuple[Entity, ...]
    """Patterns of which each must be met."""
    until: datetime
    reason: str


@dataclass(frozen=True)
class Hush:
    """What a new silence does."""

    silence: Silence
    covered: tuple[Alert, ...] = ()
    """Alerts of the last 30 days that it would have kept quiet."""
    quietened: tuple[str, ...] = ()
    """Open alerts that it keeps quiet from now on."""


def silence(runtime: Runtime, wish: Wish, *, dry_run: bool = False) -> Hush:
    """Keep findings quiet until then. UsageError when it would have hidden a confirmed attack, covers everything or has no reason."""
    now = runtime.clock.now()
    made = _made(wish, runtime.actor, now)
    records = runtime.store.records
    covered = [
        a for a in every_alert(records).values() if a.last >= now - PAST and made.covers(a.rule.id, (*a.entities, *a.related), a.last)
    ]
    confirmed = [a for a in covered if a.verdict == "true_positive"]
    if confirmed:
        raise UsageError(
            f"this silence would have hidden {len(confirmed)} confirmed attack(s), e.g. alert {confirmed[0].id}",
            hint="narrow it: name the rule and the entity",
        )
    quiet = [a for a in covered if a.is_open and not a.incident]
    if not dry_run:
        new = [NewRecord(silences.STREAM, made.id, "created", created_body(made), runtime.actor)]
        new += [NewRecord(alerts.STREAM, a.id, "silenced", {"silence": made.id}, runtime.actor) for a in quiet]
        records.append(new, now, {(silences.STREAM, made.id): 0, **{(alerts.STREAM, a.id): a.version for a in quiet}})
    return Hush(made, tuple(covered), tuple(a.id for a in quiet))


def _made(wish: Wish, owner: str, now: datetime) -> Silence:
    why = clean(wish.reason.strip(), 2000)
    if not why:
        raise UsageError("--reason: why? (mandatory: an expired silence is renewed or dropped by it)")
    if wish.until <= now:
        raise UsageError("the end of the silence lies in the past")
    rule = wish.rule or "*"
    if not rule.strip("*?") and not any(e.value.strip("*?") for e in wish.entities):
        raise UsageError(
            "a silence needs a rule, an entity or both; everything cannot be silenced", hint="--rule ID --entity ip=203.0.113.5"
        )
    return Silence(silence_id(rule, wish.entities, now), rule, wish.entities, wish.until, owner, why, now)


def every(records: RecordStore) -> list[Silence]:
    """Every silence, also revoked and expired ones, newest first."""
    return sorted(silences.fold(records.find(silences.STREAM)).values(), key=lambda s: s.created, reverse=True)


def revoke(runtime: Runtime, prefix: str) -> Silence:
    """End a silence now; what it kept quiet is open again."""
    records = runtime.store.records
    known = {s.id: s for s in every(records)}
    chosen = known[resolve(known, prefix, "silence", "soc alerts silences")]
    quiet = [a for a in every_alert(records).values() if a.status == "silenced" and a.silence == chosen.id]
    new = [NewRecord(silences.STREAM, chosen.id, "revoked", {}, runtime.actor)]
    new += [NewRecord(alerts.STREAM, a.id, "reopened", {"reason": "silence_revoked"}, runtime.actor) for a in quiet]
    records.append(new, runtime.clock.now(), {(alerts.STREAM, a.id): a.version for a in quiet})
    return chosen
