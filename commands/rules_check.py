"""How `soc rules check` shows log sources, techniques and the summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from commands import common
from domain import spoken
from domain.errors import UsageError
from domain.i18n import t

if TYPE_CHECKING:
    from jobs.rule_state import State

_SOURCE: Final = ("source", "feeds", "live", "partial", "blind", "reason", "next")
_TECHNIQUE: Final = ("technique", "name", "state", "live", "partial", "blind")
_BY: Final = ("rule", "source", "technique")
_LEAST: Final = ("none", "forward_json")
"""Steps that the summary leaves out: nothing to do, or only for those who use that service."""
_FIRST: Final = 5
"""Techniques and steps that the summary names."""


def known(by: str) -> None:
    """UsageError unless it is one of the views."""
    if by not in _BY:
        raise UsageError(f"--by {by}: {' | '.join(_BY)}")


def row(state: State) -> list[Any]:
    """One rule for machines: English, ids."""
    return [
        state.status, state.level, state.title, state.id, state.file, state.reason, state.techniques,
        t(f"logsources.next_{state.next}", "en") if state.next else "",
    ]  # fmt: skip


def show(by: str, states: Sequence[State], form: str, limit: int) -> None:
    """Log sources or techniques."""
    keys, rows = (_SOURCE, _sources(states)) if by == "source" else (_TECHNIQUE, _techniques(states))
    headers = [t("rules.reason") if key == "reason" else t(f"logsources.{key}") for key in keys]
    common.show(headers, rows[:limit] if limit else rows, form, keys)


def _sources(states: Sequence[State]) -> list[list[object]]:
    from jobs.rule_fates import sources
    from jobs.rule_sources import feeding

    return [
        [s.label, feeding(s.source), s.live, s.partial, s.blind, s.why, t(f"logsources.next_{s.next}") if s.next else ""]
        for s in sources(states)
    ]  # fmt: skip


def _techniques(states: Sequence[State]) -> list[list[object]]:
    from jobs.rule_fates import techniques

    return [[x.id, spoken.technique(x.id.lower()), x.state, x.live, x.partial, x.blind] for x in techniques(states)]


def filters(titles: Sequence[str]) -> None:
    """Filters whose fields never occur: they hide nothing."""
    if titles:
        common.say(t("logsources.filters_idle", n=len(titles), first=", ".join(titles[:_FIRST]) + (", …" if len(titles) > _FIRST else "")))


def summary(states: Sequence[State]) -> None:
    """What is lost, and what would help most."""
    from jobs.rule_fates import LOST, WEAKENED, steps, techniques

    found = techniques(states)
    lost = [one for one in found if one.state == LOST]
    if lost:
        first = ", ".join(f"{one.id} {spoken.technique(one.id.lower())}" for one in lost[:_FIRST]) + (", …" if len(lost) > _FIRST else "")
        common.say(t("logsources.lost", n=len(lost), partial=sum(1 for one in lost if one.partial), first=first))
    elif found:
        common.say(t("logsources.nothing_lost"))
    weak = sum(1 for one in found if one.state == WEAKENED)
    if weak:
        common.say(t("logsources.weakened", n=weak))
    todo = [(key, n) for key, n in steps(states) if key not in _LEAST]
    if todo:
        common.say(t("logsources.steps"))
        for key, n in todo[:_FIRST]:
            common.say(t("logsources.step", n=n, text=t(f"logsources.next_{key}")))
