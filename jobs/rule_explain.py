"""`soc rules explain`: the tree of a rule over an event, what is missing, and the conclusion in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.sigma.tree import Term, tests
from domain import titles
from domain.clock import show_local
from domain.i18n import t
from domain.text import one_line
from jobs import rule_explain_words as words
from jobs.rule_explain_find import Event, Found, facts, find_event, find_rule

if TYPE_CHECKING:
    from jobs.rule_explain_second import Counted
    from jobs.runtime import Runtime

__all__ = ["Explained", "converted", "explain", "find_event", "find_rule", "to_json"]


@dataclass(frozen=True)
class Explained:
    """The whole answer."""

    found: Found
    event: Event
    holds: bool
    """Whether the rule fires on the event; for a correlation: whether its condition holds at the event."""
    conclusion: str
    """One line in the language of the process."""
    terms: list[Term] = field(default_factory=list)
    bases: list[Explained] = field(default_factory=list)
    """Of a correlation: the rules it looks at, over the event."""
    counted: Counted | None = None
    """Of a correlation: what its window held; None when the event feeds it not, or is not stored."""


def explain(runtime: Runtime, found: Found, event: Event) -> Explained:
    """Log source, condition and filters of a rule; of a correlation its base rules, its group and its window."""
    if found.correlation is not None:
        from jobs import rule_explain_second as second

        return second.explain(runtime, found, event)
    return rule(runtime, found, event)


def rule(runtime: Runtime, found: Found, event: Event) -> Explained:
    """A detection rule over an event."""
    from detectors.sigma import tree

    assert found.rule is not None  # noqa: S101  the caller looked
    terms = tree.explain(found.rule, event.table, found.bare, found.rules.filters if found.bare is not found.rule.body else ())
    if tree.tree(found.rule.body, event.table).holds:  # a filter that would hide the event is idle: expired or refused
        terms = [term for term in terms if term.kind != "filter" or term.holds]
    if event.stored:
        _count(runtime, event, terms)
    return Explained(found, event, all(term.holds for term in terms), words.conclusion(terms), terms)


def _count(runtime: Runtime, event: Event, terms: Sequence[Term]) -> None:
    """Of fields that the event lacks: how many events of its data set hold them."""
    lacking = [term for term in tests(terms) if term.missing]
    dataset = event.table["event.dataset"][0].as_py() if "event.dataset" in event.table.column_names else None
    if lacking and dataset is not None:
        held = runtime.store.events.coverage().get(dataset, {})
        for term in lacking:
            term.known = int(held.get(term.name, 0))


def lines(one: Explained, *, whole: bool = False) -> Iterator[str]:
    """As text for people. `whole`: also what does not matter for the answer."""
    yield titles.full(one.found.ref) + f" ({one.found.ref.id})"
    yield one_line("  " + " · ".join(_fact(name, text) for name, text in facts(one.event.table)), 400)
    yield ""
    yield from words.lines(one.terms, whole=whole)
    if one.found.correlation is not None:
        from jobs import rule_explain_second as second

        yield from second.lines(one, whole=whole)
    yield ""
    yield t("explain.so", text=one.conclusion)


def _fact(name: str, text: str) -> str:
    return show_local(datetime.fromisoformat(text)) if name == "@timestamp" else text


def to_json(one: Explained) -> dict[str, Any]:
    """The whole answer."""
    ref = one.found.ref
    out: dict[str, Any] = {
        "rule": {"id": ref.id, "title": ref.title, "title_local": titles.full(ref)}, "event": dict(facts(one.event.table)),
        "holds": one.holds, "conclusion": one.conclusion,
    }  # fmt: skip
    if one.found.correlation is None:
        return {**out, "tree": [term.to_json() for term in one.terms], "missing": words.missing_json(one.terms)}
    from jobs import rule_explain_second as second

    return {**out, **second.to_json(one)}


def converted(file: str, pipeline: str) -> list[str]:
    """The rules of a file as OpenSearch queries."""
    from detectors.sigma.convert import convert

    return convert(Path(file), pipeline)
