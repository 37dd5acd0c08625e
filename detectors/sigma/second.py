"""The second pass: which base rules feed which correlations, and under what field names."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.sigma.correlate import Correlation, ordered_by_use, read
from detectors.sigma.model import Broken, LogSource
from detectors.sigma.route import Blind, field_map
from detectors.sigma.ruleset import RuleSet


def readable(rules: RuleSet) -> list[Correlation]:
    """The correlations of a rule set, those that others name first; one that is wrong goes to `broken` and stops nothing."""
    out = []
    known = {b.file for b in rules.broken}
    for other in rules.correlations:
        try:
            out.append(read(other.data, other.file))
        except ValueError as error:
            if other.file not in known:
                rules.broken.append(Broken(other.file, other.line, str(error)))
    try:
        return ordered_by_use(out)
    except ValueError as error:
        rules.broken.append(Broken(out[0].file, 1, str(error)))
        return [c for c in out if not {c.ref.id, c.name} & {n for o in out for n in o.rules}]


def mapped_fields(correlation: Correlation, name: str, source: LogSource) -> tuple[str, ...]:
    """Group-by fields and value field as events of the base rule name them."""
    out = []
    for item in correlation.fields(name):
        try:
            out.append(field_map(source).name(item) if item else "")
        except Blind:
            out.append(item)
    return tuple(out)


def users(rules: RuleSet, correlations: Sequence[Correlation]) -> dict[int, list[tuple[int, str]]]:
    """Rule number -> the correlations that use it, with the name they use."""
    numbers: dict[str, list[int]] = {}
    for number, rule in enumerate(rules.rules):
        for name in {rule.ref.id, rule.name} - {""}:
            numbers.setdefault(name, []).append(number)
    out: dict[int, list[tuple[int, str]]] = {}
    for index, correlation in enumerate(correlations):
        for name in dict.fromkeys(correlation.rules):
            for number in numbers.get(name, ()):
                out.setdefault(number, []).append((index, name))
    return out
