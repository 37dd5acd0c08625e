"""Findings -> records: fold what is the same, count what is silenced, group what belongs together. Pure; writes nothing.

Folding goes by event time, so that the alerts and their ids are the same however the findings are cut into scans: the same rule
about the same entities within 24 h of an open alert is that alert with a higher count. Events that an alert already holds are not
counted again, so a scan or a retro-hunt may be repeated. A late event may show that two alerts are one: the older one stays, or the one
that somebody works on, the other is closed as its duplicate, and both say so (`detectors.merging`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from detectors import merging
from detectors.alert_index import AlertIndex
from detectors.draft import Draft
from detectors.grouping import group
from domain import alert_fold as folding
from domain.alert import MAX_EVENTS, Alert, Finding, alert_id
from domain.clock import LOCAL
from domain.i18n import t
from store.base import NewRecord

__all__ = ["AlertIndex", "Triaged", "triage"]


@dataclass(frozen=True)
class Triaged:
    """What to store, all at once, through `commit_scan` or `append`."""

    records: list[NewRecord]
    expect: dict[tuple[str, str], int]
    """(stream, key) -> version that every touched alert and incident must still have; 0 = does not exist yet."""
    opened: list[str] = field(default_factory=list)
    """Ids of new alerts."""
    updated: list[str] = field(default_factory=list)
    """Ids of known alerts with more events."""
    silenced: int = 0
    """Findings that a silence covers: counted on their alerts, shown to nobody."""
    merged: list[tuple[str, str]] = field(default_factory=list)
    """(alert, alert that it turned out to be): the first is closed as a duplicate."""
    withdrawn: list[str] = field(default_factory=list)
    """Ids of alerts that lost events, as late events have shown."""

    @property
    def notes(self) -> list[str]:
        """What late events have changed about alerts, in words."""
        joined = [t("correlation.merged", gone=gone[:8], into=into[:8]) for gone, into in self.merged]
        return joined + [t("correlation.withdrawn", id=key[:8]) for key in self.withdrawn]


def triage(findings: Sequence[Finding], index: AlertIndex, now: datetime) -> Triaged:
    """Records for these findings over what is known. `now` is when they are found: the T0 of incidents that they open."""
    draft = Draft(index, now)
    opened: dict[str, None] = {}
    updated: dict[str, None] = {}
    merged: list[tuple[str, str]] = []
    withdrawn: dict[str, None] = {}
    silenced = 0
    for finding in sorted(findings, key=_order):
        if finding.withdrawn is not None:
            withdrawn |= dict.fromkeys(merging.withdraw(draft, draft.of_key(finding), finding))
            continue
        alert, fresh = _place(draft, finding)
        if alert is None:
            continue
        if fresh:
            opened[alert.id] = None
        elif alert.id not in opened:
            updated[alert.id] = None
        alert = merging.join(draft, draft.of_key(finding), alert, merged)
        alert = _quieten(draft, alert, finding)
        if alert.status == "silenced":
            silenced += 1
        else:
            group(draft, alert)
    gone = {key for key, _ in merged}
    return Triaged(
        draft.records, draft.expect, [k for k in opened if k not in gone], [k for k in updated if k not in gone], silenced, merged,
        list(withdrawn),
    )  # fmt: skip


def _order(finding: Finding) -> tuple[object, ...]:
    return finding.withdrawn is not None, finding.first, finding.last, finding.rule.id, finding.entities, finding.events


def _place(draft: Draft, finding: Finding) -> tuple[Alert | None, bool]:
    """Fold the finding into its alert, or open one. (None, False) when it brings nothing new."""
    same = draft.of_key(finding)
    if _told(draft, same, finding):
        return None, False
    for key in reversed(same):
        alert = draft.alert(key)
        if alert.status != "closed" and alert.exercise == finding.exercise and merging.near(alert, finding):
            return _more(draft, alert, finding), False
    return _open(draft, same, finding), True


def _told(draft: Draft, same: Sequence[str], finding: Finding) -> bool:
    """Whether some alert, open or closed, already holds all of it."""
    for key in same:
        alert = draft.alert(key)
        if finding.events:
            if draft.known(key).issuperset(finding.events):
                return True
            if finding.retro and len(alert.events) >= MAX_EVENTS and alert.first <= finding.first and finding.last <= alert.last:
                return True
        elif alert.first <= finding.first and finding.last <= alert.last:
            return True
    return False


def _more(draft: Draft, alert: Alert, finding: Finding) -> Alert:
    known = draft.known(alert.id)
    fresh = [e for e in finding.events if e not in known]
    if finding.events:
        count = max(len(fresh), finding.count - (len(finding.events) - len(fresh)))
    else:
        count = 0 if finding.first <= alert.last and alert.first <= finding.last else finding.count
    body: dict[str, Any] = {
        "count": count, "first": folding.utc(finding.first), "last": folding.utc(finding.last),
        "events": fresh[: max(0, MAX_EVENTS - len(alert.events))],
    }  # fmt: skip
    more = [e for e in finding.related if e not in alert.related]
    if more:
        body["related"] = folding.pairs(more)
    if finding.reasons != alert.reasons and (finding.rule.kind == "anomaly" or _stronger(finding, alert)):
        body |= folding.explanation(finding)
    known.update(body["events"])
    return draft.write(alert.id, "hits", body)


def _stronger(finding: Finding, alert: Alert) -> bool:
    """Whether a correlation has counted more than the alert says (less, where few is what it asks for)."""
    if finding.rule.kind != "correlation" or not finding.reasons or not alert.reasons:
        return False
    new, old = finding.reasons[0], alert.reasons[0]
    try:
        return float(new.value) < float(old.value) if new.expected.startswith("lt") else float(new.value) > float(old.value)
    except ValueError:
        return False


def _open(draft: Draft, same: list[str], finding: Finding) -> Alert:
    day = finding.first.astimezone(LOCAL).date().isoformat()
    ordinal = 0
    while (key := alert_id(finding.rule.id, finding.entities, day, ordinal)) in same:
        ordinal += 1
    same.append(key)
    return draft.write(key, "opened", folding.opened_body(key, finding))


def _quieten(draft: Draft, alert: Alert, finding: Finding) -> Alert:
    """Silence a new alert that a silence covers; wake one whose silence has ended."""
    entities = (*finding.entities, *finding.related)
    cover = next((s for s in draft.index.silences if s.covers(finding.rule.id, entities, finding.last)), None)
    if cover is not None and alert.status == "new" and not alert.incident:
        return draft.write(alert.id, "silenced", {"silence": cover.id})
    if cover is None and alert.status == "silenced":
        return draft.write(alert.id, "reopened", {"reason": "silence_ended"})
    return alert
