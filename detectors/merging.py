"""Alerts that late events change: two that turn out to be one, and events that turn out not to belong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

from detectors import grouping
from detectors.draft import Draft
from domain import alert_fold as folding
from domain.alert import MAX_EVENTS, Alert, Finding
from domain.i18n import t

FOLD: Final = timedelta(hours=24)
"""The same thing within this time of an alert is the same alert."""


class Lasting(Protocol):
    """Anything that happened from one time to another."""

    @property
    def first(self) -> Any:
        """Its beginning."""

    @property
    def last(self) -> Any:
        """Its end."""


def near(alert: Alert, other: Lasting) -> bool:
    """Whether something of the same rule and entities belongs to the alert."""
    return bool(other.first <= alert.last + FOLD and other.last >= alert.first - FOLD)


def join(draft: Draft, same: Sequence[str], alert: Alert, told: list[tuple[str, str]]) -> Alert:
    """Merge alerts of the same rule and entities that have come near; the alert that stays. What was merged is added to `told`."""
    while True:
        others = (draft.alert(key) for key in same if key != alert.id)
        other = next((o for o in others if o.status != "closed" and o.exercise == alert.exercise and near(alert, o)), None)
        if other is None:
            return alert
        stays, goes = sorted((alert, other), key=_standing)
        alert = _merge(draft, stays, goes)
        told.append((goes.id, stays.id))


def _standing(alert: Alert) -> tuple[object, ...]:
    """What stays comes first: what people see, what somebody has taken, what began earlier."""
    return alert.status == "silenced", alert.acked_at is None and not alert.assignee, alert.first, alert.id


def _merge(draft: Draft, stays: Alert, goes: Alert) -> Alert:
    known = draft.known(stays.id)
    fresh = [e for e in goes.events if e not in known]
    body: dict[str, Any] = {
        "from": goes.id, "count": max(len(fresh), goes.count - (len(goes.events) - len(fresh))), "first": folding.utc(goes.first),
        "last": folding.utc(goes.last), "events": fresh[: max(0, MAX_EVENTS - len(stays.events))],
        "related": folding.pairs(e for e in goes.related if e not in stays.related),
    }  # fmt: skip
    known.update(body["events"])
    draft.write(goes.id, "merged", {"into": stays.id, "reason": t("correlation.merged_reason", id=stays.id[:8])})
    alert = draft.write(stays.id, "merged", body)
    return grouping.follow(draft, alert, goes)


def withdraw(draft: Draft, same: Iterable[str], finding: Finding) -> list[str]:
    """Take events off the open alerts that hold them; ids of these alerts. One that holds nothing else is closed."""
    out = []
    for key in same:
        alert = draft.alert(key)
        known = draft.known(key)
        gone = [e for e in finding.events if e in known]
        if alert.status == "closed" or alert.exercise != finding.exercise or not gone:
            continue
        body: dict[str, Any] = {"count": len(gone), "events": gone, "reason": t("correlation.withdrawn_reason")}
        if finding.withdrawn is not None and alert.first >= finding.withdrawn and alert.count > len(gone):
            body |= {"first": folding.utc(max(alert.first, finding.first)), "last": folding.utc(min(alert.last, finding.last))}
        known.difference_update(gone)
        draft.write(key, "withdrawn", body)
        out.append(key)
    return out
