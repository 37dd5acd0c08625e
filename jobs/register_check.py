"""What one entry alone cannot tell: references, overlaps in time, networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final

from domain.registers import Asset, Dated, NamedList, Organisation, Unit, parse_address
from domain.text import one_line
from jobs.register_build import Problem, Row

_LEVELS: Final = range(1, 6)
SERVICES: Final = ("web", "mail", "database", "dns", "file", "application", "other")
CONTROLS: Final = ("antivirus", "firewall", "ids", "waf", "edr", "backup", "other")


def check(entries: Mapping[str, Sequence[tuple[Any, Row]]], problems: list[Problem]) -> None:
    """Add every problem found."""
    for kind, key in (("organisation", ""), ("units", "code"), ("assets", "id"), ("lists", "name")):
        for entry, row in entries[kind]:
            problems += (Problem(row.file, row.line_of(name), text) for name, text in _alone(entry))
        problems += _overlaps(entries[kind], key)
    codes = {u.code for u, _ in entries["units"]}
    for unit, row in entries["units"]:
        for name, values in (("parent", (unit.parent,)), ("successors", unit.successors)):
            problems += _unknown(row, name, values, codes, "unit")
    for asset, row in entries["assets"]:
        problems += _unknown(row, "unit", (asset.unit,), codes, "unit")
    problems += _cycles(entries["units"])
    problems += _shared(entries["assets"])


def _alone(entry: Dated) -> Iterator[tuple[str, str]]:
    if entry.valid_from and entry.valid_to and entry.valid_to < entry.valid_from:
        yield "valid_to", f"ends {entry.valid_to} before it starts {entry.valid_from}"
    if isinstance(entry, (Organisation, Unit)):
        yield from _networks("networks", entry.networks)
    if isinstance(entry, Asset):
        yield from _networks("addresses", entry.addresses)
        if entry.level is not None and entry.level not in _LEVELS:
            yield "level", f"level {entry.level}: 1 to 5"
        for name, values, allowed in (("services", entry.services, SERVICES), ("controls", entry.controls, CONTROLS)):
            for value in values:
                if value not in allowed:
                    yield name, f"{name}: {one_line(value, 60)} is not one of {', '.join(allowed)}"
    if isinstance(entry, NamedList) and not entry.name.replace("_", "").replace("-", "").isalnum():
        yield "name", f"name {one_line(entry.name, 60)}: letters, digits, _ and - only (rules write %name%)"


def _networks(name: str, values: Sequence[str]) -> Iterator[tuple[str, str]]:
    for value in values:
        if parse_address(value) is not None:
            continue
        try:
            ipaddress.ip_network(value, strict=True)
        except ValueError as error:
            yield name, f"{name}: {one_line(str(error), 120)}"


def _overlaps(found: Sequence[tuple[Any, Row]], key: str) -> Iterator[Problem]:
    """The same id must not hold twice on one day."""
    groups: dict[str, list[tuple[Any, Row]]] = {}
    for entry, row in found:
        groups.setdefault(getattr(entry, key) if key else "", []).append((entry, row))
    for name, group in groups.items():
        group.sort(key=lambda item: (item[0].valid_from or date.min, item[1].line))
        for (one, where), (other, row) in pairwise(group):
            if (one.valid_to or date.max) >= (other.valid_from or date.min):
                what = f"{key} {one_line(name, 60)}" if key else "the organisation"
                yield Problem(row.file, row.line, f"{what} is already in force then: {where.file}:{where.line} (give it a valid_to)")


def _unknown(row: Row, name: str, values: Sequence[str], known: set[str], what: str) -> Iterator[Problem]:
    for value in values:
        if value and value not in known:
            yield Problem(row.file, row.line_of(name), f"{name}: there is no {what} {one_line(value, 60)}")


def _cycles(units: Sequence[tuple[Unit, Row]]) -> Iterator[Problem]:
    parents = {u.code: u.parent for u, _ in units}
    for unit, row in units:
        seen, code = {unit.code}, parents.get(unit.code, "")
        while code and code not in seen:
            seen.add(code)
            code = parents.get(code, "")
        if code == unit.code:
            yield Problem(row.file, row.line_of("parent"), f"parent: {one_line(unit.code, 60)} is above itself")


def _shared(assets: Sequence[tuple[Asset, Row]]) -> Iterator[Problem]:
    """One address cannot belong to two assets at a time."""
    owners: dict[str, list[tuple[Asset, Row]]] = {}
    for asset, row in assets:
        for address in asset.addresses:
            for other, where in owners.setdefault(address, []):
                if other.id != asset.id and _meet(other, asset):
                    text = f"addresses: {address} already belongs to {one_line(other.id, 60)} ({where.file}:{where.line})"
                    yield Problem(row.file, row.line_of("addresses"), text)
            owners[address].append((asset, row))


def _meet(one: Dated, other: Dated) -> bool:
    return (one.valid_from or date.min) <= (other.valid_to or date.max) and (other.valid_from or date.min) <= (one.valid_to or date.max)
