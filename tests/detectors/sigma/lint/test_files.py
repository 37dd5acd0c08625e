"""What keeps a file from being rules at all."""

from __future__ import annotations

import pytest

from detectors.sigma.lint import Source, lint
from detectors.sigma.load import load
from tests.detectors.sigma.lint.examples import merged

GOOD = merged("").encode()
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)  # fmt: skip


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param(b"# title: caf\xe9\n" + GOOD, (1, 13, "not-utf8"), id="Latin 1"),
        pytest.param(GOOD + b"# \xc3\xa9 \xff\n", (20, 5, "not-utf8"), id="columns are characters"),
        pytest.param(GOOD.decode().encode("utf-16"), (1, 1, "not-utf8"), id="UTF-16"),
        pytest.param(b"x: 1\n" * 300_000, (1, 1, "file-too-large"), id="too large"),
        pytest.param(b"", (1, 1, "empty-file"), id="nothing"),
        pytest.param(b"---\n# a comment\n", (1, 1, "empty-file"), id="a comment only"),
        pytest.param(BOMB.encode(), (1, 1, "yaml-syntax"), id="aliases without end"),
        pytest.param(b"a: " + b"[" * 60 + b"]" * 60, (1, 1, "yaml-syntax"), id="deep"),
        pytest.param(b"a: &a [*a]\n", (1, 1, "yaml-syntax"), id="in itself"),
        pytest.param(b"title: x\n\tlevel: low\n", (2, 1, "yaml-tab"), id="tab"),
        pytest.param(b"title: 'x\n", (2, 1, "yaml-syntax"), id="open quote"),
        pytest.param(b"a: !!python/object:os.system x\n", (1, 4, "yaml-syntax"), id="a tag of Python"),
        pytest.param(b"a: !!set x\n", (1, 4, "yaml-syntax"), id="a set of text"),
        pytest.param(b"a: !!bool perhaps\n", (1, 4, "yaml-syntax"), id="neither true nor false"),
        pytest.param(b"a: !!int ''\n", (1, 4, "yaml-syntax"), id="no number"),
        pytest.param(b"a: !!timestamp now\n", (1, 4, "yaml-syntax"), id="no time"),
        pytest.param(b"title: \x00\n", (1, 1, "yaml-syntax"), id="a zero byte"),
        pytest.param(b"title: x\n? [a]\n: b\n", (2, 3, "yaml-syntax"), id="a list as key"),
        pytest.param(b"- title: x\n", (1, 1, "not-a-mapping"), id="list"),
        pytest.param(b"some text\n", (1, 1, "not-a-mapping"), id="text"),
        pytest.param(b"title: x\n---\naction: global\n", (3, 1, "action-document"), id="action: global"),
    ],
)
def test_one_error_at_its_place_and_the_others_run(content: bytes, wanted: tuple[int, int, str]) -> None:
    errors = [i for i in lint([Source("bad_file.yml", content)]).issues if i.severity == "error"]
    assert [(i.line, i.column, i.code) for i in errors] == [wanted]
    out = load([("bad_file.yml", content), ("good_file.yml", GOOD)])
    assert [rule.file for rule in out.rules] == ["good_file.yml"]
    assert [(b.line, b.column, b.code) for b in out.broken] == [wanted]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"\xef\xbb\xbf" + GOOD, "byte-order-mark", id="byte-order mark"),
        pytest.param(GOOD.replace(b"\n", b"\r\n"), "carriage-returns", id="CRLF"),
    ],
)
def test_what_other_tools_stumble_over_is_a_note(content: bytes, code: str) -> None:
    assert [(i.code, i.severity) for i in lint([Source("example_rule.yml", content)]).issues] == [(code, "note")]
    plain, odd = (load([("example_rule.yml", one)]) for one in (GOOD, content))
    assert (odd.broken, odd.rules[0].expr) == ([], plain.rules[0].expr)


def test_a_file_that_cannot_be_read_is_an_error_of_that_file() -> None:
    result = lint([Source("gone_rule.yml", b"", "", "Permission denied"), Source("example_rule.yml", GOOD)])
    assert [(i.file, i.code, i.reason("en")) for i in result.issues] == [
        ("gone_rule.yml", "unreadable", "cannot be read: Permission denied")
    ]
    assert result.documents == 1


@pytest.mark.parametrize("piece", ["[", "{a: ", "- ", "? ", "[[],", "!!map {", "a: |\n", "a:\n ", "[\n"])
def test_a_file_made_to_exhaust_the_parser_is_refused_at_once(piece: str) -> None:
    """The parser recurses in C: without a look beforehand such a file ends the whole process."""
    content = (piece * (1_000_000 // len(piece))).encode()
    out = load([("bad_file.yml", content), ("good_file.yml", GOOD)])
    assert [(b.file, b.code) for b in out.broken] == [("bad_file.yml", "yaml-syntax")]
    assert [rule.file for rule in out.rules] == ["good_file.yml"]


def test_a_check_that_finds_too_much_stops() -> None:
    text = merged("detection:\n  s:\n" + "".join(f"    f{n}|nosuch: b\n" for n in range(500)) + "  condition: s\n")
    assert len(lint([Source("example_rule.yml", text.encode())]).issues) <= 2 * 100
