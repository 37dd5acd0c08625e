"""A parsed Sigma condition (pySigma's tree) as an Expr over the rule's own field names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR, ConditionValueExpression
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from domain.query import FALSE, Expr, Not, Op, Or, Test, Value, all_of, any_of, glob_escape


class Unfilled(Exception):
    """A placeholder has no values: the rule is BLIND, not wrong."""


class Unsupported(Exception):
    """Something in the rule is not understood: an error of that rule."""


_COMPARE: Final = {CompareOperators.LT: "lt", CompareOperators.LTE: "lte", CompareOperators.GT: "gt", CompareOperators.GTE: "gte"}
_MAX_LIKE: Final = 4096


def express(node: Any) -> Expr:
    """The Expr of a condition tree. Unfilled, Unsupported."""
    if isinstance(node, ConditionNOT):
        return Not(express(node.args[0]))
    if isinstance(node, ConditionAND):
        return all_of(*(express(arg) for arg in node.args))
    if isinstance(node, ConditionOR):
        return merged(express(arg) for arg in node.args)
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return value(node.field, node.value)
    if isinstance(node, ConditionValueExpression):
        return value(None, node.value)
    raise Unsupported(f"condition element {type(node).__name__}")


def merged(children: Iterable[Expr]) -> Expr:
    """An Or in which tests of one field with one operator become one Test with many values."""
    groups: dict[tuple[str | None, Op, bool], list[Value]] = {}
    rest: list[Expr] = []
    flat = any_of(*children)
    for child in flat.children if isinstance(flat, Or) else (flat,):
        if isinstance(child, Test) and child.values and child.op not in ("exists", "null"):
            groups.setdefault((child.field, child.op, child.cased), []).extend(child.values)
        else:
            rest.append(child)
    tests = [Test(field, op, _distinct(values), cased) for (field, op, cased), values in groups.items()]
    return any_of(*tests, *rest) if tests or rest else FALSE


def _distinct(values: list[Value]) -> tuple[Value, ...]:
    seen: dict[tuple[type, Value], None] = dict.fromkeys((type(v), v) for v in values)
    return tuple(v for _, v in seen)


def value(field: str | None, item: object) -> Expr:
    """One value of one field (None = keyword)."""
    if isinstance(item, SigmaExpansion):
        return merged(value(field, part) for part in item.values)
    if isinstance(item, SigmaString):
        return text(field, item)
    if isinstance(item, SigmaCompareExpression):
        return _compare(field, item)
    if isinstance(item, SigmaRegularExpression):
        return Test(field, "re", (_regex(item),))
    return _simple(field, item)


def _simple(field: str | None, item: object) -> Expr:
    if isinstance(item, SigmaTimestampPart):
        return Test(field, item.timestamp_part.name.lower(), (_number(item),))  # type: ignore[arg-type]
    if isinstance(item, SigmaBool):
        return Test(field, "eq", (bool(item.boolean),))
    if isinstance(item, SigmaNumber):
        return Test(field, "eq" if field else "contains", (_number(item) if field else str(item.number),))
    if isinstance(item, SigmaNull):
        return Test(field, "null")
    if isinstance(item, SigmaExists):
        return Test(field, "exists", (bool(item.exists),))
    if isinstance(item, SigmaCIDRExpression):
        return Test(field, "cidr", (item.cidr,))
    if isinstance(item, SigmaFieldReference):
        return Test(field, _reference(item), (item.field,))
    raise Unsupported(f"value type {type(item).__name__}")


def _number(item: SigmaNumber) -> int | float:
    number = item.number
    return int(number) if float(number).is_integer() else float(number)


def _reference(item: SigmaFieldReference) -> Op:
    if item.starts_with and item.ends_with:
        return "fieldref_contains"
    if item.starts_with:
        return "fieldref_startswith"
    return "fieldref_endswith" if item.ends_with else "fieldref"


def _compare(field: str | None, item: SigmaCompareExpression) -> Expr:
    if item.op is CompareOperators.NEQ:
        return Not(Test(field, "eq", (_number(item.number),)))
    return Test(field, _COMPARE[item.op], (_number(item.number),))  # type: ignore[arg-type]


def _regex(item: SigmaRegularExpression) -> str:
    flags = "".join(sorted(item.sigma_to_re_flag[f] for f in item.flags))
    pattern = (f"(?{flags})" if flags else "") + _perl_space(str(item.regexp.original))
    try:
        pc.match_substring_regex(pa.array([""], pa.string()), pattern)
    except pa.ArrowInvalid as error:
        raise Unsupported(f"regular expression is not one of RE2 (no look-around, no back-references): {error}") from None
    return pattern


def _perl_space(pattern: str) -> str:
    r"""`\s` as rule writers know it holds the vertical tab; RE2's does not."""
    out: list[str] = []
    in_class = False
    for piece in re.findall(r"\\.|\[\^?\]?|[^\\\[\]]+|.", pattern, re.DOTALL):
        if piece == "\\s":
            out.append(r"\s\x0b" if in_class else r"[\s\x0b]")
        elif piece == "\\S" and not in_class:
            out.append(r"[^\s\x0b]")
        else:
            in_class = piece[0] == "[" or (in_class and piece != "]")
            out.append(piece)
    return "".join(out)


def text(field: str | None, item: SigmaString) -> Expr:
    """Plain text, or text with wildcards, as the narrowest operator that says the same."""
    cased = isinstance(item, SigmaCasedString)
    parts = _parts(item)
    words = [p for p in parts if isinstance(p, str)]
    stars = [p is SpecialChars.WILDCARD_MULTI for p in parts]
    if not parts:
        return Test(field, "eq" if field else "contains", ("",), cased)
    if any(p is SpecialChars.WILDCARD_SINGLE for p in parts) or len(words) > 1:
        return Test(field, "like", (_like(parts, anchored=field is not None),), cased)
    if not words:
        return Test(field, "contains", ("",))
    if field is None:
        return Test(None, "contains", (words[0],), cased)
    op: Op = "eq" if len(parts) == 1 else "contains" if stars[0] and stars[-1] else "endswith" if stars[0] else "startswith"
    return Test(field, op, (words[0],), cased)


def _parts(item: SigmaString) -> list[str | SpecialChars]:
    out: list[str | SpecialChars] = []
    for part in item.s:
        if isinstance(part, Placeholder):
            raise Unfilled(part.name)
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        elif part is not SpecialChars.WILDCARD_MULTI or not out or out[-1] is not SpecialChars.WILDCARD_MULTI:
            out.append(part)
    return out


def _like(parts: list[str | SpecialChars], *, anchored: bool) -> str:
    signs = {SpecialChars.WILDCARD_MULTI: "*", SpecialChars.WILDCARD_SINGLE: "?"}
    pattern = "".join(signs[p] if isinstance(p, SpecialChars) else glob_escape(p) for p in parts)
    if len(pattern) > _MAX_LIKE:
        raise Unsupported(f"a pattern of {len(pattern)} characters; the limit is {_MAX_LIKE}")
    return pattern if anchored else f"*{pattern}*"
