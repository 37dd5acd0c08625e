"""Reading playbook files: hostile YAML is refused before it can do harm, every problem with its line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from playbooks.source import MAX_BYTES, parse, read

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{c}: &{c} [{','.join(f'*{p}' for _ in range(9))}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param(BOMB, 1, "anchors and aliases are not allowed in playbooks", id="billion laughs"),
        pytest.param("a: 1\nb: !!python/object/apply:os.system ['id']\n", 2, "tags are not allowed", id="python object"),
        pytest.param("x: " + "[" * 500 + "]" * 500, 1, "nested deeper than 16", id="deep nesting"),
        pytest.param("a:\n" + "- x\n" * 60_000, 49_998, "more than 50000 values", id="too many values"),
        pytest.param("id: PB01\nid: PB02\n", 2, "key id stands twice", id="key twice"),
        pytest.param("a: 1\nb: [1, 2\nc: 3\n", 3, "not valid YAML", id="syntax"),
        pytest.param("a: 'x\x00y'\n", 1, "not valid YAML", id="control character"),
    ],
)
def test_hostile_yaml_is_refused(text: str, line: int, message: str) -> None:
    start = time.monotonic()
    source = parse(text, "x.yml")
    assert time.monotonic() - start < 5
    assert message in source.problems[0].text
    assert abs(source.problems[0].line - line) <= 1


def test_files_that_cannot_be_playbooks(tmp_path: Path) -> None:
    big, binary = tmp_path / "big.yml", tmp_path / "binary.yml"
    big.write_bytes(b"a" * (MAX_BYTES + 1))
    binary.write_bytes(b"a: \xff\xfe")
    assert read(big).problems[0].text == "larger than 512 KiB, the limit of a playbook"
    assert read(binary).problems[0].text == "not UTF-8 at byte 3"
    assert read(tmp_path / "none.yml").problems[0].text == "cannot be read: No such file or directory"
    assert read(tmp_path).problems[0].text.startswith("cannot be read")


def test_lines_of_values() -> None:
    source = parse("id: PB01\nsteps:\n  - id: N1\n    title:\n      vi: Một\n", "x.yml")
    assert source.data == {"id": "PB01", "steps": [{"id": "N1", "title": {"vi": "Một"}}]}
    assert source.line(("steps", 0, "title", "vi")) == 5
    assert source.line(("steps", 0, "nothing")) == 3
