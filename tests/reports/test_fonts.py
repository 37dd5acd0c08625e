"""The shipped faces: every Vietnamese letter; what they lack is named, not lost."""

from __future__ import annotations

import unicodedata

from reports.fonts import FOLDER, coverage, drawable

LETTERS = "aăâbcdđeêghiklmnoôơpqrstuưvxy"


def test_every_vietnamese_letter_with_every_tone_is_covered() -> None:
    marks = ["", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"]
    tones = {unicodedata.normalize("NFC", c + m) for c in "aăâeêioôơuưy" for m in marks}
    letters = {*LETTERS, *tones}
    assert {ord(c) for word in letters for c in (word, word.upper())} <= coverage()
    assert all(len(c) == 1 for c in letters)


def test_typography_of_documents_is_covered() -> None:
    assert {ord(c) for c in "–—…“”‘’‹›■□•→./-(*)%§"} <= coverage()


def test_what_the_fonts_lack_is_shown_by_its_number() -> None:
    assert drawable("a 😀 漢 b") == "a ‹U+1F600› ‹U+6F22› b"


def test_the_licence_is_beside_the_fonts() -> None:
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FOLDER / "OFL.txt").read_text(encoding="utf-8")
    assert len(list(FOLDER.glob("LiberationSerif-*.ttf"))) == 4
