"""Detection does not know the generator: no literal of the drills' data stands in rules or detectors, but everybody's words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
import yaml

from playbooks.drills.base import FOLDER, data
from tests import house

LEAST = 5
"""Characters from which on a literal counts."""
_PROTOCOL = """
    https linux windows medium signature detected dropped office service source 10.0.0.0/8
    UPDATE_TOTP REMOVE_TOTP UPDATE_PASSWORD UPDATE_CREDENTIAL REMOVE_CREDENTIAL
"""
"""Words of protocols, formats and configurations; events by the names that their makers gave them."""
_ACCOUNTS = "admin administrator oracle postgres ubuntu guest www-data"
"""Accounts that every system has."""
_PROGRAMS = "Sysmon Sysmon64 nxlog auditd rsyslog whoami hostname uname systeminfo ipconfig quser certutil powershell bitsadmin web.config"
"""Programs and files that come with the system, and collectors."""
ALLOWED = frozenset(f"{_PROTOCOL} {_ACCOUNTS} {_PROGRAMS}".lower().split())


def _values(value: object) -> Iterator[str]:
    """All texts within a YAML value, keys left out."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner)
    elif isinstance(value, str):
        yield value


def _constants(tree: ast.Module) -> Iterator[str]:
    """Text constants of a module, documentation left out."""
    documentation = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


@cache
def _texts() -> dict[str, str]:
    """What detection compares with, by file, in lower case; example lines of rules are not among it."""
    out = {}
    for path in house.files(".py"):
        if path.parts[0] in ("rules", "detectors"):
            out[str(path)] = "\n".join(_constants(house.tree(path))).lower()
    for path in house.files(".yml"):
        if path.parts[0] in ("rules", "detectors") and not path.name.endswith(".test.yml"):
            documents = yaml.safe_load_all((house.ROOT / path).read_text("utf-8"))
            texts = [v for d in documents if isinstance(d, dict) for v in _values(d.get("detection", d))]
            out[str(path)] = "\n".join(texts).lower()
    return out


@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.yml")))
def test_no_literal_of_the_drills_stands_in_detection(name: str) -> None:
    allowed = ALLOWED | {word for word in _values(data("web")["scan"]) if word.isalpha()}  # a word list: plain words
    literals = {text for text in _values(data(name)) if len(text) >= LEAST and text.lower() not in allowed}
    assert literals
    known = {}
    for text in literals:
        pattern = re.compile(rf"(?<![\w-]){re.escape(text.lower())}(?![\w-])")
        where = [file for file, content in _texts().items() if text.lower() in content and pattern.search(content)]
        if where:
            known[text] = where[:3]
    assert known == {}


def test_detection_reads_neither_key_nor_drills() -> None:
    for path in house.files(".py"):
        if path.parts[0] in ("rules", "detectors"):
            text = (house.ROOT / path).read_text("utf-8")
            assert "playbooks.drills" not in text, path
            assert "key.jsonl" not in text, path
    assert not [file for file, text in _texts().items() if "lamgiang" in text or "lam giang" in text]
