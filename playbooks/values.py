"""Placeholders and windows: how the values of an incident get into queries, commands and letters.

Values come from logs and are hostile: in queries they are quoted as literals of the grammar, in commands as one word of the system's own
language, in letters they are cleaned. An address that is none is refused.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from domain.alert import Entity
from domain.clock import show_local
from domain.errors import UsageError
from domain.incident import Incident
from domain.playbook import BUILTINS, Command, Input, Playbook
from domain.registers import is_internal
from domain.run import Run
from domain.text import one_line
from domain.window import TimeWindow

NAME: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
TERM: Final = re.compile(r"([\w@.*-]+(?:\|[\w]+)*):\{([a-z][a-z0-9_]*)(\??)\}")
"""`field:{input}`, `field|modifier:{input}`: the only place of a placeholder in a query. `{input?}` may be unknown: false then."""
MOMENT: Final = re.compile(r"(t0|now|step:[A-Za-z0-9_-]+)(?:([+-])(\d+)([mhd]))?")
_UNIT: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_MAX_VALUES: Final = 50
"""Values of one input: more make a query nobody can read."""


def from_entities(
    playbook: Playbook, groups: Sequence[Sequence[Entity]], own: Callable[[str], bool] = is_internal
) -> dict[str, tuple[str, ...]]:
    """Inputs filled from entities, by type, each from the first group that has any; an input without any is absent.

    Groups: what the alerts are about, then what was seen beside it, so that a thousand sprayed users do not end on the list of accounts
    to lock. `own` tells the province's addresses, which never fill an input of scope `external`: they must not end on a block list.
    """
    found = {}
    for name, spec in playbook.inputs.items():
        fitting = ([e.value for e in group if e.type == spec.entity and not problem(spec, e.value)] for group in groups)
        scoped = ([value for value in values if _in_scope(spec, value, own)] for values in fitting)
        values = next((values for values in scoped if values), [])
        if values:
            found[name] = tuple(dict.fromkeys(values))[:_MAX_VALUES]
    return found


def _in_scope(spec: Input, value: str, own: Callable[[str], bool]) -> bool:
    return not spec.scope or own(value) == (spec.scope == "internal")


def checked(playbook: Playbook, pairs: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Inputs as somebody typed them; UsageError for an unknown name or a value that cannot be one."""
    for name, values in pairs.items():
        if name not in playbook.inputs:
            raise UsageError(f"{playbook.id} has no input {name}", hint=f"--set NAME=VALUE, NAME: {' | '.join(playbook.inputs)}")
        for value in values:
            trouble = problem(playbook.inputs[name], value)
            if trouble:
                raise UsageError(f"{name}: {trouble}: {one_line(value, 80)}")
    return {name: tuple(values) for name, values in pairs.items()}


def problem(spec: Input, value: str) -> str:
    """Why a value cannot fill an input; "" when it can."""
    if not value or len(value) > 1000:
        return "empty or longer than 1000 characters"
    if spec.entity == "ip":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            return "not an IP address"
    return ""


def absent(template: str, inputs: Mapping[str, Sequence[str]]) -> str:
    """Names of the inputs that the query needs and that have no value; "" when it can run."""
    terms = TERM.findall(template)
    lacking = [name for _, name, maybe in terms if not inputs.get(name) and not maybe]
    choice = [name for _, name, maybe in terms if maybe]
    if not lacking and choice and not any(inputs.get(name) for name in choice):
        lacking = choice
    return ", ".join(dict.fromkeys(lacking))


def fill_query(template: str, inputs: Mapping[str, Sequence[str]]) -> str:
    """The query with values as quoted literals; several values of an input become an `or`. An input without value makes its term false."""

    def term(match: re.Match[str]) -> str:
        values = [quote(value) for value in inputs.get(match[2], ())]
        if not values:
            return "not *"
        return f"{match[1]}:{values[0]}" if len(values) == 1 else f"{match[1]}:({' or '.join(values)})"

    return TERM.sub(term, template)


def quote(value: str) -> str:
    """A value as a literal of the query grammar: an address bare, else in double quotes with quotes, backslashes and wildcards escaped."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    return '"' + re.sub(r'(["\\*?])', r"\\\1", value) + '"'


def window(start: str, end: str, incident: Incident, run: Run, now: datetime) -> TimeWindow | None:
    """The window of a query; None when it has not begun: it counts from a step that is not finished, or from a moment to come."""
    first, last = (_moment(text, incident, run, now) for text in (start, end))
    if first is None or last is None or first >= now:
        return None
    return TimeWindow(min(first, last), max(last, first + timedelta(seconds=1)))


def _moment(text: str, incident: Incident, run: Run, now: datetime) -> datetime | None:
    match = MOMENT.fullmatch(text)
    if match is None:
        raise UsageError(f"not a moment: {text}", hint="t0-24h | now | step:C1+5m")
    anchor, sign, number, unit = match.groups()
    at: datetime | None = now if anchor == "now" else incident.t0
    if anchor.startswith("step:"):
        at = run.state(anchor.removeprefix("step:")).at
    if at is None:
        return None
    shift = int(number) * _UNIT[unit] if number else timedelta()
    return at - shift if sign == "-" else at + shift


def builtins(incident: Incident, now: datetime) -> dict[str, tuple[str, ...]]:
    """Placeholders that every playbook has."""
    values = (incident.id, show_local(incident.t0), one_line(incident.title, 200), show_local(now))
    return {name: (value,) for name, value in zip(BUILTINS, values, strict=True)}


def fill_commands(command: Command, inputs: Mapping[str, Sequence[str]]) -> list[str]:
    """The command once for every value of its first input; what is not known stays as `<name>`. No value can end its word."""
    return _repeat(command.text, command, inputs)


def undo_commands(command: Command, inputs: Mapping[str, Sequence[str]]) -> list[str]:
    """How to take it back, for the same values."""
    return _repeat(command.undo, command, inputs) if command.undo else []


def _repeat(template: str, command: Command, inputs: Mapping[str, Sequence[str]]) -> list[str]:
    names = list(dict.fromkeys(NAME.findall(template)))
    main = next((n for n in names if n not in BUILTINS), "")
    values = [v for v in inputs.get(main, ()) if _family(v, command.family)]
    if main and command.family and inputs.get(main) and not values:
        return []
    quoted = QUOTES[command.system]
    rows = values or [""]
    return [NAME.sub(lambda m, v=row: _value(m[1], main, v, inputs, quoted), template).strip() for row in rows]  # type: ignore[misc]


def _value(name: str, main: str, value: str, inputs: Mapping[str, Sequence[str]], quoted: Callable[[str], str]) -> str:
    if name == main:
        return quoted(value) if value else f"<{name}>"
    known = inputs.get(name, ())
    return quoted(known[0]) if known else f"<{name}>"


def _family(value: str, family: int) -> bool:
    if not family:
        return True
    try:
        return ipaddress.ip_address(value).version == family
    except ValueError:
        return False


def fill_letter(template: str, inputs: Mapping[str, Sequence[str]]) -> str:
    """A letter with values in it, several joined by commas; blanks to fill by hand are dots."""
    return NAME.sub(lambda m: ", ".join(one_line(v, 300) for v in inputs.get(m[1], ())) or "……………", template)


_PLAIN: Final = re.compile(r"[\w@.:/%+=-]+", re.ASCII)


def _bare(value: str, otherwise: str) -> str:
    return value if _PLAIN.fullmatch(value) else otherwise


def _shell(value: str) -> str:
    return shlex.quote(one_line(value))


def _powershell(value: str) -> str:
    text = re.sub("['\u2018\u2019\u201a\u201b]", lambda m: m[0] * 2, one_line(value))
    return f"'{text}'"


def _double(value: str) -> str:
    """FortiOS and nginx: double quotes, backslash escapes, no variables."""
    text = re.sub(r'(["\\$])', r"\\\1", one_line(value))
    return _bare(value, f'"{text}"')


QUOTES: Final[Mapping[str, Callable[[str], str]]] = {
    "fortigate": _double, "nginx": _double, "apache": _double, "linux": _shell, "keycloak": _shell, "wso2": _shell, "soc": _shell,
    "windows": _powershell, "ad": _powershell,
}  # fmt: skip
"""How a value becomes one word on each system."""
