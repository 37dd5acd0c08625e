"""Log sources of Sigma rules, as a list for people: what feeds each, and why some are blind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from detectors.sigma.build import build
from detectors.sigma.model import LogSource
from detectors.sigma.route import Blind, feeds
from domain.query import And, Expr, Test


def feeding(source: tuple[str, str, str]) -> str:
    """`winlog.channel=Security event.code=4688 | …`; empty when nothing feeds it."""
    try:
        found = feeds(LogSource(*source), ("sysmon", "security"))
    except Blind:
        return ""
    return " | ".join(_written(feed.when) for feed in found)


def _written(when: Expr) -> str:
    tests = when.children if isinstance(when, And) else (when,)
    return " ".join(_test(test) for test in tests if isinstance(test, Test))


def _test(test: Test) -> str:
    return f"{test.field}={'*' if test.op == 'exists' else ','.join(map(str, test.values))}"


def table(files: Sequence[tuple[str, bytes]]) -> Iterator[str]:
    """Lines of the Markdown table in docs/logsources.md: log source, what feeds it, rules that can run, those that cannot and why."""
    rules = build(files)
    runs = Counter((r.source.product, r.source.category, r.source.service) for r in rules.rules)
    blind: dict[tuple[str, str, str], Counter[str]] = {}
    for one in rules.blind:
        blind.setdefault(one.source, Counter())[_kind(one.why, one.reason, one.what)] += 1
    yield "| product | category | service | fed by | can run | BLIND | why |"
    yield "|---|---|---|---|---|---|---|"
    for source in sorted({*runs, *blind}):
        why = "; ".join(f"{reason}{f' ({n})' if n > 1 else ''}" for reason, n in sorted(blind.get(source, Counter()).items()))
        cells = (*(part or "-" for part in source), _code(feeding(source)), runs[source], sum(blind.get(source, Counter()).values()), why)
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _kind(why: str, reason: str, what: str) -> str:
    return reason.replace(f" ({what})", "") if why != "placeholder" else f"placeholder `{what}` has no values"


def _code(text: str) -> str:
    return " or ".join(f"`{part}`" for part in text.split(" | ")) if text else ""
