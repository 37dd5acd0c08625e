"""What a check is, what it says, and the document that it looks at."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final, Literal, TypeAlias

from detectors.sigma.cells import Cell, plain
from detectors.sigma.model import Broken, LogSource
from domain.i18n import catalogue, lang, t
from domain.query import Expr
from domain.text import one_line

Severity: TypeAlias = Literal["error", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
_CUT: Final = 120


@dataclass(frozen=True)
class Issue:
    """One problem at one place."""

    code: str
    """Stable name of the check, such as unknown-modifier."""
    severity: Severity
    file: str
    line: int
    column: int
    """Both from 1."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What the sentence of the catalogue names."""

    def reason(self, language: str = "") -> str:
        """What is wrong and what is allowed, in a language; default: that of the process."""
        words = {name: said(value, language) if name == "reason" else _word(value, language) for name, value in self.values.items()}
        return t(f"lint.{self.code}", language, **words)

    def broken(self) -> Broken:
        """The same as the loader keeps it, in English."""
        return Broken(self.file, self.line, self.reason("en"), self.column, self.code)


@cache
def _sentences() -> Sequence[tuple[str, re.Pattern[str]]]:
    """Key of the catalogue and form of each English sentence."""
    out = []
    blind = {f"logsources.{key}": text for key, text in catalogue("en", "logsources").items() if key.startswith("why_")}
    for key, text in ({f"said.{key}": text for key, text in catalogue("en", "said").items()} | blind).items():
        parts = re.split(r"\{(\w+)\}", text)
        form = "".join(f"(?P<{part}>.+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
        out.append((key, re.compile(form, re.DOTALL)))
    return out


def said(reason: str, language: str) -> str:
    """What a part of the engine says in English, in another language; as it is where nobody has written it down."""
    if (language or lang()) != "en":
        for key, form in _sentences():
            if found := form.fullmatch(reason):
                return t(key, language, **found.groupdict())
    return reason


def _word(value: str, language: str) -> str:
    """A value; the word of the catalogue when it names one."""
    return t(value, language) if value.startswith("lint.word_") else value


Finding: TypeAlias = tuple[Cell, Mapping[str, object]]
"""Where, and what the sentence of the check names."""


def told(values: Mapping[str, object]) -> dict[str, str]:
    """Values on one line each, cut to what a sentence can hold."""
    return {name: one_line(str(value), 3 * _CUT if name == "reason" else _CUT) for name, value in values.items()}


def suggestion(word: str, known: Iterable[str]) -> str:
    """The known word that is closest; empty when none is close."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), names, 1, 0.75)
    return names[close[0]] if close else ""


def listed(words: Iterable[str]) -> str:
    """`a, b, c`."""
    return ", ".join(words)


@dataclass(frozen=True)
class Item:
    """`Field|modifier: values` of a selection, or a list of keywords."""

    selection: str
    key: Cell
    """The key; for keywords without a key the key of the selection."""
    field: str
    """Empty for keywords."""
    modifiers: tuple[str, ...]
    values: Sequence[Cell]
    listed: bool
    """The values stand in a list."""
    body: Cell
    """All values."""

    @cached_property
    def texts(self) -> Sequence[tuple[Cell, str]]:
        """The values that are text."""
        return [(cell, cell.value) for cell in self.values if isinstance(cell.value, str)]

    def has(self, *names: str) -> bool:
        """Whether one of these modifiers is used."""
        return bool(self.modifiers) and not set(names).isdisjoint(self.modifiers)


@dataclass
class Document:
    """A rule, correlation or filter as it is written."""

    file: str
    cell: Cell
    number: int = 0
    """Place among the documents of its file."""
    expr: Expr | None = None
    """The condition over the rule's own field names, when the rule runs."""
    unfilled: str = ""
    """Placeholder without values."""
    refusal: str = ""
    """Why the loader does not take it; empty when it does."""
    placeholders: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, file: str, data: Any) -> Document:
        """A document whose text is not known: all places are line 1."""
        return cls(file, plain(data))

    @cached_property
    def kind(self) -> str:
        """rule, correlation or filter."""
        return "correlation" if self.cell.get("correlation") else "filter" if self.cell.get("filter") else "rule"

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """The document as plain values; empty when it is no mapping."""
        return self.cell.value if isinstance(self.cell.value, dict) else {}

    def top(self, key: str) -> Cell:
        """The value of a top-level key, else the document itself: for a place to point to."""
        return self.cell.get(key) or self.cell

    def text(self, key: str) -> str:
        """A top-level value when it is text."""
        value = self.data.get(key)
        return value if isinstance(value, str) else ""

    def strings(self, key: str) -> list[Cell]:
        """The elements of a top-level list that are text."""
        found = self.cell.get(key)
        return [item for item in found.items if isinstance(item.value, str)] if found else []

    @cached_property
    def source(self) -> LogSource | None:
        """The log source; None when it is missing or malformed."""
        found = self.data.get("logsource")
        if not isinstance(found, dict):
            return None
        named = [found.get(key) or "" for key in ("product", "category", "service")]
        return LogSource(*named) if all(isinstance(name, str) for name in named) and any(named) else None

    @cached_property
    def detection(self) -> Cell | None:
        """Where selections and condition stand; None for correlations and where it is no mapping."""
        found = self.cell.get("filter" if self.kind == "filter" else "detection")
        return found if found and isinstance(found.value, dict) and self.kind != "correlation" else None

    @cached_property
    def selections(self) -> list[tuple[Cell, Cell]]:
        """Names and bodies of the selections."""
        other = ("condition", "timeframe", *(("rules",) if self.kind == "filter" else ()))
        return [(k, v) for k, v in self.detection or () if k.value not in other]

    @cached_property
    def conditions(self) -> list[Cell]:
        """The conditions that are text."""
        found = self.detection.get("condition") if self.detection else None
        cells = found.items if found and isinstance(found.value, list) else [found] if found else []
        return [cell for cell in cells if isinstance(cell.value, str)]

    @cached_property
    def items(self) -> list[Item]:
        """All that the selections compare."""
        return [item for name, body in self.selections for item in _items(str(name.value), name, body)]


def _items(selection: str, key: Cell, body: Cell) -> Iterator[Item]:
    if isinstance(body.value, dict):
        for name, value in body.pairs:
            field_, *modifiers = str(name.value).split("|")
            many = isinstance(value.value, list)
            yield Item(selection, name, field_, tuple(modifiers), value.items if many else [value], many, value)
    elif isinstance(body.value, list):
        words = [item for item in body.items if not isinstance(item.value, (dict, list))]
        if words:
            yield Item(selection, key, "", (), words, listed=True, body=body)
        for item in body.items:
            if isinstance(item.value, (dict, list)):
                yield from _items(selection, key, item)
    else:
        yield Item(selection, key, "", (), [body], listed=False, body=body)


@dataclass(frozen=True)
class Source:
    """A rule file as it was read."""

    label: str
    content: bytes
    root: str = ""
    """The folder of rules it belongs to: what stands in a later one replaces what has the same id in an earlier one."""
    unread: str = ""
    """Why the file could not be read."""


@dataclass
class Collection:
    """All documents of a run, for checks across files."""

    documents: list[Document]
    roots: Mapping[str, str]
    """File -> its root."""
    elsewhere: frozenset[str] = frozenset()
    """Ids and names of rules that are not part of the run but loaded beside it."""


@dataclass(frozen=True)
class Check:
    """One check: how bad its issue is, and who finds it."""

    severity: Severity
    document: Callable[[Document], Iterable[Finding]] | None = None
    """Looks at one document."""
    file: Callable[[Source], Iterable[Finding]] | None = None
    """Looks at the bytes of a file."""
    collection: Callable[[Collection], Iterable[tuple[Document, Cell, Mapping[str, object]]]] | None = None
    """Looks at all documents."""
    refused: bool = False
    """Only asked about documents that the loader does not take: says why."""
