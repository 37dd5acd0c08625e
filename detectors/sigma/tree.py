"""Why a rule fires on an event or not: log source, condition and filters as trees of terms, each with the value seen and what is amiss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from detectors.sigma.filters import Filter
from detectors.sigma.model import Rule
from detectors.sigma.nearmiss import Miss, held, miss
from detectors.sigma.route import Blind
from domain.event import SEP, TableBatch
from domain.query import TRUE, And, Expr, Or, Test, all_of, any_of
from domain.text import excerpt, one_line
from match.evaluate import NOT_TEXT, OWN, Evaluation
from match.ops import text_of
from match.plan import Entry, Node, Plan

_CUT: Final = 160
_KINDS: Final = {"a": "and", "o": "or", "n": "not"}


@dataclass
class Term:
    """One node."""

    kind: str
    """source, and, or, not, test, filter."""
    holds: bool
    name: str = ""
    """Field of a test ("*" = a keyword), title of a filter, log source of a rule."""
    op: str = ""
    wanted: tuple[str, ...] = ()
    """What the rule asks for: what holds or comes closest, cut to what fits a line."""
    of: int = 0
    """How many values the test has."""
    seen: str = ""
    missing: bool = False
    """The event lacks the field."""
    cased: bool = False
    """Upper and lower case count."""
    miss: Miss | None = None
    """Of a test that does not hold: why."""
    known: int | None = None
    """Of a missing field: events of the same data set that hold it; None = not counted."""
    more: dict[str, str] = field(default_factory=dict)
    """Of a filter: owner, reason, expires, file."""
    children: list[Term] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "miss": asdict(self.miss) if self.miss else None, "children": [child.to_json() for child in self.children]}


def explain(rule: Rule, event: pa.Table, bare: Expr | None = None, filters: Sequence[Filter] = ()) -> list[Term]:
    """Log source, condition, and each filter that covers the rule, over the one event in `event`. `bare`: the condition without filters."""
    route = tree(rule.route, event)
    source = Term("source", route.holds, str(rule.source), children=route.children if route.kind == "and" else [route])
    return [source, tree(_of_feed(rule.route, bare or rule.body, event), event), *_filters(rule, event, filters)]


def _of_feed(route: Expr, body: Expr, event: pa.Table) -> Expr:
    """Of a log source with several feeds: the condition as the feed of this event has it, without saying again which feed it is."""
    if not (isinstance(route, Or) and isinstance(body, Or) and len(route.children) == len(body.children)):
        return body
    feeds = list(zip(route.children, body.children, strict=True))
    mine = [(when, one) for when, one in feeds if tree(when, event).holds] or feeds[:1]
    return any_of(*(_without(when, one) for when, one in mine))


def _without(when: Expr, body: Expr) -> Expr:
    known = set(when.children) if isinstance(when, And) else {when}
    return all_of(*(c for c in body.children if c not in known)) if isinstance(body, And) else body


def _filters(rule: Rule, event: pa.Table, filters: Sequence[Filter]) -> Iterator[Term]:
    for one in filters:
        if one.covers(rule.ref.id, rule.name, rule.source):
            try:
                found = tree(one.hidden(rule.source), event)
            except Blind:
                continue
            more = {"owner": one.owner, "reason": one.reason, "expires": one.expires, "file": one.file}
            yield Term("filter", not found.holds, one.title, more=more, children=[found])


def tests(terms: Sequence[Term]) -> Iterator[Term]:
    """Every test below."""
    for term in terms:
        if term.kind == "test":
            yield term
        yield from tests(term.children)


def tree(expr: Expr, event: pa.Table) -> Term:
    """The expression as a tree of terms."""
    plan = Plan(TRUE, [Entry(0, TRUE, expr)])
    run = Evaluation(plan, TableBatch(event), np.zeros(1, np.int32))
    list(run.run())
    return _node(run, plan.bodies[0], event)


def _node(run: Evaluation, node: Node, event: pa.Table) -> Term:
    node = run.plan.plain(node)
    holds = bool(len(run.narrow(node, np.zeros(1, np.int32))))
    if isinstance(node, int):
        return _test(run.plan.tests[node], event, holds=holds)
    return Term(_KINDS[node[0]], holds, children=[_node(run, child, event) for child in node[1]])


def _test(test: Test, event: pa.Table, *, holds: bool) -> Term:
    elements = _elements(test.field, event)
    others = [text for value in test.values for text in _elements(str(value), event)] if test.op.startswith("fieldref") else []
    found = None if holds else miss(test, elements, others)
    wanted = found.wanted if found else held(test, elements)
    if test.field is None and found is not None and found.why == "absent":
        found = Miss("far", found.wanted)
    part = (found.common if found else "") or (wanted[0] if wanted else "")
    seen = "" if test.field is None else one_line(excerpt(", ".join(elements), part, _CUT))
    return Term(
        "test", holds, test.field or "*", test.op, tuple(one_line(w, _CUT) for w in wanted), len(test.values), seen,
        missing=test.field is not None and not elements, cased=test.cased, miss=found and _cut(found),
    )  # fmt: skip


def _cut(found: Miss) -> Miss:
    wanted = tuple(one_line(w, _CUT) for w in found.wanted)
    return Miss(found.why, wanted, one_line(found.seen, _CUT), one_line(found.common, _CUT), found.amount)


def _elements(name: str | None, event: pa.Table) -> list[str]:
    """Texts of a field; of a keyword (None) those of every field that keywords search."""
    if name is None:
        names = [n for n in event.column_names if n not in NOT_TEXT and not n.startswith(OWN)]
        return [text for n in names for text in _elements(n, event)]
    value = event[name][0].as_py() if name in event.column_names else None
    if value is None:
        return []
    return value.split(SEP) if isinstance(value, str) else [text_of(value) if isinstance(value, (bool, int, float)) else str(value)]
