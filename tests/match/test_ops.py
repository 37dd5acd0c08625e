"""Patterns are asked of few values and of many by different means; the answers are the same."""

from __future__ import annotations

from random import Random

import pyarrow as pa
import pytest
import re2

from domain.event import TableBatch
from domain.query import Test
from match import ops, rows

VALUES = ["powershell -enc ZQBj", "POWERSHELL -E", "đường dẫn\nthứ hai", "", "a\x1eb", "x" * 300 + "yz", "2024", "ſ\u212a", None]
PATTERNS = [
    r"(?i)powershell.*-e",
    r"^a",
    r"b$",
    r"(?s)đường.thứ|dẫn\sthứ",
    r"x{250,}y",
    r"\d{4}",
    r"(?i)SK",
    r"^$",
    r"\x{1e}",
    r"(?i)\bpowershell\b",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("op", ["re", "like"])
def test_few_and_many_values_answer_alike(pattern: str, op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = TableBatch(pa.table({"process.command_line": pa.array(VALUES, pa.string())}))
    test = Test("process.command_line", op, (pattern if op == "re" else f"*{pattern[:3]}*",))
    few = rows(test, batch).tolist()
    monkeypatch.setattr(ops, "_FEW", 0)
    assert rows(test, TableBatch(batch.table)).tolist() == few


def test_states_that_need_too_much_memory_are_no_words_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    some = Random(1)
    text = "".join(some.choice("abxzđK") for _ in range(100_000))
    batch = TableBatch(pa.table({"process.command_line": [text, text + "q"]}))
    assert rows(Test("process.command_line", "re", (r".*(x.{300}y|z.{400}w).*q",)), batch).tolist() == []
    assert capfd.readouterr().err == ""


def test_an_expression_that_needs_more_memory_than_is_kept_for_one_matches_all_the_same() -> None:
    pattern = r"(?:\p{L}{90}){3}"
    small = re2.Options()
    small.max_mem, small.log_errors = ops._STATES, False
    with pytest.raises(re2.error):
        re2.compile(pattern, small)
    batch = TableBatch(pa.table({"message": ["đ" * 270, "đ" * 269]}))
    assert rows(Test("message", "re", (pattern,)), batch).tolist() == [0]
