"""Words in much text, whatever their case, piece by piece: each piece is folded into a small buffer that stays in the processor's cache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import ahocorasick_rs
import numpy as np

from match.literals import FEW, automaton

Bytes: TypeAlias = np.ndarray[tuple[int], np.dtype[np.uint8]]
Spans: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int64]]
ODD: Final = ("\u212a", "\u0130")
"""The letters outside ASCII that lower-case to an ASCII letter: Kelvin sign, I with a dot."""
_FIRST: Final = ahocorasick_rs.MatchKind.LeftmostFirst
_PIECE: Final = 256 << 10
_PASSES: Final = 3
"""So many quick searches one after the other take no longer than a slow one for all words."""
_LEAST: Final = 4
"""Characters of a word."""
_NUMBER: Final = re.compile(r"[^a-z]*|[0-9.e+-]*")
_TEXTS: Final = ("true", "false", "nan", "inf")
"""What flags and numbers are written as, besides digits."""
_CASE: Final = 0x20
_ASCII: Final = 0x80


class Words:
    """Some words, lower-case ASCII, and the odd letters that could hide one."""

    def __init__(self, words: Sequence[str]) -> None:
        folded = _fewest(tuple(words))
        step = FEW if len(folded) <= _PASSES * FEW else len(folded)
        self._words = [automaton(folded[at : at + step], _FIRST) for at in range(0, len(folded), step)]
        self._odd = automaton([letter.encode() for letter in ODD], _FIRST)
        self._overlap = max(map(len, [*folded, *(letter.encode() for letter in ODD)])) - 1
        self._buffer = np.empty(_PIECE + self._overlap, np.uint8)

    def find(self, text: memoryview) -> Spans:
        """Where something stands that may be a word: (start, end) in bytes. Each word in the text is touched by one of them."""
        data = np.frombuffer(text, np.uint8)
        found = [found + start for start in range(0, len(data), _PIECE) for found in self._pieces(data[start:])]
        return np.concatenate(found) if found else np.zeros((0, 2), np.int64)

    def _pieces(self, data: Bytes) -> Iterator[Spans]:
        """What the first piece holds. One bit folds the case of ASCII letters, and takes some other ASCII characters for each other."""
        piece = data[: _PIECE + self._overlap]
        folded = self._buffer[: len(piece)]
        np.bitwise_or(piece, _CASE, out=folded)
        for search in self._words:
            yield from _spans(search.find_matches_as_indexes(folded.data))
        if piece.max() >= _ASCII:
            yield from _spans(self._odd.find_matches_as_indexes(piece.data))


@lru_cache(64)
def _fewest(words: tuple[str, ...]) -> tuple[bytes, ...]:
    """Folded, without those that hold another one: where they stand, that one does."""
    kept: list[bytes] = []
    for word in sorted({bytes(byte | _CASE for byte in word.encode()) for word in words}, key=lambda w: (len(w), w)):
        if not any(less in word for less in kept):
            kept.append(word)
    return tuple(kept)


def _spans(found: Sequence[tuple[int, int, int]]) -> Iterator[Spans]:
    if found:
        yield np.array(found, np.int64)[:, 1:]


def plain_word(text: str) -> str:
    """The longest run of ASCII of a literal; "" when it could stand in a number or a flag, which are not searched for words."""
    return max((run for run in re.findall(r"[\x00-\x7f]+", text) if _is_word(run)), key=len, default="")


def safe_word(text: str) -> str:
    """The longest run of characters of a literal that every encoding of a record writes as they are; "" when it is too short."""
    best = max((run for run in re.findall(r"[a-z0-9 .:_-]+", text) if _is_word(run)), key=len, default="")
    return best if len(best) >= _LEAST else ""


def _is_word(run: str) -> bool:
    return not _NUMBER.fullmatch(run) and not any(run in text for text in _TEXTS)
