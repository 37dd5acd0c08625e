"""Registers from `content/registers/{organisation,units,assets,lists}.{yml,yaml,csv}`: read, laid over each other, checked as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from domain.errors import ContentError
from domain.registers import Asset, Dated, NamedList, Organisation, Registers, Unit
from domain.text import nfc, one_line
from jobs.register_build import Problem, Row, build
from jobs.register_check import check
from jobs.runtime import Runtime

KINDS: Final[dict[str, tuple[type[Dated], str]]] = {
    "organisation": (Organisation, ""), "units": (Unit, "code"), "assets": (Asset, "id"), "lists": (NamedList, "name"),
}  # fmt: skip
"""File name without suffix -> what an entry is, and the field that says which one."""
SUFFIXES: Final = (".yml", ".yaml", ".csv")
EXAMPLE: Final = Path(__file__).parents[1] / "reports" / "registers"
"""A fictitious province: for `soc init`, the demonstration and tests. Never used unless asked for."""
Entry: TypeAlias = tuple[Dated, Row]


@dataclass
class Loaded:
    """What was read, with everything that is wrong with it."""

    registers: Registers
    problems: list[Problem]
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    """By kind, with the place of each."""
    files: list[Path] = field(default_factory=list)


def load(runtime: Runtime) -> Registers:
    """The registers in force. ContentError (exit 4) with the first problems when something is wrong."""
    loaded = read(runtime.content("registers"))
    if loaded.problems:
        first = "\n".join(str(p) for p in loaded.problems[:5])
        raise ContentError(f"{len(loaded.problems)} problems in the registers:\n{first}", hint="soc register check")
    return loaded.registers


def read(folders: Iterable[Path], extra: Sequence[tuple[str, str, str]] = ()) -> Loaded:
    """All files of all folders; an id in a later folder replaces the same id of an earlier one.

    extra: (kind, file name, text) that stands for a file of the last folder (an import that is being checked).
    """
    problems: list[Problem] = []
    layers = [_files(folder, {f"{kind}.csv" for kind, _, _ in extra}) for folder in folders] or [[]]
    layers[-1] += [(kind, name, text) for kind, name, text in extra]
    entries: dict[str, list[Entry]] = {kind: [] for kind in KINDS}
    for layer in layers:
        fresh: dict[str, list[Entry]] = {kind: [] for kind in KINDS}
        for kind, name, text in layer:
            fresh[kind] += parse(kind, name, text, problems)
        for kind, found in fresh.items():
            key = KINDS[kind][1]
            ids = {getattr(e, key) for e, _ in found} if key else set()
            kept = [old for old in entries[kind] if (getattr(old[0], key) not in ids if key else not found)]
            entries[kind] = kept + found
    check(entries, problems)
    parts: list[Any] = [tuple(e for e, _ in entries[kind]) for kind in KINDS]
    registers = Registers(*parts)
    problems.sort(key=lambda p: (p.file, p.line, p.text))
    return Loaded(registers, problems, entries, [Path(name) for layer in layers for _, name, _ in layer])


def _files(folder: Path, but: set[str]) -> list[tuple[str, str, str]]:
    """(kind, path, text) of every register file; unreadable bytes are shown as such and fail later."""
    paths = [folder / f"{kind}{suffix}" for kind in KINDS for suffix in SUFFIXES]
    return [(p.stem, str(p), p.read_text(encoding="utf-8-sig", errors="replace")) for p in paths if p.is_file() and p.name not in but]


def parse(kind: str, name: str, text: str, problems: list[Problem]) -> list[Entry]:
    """The entries of one file."""
    rows = table(name, text, problems) if name.endswith(".csv") else _yaml(name, text, problems)
    shape = KINDS[kind][0]
    return [(entry, row) for row in rows if (entry := build(shape, row, problems)) is not None]


def table(name: str, text: str, problems: list[Problem]) -> list[Row]:
    """Rows of a CSV file (comma, semicolon or tab; first line: names of the fields); several values in a cell are parted by `;` or `|`."""
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        for record in reader:
            line = reader.line_num
            if None in record:
                problems.append(Problem(name, line, f"more cells than the {len(reader.fieldnames or [])} names in the first line"))
            values = {k.strip(): nfc(v.strip()) for k, v in record.items() if isinstance(k, str) and isinstance(v, str) and v.strip()}
            if values:
                rows.append(Row(name, line, values, {}, cells=True))
    except csv.Error as error:
        problems.append(Problem(name, reader.line_num, f"not CSV: {one_line(str(error), 120)}"))
    return rows


def _yaml(name: str, text: str, problems: list[Problem]) -> list[Row]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = one_line(str(getattr(error, "problem", None) or error), 160)
        problems.append(Problem(name, mark.line + 1 if mark else 1, f"not YAML: {what}"))
        return []
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        problems.append(Problem(name, 1, "must be a list of entries, each starting with '- '"))
        return []
    return [row for node in root.value if (row := _row(name, node, problems)) is not None]


def _row(name: str, node: yaml.Node, problems: list[Problem]) -> Row | None:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        problems.append(Problem(name, line, "an entry must be a mapping of fields"))
        return None
    loader = yaml.SafeLoader("")
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    try:
        for key, value in node.value:
            field_name = str(key.value)
            if field_name in values:
                problems.append(Problem(name, key.start_mark.line + 1, f"{field_name} is given twice"))
            values[field_name] = loader.construct_object(value, deep=True)
            lines[field_name] = key.start_mark.line + 1
    except (yaml.YAMLError, ValueError) as error:
        problems.append(Problem(name, line, f"cannot be read: {one_line(str(error), 160)}"))
        return None
    return Row(name, line, values, lines)
