"""Correlations by brute force: for every event the whole window is looked at again. Slow, plain, independent of the product's code."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

UNITS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
TESTS = {
    "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b, "eq": lambda a, b: a == b, "neq": lambda a, b: a != b,
}  # fmt: skip


def listed(value: Any) -> list[str]:
    """A field's values as texts."""
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]


def holds(spec: dict[str, Any], window: list[tuple[set[str], list[str]]], names: list[str]) -> bool:
    """Whether the condition holds for a window: (rules, values) of its events, oldest first."""
    kind, condition = spec["type"], spec.get("condition")
    seen = set().union(*(rules for rules, _ in window))
    if isinstance(condition, str):
        return any(told(way, window, ordered=kind == "temporal_ordered") for way in spec["ways"])
    if kind == "temporal_ordered":
        longest = max(n for n in range(len(names) + 1) for steps in itertools.combinations(names, n) if follows(steps, window))
        return longest == len(names) if condition is None else tested(longest, condition)
    if kind == "temporal" and condition is None:
        return seen == set(names)
    numbers = {"event_count": len(window), "temporal": len(seen), "value_count": len({v for _, values in window for v in values})}
    if kind in numbers:
        return tested(numbers[kind], condition)
    figures = [float(v) for _, values in window for v in values if v.replace(".", "", 1).replace("-", "", 1).isdigit()]
    return bool(figures) and tested(figure(kind, figures, condition.get("percentile", 50)), condition)


def told(way: tuple[list[str], list[str]], window: list[tuple[set[str], list[str]]], *, ordered: bool) -> bool:
    """One way in which a condition in words holds: rules that must be seen, rules that must not."""
    seen = set().union(*(rules for rules, _ in window))
    return set(way[0]) <= seen and not seen.intersection(way[1]) and (not ordered or follows(tuple(way[0]), window))


def figure(kind: str, figures: list[float], percentile: float) -> float:
    """Sum, average, percentile or median."""
    if kind in ("value_sum", "value_avg"):
        return math.fsum(figures) / (len(figures) if kind == "value_avg" else 1)
    if kind == "value_median":
        return statistics.median(figures)
    figures = sorted(figures)
    rank = (len(figures) - 1) * percentile / 100
    low, high = math.floor(rank), math.ceil(rank)
    return figures[low] + (figures[high] - figures[low]) * (rank - low)


def follows(steps: tuple[str, ...], window: list[tuple[set[str], list[str]]]) -> bool:
    """Whether different events match the steps, one after the other."""
    rest = list(steps)
    for rules, _ in window:
        if rest and rest[0] in rules:
            rest.pop(0)
    return not rest


def tested(number: float, condition: dict[str, Any]) -> bool:
    """All limits."""
    return all(TESTS[op](number, limit) for op, limit in condition.items() if op in TESTS)


def firings(documents: list[dict[str, Any]], events: list[dict[str, Any]], matched: list[set[str]]) -> list[set[str]]:
    """For each event the correlations that fire. `matched`: base rules (ids) of each event; documents: those that others name first."""
    out: list[set[str]] = [set() for _ in events]
    firing = {name: [(row, {}) for row, rules in enumerate(matched) if name in rules] for name in set().union(*matched, set())}
    for document in documents:
        found = fired(document, events, firing)
        firing[document["id"]] = found
        for row, _ in found:
            out[row].add(document["id"])
    return out


def fired(document: dict[str, Any], events: list[dict[str, Any]], firing: dict[str, Any]) -> list[tuple[int, dict[str, str]]]:
    """(event, group) of each firing."""
    spec = document["correlation"]
    span = int(spec["timespan"][:-1]) * UNITS[spec["timespan"][-1]]
    group_by = spec.get("group-by", [])
    hits: dict[tuple[str, ...], dict[int, tuple[set[str], set[str]]]] = {}
    for name in dict.fromkeys(spec["rules"]):
        for row, group in firing.get(name, []):
            event = {**events[row], **group}
            field = spec["condition"].get("field") if isinstance(spec.get("condition"), dict) else None
            for key in itertools.product(*(listed(event.get(spec.get("aliases", {}).get(g, {}).get(name, g))) for g in group_by)):
                rules, values = hits.setdefault(key, {}).setdefault(row, (set(), set()))
                rules.add(name)
                values.update(listed(event.get(field)) if field else [])
    out = []
    for key, rows in hits.items():
        order = sorted(rows, key=lambda r: (events[r]["time"], r))
        for place, row in enumerate(order):
            window = [rows[r] for r in order[: place + 1] if moment(events[r]) >= moment(events[row]) - span]
            if holds(spec, [(rules, list(values)) for rules, values in window], spec["rules"]):
                out.append((row, dict(zip(group_by, key, strict=True))))
    return out


def moment(event: dict[str, Any]) -> int:
    """Microseconds."""
    return round(event["time"] * 1_000_000)
