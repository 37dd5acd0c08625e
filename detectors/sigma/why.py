"""Why a rule holds or does not hold for one raw event, in a line: the terms that decide it, and what the event has there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from domain.event import SEP
from domain.query import And, Expr, Not, Test
from domain.text import one_line
from match import rows
from match.jsonbatch import JsonBatch, raw

_MOST: Final = 4
_WIDEST: Final = 80


def reason(expr: Expr, event: Mapping[str, Any]) -> str:
    r"""`Image endswith \cmd.exe does not hold (it is c:\x.exe)`, up to four such terms."""
    batch = JsonBatch([event])
    terms = _deciding(expr, batch)
    more = f"; and {len(terms) - _MOST} more" if len(terms) > _MOST else ""
    return "; ".join(_said(test, batch) for test in terms[:_MOST]) + more or "nothing is asked"


def _holds(expr: Expr, batch: JsonBatch) -> bool:
    return len(rows(raw(expr), batch)) > 0


def _deciding(expr: Expr, batch: JsonBatch) -> list[Test]:
    """Of a conjunction that fails the first term that fails, of a disjunction that fails all of them; and the other way round."""
    if isinstance(expr, Test):
        return [expr]
    if isinstance(expr, Not):
        return _deciding(expr.child, batch)
    answers = [_holds(child, batch) for child in expr.children]
    one = not all(answers) if isinstance(expr, And) else any(answers)
    if one:
        return _deciding(expr.children[answers.index(not isinstance(expr, And))], batch)
    return [test for child in expr.children for test in _deciding(child, batch)]


def _said(test: Test, batch: JsonBatch) -> str:
    values = one_line(" | ".join(map(str, test.values[:_MOST])), _WIDEST) + (" ..." if len(test.values) > _MOST else "")
    holds = "holds" if _holds(test, batch) else "does not hold"
    return (
        f"{test.field or 'any value'} {test.op} {values}".rstrip() + f" {holds}" + (f" ({_seen(test.field, batch)})" if test.field else "")
    )


def _seen(field: str, batch: JsonBatch) -> str:
    column = batch.column(field)
    if column is not None:
        return f"it is {one_line(column.values[0].as_py().replace(SEP, ' | '), _WIDEST)}"
    return "it has no value" if _holds(Test(field, "exists", (True,)), batch) else "it is missing"
