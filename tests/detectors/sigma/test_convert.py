"""Rules as OpenSearch queries: modifiers mean what they mean here, and what the backend cannot say is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.sigma.convert import convert
from domain.errors import ContentError, UsageError

RULE = "title: Case\nlogsource: {category: process_creation, product: windows}\ndetection:\n  s: {%s}\n  condition: s\n"


def query(tmp_path: Path, item: str) -> str:
    path = tmp_path / "r.yml"
    path.write_text(RULE % item, encoding="utf-8")
    return convert(path, "none")[0]


def test_modifiers_are_the_mended_ones(tmp_path: Path) -> None:
    assert query(tmp_path, "f|utf16le|base64: cmd") == "f:YwBtAGQA"
    assert query(tmp_path, "f|windash|contains: ' \u2014f'").count("OR") == 4
    assert query(tmp_path, "f|contains: 44") == "f:*44*"


@pytest.mark.parametrize("item", ["f|cased: A", "f|fieldref: g", "f|nosuch: x"])
def test_what_cannot_be_said_is_an_error_with_its_file(tmp_path: Path, item: str) -> None:
    with pytest.raises(ContentError, match="cannot be converted") as error:
        query(tmp_path, item)
    assert "r.yml" in str(error.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "r.yml:1: cannot be converted: the file holds no rule"),
        (b"[]", "r.yml:1: cannot be converted: a rule is a mapping, not a list"),
        (b"title: [a\n", "r.yml:2: cannot be converted: not valid YAML"),
        (b"title: " + b"[" * 5000, "r.yml:1: cannot be converted: not valid YAML"),
        (b"title: x\nfoo: !!python/object:os.system x\n", "r.yml:2: cannot be converted: not valid YAML"),
        (b"\xff\xfe", "r.yml:1: cannot be converted: byte 0xff is not UTF-8"),
    ],
)
def test_a_file_that_is_no_rule_is_an_error_at_its_place(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "r.yml"
    path.write_bytes(content)
    with pytest.raises(ContentError, match=reason):
        convert(path, "none")


def test_a_file_that_is_not_there_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        convert(tmp_path / "nofile.yml", "none")
