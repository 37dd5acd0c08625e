"""Why a rule fires on an event or not: its terms as a tree, each with the value seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from detectors.sigma.model import Rule
from domain.event import SEP, TableBatch
from domain.query import TRUE, Expr, Test
from domain.text import one_line
from match.evaluate import Evaluation
from match.ops import text_of
from match.plan import Entry, Node, Plan

_CUT = 160


@dataclass
class Term:
    """One node."""

    kind: str
    """source, and, or, not, test."""
    holds: bool
    name: str = ""
    op: str = ""
    wanted: str = ""
    """What the rule asks for, cut to what fits a line."""
    seen: str = ""
    missing: bool = False
    """The event lacks the field."""
    children: list[Term] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "children": [child.to_json() for child in self.children]}


def explain(rule: Rule, event: pa.Table) -> list[Term]:
    """The log source, then the condition, over the one event in `event`."""
    source = _tree(rule.route, event)
    source.kind = "source"
    return [source, _tree(rule.body, event)]


def _tree(expr: Expr, event: pa.Table) -> Term:
    plan = Plan(TRUE, [Entry(0, TRUE, expr)])
    run = Evaluation(plan, TableBatch(event), np.zeros(1, np.int32))
    list(run.run())
    return _node(run, plan.bodies[0], event)


def _node(run: Evaluation, node: Node, event: pa.Table) -> Term:
    holds = bool(len(run.narrow(node, np.zeros(1, np.int32))))
    if isinstance(node, int):
        return _test(run.plan.tests[node], event, holds=holds)
    kind = {"a": "and", "o": "or", "n": "not"}[node[0]]
    return Term(kind, holds, children=[_node(run, child, event) for child in node[1]])


def _test(test: Test, event: pa.Table, *, holds: bool) -> Term:
    wanted = one_line(", ".join(text_of(v) for v in test.values), _CUT)
    if test.field is None:
        return Term("test", holds, "*", test.op, wanted)
    value = event[test.field][0].as_py() if test.field in event.column_names else None
    seen = "" if value is None else one_line(str(value).replace(SEP, ", "), _CUT)
    return Term("test", holds, test.field, test.op, wanted, seen, missing=value is None)
