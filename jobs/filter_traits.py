"""By what the events of an alert can be told from others: fields that hold the same few values in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from domain.event import SEP
from domain.query import Expr, Not, Or, Test, fields_of, tests

if TYPE_CHECKING:
    from detectors.sigma.model import Rule

MOST: Final = 5
"""Distinct values that a stable field may have."""
_KINDS_OF_EVENTS: Final = 4
"""Different event codes that an alert may mix, each with traits of its own."""
_LONGEST: Final = 300
_KINDS: Final[Mapping[str, str]] = {
    "host.name": "where", "winlog.computer_name": "where", "source.ip": "where", "winlog.event_data.IpAddress": "where",
    "destination.ip": "where", "api.client.id": "who", "user.name": "who", "winlog.event_data.User": "who",
    "winlog.event_data.SubjectUserName": "who", "winlog.event_data.TargetUserName": "who", "process.executable": "program",
    "process.parent.executable": "program", "winlog.event_data.Image": "program", "winlog.event_data.ParentImage": "program",
    "winlog.event_data.NewProcessName": "program", "winlog.event_data.ParentProcessName": "program",
    "winlog.event_data.SourceImage": "program", "winlog.event_data.TargetImage": "program", "winlog.event_data.ServiceName": "program",
}  # fmt: skip
"""Fields that name a program, an account or a machine, and which of them; everything else that the rule has asked for is `what`."""
_TWINS: Final = (
    ("host.name", "winlog.computer_name"), ("process.executable", "winlog.event_data.Image"), ("source.ip", "winlog.event_data.IpAddress"),
    ("process.executable", "winlog.event_data.NewProcessName"), ("process.parent.executable", "winlog.event_data.ParentImage"),
    ("process.parent.executable", "winlog.event_data.ParentProcessName"), ("user.name", "winlog.event_data.User"),
)  # fmt: skip
"""Two names of one thing: the first is left out where the second is held."""
_NEVER: Final = ("event.code", "event.dataset", "event.module", "winlog.channel", "winlog.provider_name", "message", "event.original")
"""Fields that say which log it is, and texts that are never twice the same."""


@dataclass(frozen=True)
class Trait:
    """One field with the values that all events of an alert hold."""

    name: str
    """As rules of the log source ask for it."""
    values: tuple[str | int | float, ...]
    kind: str
    """what, program, who, where."""
    tells: bool
    """The rule does not enumerate the field's values itself: a filter of such fields alone would hide a whole branch of the rule."""


def parts(table: pa.Table, rules: Sequence[Rule]) -> list[list[Trait]]:
    """Traits of each kind of event in it: Sysmon and the security log tell of one process in fields of their own.

    Empty when there are too many kinds.
    """
    if "event.code" not in table.column_names:
        return [traits(table, rules, table)]
    codes = table["event.code"].cast(pa.string()).fill_null("")
    distinct = sorted(pc.unique(codes).to_pylist())
    return [traits(table.filter(pc.equal(codes, code)), rules, table) for code in distinct] if len(distinct) <= _KINDS_OF_EVENTS else []


def traits(table: pa.Table, rules: Sequence[Rule], whole: pa.Table) -> list[Trait]:
    """The stable fields of these events: what the rules asked for first, then programs, accounts, machines.

    A field of which every rule demands just the values that `whole`, all events of the alert, has is left out: it says nothing that the
    rule does not, and a filter of such fields would hide the whole rule.
    """
    asked = sorted(set().union(*(fields_of(rule.body) - fields_of(rule.route) for rule in rules)) - {"*"})
    held = set(table.column_names)
    twins = {one for one, other in _TWINS if other in held and one not in asked}
    out: dict[str, Trait] = {}
    for field in (*asked, *_KINDS):
        if field in held and field not in twins and field not in _NEVER:
            values = _values(table[field])
            name = _name(field, rules) if values else ""
            if name and name not in out and not all(_pinned(rule.body, field, pc.unique(whole[field]).to_pylist()) for rule in rules):
                out[name] = Trait(name, values, _KINDS.get(field, "what"), not all(_enumerated(rule.body, field) for rule in rules))
    return list(out.values())


def _values(column: pa.ChunkedArray) -> tuple[str | int | float, ...]:
    """The distinct values when they are few, short and never missing."""
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    if plain.null_count or not (pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type) or pa.types.is_integer(plain.type)):
        return ()
    distinct = pc.unique(plain).to_pylist()
    short = all(not isinstance(v, str) or (0 < len(v) <= _LONGEST and v != "-" and SEP not in v) for v in distinct)
    return tuple(sorted(distinct)) if len(distinct) <= MOST and short else ()


def _name(field: str, rules: Sequence[Rule]) -> str:
    """The name under which all rules can ask for an event's field; "" when there is none."""
    from detectors.sigma.route import feeds

    names = {next((name for feed in feeds(rule.source, ("sysmon", "security")) if (name := feed.map.asked(field))), "") for rule in rules}
    return names.pop() if len(names) == 1 else ""


def _pinned(expr: Expr, field: str, values: Sequence[object]) -> bool:
    """Whether the rule itself demands one of these values of the field, so that asking for them again says nothing new."""
    if isinstance(expr, Test):
        asked = {str(v).lower() for v in expr.values}
        return expr.field == field and expr.op == "eq" and asked <= {str(v).lower() for v in values}
    if isinstance(expr, Not):
        return False
    return (all if isinstance(expr, Or) else any)(_pinned(child, field, values) for child in expr.children)


def _enumerated(expr: Expr, field: str) -> bool:
    """Whether the rule names the values of the field one by one."""
    ops = {test.op for test in tests(expr) if test.field == field}
    return ops == {"eq"}


def literal(values: Sequence[str | int | float]) -> list[str | int | float] | str | int | float:
    """Values as a Sigma rule writes them exactly: wildcards and backslashes escaped; one value stands alone."""
    found = [_escaped(value) if isinstance(value, str) else value for value in values]
    return found[0] if len(found) == 1 else found


def _escaped(text: str) -> str:
    """A backslash is doubled only where it would otherwise mean something: before another one, a wildcard, or the end."""
    out = []
    for place, char in enumerate(text):
        after = text[place + 1 : place + 2]
        if char in "*?":
            out.append("\\" + char)
        elif char == "\\" and (after in ("\\", "*", "?", "") or text[:place].endswith("\\")):
            out.append("\\\\")
        else:
            out.append(char)
    return "".join(out)
