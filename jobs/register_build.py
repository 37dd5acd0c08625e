"""One entry of a register file -> the dataclass it stands for, by the types of its fields. All problems are noted, none is thrown."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar

from domain.registers import Dated
from domain.text import nfc, one_line

D = TypeVar("D", bound=Dated)


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong, with its place."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Row:
    """An entry as it was read."""

    file: str
    line: int
    values: Mapping[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)
    """Line of each field; else the line of the entry."""
    cells: bool = False
    """From CSV: several values stand in one cell."""

    def line_of(self, name: str) -> int:
        """Where a field stands."""
        return self.lines.get(name, self.line)


def build(shape: type[D], row: Row, problems: list[Problem]) -> D | None:
    """The entry; None when a field is missing or wrong."""
    before = len(problems)
    values = _fields(shape, row.values, row, problems, "")
    return shape(**values) if len(problems) == before else None


def _fields(shape: type, values: Mapping[str, Any], row: Row, problems: list[Problem], path: str) -> dict[str, Any]:
    known = _types(shape)
    out = {}
    for name, value in values.items():
        line = row.line_of(path.partition(".")[0] or name)
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(known)}"
            problems.append(Problem(row.file, line, f"unknown field {path}{one_line(name, 60)}; {hint}"))
        elif value is not None:
            out[name] = _value(known[name], value, row, problems, f"{path}{name}", line)
    for entry in fields(shape):
        if entry.default is MISSING and entry.default_factory is MISSING and not out.get(entry.name):
            problems.append(Problem(row.file, row.line, f"{path}{entry.name} is missing"))
    return out


@cache
def _types(shape: type) -> dict[str, Any]:
    hints = typing.get_type_hints(shape)
    return {f.name: hints[f.name] for f in fields(shape)}


def _value(kind: Any, value: Any, row: Row, problems: list[Problem], path: str, line: int) -> Any:
    """A value of the field's type; the default of the type when it is wrong (and noted)."""

    def wrong(what: str) -> None:
        problems.append(Problem(row.file, line, f"{path}: {what}, not {one_line(str(value), 60)}"))

    if isinstance(kind, types.UnionType):
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, Mapping):
            return kind(**_fields(kind, value, row, problems, f"{path}."))
        return wrong("must be a mapping of fields")
    origin = typing.get_origin(kind)
    if origin is tuple:
        return _texts(value, row.cells, wrong)
    if origin is not None:
        if isinstance(value, Mapping):
            return {str(k): _texts(v, row.cells, wrong) for k, v in value.items()}
        return wrong("must be a mapping of lists")
    return _plain(kind, value, wrong)


def _texts(value: Any, cells: bool, wrong: typing.Callable[[str], None]) -> tuple[str, ...]:
    if cells and isinstance(value, str):
        value = [part.strip() for part in value.replace("|", ";").split(";") if part.strip()]
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or any(isinstance(v, (list, dict)) or v is None for v in value):
        wrong("must be a list of texts")
        return ()
    return tuple(nfc(str(v)) for v in value)


def _plain(kind: Any, value: Any, wrong: typing.Callable[[str], None]) -> Any:
    if kind is date:
        return _day(value, wrong)
    if kind is bool:
        text = str(value).lower()
        return text == "true" if text in ("true", "false") else wrong("must be true or false")
    if kind is int:
        if isinstance(value, bool) or not str(value).strip().isdigit():
            return wrong("must be a whole number")
        return int(value)
    if isinstance(value, (list, dict)):
        return wrong("must be text")
    return nfc(str(value))


def _day(value: Any, wrong: typing.Callable[[str], None]) -> date | None:
    """ISO, or dd/mm/yyyy as spreadsheets here write it."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    for shape in ("%Y-%m-%d", "%d/%m/%Y"):
        try:
            return datetime.strptime(str(value).strip(), shape).date()  # noqa: DTZ007  a day has no zone
        except ValueError:
            continue
    wrong("must be a day, 2026-07-01 or 01/07/2026")
    return None
