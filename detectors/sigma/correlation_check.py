"""What is wrong with correlations among the rules that they name: unknown rules, names that several bear, circles."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from detectors.sigma.correlation import Correlation, Fault, WrongError, read
from detectors.sigma.model import Other
from detectors.sigma.refs import reference

Names: TypeAlias = tuple[str, str]
"""Id and name of a rule; the name may be empty."""


@dataclass
class Linked:
    """Correlations of a rule set that can run, and what is wrong with the others."""

    correlations: list[Correlation] = field(default_factory=list)
    """Those that others name come first; rules are named by id."""
    faults: list[tuple[Other, Fault]] = field(default_factory=list)


def link(documents: Sequence[Other], rules: Iterable[Names]) -> Linked:
    """Read the documents and find the rules that they name. One that is wrong, or names a wrong one, stops no other."""
    out = Linked()
    found: list[tuple[Other, Correlation]] = []
    for document in documents:
        try:
            found.append((document, read(document.data, document.file)))
        except WrongError as error:
            out.faults += [(document, fault) for fault in error.faults]
    bearers = _bearers([*rules, *((c.ref.id, c.name) for _, c in found), *(_names(d.data) for d, _ in out.faults)])
    wrong = {_names(d.data)[0] for d, _ in out.faults}
    whole = []
    for document, correlation in found:
        faults = [*_unknown(correlation, bearers), *_aliases(correlation, bearers)]
        out.faults += [(document, fault) for fault in faults]
        if faults:
            wrong.add(correlation.ref.id)
        else:
            whole.append((document, correlation.linked({n: n if n in ids else ids[0] for n, ids in bearers.items()})))
    _sorted(whole, wrong, out)
    return out


def _names(data: Mapping[str, Any]) -> Names:
    return reference(data, "correlation").id, str(data.get("name") or "")


def _bearers(rules: Iterable[Names]) -> dict[str, list[str]]:
    """Id or name -> ids of the rules that it stands for."""
    out: dict[str, list[str]] = defaultdict(list)
    for key, name in rules:
        for one in {key, name} - {""}:
            if key not in out[one]:
                out[one].append(key)
    return dict(out)


def _unknown(correlation: Correlation, bearers: Mapping[str, Sequence[str]]) -> Iterable[Fault]:
    where = "condition" if correlation.term else "rules"
    for name in correlation.distinct:
        ids = bearers.get(name, ())
        if not ids:
            close = difflib.get_close_matches(name, bearers, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield Fault(("correlation", where, name), f"correlation: there is no rule with the id or name {name}{hint}")
        elif len(ids) > 1 and name not in ids:
            yield Fault(("correlation", where, name), f"correlation: several rules are named {name}: {', '.join(sorted(ids))}")


def _aliases(correlation: Correlation, bearers: Mapping[str, Sequence[str]]) -> Iterable[Fault]:
    used = {key for name in correlation.distinct for key in bearers.get(name, ())}
    for alias, each in correlation.aliases.items():
        for rule in each:
            if not used.intersection(bearers.get(rule, ())):
                reason = f"correlation alias {alias}: {rule} is not one of the rules: {', '.join(correlation.distinct)}"
                yield Fault(("correlation", "aliases", alias, rule), reason)


def _sorted(found: Sequence[tuple[Other, Correlation]], wrong: set[str], out: Linked) -> None:
    """Children first. Those of a circle, and those that name what is wrong, are faults."""
    documents = {c.ref.id: d for d, c in found}
    left = {c.ref.id: c for _, c in found}
    done: set[str] = set()
    while True:
        ready = [c for c in left.values() if not any(r in left or r in wrong for r in c.distinct)]
        if not ready:
            break
        for one in ready:
            out.correlations.append(left.pop(one.ref.id))
            done.add(one.ref.id)
    for key, one in left.items():
        circle = _circle(key, left)
        bad = next((r for r in one.distinct if r in wrong or r in left), key)
        if circle:
            reason = f"correlations refer to each other in a circle: {' -> '.join(circle)}"
        else:
            reason = f"correlation: it needs {bad}, which is wrong itself"
        out.faults.append((documents[key], Fault(("correlation", "rules", circle[1] if circle else bad), reason)))


def _circle(start: str, left: Mapping[str, Correlation]) -> list[str]:
    """The way from a correlation back to itself; empty when there is none."""
    waiting = [[start]]
    seen = set()
    while waiting:
        path = waiting.pop(0)
        for name in left[path[-1]].distinct:
            if name == start:
                return [*path, start]
            if name in left and name not in seen:
                seen.add(name)
                waiting.append([*path, name])
    return []


def twice(rules: Iterable[Names]) -> list[str]:
    """Ids and names that more than one rule bears, each as a sentence."""
    ids: dict[str, int] = defaultdict(int)
    names: dict[str, int] = defaultdict(int)
    for key, name in rules:
        ids[key] += 1
        if name:
            names[name] += 1
    out = [f"{n} rules have the id {key}" for key, n in ids.items() if n > 1]
    out += [f"{n} rules are named {name}" for name, n in names.items() if n > 1]
    return out
