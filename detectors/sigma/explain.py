"""Why a rule matched an event: the terms that hold, with the values seen."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

import match
from domain.alert import Reason
from domain.event import EventBatch, TableBatch
from domain.query import Expr, Not, Test
from domain.text import clean

_SHOWN = 8
_CUT = 200


def reasons(expr: Expr, table: pa.Table) -> tuple[Reason, ...]:
    """The positive terms that hold for the one event in `table`: field, value seen, what it was compared with."""
    batch = TableBatch(table)
    out: dict[tuple[str, str], Reason] = {}
    for test in _held(expr, batch):
        name = test.field or "*"
        value = _value(test, table)
        out.setdefault((name, value), Reason(name, clean(value, _CUT), expected=_term(test, batch)))
        if len(out) == _SHOWN:
            break
    return tuple(out.values())


def _held(expr: Expr, batch: EventBatch) -> Iterator[Test]:
    if isinstance(expr, Test):
        if len(match.rows(expr, batch)):
            yield expr
    elif not isinstance(expr, Not):
        for child in expr.children:
            if len(match.rows(child, batch)):
                yield from _held(child, batch)


def _value(test: Test, table: pa.Table) -> str:
    if test.field is None or test.field not in table.column_names:
        return ""
    value = table[test.field][0].as_py()
    return "" if value is None else str(value)


def _term(test: Test, batch: EventBatch) -> str:
    """The operator and that one of its values which holds."""
    held = (v for v in test.values if len(match.rows(Test(test.field, test.op, (v,), test.cased), batch)))
    value = next(held, "")
    return clean(f"{test.op}: {value}" if test.values else test.op, _CUT)
