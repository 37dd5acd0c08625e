"""One event at a time, word for word: what an Expr means, written so that it can be checked by reading. Tests compare the engine with it."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.query import And, Expr, Not, Or, Test
from match.keywords import NOT_TEXT, OWN

Event = Mapping[str, Any]
"""Flat: name -> text, number, bool, aware time, or a list of texts. A field that is not there is missing."""


def holds(expr: Expr, event: Event) -> bool:
    """Whether the expression holds for the event."""
    if isinstance(expr, And):
        return all(holds(child, event) for child in expr.children)
    if isinstance(expr, Or):
        return any(holds(child, event) for child in expr.children)
    if isinstance(expr, Not):
        return not holds(expr.child, event)
    if expr.field is None:
        return any(_one(expr, element) for name in event if _searched(name) for element in elements(event, name))
    if expr.op == "null":
        return expr.field not in event
    if expr.op == "exists":
        return (expr.field in event) is bool(expr.values[0])
    if expr.op.startswith("fieldref"):
        return any(
            _words(expr.op, text(left, cased=expr.cased), text(right, cased=expr.cased))
            for left in elements(event, expr.field)
            for name in expr.values
            for right in elements(event, str(name))
        )
    return any(_one(expr, element) for element in elements(event, expr.field))


def elements(event: Event, name: str) -> list[Any]:
    """The values of a field: none when it is missing."""
    value = event.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text(value: object, *, cased: bool) -> str:
    """A value as text, lower-cased code point by code point unless `cased`."""
    if isinstance(value, bool):
        out = "true" if value else "false"
    elif isinstance(value, datetime):
        out = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
    elif isinstance(value, float) and value.is_integer():
        out = str(int(value))
    else:
        out = str(value)
    return out if cased else "".join(c.lower()[0] for c in out)


def fold(value: str) -> str:
    """Without case and diacritics, đ as d."""
    plain = "".join(c for c in unicodedata.normalize("NFD", value) if unicodedata.category(c) != "Mn")
    return text(plain, cased=False).replace("đ", "d")


def _searched(name: str) -> bool:
    return name not in NOT_TEXT and not name.startswith(OWN)


def _one(test: Test, element: object) -> bool:
    """One element of one field."""
    if test.op == "re":
        return any(_found(str(pattern), text(element, cased=True)) for pattern in test.values)
    if test.op == "cidr":
        return any(_within(text(element, cased=True), str(net)) for net in test.values)
    if test.op in ("lt", "lte", "gt", "gte"):
        return any(_order(test.op, element, Decimal(str(limit))) for limit in test.values)
    if test.op in ("minute", "hour", "day", "week", "month", "year"):
        return any(_part(test.op, text(element, cased=True)) == int(wanted) for wanted in test.values)
    if test.op == "fold":
        return any(fold(str(wanted)) in fold(text(element, cased=True)) for wanted in test.values)
    return any(_words(test.op, text(element, cased=test.cased), text(wanted, cased=test.cased)) for wanted in test.values)


def _found(pattern: str, value: str) -> bool:
    r"""RE2's `$` without the flag m is the end of the text, as Python's `\Z` is."""
    return bool(re.search(pattern if "(?m)" in pattern else pattern.replace("$", r"\Z"), value))


def _words(op: str, value: str, wanted: str) -> bool:
    if op in ("eq", "fieldref"):
        return value == wanted
    if op.endswith("contains"):
        return wanted in value
    if op.endswith("startswith"):
        return value.startswith(wanted)
    if op.endswith("endswith"):
        return value.endswith(wanted)
    assert op == "like"
    return like(wanted, value)


def like(pattern: str, value: str) -> bool:
    """`*` any run, `?` any one character, a backslash before `*`, `?` or a backslash takes its meaning away."""
    if not pattern:
        return not value
    if pattern[0] == "\\" and pattern[1:2] in ("*", "?", "\\") and pattern[1:2]:
        return value[:1] == pattern[1] and like(pattern[2:], value[1:])
    if pattern[0] == "*":
        return any(like(pattern[1:], value[at:]) for at in range(len(value) + 1))
    return bool(value) and (pattern[0] == "?" or value[0] == pattern[0]) and like(pattern[1:], value[1:])


def _order(op: str, element: object, limit: Decimal) -> bool:
    if isinstance(element, bool) or not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", text(element, cased=True)):
        return False
    number = Decimal(text(element, cased=True))
    return {"lt": number < limit, "lte": number <= limit, "gt": number > limit, "gte": number >= limit}[op]


def _within(value: str, net: str) -> bool:
    try:
        address = ipaddress.ip_address(value.strip("[] "))
    except ValueError:
        return False
    network = ipaddress.ip_network(net)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        network = ipaddress.IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.version == network.version and address in network


def _part(op: str, value: str) -> int | None:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.isocalendar().week if op == "week" else int(getattr(at, op))
