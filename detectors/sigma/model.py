"""Values of the Sigma stage that need no Sigma library: rules, what is blind, what is broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from domain.alert import RuleRef
from domain.query import Expr

SUFFIXES: Final = (".yml", ".yaml")
_READ: Final = ("rules", "filters")
_OTHERS: Final = ("registers", "playbooks", "templates", "keys")
"""Folders of a content folder; YAML in these is no rule."""


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

    @property
    def told(self) -> str:
        """Where, and why in the reader's language."""
        from detectors.sigma.lint.base import said

        return f"{self.file}:{self.line}: {said(self.reason, '')}"


@dataclass(frozen=True)
class Other:
    """A correlation or filter document, still as data."""

    kind: str
    data: Mapping[str, Any]
    file: str
    line: int = 1


def rule_files(roots: Sequence[Path]) -> Iterator[Path]:
    """Rule files below the roots, sorted; test files, pipelines, hidden folders and what content folders hold beside rules are left out."""
    for root in roots:
        found = [root] if root.is_file() else sorted(p for s in SUFFIXES for p in root.rglob(f"*{s}"))
        known: dict[Path, bool] = {}
        for path in found:
            inner = path.relative_to(root).parts if path != root else ()
            hidden = "pipelines" in inner[:1] or any(p.startswith(".") for p in inner)
            if not path.name.endswith(".test.yml") and not hidden and not _beside(root, inner, known):
                yield path


def _beside(root: Path, inner: Sequence[str], known: dict[Path, bool]) -> bool:
    """Whether a file lies in a content folder, but not among its rules and filters. `known`: which folders are content folders."""
    folder = root
    for place, name in enumerate(inner):
        if folder not in known:
            known[folder] = _is_content(folder)
        if known[folder] and (name not in _READ or "pipelines" in inner[place + 1 : place + 2]):
            return True
        folder /= name
    return False


def _is_content(folder: Path) -> bool:
    """Laid out as `soc init` does: rules or filters, and registers or playbooks and so on beside them."""
    return any((folder / name).is_dir() for name in _READ) and any((folder / name).is_dir() for name in _OTHERS)


def inside(root: Path, name: str) -> Path | None:
    """The file that a path names below a folder, links followed; None when it lies elsewhere or nowhere. ValueError: it is no path."""
    try:
        found = (root / name).resolve()
    except RuntimeError:  # links that run in a circle
        return None
    return found if found.is_relative_to(root.resolve()) else None
