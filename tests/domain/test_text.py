"""Log content is hostile: what people read is harmless, and says what it was."""

from __future__ import annotations

import json

import pytest

from domain.text import clean, csv_safe, excerpt, json_safe, one_line

CHARS = [
    "\x1b",
    "\x00",
    "\x07",
    "\x7f",
    "\x9b",
    "\u00ad",
    "\u061c",
    "\u200b",
    "\u200f",
    "\u202e",
    "\u2028",
    "\u2066",
    "\ufeff",
    "\ufffe",
    "\uffff",
    "\U000e0041",
]


@pytest.mark.parametrize("char", [*CHARS, "\r", "\ud800"], ids=lambda c: f"{ord(c):04X}")
def test_a_character_that_acts_is_shown_by_its_number(char: str) -> None:
    assert clean(f"a{char}b") == f"a‹U+{ord(char):04X}›b"
    assert csv_safe(f"{char}=1").startswith(("‹U+", "'"))


def test_line_breaks_stay_in_text_and_vanish_in_a_line() -> None:
    assert clean("a\r\nb\nc") == "a\nb\nc"
    assert one_line("a\r\nb\rc\td") == "a b c d"


@pytest.mark.parametrize("char", CHARS, ids=lambda c: f"{ord(c):04X}")
def test_json_keeps_its_meaning_and_does_nothing_on_a_terminal(char: str) -> None:
    plain = json.dumps({f"k{char}": f"v {char}{char} Đỗ\\"}, ensure_ascii=False).encode()
    safe = json_safe(plain)
    assert json.loads(safe) == json.loads(plain)
    assert char not in safe.decode()
    assert "Đỗ" in safe.decode()


@pytest.mark.parametrize(
    ("text", "part", "shown"),
    [
        ("short", "x", "short"),
        ("a" * 50 + "EVIL" + "b" * 50, "evil", "…aaaaaaaaEVILbbbbbbbb… (+42)"),
        ("evil" + "b" * 50, "evil", "evilbbbbbbbbbbbbbbbb… (+34)"),
        ("a" * 50 + "evil", "evil", "…aaaaaaaaaaaaaaaaevil"),
        ("a" * 50, "not there", "aaaaaaaaaaaaaaaaaaaa… (+30)"),
        ("a" * 50, "", "aaaaaaaaaaaaaaaaaaaa… (+30)"),
    ],
)
def test_excerpt_shows_what_matters(text: str, part: str, shown: str) -> None:
    assert excerpt(text, part, 20) == shown
