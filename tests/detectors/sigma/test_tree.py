"""The tree of a rule over an event says what the matcher says, for whatever expression."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma import tree
from domain.event import TableBatch, table_of
from domain.query import And, Expr, Not, Or, Test
from match import rows

FIELDS = ("user.name", "process.command_line", "source.ip", "process.pid", "user.roles")
VALUES = ("an", "AN", "cmd.exe /c an", "10.1.2.3", "7", "x")

_tests = st.one_of(
    st.builds(
        Test, st.sampled_from((*FIELDS, None)), st.sampled_from(("eq", "contains", "startswith", "endswith")),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=3).map(tuple), st.booleans(),
    ),
    st.builds(Test, st.sampled_from(FIELDS), st.sampled_from(("gt", "lte")), st.just((6,))),
    st.builds(Test, st.sampled_from(FIELDS), st.just("cidr"), st.just(("10.0.0.0/8",))),
    st.builds(Test, st.sampled_from(FIELDS), st.just("exists"), st.booleans().map(lambda flag: (flag,))),
    st.builds(Test, st.sampled_from(FIELDS), st.just("like"), st.sampled_from((("*md*",), ("a?",)))),
)  # fmt: skip
_exprs: st.SearchStrategy[Expr] = st.recursive(
    _tests,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda c: And(tuple(c))),
        st.lists(inner, min_size=1, max_size=3).map(lambda c: Or(tuple(c))), inner.map(Not),
    ),
    max_leaves=8,
)  # fmt: skip
_events = st.dictionaries(st.sampled_from(FIELDS[:3]), st.sampled_from(VALUES), min_size=1, max_size=3)


def consistent(term: tree.Term) -> bool:
    """A node holds as its kind says of its children; a test has a reason exactly when it fails."""
    children = [child.holds for child in term.children]
    says = {"and": all(children), "or": any(children), "not": not all(children), "test": term.holds}[term.kind]
    return says is term.holds and (term.kind != "test" or (term.miss is None) is term.holds) and all(map(consistent, term.children))


@settings(max_examples=150, deadline=None)
@given(_exprs, _events)
def test_the_tree_says_what_the_matcher_says(expr: Expr, event: dict[str, object]) -> None:
    table = table_of([{**event, "process.pid": 7, "user.roles": ["an", "x"]}])
    found = tree.tree(expr, table)
    assert found.holds is bool(np.size(rows(expr, TableBatch(table))))
    assert consistent(found)
