"""A parsed Sigma selection (pySigma's objects) as an Expr over the rule's own field names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sigma.conditions import ConditionAND
from sigma.rule import SigmaDetection, SigmaDetectionItem
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

from detectors.sigma.regex import checked, re2, short
from domain.query import FALSE, Expr, Not, Op, Or, Test, Value, all_of, any_of, glob_escape
from match.ops import like_regex, text_of


class Unfilled(Exception):
    """A placeholder has no values: the rule is BLIND, not wrong."""


class Unsupported(Exception):
    """Something in the rule is not understood: an error of that rule."""


class CasedReference(SigmaFieldReference):
    """Another field, compared with its case."""


_COMPARE: Final = {CompareOperators.LT: "lt", CompareOperators.LTE: "lte", CompareOperators.GT: "gt", CompareOperators.GTE: "gte"}
_LONG: Final = 1 << 63
_LONG_LIKE: Final = 1000
"""Characters from which a pattern with wildcards may be too large for RE2."""


def express(detection: SigmaDetection) -> Expr:
    """The Expr of a selection: a map is joined by and, a list by or. Unfilled, Unsupported."""
    parts = [express(item) if isinstance(item, SigmaDetection) else _item(item) for item in detection.detection_items]
    return all_of(*parts) if detection.item_linking is ConditionAND else merged(parts)


def _item(item: SigmaDetectionItem) -> Expr:
    """One `Field|modifier: value`."""
    if not item.value:
        raise Unsupported(f"{item.field or 'keywords'}: no value")
    parts = [value(item.field, one) for one in item.value]
    joined = all_of(*parts) if item.value_linking is ConditionAND else merged(parts)
    return Not(joined) if item.negated else joined


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
        return Test(field, item.timestamp_part.name.lower(), (int(item.number),))  # type: ignore[arg-type]
    if isinstance(item, SigmaBool):
        return Test(field, "eq" if field else "contains", (text_of(item.boolean),))
    if isinstance(item, SigmaNumber):
        return Test(field, "eq", (_number(item),)) if field else Test(None, "contains", (text_of(item.number),))
    if isinstance(item, SigmaCIDRExpression):
        return Test(field, "cidr", (item.cidr,))
    if field is None:
        raise Unsupported("null means nothing without a field" if isinstance(item, SigmaNull) else f"{type(item).__name__} needs a field")
    if isinstance(item, SigmaNull):
        return Test(field, "null")
    if isinstance(item, SigmaExists):
        return Test(field, "exists", (bool(item.exists),))
    if isinstance(item, SigmaFieldReference):
        return Test(field, _reference(item), (item.field,), isinstance(item, CasedReference))
    raise Unsupported(f"value type {type(item).__name__}")


def _number(item: SigmaNumber) -> int | float | str:
    """A number that JSON can hold; a longer one is its text, which compares the same."""
    number = item.number
    whole = int(number) if isinstance(number, int) or number.is_integer() else None
    if whole is None:
        return number
    return whole if -_LONG <= whole < _LONG else str(whole)


def _reference(item: SigmaFieldReference) -> Op:
    if item.starts_with and item.ends_with:
        return "fieldref_contains"
    if item.starts_with:
        return "fieldref_startswith"
    return "fieldref_endswith" if item.ends_with else "fieldref"


def _compare(field: str | None, item: SigmaCompareExpression) -> Expr:
    return Test(field, _COMPARE[item.op], (_number(item.number),))  # type: ignore[arg-type]


def _regex(item: SigmaRegularExpression) -> str:
    flags = "".join(sorted(item.sigma_to_re_flag[f] for f in item.flags))
    try:
        return re2(str(item.regexp.original), flags)
    except ValueError as error:
        raise Unsupported(str(error)) from None


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
        if isinstance(part, str):
            if out and isinstance(out[-1], str):
                out[-1] += part
            elif part:
                out.append(part)
        elif part is not SpecialChars.WILDCARD_MULTI or not out or out[-1] is not SpecialChars.WILDCARD_MULTI:
            out.append(part)
    return out


def _like(parts: list[str | SpecialChars], *, anchored: bool) -> str:
    signs = {SpecialChars.WILDCARD_MULTI: "*", SpecialChars.WILDCARD_SINGLE: "?"}
    pattern = "".join(signs[p] if isinstance(p, SpecialChars) else glob_escape(p) for p in parts)
    pattern = pattern if anchored else f"*{pattern}*"
    if len(pattern) > _LONG_LIKE:
        try:
            short(pattern)
            checked(like_regex((pattern,), cased=True))
        except ValueError as error:
            raise Unsupported(f"text with wildcards: {error}") from None
    return pattern
