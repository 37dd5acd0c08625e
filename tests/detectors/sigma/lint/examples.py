"""The examples of docs/lint.yml as rule files: a text takes the place of the top-level keys that it names in its base."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import yaml

from detectors.sigma.lint import Issue, Source, lint
from tests import house


@cache
def known() -> dict[str, Any]:
    """docs/lint.yml."""
    data: dict[str, Any] = yaml.safe_load((house.ROOT / "docs" / "lint.yml").read_text(encoding="utf-8"))
    return data


def _chunks(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    key = ""
    for line in text.splitlines(keepends=True):
        named = re.match(r"([\w-]+):", line)
        key = named[1] if named else key
        found[key] = found.get(key, "") + line
    return found


def merged(text: str, base: str = "base") -> str:
    """A whole document."""
    return "".join({**_chunks(known()[base]), **_chunks(text)}.values())


def sources(example: dict[str, Any], texts: str | list[str]) -> list[Source]:
    """The files of an example; a rule stands beside correlations and filters."""
    base, name = example.get("base", "base"), example.get("file", "example_rule.yml")
    many = texts if isinstance(texts, list) else [texts]
    whole = [text if example.get("whole") and text else merged(text, base) for text in many]
    out = []
    for number, text in enumerate(whole):
        label = name if number == 0 else f"folder/{name}" if example.get("same") else f"other_{name}"
        out.append(Source(label, text.encode(), str(number) if example.get("roots") else "rules"))
    return out if base == "base" else [*out, Source("base_rule.yml", merged("").encode(), "rules")]


def issues(example: dict[str, Any], texts: str | list[str]) -> list[Issue]:
    """What lint says of an example."""
    return lint(sources(example, texts)).issues
