"""At which hits the condition of a correlation holds. Window [t - timespan, t], both ends in; whole columns at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import frexp, isnan, ldexp
from typing import Any, Final

import numpy as np

from detectors.sigma import ranks, terms
from detectors.sigma.correlation import Correlation, number
from detectors.sigma.gathered import Array, Bools, Ints
from detectors.sigma.hits import Hits
from domain.event import SEP

_OPS: Final[Mapping[str, Callable[[Any, float], Any]]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le, "eq": operator.eq, "neq": operator.ne,
}  # fmt: skip
_ROOM: Final = 1 << 62
_EXACT: Final = 1 << 53
"""Whole numbers up to here are exact as float64."""


@dataclass
class Seen:
    """Sorted hits with their windows."""

    hits: Hits
    values: Sequence[str]
    """What `hits.value` stands for."""
    left: Ints
    """First hit of the window that ends at each hit."""


@dataclass
class Answer:
    """What the windows say."""

    holds: Bools
    measure: Array
    """The number that was compared; the number of rules seen for temporal correlations; NaN where there is none."""


def seen(rule: Correlation, hits: Hits, values: Sequence[str]) -> Seen:
    """Windows over hits that are sorted by group and time."""
    size = len(hits)
    if not size:
        return Seen(hits, values, np.zeros(0, np.int64))
    fresh = np.append(True, hits.group[1:] != hits.group[:-1])
    gaps = np.append(0, np.diff(hits.at))
    gaps[fresh] = rule.span + 1
    gaps = np.minimum(gaps, rule.span + 1)
    if (rule.span + 1) * size < _ROOM:
        clock = np.cumsum(gaps)
        return Seen(hits, values, np.searchsorted(clock, clock - rule.span, side="left").astype(np.int64))
    left = np.empty(size, np.int64)
    starts = np.append(np.flatnonzero(fresh), size).tolist()
    for start, end in pairwise(starts):
        at = hits.at[start:end]
        left[start:end] = start + np.searchsorted(at, at - rule.span, side="left")
    return Seen(hits, values, left)


def answer(rule: Correlation, windows: Seen) -> Answer:
    """Whether the condition holds at each hit."""
    size = len(windows.hits)
    if not size:
        return Answer(np.zeros(0, np.bool_), np.zeros(0))
    if rule.type == "temporal":
        return _temporal(rule, windows)
    if rule.type == "temporal_ordered":
        return _ordered(rule, windows)
    if rule.type == "event_count":
        measure: Array = np.arange(size) - windows.left + 1
    elif rule.type == "value_count":
        measure = _distinct(windows)
    else:
        measure = _numeric(rule, windows)
    return Answer(_test(rule, measure) & ~np.isnan(measure), measure)


def _test(rule: Correlation, measure: Array) -> Bools:
    holds = np.ones(len(measure), np.bool_)
    for op, limit in rule.conditions:
        holds &= _OPS[op](measure, limit)
    return holds


def _last(windows: Seen, bit: int) -> Ints:
    """Newest hit of a rule at or before each hit; may lie before the window, or in an earlier group."""
    size = len(windows.hits)
    return np.maximum.accumulate(np.where(windows.hits.rules & bit, np.arange(size), -1))


def _present(rule: Correlation, windows: Seen) -> dict[str, Bools]:
    return {name: _last(windows, 1 << place) >= windows.left for place, name in enumerate(rule.distinct)}


def _temporal(rule: Correlation, windows: Seen) -> Answer:
    present = _present(rule, windows)
    measure = np.sum(list(present.values()), axis=0)
    if rule.term is not None:
        return Answer(_true(rule.term, present), measure)
    return Answer(_test(rule, measure) if rule.conditions else measure == len(present), measure)


def _true(term: terms.Term, present: Mapping[str, Bools]) -> Bools:
    if term.op == "rule":
        return present[term.name]
    parts = [_true(p, present) for p in term.parts]
    if term.op == "not":
        return ~parts[0]
    return np.asarray(np.logical_and.reduce(parts) if term.op == "and" else np.logical_or.reduce(parts), np.bool_)


def _ordered(rule: Correlation, windows: Seen) -> Answer:
    """Different hits, in the order of the rules. One hit is one step, even if several rules match it."""
    present = _present(rule, windows)
    bits = {name: 1 << place for place, name in enumerate(rule.distinct)}
    measure = np.sum(list(present.values()), axis=0)
    if rule.term is not None:
        holds = np.zeros(len(measure), np.bool_)
        for branch in terms.branches(rule.term):
            one = _chain(windows, [bits[n] for n in branch.seen])
            for name in branch.absent:
                one &= ~present[name]
            holds |= one
        return Answer(holds, measure)
    steps = [bits[n] for n in rule.rules]
    if rule.conditions:
        measure = _longest(windows, steps)
        return Answer(_test(rule, measure), measure)
    return Answer(_chain(windows, steps), measure)


def _chain(windows: Seen, steps: Sequence[int]) -> Bools:
    """Whether the steps happened in this order within the window: follows the newest start of each beginning of the chain."""
    best = np.arange(len(windows.hits))
    for place, bit in enumerate(steps):
        here = windows.hits.rules & bit != 0
        before = best if place == 0 else np.append(-1, best[:-1])
        best = np.maximum.accumulate(np.where(here, before, -1))
    return np.asarray(best >= windows.left, np.bool_)


def _longest(windows: Seen, steps: Sequence[int]) -> Ints:
    """How many of the steps happened in their order within the window, steps left out allowed."""
    size = len(windows.hits)
    out = np.zeros(size, np.int64)
    ends: list[Ints] = [np.arange(size)] * len(steps)  # newest start of a chain whose last step is this one or an earlier one
    for length in range(1, len(steps) + 1):
        fresh: list[Ints] = []
        for place, bit in enumerate(steps):
            start = np.arange(size) if length == 1 else np.append(-1, ends[place - 1][:-1]) if place else np.full(size, -1)
            mine = np.maximum.accumulate(np.where(windows.hits.rules & bit != 0, start, -1))
            fresh.append(np.maximum(mine, fresh[-1]) if fresh else mine)
        ends = fresh
        out[ends[-1] >= windows.left] = length
    return out


def _distinct(windows: Seen) -> Ints:
    """Distinct values in each window. A value of a list counts for each of its elements."""
    lists, count = _elements(windows)
    codes = windows.hits.value.tolist()
    left = windows.left.tolist()
    out = np.zeros(len(codes), np.int64)
    held = [0] * count
    start = distinct = 0
    for here, first in enumerate(left):
        while start < first:
            for code in lists[codes[start]]:
                held[code] -= 1
                distinct -= not held[code]
            start += 1
        for code in lists[codes[here]]:
            distinct += not held[code]
            held[code] += 1
        out[here] = distinct
    return out


def _elements(windows: Seen) -> tuple[list[tuple[int, ...]], int]:
    """Elements of each value, the last entry (-1) being none; and how many elements there are."""
    known: dict[str, int] = {}
    lists = [tuple({known.setdefault(e, len(known)) for e in text.split(SEP)}) for text in windows.values]
    return [*lists, ()], len(known)


def _numeric(rule: Correlation, windows: Seen) -> Array:
    lists = [[n for n in map(number, text.split(SEP)) if not isnan(n)] for text in windows.values]
    lists.append([])
    if rule.type in ("value_sum", "value_avg"):
        return _sums(windows, lists, average=rule.type == "value_avg")
    return _percentiles(windows, lists, 50 if rule.type == "value_median" else rule.percentile)


def _sums(windows: Seen, lists: Sequence[Sequence[float]], *, average: bool) -> Array:
    """Exact sums, rounded once: the same however the events came."""
    shift = max((_fraction(n) for one in lists for n in one), default=0)
    whole = [sum(_scaled(n, shift) for n in one) for one in lists]
    counts = np.array([len(one) for one in lists])[windows.hits.value]
    codes = windows.hits.value
    first = windows.left
    count = np.append(0, np.cumsum(counts))
    counted = count[1:] - count[first]
    if shift == 0 and max(map(abs, whole)) * len(codes) < _EXACT:
        totals = np.append(0, np.cumsum(np.array(whole, np.int64)[codes]))
        sums = (totals[1:] - totals[first]).astype(np.float64)
    else:
        sums = _big(whole, codes.tolist(), first.tolist(), 1 << shift)
    sums[counted == 0] = np.nan
    return sums / np.maximum(counted, 1) if average else sums


def _big(whole: Sequence[int], codes: Sequence[int], left: Sequence[int], scale: int) -> Array:
    out = np.empty(len(codes))
    start = total = 0
    for here, first in enumerate(left):
        total += whole[codes[here]]
        while start < first:
            total -= whole[codes[start]]
            start += 1
        out[here] = _divided(total, scale)
    return out


def _divided(total: int, scale: int) -> float:
    try:
        return total / scale
    except OverflowError:
        return float("inf") if total > 0 else float("-inf")


def _fraction(value: float) -> int:
    """Bits behind the point."""
    mantissa, exponent = frexp(value)
    bits = int(ldexp(mantissa, 53))
    return max(0, 53 - exponent - ((bits & -bits).bit_length() - 1)) if bits else 0


def _scaled(value: float, shift: int) -> int:
    """`value * 2 ** shift`, exactly."""
    top, bottom = value.as_integer_ratio()
    return (top << shift) // bottom


def _percentiles(windows: Seen, lists: Sequence[Sequence[float]], wanted: float) -> Array:
    """Linear between the two nearest ranks, over values in order that slide along."""
    codes = windows.hits.value.tolist()
    out = np.full(len(codes), np.nan)
    widest = int((np.arange(len(codes)) - windows.left).max()) + 1
    held: ranks.Ranked = ranks.Listed() if widest < ranks.WIDE else ranks.Counted(n for one in lists for n in one)
    start = 0
    for here, first in enumerate(windows.left.tolist()):
        while start < first:
            for one in lists[codes[start]]:
                held.remove(one)
            start += 1
        for one in lists[codes[here]]:
            held.add(one)
        if held.size:
            out[here] = ranks.percentile(held, wanted)
    return out
