"""What the logs say of themselves, in words: cleared logs, changed auditing, missing records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from domain.clock import iso_local, show_local
from domain.i18n import t
from jobs.hunt_found import instant
from jobs.hunt_logs import SERIOUS, Gap, LogReport, Mark, Marked, Records

_GAPS: Final = 5
"""Gaps of one log that are told one by one: the widest."""
_STATS: Final = 1_000
"""Logs and marks in the figures."""


@dataclass(frozen=True)
class Told:
    """One line of the timeline."""

    at: int | None
    what: str
    """Kind, as people read it."""
    text: str
    host: str
    source: str = ""
    record: str = ""
    tag: str = "gap"
    """Kind, for programs."""


def shown(at: int | None) -> str:
    """A time as people read it; `?` when it is not known."""
    return show_local(instant(at)) if at is not None else "?"


def rows(records: Records) -> list[Told]:
    """Marks and gaps, for the timeline."""
    out = [_marked(mark, found) for mark, found in records.marks()]
    for log in records.logs():
        out += [_restarted(log, one) for one in log.restarts[:_GAPS]]
        if log.verdict == "gaps":
            out += [_gap(log, gap) for gap in log.gaps[:_GAPS]]
        elif log.verdict == "filtered":
            out.append(Told(None, t("hunt.kind_gap"), filtered(log), log.host))
    return out


def lines(records: Records, most: int = 12) -> list[str]:
    """Sentences for the terminal: what a responder must know, worst first; exports with a filter in one line."""
    logs = records.logs()
    out = [_marked(mark, found).text for mark, found in records.marks(SERIOUS)]
    out += [_summary(log) for log in logs if log.verdict == "gaps"]
    out += [_restarted(log, one).text for log in logs if log.verdict != "filtered" for one in log.restarts[:1]]
    left = out[most:]
    out = out[:most] + ([t("hunt.logs_more", n=len(left))] if left else [])
    exported = sum(log.verdict == "filtered" for log in logs)
    out += [t("hunt.logs_filtered", n=exported, all=len(logs))] if exported else []
    return [*out, *([t("hunt.logs_shed", n=records.shed)] if records.shed else [])]


def _marked(mark: Mark, found: Marked) -> Told:
    what = t(f"hunt.kind_{mark.kind}")
    user = t("hunt.by_user", user=mark.user) if mark.user else ""
    until = t("hunt.until", at=shown(found.last)) if shown(found.last) != shown(found.first) else ""
    text = t(
        "hunt.marked", what=what, host=mark.host or "…", channel=mark.channel, at=shown(found.first), user=user, until=until, n=found.count
    )
    return Told(found.first, what, text, mark.host, found.source, str(found.record), mark.kind)


def _summary(log: LogReport) -> str:
    widest = log.gaps[0] if log.gaps else Gap(0, 0, None, None)
    if log.gap_count == 1:
        return _gap(log, widest).text
    return t(
        "hunt.gaps", n=log.missing, host=log.host, channel=log.channel, gaps=log.gap_count, after=shown(widest.after),
        before=shown(widest.before), widest=widest.missing,
    )  # fmt: skip


def details(log: LogReport) -> list[str]:
    """Its widest gaps, and where its clock went back."""
    found = [_gap(log, gap).text for gap in log.gaps[:_GAPS]] if log.verdict == "gaps" else []
    more = log.gap_count - len(found)
    return [
        *found,
        *([t("hunt.gaps_more", n=more)] if found and more > 0 else []),
        *(_restarted(log, one).text for one in log.restarts[:_GAPS]),
    ]


def _gap(log: LogReport, gap: Gap) -> Told:
    text = t(
        "hunt.gap", n=gap.missing, host=log.host, channel=log.channel, start=gap.start, stop=gap.stop,
        after=shown(gap.after), before=shown(gap.before),
    )  # fmt: skip
    return Told(gap.before if gap.before is not None else gap.after, t("hunt.kind_gap"), text, log.host)


def _restarted(log: LogReport, times: tuple[int, int]) -> Told:
    text = t("hunt.restarted", host=log.host, channel=log.channel, late=shown(times[0]), early=shown(times[1]))
    return Told(times[1], t("hunt.kind_restart"), text, log.host, tag="restart")


def filtered(log: LogReport) -> str:
    """`máy X, Security: 412 of 9,000 numbers: exported with a filter?`; for the terminal and the timeline."""
    span = log.high - log.low + 1
    return t("hunt.filtered", host=log.host, channel=log.channel, have=span - log.missing, span=span)


def stats(records: Records) -> dict[str, Any]:
    """The `gaps` and `marks` of the figures."""
    return {
        "gaps": [_log(log) for log in records.logs()[:_STATS] if log.missing or log.restarts],
        "marks": [
            {"kind": m.kind, "host": m.host, "channel": m.channel, "user": m.user, "count": d.count, "first": iso(d.first),
             "last": iso(d.last), "source": d.source, "record": d.record}
            for m, d in records.marks()
        ],
    }  # fmt: skip


def _log(log: LogReport) -> dict[str, Any]:
    return {
        "host": log.host, "channel": log.channel, "records": log.records, "first": log.low, "last": log.high, "missing": log.missing,
        "verdict": log.verdict, "gap_count": log.gap_count,
        "gaps": [
            {"from": g.start, "to": g.stop, "missing": g.missing, "after": iso(g.after), "before": iso(g.before)} for g in log.gaps[:20]
        ],
        "restarts": [{"late": iso(a), "early": iso(b)} for a, b in log.restarts[:20]],
    }  # fmt: skip


def iso(at: int | None) -> str | None:
    """ISO 8601 with offset."""
    return iso_local(instant(at)) if at is not None else None
