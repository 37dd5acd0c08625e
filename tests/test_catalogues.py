"""Catalogues: complete in both languages, well-formed, and the only place where people's words stand."""

from __future__ import annotations

import ast
import re
import unicodedata
from pathlib import Path
from string import Formatter

import pytest
import yaml

from domain import i18n
from tests import house

LOCALE = house.ROOT / "domain" / "locale"
ONLY_VIETNAMESE = {"titles", "bases"}
"""English titles of rules stand in the rules; tests/rules compares."""
AREAS = sorted({path.stem for path in LOCALE.glob("*/*.yml")} - ONLY_VIETNAMESE)
VIETNAMESE = re.compile("[À-ÃÈ-ÊÌÍÒ-ÕÙÚÝà-ãè-êìíò-õùúýĂăĐđĨĩŨũƠơƯưẠ-ỹ]")


def _load(language: str, area: str) -> dict[str, str]:
    path = LOCALE / language / f"{area}.yml"
    data = yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}
    assert isinstance(data, dict), path
    return data


def _placeholders(text: str) -> set[str]:
    return {name.partition(".")[0].partition("[")[0] for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("area", AREAS)
def test_both_languages_have_the_same_keys(area: str) -> None:
    vi, en = _load("vi", area), _load("en", area)
    assert sorted(set(en) - set(vi)) == [], f"vi/{area}.yml lacks keys"
    assert sorted(set(vi) - set(en)) == [], f"en/{area}.yml lacks keys"


@pytest.mark.parametrize("area", AREAS)
def test_both_languages_fill_in_the_same_values(area: str) -> None:
    vi, en = _load("vi", area), _load("en", area)
    wrong = []
    for key in vi.keys() & en.keys():
        assert isinstance(vi[key], str), f"vi/{area}.yml: {key} is not text (quote it)"
        assert isinstance(en[key], str), f"en/{area}.yml: {key} is not text (quote it)"
        if _placeholders(vi[key]) != _placeholders(en[key]):
            wrong.append(f"{area}.{key}: vi {_placeholders(vi[key])}, en {_placeholders(en[key])}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", [p for p in house.tracked() if p.suffix in {".yml", ".md", ".py", ".toml"}], ids=str)
def test_texts_are_composed(path: Path) -> None:
    text = (house.ROOT / path).read_text(encoding="utf-8")
    if not unicodedata.is_normalized("NFC", text):
        lines = [n for n, line in enumerate(text.splitlines(), 1) if not unicodedata.is_normalized("NFC", line)]
        pytest.fail(f"{path}: not NFC in lines {lines[:10]}")


def test_no_catalogue_key_is_written_twice() -> None:
    wrong = []
    for path in LOCALE.glob("*/*.yml"):
        seen: set[str] = set()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            key = re.match(r"\"?([\w.-]+)\"?:", line)
            if key and key[1] in seen:
                wrong.append(f"{path.relative_to(house.ROOT)}:{number}: {key[1]} again")
            elif key:
                seen.add(key[1])
    assert not wrong, "\n".join(wrong)


def test_code_has_no_vietnamese_words() -> None:
    wrong = []
    for path in house.files():
        documentation = {id(node.value) for node in ast.walk(house.tree(path)) if isinstance(node, ast.Expr)}
        for node in ast.walk(house.tree(path)):
            words = isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 1 and id(node) not in documentation
            if words and VIETNAMESE.search(node.value):
                wrong.append(f"{path}:{node.lineno}: {node.value[:60]!r}")
    assert not wrong, "\n".join(wrong)


def test_every_text_that_code_names_exists() -> None:
    wrong = []
    for path in house.files():
        for node in ast.walk(house.tree(path)):
            key = _named_text(node)
            if key and key.partition(".")[2] not in i18n.catalogue("vi", key.partition(".")[0]):
                wrong.append(f"{path}:{getattr(node, 'lineno', 0)}: {key}")
    assert not wrong, "\n".join(wrong)


def _named_text(node: ast.AST) -> str:
    """The literal key of `t("area.key")` or `i18n.t("area.key")`."""
    if not isinstance(node, ast.Call) or not node.args:
        return ""
    called = node.func
    named_t = (isinstance(called, ast.Attribute) and called.attr == "t") or (isinstance(called, ast.Name) and called.id == "t")
    first = node.args[0]
    literal = isinstance(first, ast.Constant) and isinstance(first.value, str) and "." in first.value
    return str(first.value) if named_t and literal and isinstance(first, ast.Constant) else ""


def test_every_text_is_used_with_the_values_it_names() -> None:
    """A `{name}` in a text that no caller gives would be an error at 3 a.m."""
    wrong = []
    for path in house.files():
        for node in ast.walk(house.tree(path)):
            key = _named_text(node)
            if not isinstance(node, ast.Call) or not key or any(word.arg is None for word in node.keywords):
                continue
            area, _, name = key.partition(".")
            text = i18n.catalogue("vi", area).get(name, "")
            given = {word.arg for word in node.keywords} - {"language"}
            if not given and not _placeholders(text):
                continue
            if missing := _placeholders(text) - given:
                wrong.append(f"{path}:{node.lineno}: {key} needs {', '.join(sorted(missing))}")
    assert not wrong, "\n".join(wrong)
