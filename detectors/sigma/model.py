"""Values of the Sigma stage that need no Sigma library: rules, what is blind, what is broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from domain.alert import RuleRef
from domain.query import Expr

SUFFIXES: Final = (".yml", ".yaml")


@dataclass(frozen=True)
class LogSource:
    """`logsource` of a rule; "" = not given."""

    product: str = ""
    category: str = ""
    service: str = ""

    def __str__(self) -> str:
        named = (("product", self.product), ("category", self.category), ("service", self.service))
        return "/".join(f"{k}={v}" for k, v in named if v) or "-"


@dataclass(frozen=True)
class Rule:
    """A detection rule that runs."""

    ref: RuleRef
    route: Expr
    """Log source, over event fields."""
    body: Expr
    """Condition, over event fields."""
    file: str
    source: LogSource
    name: str = ""
    quiet: bool = False
    """Only feeds correlations (`generate: false`): its own hits are no alerts."""


@dataclass(frozen=True)
class BlindRule:
    """A rule that cannot see anything here."""

    id: str
    title: str
    file: str
    reason: str
    level: str = ""
    tags: tuple[str, ...] = ()
    source: tuple[str, str, str] = ("", "", "")
    """Product, category, service."""
    why: str = ""
    """Kind of reason: key of `logsources.why_*` and `logsources.next_*` for people."""
    what: str = ""
    """The field or placeholder that is wanting."""
    name: str = ""
    """`name:` of the rule, by which correlations refer to it."""


@dataclass(frozen=True)
class Broken:
    """A rule that is not loaded because it is wrong."""

    file: str
    line: int
    """From 1."""
    reason: str
    """What is wrong and what is allowed, in English."""
    column: int = 1
    """From 1."""
    code: str = ""
    """Check that found it, such as unknown-modifier; empty when none did."""


@dataclass(frozen=True)
class Other:
    """A correlation or filter document, still as data."""

    kind: str
    data: Mapping[str, Any]
    file: str
    line: int = 1


def rule_files(roots: Sequence[Path]) -> Iterator[Path]:
    """Rule files below the roots, sorted; test files, pipelines and hidden folders are left out."""
    for root in roots:
        found = [root] if root.is_file() else sorted(p for s in SUFFIXES for p in root.rglob(f"*{s}"))
        for path in found:
            inner = path.relative_to(root).parts if path != root else ()
            if not path.name.endswith(".test.yml") and "pipelines" not in inner[:1] and not any(p.startswith(".") for p in inner):
                yield path


def inside(root: Path, name: str) -> Path | None:
    """The file that a path names below a folder, links followed; None when it lies elsewhere or nowhere. ValueError: it is no path."""
    try:
        found = (root / name).resolve()
    except RuntimeError:  # links that run in a circle
        return None
    return found if found.is_relative_to(root.resolve()) else None
