"""The facts of a hunt's page: everything that reports/hunt shows, as text and numbers. In bounded size, whatever the logs hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from detectors.sigma.ruleset import RuleSet
from domain import severity, spoken
from domain.clock import LOCAL, show_local
from domain.document import number_text
from domain.i18n import lang, t
from domain.text import one_line
from jobs import hunt_told
from jobs.hunt import Hunt
from jobs.hunt_found import FileEpisode, FileHit, instant
from jobs.hunt_logs import SERIOUS, LogReport
from jobs.hunt_shown import telling
from jobs.hunt_tally import Count, OfRule, Tally

_RULES: Final = 300
_HOSTS: Final = 200
_FILES: Final = 500
_LOGS: Final = 60
_PROBLEMS: Final = 200
_SAMPLES: Final = 2
"""Examples of a rule of level high or critical; one of the others."""
_BROKEN: Final = 20
"""Broken rules, and reasons of blindness, that are told."""
_BARS: Final = 32
"""Bars of the chart, at most."""
_FIELDS: Final = 8
"""Fields of an example."""
_VALUE: Final = 400
_WORDS: Final = ("hit", "level", "gap", "cleared", "blind", "correlation", "tactic")


@dataclass(frozen=True)
class About:
    """What the command knows of the run."""

    facts: Sequence[tuple[str, str]]
    """(name, value) for the table at the top."""
    notes: Sequence[str] = ()
    """What the reader must know: only our rules, a part of the files, ..."""
    steps: Sequence[tuple[str, str]] = ()
    """(what to do next, command)."""
    made: str = ""
    partial: str = ""
    """Why the result is not whole; empty = it is."""
    hashed: Mapping[str, str] | None = None
    """Label of a file -> SHA-256; None = not asked for."""


def facts(rules: RuleSet, result: Hunt, tally: Tally, about: About) -> dict[str, Any]:
    """Everything that the template asks for."""
    worst = next(iter(tally.levels()), "")
    page = {
        "made": about.made, "partial": about.partial, "facts": about.facts, "notes": list(about.notes), "steps": list(about.steps),
        "figures": _figures(result, tally), "worst": worst, "verdict": _verdict(tally, worst),
        **_logs(result), **_time(tally), **_rules(tally), **_hosts(tally), "tactics": _tactics(tally),
        **_files(result, about.hashed), **_unseen(rules),
        "words": [(t(f"hunt.word_{w}"), t(f"hunt.word_{w}_is")) for w in _WORDS],
    }  # fmt: skip
    page["sections"] = _sections(page)
    return page


def _sections(page: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    always = ("run", "logs", "input", "unseen", "words")
    shown = {"steps": "steps", "time": "bars", "rules": "rules", "hosts": "rules", "attack": "tactics", "details": "rules"}
    names = {"time": "timeline", "hosts": "by_host"}
    order = ("run", "steps", "logs", "time", "rules", "hosts", "attack", "details", "input", "unseen", "words")
    return [(id_, t(f"hunt.page_{names.get(id_, id_)}"), id_ in always or bool(page[shown[id_]])) for id_ in order]


def _figures(result: Hunt, tally: Tally) -> list[tuple[str, str]]:
    out = [(number(tally.total), t("hunt.page_hits")), (number(len(tally.rules)), t("hunt.page_rules_hit"))]
    out += [(number(hits), t(f"alerts.level_{level}")) for level, (_, hits) in tally.levels().items()]
    out += [
        (number(len(tally.hosts)), t("hunt.page_hosts")),
        (number(result.events), t("hunt.page_events")),
        (number(result.files), t("hunt.page_files")),
    ]
    return out


def _verdict(tally: Tally, worst: str) -> str:
    if not worst:
        return t("hunt.page_nothing")
    first = tally.ranked()[0]
    host = max(first.hosts.items(), key=lambda i: i[1].hits)[0]
    return t("hunt.page_worst", level=t(f"alerts.level_{worst}"), rule=first.ref.title, host=one_line(host, 80) or "?", n=first.all.hits)


def _logs(result: Hunt) -> dict[str, Any]:
    marks = [
        {"what": t(f"hunt.kind_{m.kind}"), "serious": m.kind in SERIOUS, "host": m.host, "channel": m.channel, "user": m.user or "?",
         "count": number(d.count), "first": hunt_told.shown(d.first), "last": hunt_told.shown(d.last), "where": f"{d.source} · {d.record}"}
        for m, d in result.records.marks()
    ]  # fmt: skip
    logs = result.records.logs()
    told = [log for log in logs if log.verdict == "gaps" or (log.restarts and log.verdict == "whole")]
    exported = sum(log.verdict == "filtered" for log in logs)
    notes = [t("hunt.logs_filtered", n=exported, all=len(logs))] if exported else []
    notes += [t("hunt.logs_shed", n=result.records.shed)] if result.records.shed else []
    more = max(len(told) - _LOGS, 0) + max(len(marks) - _LOGS, 0)
    notes += [t("hunt.page_more", n=more)] if more else []
    return {
        "marks": marks[:_LOGS], "gaps": [_gaps(log) for log in told[:_LOGS]], "log_notes": notes, "numbered": bool(logs),
    }  # fmt: skip


def _gaps(log: LogReport) -> dict[str, Any]:
    return {"host": log.host, "channel": log.channel, "missing": number(log.missing), "lines": hunt_told.details(log)}


def _time(tally: Tally) -> dict[str, Any]:
    """Bars of whole hours or days: as fine as the chart has room for."""
    if not tally.hours:
        return {"bars": [], "chart_notes": []}
    low, high = min(tally.hours), max(tally.hours)
    width = next((w for w in (1, 2, 3, 6, 12, 24) if high // w - low // w < _BARS), 0) or math.ceil((high - low + 1) / _BARS / 24) * 24
    start, stop = (low + 7) // width, (high + 7) // width
    bars: dict[int, Counter[str]] = {place: Counter() for place in range(start, stop + 1)}
    for hour, counts in tally.hours.items():
        bars[(hour + 7) // width].update(counts)
    form = ("%H:%M" if high - low < 24 else "%d %Hh") if width < 24 else "%d/%m" if high - low < 300 * 24 else "%m/%y"
    shown = [(_local(place * width - 7).strftime(form), dict(n)) for place, n in bars.items()]
    span = t("hunt.page_from_to", first=show_local(_local(low)), last=show_local(_local(high + 1)))
    notes = [f"{t('hunt.page_bar', n=width) if width < 24 else t('hunt.page_bar_days', n=width // 24)} {span}"]
    return {"bars": shown, "chart_notes": [*notes, *([t("hunt.page_untimed", n=tally.untimed)] if tally.untimed else [])]}


def _local(hour: int) -> datetime:
    """The start of an hour, counted in UTC since the epoch."""
    return instant(hour * 3_600_000_000).astimezone(LOCAL)


def _rules(tally: Tally) -> dict[str, Any]:
    ranked = tally.ranked()
    left = ranked[_RULES:]
    notes = [t("hunt.page_rules_more", n=len(left), hits=sum(o.all.hits for o in left))] if left else []
    return {"rules": [_rule(one) for one in ranked[:_RULES]], "rule_notes": notes}


def _rule(one: OfRule) -> dict[str, Any]:
    hosts = sorted(one.hosts.items(), key=lambda i: (-i[1].hits, i[0]))
    names = ", ".join(f"{one_line(h, 60) or '?'} ({number(c.hits)})" for h, c in hosts[:5])
    most = _SAMPLES if severity.rank(one.ref.level) >= severity.rank("high") else 1
    samples = [_sample(hit) for hit in one.samples[:most]]
    samples += [_episode(episode) for episode in one.episodes[:most]]
    attack = spoken.attack(tag for tag in one.ref.tags if tag.lower().startswith("attack."))
    return {
        "level": one.ref.level if one.ref.level in severity.LEVELS else "medium", "title": one.short or one.ref.id,
        "own": one.title if one.title != one.short else "", "hits": number(one.all.hits),
        "hosts": names + (f" … (+{len(hosts) - 5})" if len(hosts) > 5 else ""), **_span(one.all),
        "about": t("hunt.page_rule_about", id=one.ref.id, attack=attack or "–"), "samples": samples,
        "more": t("hunt.page_samples", n=len(samples), all=number(one.all.hits)) if len(samples) < one.all.hits else "",
    }  # fmt: skip


def _span(count: Count) -> dict[str, str]:
    return {"first": hunt_told.shown(count.first), "last": hunt_told.shown(count.last)}


def _sample(hit: FileHit) -> dict[str, Any]:
    at = hunt_told.shown(round(hit.at.timestamp() * 1e6) if hit.at else None)
    fields = [(one_line(name, 120), one_line(text, _VALUE)) for name, text in telling(hit.original())[:_FIELDS]]
    return {"head": f"{at} · {one_line(hit.host, 120) or '?'} · {hit.source} · {hit.record}", "fields": fields}


def _episode(episode: FileEpisode) -> dict[str, Any]:
    fields = [(name, one_line(text, _VALUE)) for name, text in episode.group.items()]
    fields.append((t("hunt.page_where"), "; ".join(f"{source} · {record}" for source, record in episode.records[:5])))
    first, last = hunt_told.shown(episode.start), hunt_told.shown(episode.last)
    return {"head": t("hunt.page_episode", first=first, last=last, n=len(episode.records)), "fields": fields}


def _hosts(tally: Tally) -> dict[str, Any]:
    levels = list(tally.levels())
    counts: dict[str, Counter[str]] = {}
    for one in tally.rules.values():
        for host, count in one.hosts.items():
            counts.setdefault(host, Counter())[one.ref.level] += count.hits
    order = sorted(counts, key=lambda h: ([-counts[h][level] for level in levels], h))
    rows = [
        {"host": one_line(host, 120) or "?", "counts": [number(counts[host][level]) if counts[host][level] else "" for level in levels],
         **_span(tally.hosts.get(host, Count()))}
        for host in order[:_HOSTS]
    ]  # fmt: skip
    return {"levels": levels, "hosts": rows, "host_notes": [t("hunt.page_more", n=len(order) - _HOSTS)] if len(order) > _HOSTS else []}


def _tactics(tally: Tally) -> list[dict[str, Any]]:
    return [
        {"name": spoken.tactic(name), "hits": number(hits), "techniques": [(spoken.attack([tech]), number(n)) for tech, n in found.items()]}
        for name, hits, found in tally.tactics()
    ]


def _files(result: Hunt, hashed: Mapping[str, str] | None) -> dict[str, Any]:
    inside: Counter[str] = Counter()
    for source, n in result.sources.items():
        inside[source.partition("!")[0]] += n
    rows = [
        {"name": f.label, "bytes": number(f.size), "events": number(result.sources.get(f.label, 0) or inside[f.label]),
         "sha256": (hashed or {}).get(f.label, "")}
        for f in result.inputs[:_FILES]
    ]  # fmt: skip
    more = [t("hunt.page_more", n=len(result.inputs) - _FILES)] if len(result.inputs) > _FILES else []
    left = len(result.problems) - _PROBLEMS
    return {
        "files": rows, "hashed": hashed is not None, "file_notes": more + ([t("hunt.more_problems", n=left)] if left > 0 else []),
        "problems": [(p.source, one_line(p.reason, 300)) for p in result.problems[:_PROBLEMS]],
    }  # fmt: skip


def _unseen(rules: RuleSet) -> dict[str, Any]:
    reasons = Counter(b.reason for b in rules.blind)
    broken = [(one_line(b.told, 300), "1") for b in rules.broken[:_BROKEN]]
    loaded = number(len(rules.rules) + len(rules.correlations))
    return {
        "unseen": t("hunt.page_unseen_text", loaded=loaded, blind=len(rules.blind), broken=len(rules.broken)),
        "lacking": [(one_line(reason, 200), number(n)) for reason, n in reasons.most_common(_BROKEN)] + broken,
    }


def number(value: float) -> str:
    """With separators, as the language writes them."""
    return f"{value:,.0f}" if lang() == "en" else number_text(value)
