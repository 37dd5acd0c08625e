"""What a hunt says of itself: which rules, over what, what to do next. For the terminal and the page."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from domain import spoken
from domain.clock import show_local
from domain.i18n import t
from jobs.hunt_page import About, number
from jobs.hunt_told import shown

if TYPE_CHECKING:
    from jobs.hunt_run import Asked, Outcome
    from jobs.runtime import Runtime

_PATHS: Final = 3
"""Paths that commands repeat; the others are left to the reader."""


def about(runtime: Runtime, asked: Asked, outcome: Outcome) -> About:
    """For the page."""
    figures, result = outcome.figures, outcome.result
    where = ", ".join(asked.paths) if asked.paths else t("hunt.fact_store", place=runtime.store_url)
    period = [(t("hunt.fact_period"), f"{asked.since or '…'} – {asked.until or '…'}")] if asked.since or asked.until else []
    level = [(t("hunt.fact_level"), t(f"alerts.level_{asked.min_level}"))] if asked.min_level else []
    span = (
        [(t("hunt.fact_range"), f"{shown(result.records.span.first)} – {shown(result.records.span.last)}")]
        if result.records.span.first is not None
        else []
    )
    size = t(
        "hunt.fact_size_is", files=number(result.files), bytes=number(sum(f.size for f in result.inputs)), events=number(result.events),
        unparsed=number(result.unparsed.total()),
    )  # fmt: skip
    pace = t("hunt.fact_time_is", seconds=number(figures["seconds_total"]), rate=number(figures["events_per_second"]))
    facts = [
        (t("hunt.fact_paths"), where),
        (t("hunt.fact_by"), runtime.actor),
        (t("hunt.fact_rules"), rules_from(asked, outcome)),
        (t("hunt.fact_version"), outcome.rules.fingerprint),
        *level,
        *period,
        *span,
        (t("hunt.fact_size"), size),
        (t("hunt.fact_time"), pace),
    ]
    made = t("hunt.page_made", at=show_local(runtime.clock.now()))
    return About(facts, notes(asked, outcome), steps(asked, outcome), made, partial(outcome), outcome.hashes)


def rules_from(asked: Asked, outcome: Outcome) -> str:
    """`120 đi kèm, 2,841 từ gói sigma`."""
    other = "hunt.rules_named" if asked.rules else "hunt.rules_pack"
    named = {"shipped": "rules_shipped", "content": "rules_content"}
    known = sorted(outcome.origins.items(), key=lambda i: (i[0] not in named, i[0]))
    parts = [t(f"hunt.{named[name]}", n=n) if name in named else t(other, n=n, name=name) for name, n in known]
    return ", ".join(parts)


def partial(outcome: Outcome) -> str:
    """Why the result is not whole; empty = it is."""
    return t("hunt.partial", files=outcome.result.files, events=outcome.result.events) if outcome.stopped else ""


def notes(asked: Asked, outcome: Outcome) -> list[str]:
    """What the reader must know of the result."""
    out = [t("hunt.own_rules", n=sum(outcome.origins.values()))] if outcome.only_ours and not asked.rules else []
    out += [t("hunt.outside", n=outcome.result.outside)] if outcome.result.outside else []
    out += [t("hunt.untimed", n=outcome.tally.untimed)] if outcome.tally.untimed else []
    return out


def steps(asked: Asked, outcome: Outcome) -> list[tuple[str, str]]:
    """(what to do next, command)."""
    paths = (
        " ".join(shlex.quote(p) for p in asked.paths[:_PATHS]) + (" …" if len(asked.paths) > _PATHS else "") if asked.paths else "--store"
    )
    rules = "".join(f" --rules {shlex.quote(r)}" for r in asked.rules)
    out = _why(outcome, rules)
    if outcome.tally.total and not asked.outs:
        out.append((t("hunt.next_out"), f"soc hunt {paths}{rules} --out hits.jsonl --out timeline.csv"))
    if outcome.tally.total and not asked.html:
        out.append((t("hunt.next_html"), f"soc hunt {paths}{rules} --html hunt.html"))
    if outcome.tally.total and asked.paths:
        given = " ".join(f"--path {shlex.quote(p)}" for p in asked.paths[:_PATHS])
        out.append((t("hunt.next_evidence"), f"soc collect once {given} --incident ID"))
    if outcome.only_ours and not asked.rules:
        out.append((t("hunt.next_import"), "soc rules import sigma_all_rules.zip"))
    return out


def _why(outcome: Outcome, rules: str) -> list[tuple[str, str]]:
    """How to see why the worst rule matched."""
    found = next(((one.ref, hit) for one in outcome.tally.ranked() for hit in one.samples), None)
    if found is None:
        return []
    ref, hit = found
    path = next((f.path for f in outcome.result.inputs if f.label == hit.source), None)
    place = f"{path}#{hit.record}" if path else hit.id
    return [(t("hunt.next_why"), f"soc rules explain {ref.id} {shlex.quote(place)}{rules}")] if place else []


def levels(outcome: Outcome) -> str:
    """`nghiêm trọng 3 lần (2 luật), cao …`."""
    found = outcome.tally.levels().items()
    return ", ".join(
        t("hunt.levels_part", level=t(f"alerts.level_{level}"), hits=number(hits), rules=rules) for level, (rules, hits) in found
    )


def tactics(outcome: Outcome) -> str:
    """`thực thi 12, duy trì hiện diện 3`."""
    return ", ".join(f"{spoken.tactic(name)} {number(hits)}" for name, hits, _ in outcome.tally.tactics())
