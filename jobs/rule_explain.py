"""`soc rules explain`: find the rule and the event, and draw the tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from domain.errors import UsageError
from domain.event import table_of
from domain.i18n import t
from jobs import rulesets

if TYPE_CHECKING:
    from detectors.sigma.model import Rule
    from detectors.sigma.tree import Term
    from jobs.runtime import Runtime


def find_rule(runtime: Runtime, name: str, roots: list[str]) -> Rule:
    """By id or its unique prefix, by a file, or by words of the title. UsageError lists the candidates."""
    if Path(name).is_file():
        roots, name = [name], ""
    rules = rulesets.load(runtime, roots)
    folded = name.lower()
    found = [r for r in rules.rules if r.ref.id.startswith(folded) or folded in r.ref.title.lower()]
    exact = [r for r in found if r.ref.id == folded]
    if len(exact or found) == 1:
        return (exact or found)[0]
    blind = [b for b in rules.blind if name and (b.id.startswith(folded) or folded in b.title.lower())]
    if not found and blind:
        raise UsageError(f"{blind[0].title} is BLIND: {blind[0].reason}", where=blind[0].file)
    if not found and rules.broken and not name:
        raise UsageError(rules.broken[0].reason, where=f"{rules.broken[0].file}:{rules.broken[0].line}", hint="soc rules lint")
    listed = "; ".join(f"{r.ref.id[:8]} {r.ref.title}" for r in found[:5])
    raise UsageError(f"{len(found)} rules are called {name}" + (f": {listed}" if listed else ""), hint="soc rules list")


def find_event(runtime: Runtime, text: str, parser: str) -> pa.Table:
    """An event id (or prefix) of the store, or a file whose first line is a flat ECS event in JSON or a raw record for `parser`."""
    path = Path(text)
    if path.is_file():
        line = path.read_text(encoding="utf-8", errors="replace").splitlines()[:1]
        return _from_line(line[0] if line else "", parser)
    from jobs.search import resolve

    found = runtime.store.events.fetch([resolve(runtime.store.events, text)])
    if not found.num_rows:
        raise UsageError(f"no event {text}", hint="soc search QUERY --fields event.id")
    return found


def _from_line(line: str, parser: str) -> pa.Table:
    if parser == "auto" and line.startswith("{"):
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            event = None
        if isinstance(event, dict) and any("." in key for key in event):
            return table_of([event])
    from jobs.rule_cases import parsed

    return parsed({"raw": line, "parser": parser})


def lines(terms: list[Term], depth: int = 0) -> list[str]:
    """The tree as indented text, in the reader's language."""
    out = []
    for term in terms:
        mark = t("rules.holds") if term.holds else t("rules.fails")
        out.append("  " * depth + f"{mark} {_words(term)}")
        out += lines(term.children, depth + 1)
    return out


def _words(term: Term) -> str:
    if term.kind == "source" and not term.name:
        return t("rules.tree_source")
    if term.kind in ("and", "or", "not"):
        return t(f"rules.tree_{term.kind}")
    what = t("rules.tree_test", field=term.name, op=term.op, wanted=term.wanted)
    if term.name == "*":
        return what
    return what + " · " + (t("rules.tree_missing") if term.missing else t("rules.tree_seen", seen=term.seen))


def to_json(rule: Rule, terms: list[Term]) -> dict[str, Any]:
    """The whole answer."""
    return {
        "rule": {"id": rule.ref.id, "title": rule.ref.title},
        "holds": all(term.holds for term in terms),
        "tree": [term.to_json() for term in terms],
    }


def explain(rule: Rule, event: pa.Table) -> list[Term]:
    """Log source and condition as trees."""
    from detectors.sigma import tree

    return tree.explain(rule, event)


def converted(file: str, pipeline: str) -> list[str]:
    """The rules of a file as OpenSearch queries."""
    from detectors.sigma.convert import convert

    return convert(Path(file), pipeline)
