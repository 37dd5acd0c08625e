"""Why a rule matched an event: the terms that hold, with the values seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from domain.alert import Reason
from domain.event import SEP, TableBatch
from domain.query import TRUE, Expr, Test, Value
from domain.text import clean, excerpt
from match import Entry, Matcher
from match.ops import text_of
from match.values import lower

_SHOWN: Final = 8
_CUT: Final = 200
_SEEN: Final = 20
"""Bytes of a match that find its place again."""
_SAYS: Final[dict[str, Callable[[str, str], bool]]] = {
    "eq": lambda text, word: text == word, "contains": lambda text, word: word in text,
    "startswith": lambda text, word: text.startswith(word), "endswith": lambda text, word: text.endswith(word),
}  # fmt: skip


def reasons(expr: Expr, table: pa.Table) -> tuple[Reason, ...]:
    """The positive terms that hold for the one event in `table`: field, value seen, what it was compared with."""
    matcher = Matcher([Entry(0, TRUE, expr)])
    for _ in matcher.run(TableBatch(table)):
        return told(matcher.held(0), table)
    return ()


def told(tests: Iterable[Test], table: pa.Table) -> tuple[Reason, ...]:
    """The same for tests that are known to hold."""
    out: dict[tuple[str, str], Reason] = {}
    for test in tests:
        value = _value(test, table)
        if (test.field or "*", value) in out:
            continue
        shown = clean(excerpt(value.replace(SEP, ", "), _part(test, value), _CUT))
        out[test.field or "*", value] = Reason(test.field or "*", shown, expected=_term(test, value))
        if len(out) == _SHOWN:
            break
    return tuple(out.values())


def _value(test: Test, table: pa.Table) -> str:
    if test.field is None or test.field not in table.column_names:
        return ""
    value = table[test.field][0].as_py()
    return "" if value is None else str(value)


def _term(test: Test, value: str) -> str:
    """The operator and that one of its values which holds."""
    return clean(f"{test.op}: {text_of(_which(test, value))}" if test.values else test.op, _CUT)


def _part(test: Test, value: str) -> str:
    """The part of a long value that made the test hold."""
    if len(value) <= _CUT or not test.values:
        return ""
    if test.op != "re":
        return text_of(_which(test, value))
    raw = value.encode("utf-8", "replace")
    for pattern in map(str, test.values):
        at = pc.find_substring_regex(pa.array([raw], pa.binary()), pattern)[0].as_py()
        if at >= 0:
            return raw[at : at + _SEEN].decode("utf-8", "ignore")
    return ""


def _which(test: Test, value: str) -> Value:
    says = _SAYS.get(test.op)
    if says is None or len(test.values) == 1 or test.field is None:
        return test.values[0]
    texts = lower(pa.array([*value.split(SEP), *map(text_of, test.values)], pa.string())).to_pylist()
    elements, words = texts[: -len(test.values)], texts[-len(test.values) :]
    return next((v for v, word in zip(test.values, words, strict=True) if any(says(e, word) for e in elements)), test.values[0])
