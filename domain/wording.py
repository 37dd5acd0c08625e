"""Expressions written in the query language, as `grammar.parse` reads it."""

from __future__ import annotations

import re
from typing import Final

from domain import fields
from domain.canonical import address_of, canonical, pieces_of, text_of
from domain.query import FALSE, TRUE, And, Expr, Not, Test, Value

NAME: Final = re.compile(r"@?[A-Za-z_][\w.@\-]*")
"""A field name that needs no quotes."""
ANY: Final = "*"
"""Field name of a keyword: any value of the event. Alone: everything."""
WORDS: Final = frozenset({"and", "or", "not"})
_PLAIN: Final = re.compile(r"""[^\s()"',]+""")
_WORD: Final = re.compile(r"[\w.\-]+")
_NEVER: Final = re.compile(r"(?!)")


def show(expr: Expr) -> str:
    """A query that `parse` reads as the same expression (in its `canonical` form)."""
    return _show(canonical(expr), inside=False)


def _show(expr: Expr, *, inside: bool) -> str:
    if expr == TRUE:
        return ANY
    if expr == FALSE:
        return f"not {ANY}"
    if isinstance(expr, Test):
        return _show_test(expr)
    if isinstance(expr, Not):
        return f"not {_show(expr.child, inside=True)}"
    text = (" and " if isinstance(expr, And) else " or ").join(_show(c, inside=True) for c in expr.children)
    return f"({text})" if inside else text


def _show_test(test: Test) -> str:
    if test.field is None and test.op == "fold" and all(str(v) for v in test.values):
        words = [_quote(_escape(str(v)), plain=_WORD) for v in test.values]
        return words[0] if len(words) == 1 else f"({' or '.join(words)})"
    if test.op == "exists" and test.values == (True,):
        return f"{_show_name(test.field)}:{ANY}"
    mods = ([] if test.op in ("eq", "like") else [test.op]) + ["cased"] * test.cased
    values = [_show_value(test, v) for v in test.values] or ["true"]
    head = "".join([_show_name(test.field), *(f"|{m}" for m in mods), ":"])
    return head + (values[0] if len(values) == 1 else f"({' or '.join(values)})")


def _show_name(name: str | None) -> str:
    if name is None:
        return ANY
    return name if NAME.fullmatch(name) else _quoted(name.replace("\\", "\\\\"))


def _show_value(test: Test, value: Value) -> str:
    if not isinstance(value, str):
        return text_of(value)
    if test.op == "re":
        return _quote_raw(value)
    if test.op == "like":
        return _quote("".join(_escape(p) if isinstance(p, str) else p.value for p in pieces_of(value)))
    known = fields.lookup(test.field) if test.field and test.op == "eq" else None
    literal = known is not None and known.type == "ip" and address_of(value) not in ("", value)
    return _quote(_escape(value), plain=_NEVER if literal else _PLAIN)


def _escape(text: str) -> str:
    """Literal text as `pieces_of` reads it."""
    return re.sub(r"\\(?=[\\*?\"]|$)|[*?]", lambda m: "\\" + m[0], text)


def _quote(text: str, plain: re.Pattern[str] | None = None) -> str:
    return text if (plain or _PLAIN).fullmatch(text) and text.lower() not in WORDS else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _quote_raw(text: str) -> str:
    """A regular expression: no escapes but of the quote, so one is taken that does not occur in it."""
    if _PLAIN.fullmatch(text):
        return text
    if '"' not in text:
        return f'"{text}"'
    if "'" in text:
        text = re.sub(r"\\.|'", lambda m: r"\x27" if m[0] in ("'", r"\'") else m[0], text, flags=re.DOTALL)
    return f"'{text}'"
