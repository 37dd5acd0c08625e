"""Percentiles of a window that slides along: values come and go, and any rank is asked for at any time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from math import floor
from typing import Final, Protocol

WIDE: Final = 5_000
"""Values in a window from which a sorted list moves too many of them about."""


class Ranked(Protocol):
    """Values in order."""

    size: int
    """How many there are."""

    def add(self, value: float) -> None:
        """One more."""

    def remove(self, value: float) -> None:
        """One less; it must be there."""

    def at(self, rank: int) -> float:
        """The value of a rank, from 0."""


class Listed:
    """A sorted list: quick for small windows."""

    def __init__(self) -> None:
        self.size = 0
        self._held: list[float] = []

    def add(self, value: float) -> None:
        """Where it belongs."""
        insort(self._held, value)
        self.size += 1

    def remove(self, value: float) -> None:
        """The first of its like."""
        del self._held[bisect_left(self._held, value)]
        self.size -= 1

    def at(self, rank: int) -> float:
        """By its place."""
        return self._held[rank]


class Counted:
    """Counts of values that are known beforehand, in a binary indexed tree: a logarithm of steps, however wide the window."""

    def __init__(self, known: Iterable[float]) -> None:
        self.size = 0
        self._values = sorted(set(known))
        self._places = {value: place for place, value in enumerate(self._values, 1)}
        self._top = 1 << (len(self._values).bit_length() - 1) if self._values else 0
        self._tree = [0] * (len(self._values) + 1)

    def add(self, value: float) -> None:
        """Counted up."""
        self._change(value, 1)

    def remove(self, value: float) -> None:
        """Counted down."""
        self._change(value, -1)

    def _change(self, value: float, by: int) -> None:
        place, tree, end = self._places[value], self._tree, len(self._tree)
        while place < end:
            tree[place] += by
            place += place & -place
        self.size += by

    def at(self, rank: int) -> float:
        """The first value with more than `rank` values up to it."""
        place, step, tree, end = 0, self._top, self._tree, len(self._tree)
        while step:
            there = place + step
            if there < end and tree[there] <= rank:
                place, rank = there, rank - tree[there]
            step >>= 1
        return self._values[place]


def percentile(held: Ranked, wanted: float) -> float:
    """Linear between the two nearest ranks."""
    rank = (held.size - 1) * wanted / 100
    low = floor(rank)
    below = held.at(low)
    part = rank - low
    if low >= held.size - 1 or not part:
        return below
    above = held.at(low + 1)
    return above - (above - below) * (1 - part) if part >= 0.5 else below + (above - below) * part
