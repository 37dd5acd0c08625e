"""ATT&CK for Enterprise (`attack.yml`): which tactics and techniques there are, and what took the place of retired ones. Pure.

Ids are in lower case, as Sigma tags write them after `attack.`: `t1003.001`, `credential_access`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

_TECHNIQUE: Final = re.compile(r"t\d{4}(\.\d{3})?")


@dataclass(frozen=True)
class Attack:
    """One version of ATT&CK."""

    version: str
    tactics: Mapping[str, str]
    """Name with underscores -> id (`ta0006`), in the order of an attack."""
    techniques: frozenset[str]
    """Techniques and sub-techniques that are valid."""
    retired: Mapping[str, str]
    """Techniques and tactics that older rules name -> what took their place."""


@cache
def attack() -> Attack:
    """The version that this program knows."""
    text = (Path(__file__).parent / "attack.yml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  safe loader
    return Attack(
        data["version"], data["tactics"], frozenset(_expand(data["techniques"])), {**data["retired"], **data["retired_tactics"]}
    )  # fmt: skip


def _expand(text: str) -> Iterator[str]:
    """`t1053:2-3,5` -> t1053, t1053.002, t1053.003, t1053.005."""
    for word in text.split():
        base, _, numbers = word.partition(":")
        yield base
        for part in filter(None, numbers.split(",")):
            first, _, last = part.partition("-")
            yield from (f"{base}.{number:03}" for number in range(int(first), int(last or first) + 1))


def name_of(tag: str) -> str:
    """`attack.Credential-Access` -> `credential_access`, `attack.T1003.001` -> `t1003.001`; "" when the tag is none of ATT&CK."""
    low = tag.lower()
    return low[7:].replace("-", "_") if low.startswith("attack.") else ""


def is_technique(name: str) -> bool:
    """Whether a name has the form of a technique: t1110, t1110.001."""
    return _TECHNIQUE.fullmatch(name) is not None


def parent(name: str) -> str:
    """`t1003.001` -> `t1003`; "" for a technique that is none's part."""
    base, dot, _ = name.partition(".")
    return base if dot else ""


def within(tag: str, wanted: str) -> bool:
    """Whether a tag of ATT&CK names what `wanted` names, or a part of it, whichever version each is written in.

    `attack.t1686.003` lies within `attack.t1562`: that technique was split, and what it named is now named otherwise.
    """
    whole = name_of(wanted)
    return any(name == whole or name.startswith(f"{whole}.") for name in _all_names(name_of(tag))) if whole else False


@cache
def _all_names(name: str) -> frozenset[str]:
    """A name, what took its place, and the older names of it and of its parent."""
    retired = attack().retired
    now = {name, retired.get(name, name)}
    above = now | {parent(n) for n in now}
    return frozenset(now | {old for old, new in retired.items() if new in above} - {""})
