"""Correlations in `soc rules check`: they see with the eyes of their base rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from detectors.sigma.model import LogSource, Other
from detectors.sigma.route import Blind, Feed, feeds
from jobs.rule_seen import Seen
from jobs.rule_state import BLIND, ERROR, LIVE, PARTIAL, State, Why


def judged(correlations: Sequence[Other], states: Sequence[State], seen: Seen | None) -> list[State]:
    """The correlations, those that others name first. `states`: the rules; a correlation among them is BLIND already.

    `seen`: what the store holds, for the fields of `group-by`; None = they are taken to be there.
    """
    known = {key: state for state in states for key in (state.id, state.name) if key}
    left = [other for other in correlations if str(other.data.get("id")) not in known]
    out: list[State] = []
    while left:
        waiting = {str(other.data[key]) for other in left for key in ("id", "name") if other.data.get(key)}
        ready = [other for other in left if not _bases(other) & waiting] or list(left)
        for other in ready:
            left.remove(other)
            state = _correlation(other, known, seen)
            out.append(state)
            known |= {key: state for key in (state.id, state.name) if key}
    return out


def _bases(other: Other) -> set[str]:
    spec = other.data.get("correlation")
    rules = spec.get("rules") if isinstance(spec, dict) else None
    return {str(rule) for rule in ([rules] if isinstance(rules, str) else rules or ())}


def _correlation(other: Other, known: Mapping[str, State], seen: Seen | None) -> State:
    """All of its bases, or, where it counts, the best of them. A base that lacks a field of `group-by` gives it nothing."""
    data, spec = other.data, other.data["correlation"]
    tags = tuple(str(tag) for tag in data.get("tags") or ())
    ident, title, level, name = (str(data.get(key) or "") for key in ("id", "title", "level", "name"))
    made = State(LIVE, ident, title, level, other.file, tags, name=name)
    bases = {rule: known.get(rule) for rule in sorted(_bases(other))}
    grouped = {rule: _ungrouped(spec, base, seen) for rule, base in bases.items() if base}
    blind = [rule for rule, base in bases.items() if base is None or base.status in (BLIND, ERROR) or grouped[rule]]
    worse = [rule for rule, base in bases.items() if rule in blind or (base and base.status != LIVE)]
    if not worse:
        return made
    lost = bool(blind) if _needs_all(spec) else len(blind) == len(bases)
    labels = {rule: base.title if base else rule for rule, base in bases.items()}
    missing = {field for rule in blind if (base := bases[rule]) for field in (*base.missing, *grouped[rule])}
    why: list[Why] = [("bases_blind" if blind else "bases_partial", {"rules": ", ".join(labels[rule] for rule in (blind or worse))})]
    groups = sorted({field for rule in blind for field in grouped.get(rule, ())})
    why += [("group_never_seen", {"fields": ", ".join(groups)})] if groups else []
    source = next((base.source for rule in (blind or worse) if (base := bases[rule])), ("", "", ""))
    return replace(made, status=BLIND if lost else PARTIAL, why=tuple(why), missing=tuple(sorted(missing)), source=source)


def _needs_all(spec: Mapping[str, Any]) -> bool:
    return str(spec.get("type", "")).startswith("temporal") and not spec.get("condition")


def _ungrouped(spec: Mapping[str, Any], base: State, seen: Seen | None) -> tuple[str, ...]:
    """Event fields of `group-by` that no event of the base's log source holds; unknown where names are aliases."""
    fields = [str(field) for field in spec.get("group-by") or ()]
    if seen is None or spec.get("aliases") or not any(base.source) or base.status == BLIND:
        return ()
    gone: tuple[str, ...] = ()
    for feed in feeds(LogSource(*base.source)):
        names = [name for field in fields if (name := _named(feed, field))]
        for dataset in seen.datasets(feed.when):
            gone = tuple(name for name in names if name not in seen.held(dataset))
            if not gone:
                return ()
    return gone


def _named(feed: Feed, field: str) -> str:
    try:
        return feed.map.name(field)
    except Blind:
        return field
