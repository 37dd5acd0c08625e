"""Documents as a list of blocks: what is said, not how it looks. `reports/render/` turns one list into .docx, .pdf, .html and .md.

Names are stored as people write them ("Ủy ban nhân dân tỉnh ..."); renderers print capitals where NĐ 30/2020 asks for them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date, datetime
from typing import Any, Final, Literal, TypeAlias, TypeVar

from domain.i18n import t

DOTS: Final = "……………"
"""Stands where a mandatory text is missing."""
UNKNOWN: Final = "–"
"""Stands where a figure is not known (no data): never 0."""

T = TypeVar("T")


@dataclass(frozen=True)
class Letterhead:
    """Head of an administrative document: agency, national motto, number, place and date."""

    superior: tuple[str, ...]
    """Lines of the superior agency; may be empty."""
    agency: tuple[str, ...]
    """Lines of the issuing agency."""
    number: str
    """`Số: 05/BC-STTTT`, as printed."""
    place_date: str
    """`Tây Ninh, ngày 05 tháng 02 năm 2026`, as printed."""
    subject: str = ""
    """`V/v ...` of an official letter; it has no title."""
    urgency: str = ""
    """HỎA TỐC, THƯỢNG KHẨN, KHẨN."""


@dataclass(frozen=True)
class Title:
    """Name of the kind of document, and what it is about."""

    name: str
    about: str = ""


@dataclass(frozen=True)
class Addressees:
    """`Kính gửi: ...`."""

    label: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Heading:
    """A heading of the body."""

    text: str
    level: int = 1
    """1 (I.), 2 (1.), 3 (a)."""


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of the body."""

    text: str
    lead: str = ""
    """Printed bold before the text."""
    style: Literal["body", "basis", "note"] = "body"
    """basis: italic legal ground; note: small remark, such as how a figure was made."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    width: float
    """Share of the text width; shares are made to add up."""
    align: Literal["left", "center", "right"] = "left"


@dataclass(frozen=True)
class Table:
    """A table with a head that repeats on every page."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numbered: str = ""
    """Title of a leading column of row numbers (`STT`); empty = none."""
    empty: str = ""
    """Printed instead of the table when there is no row."""


@dataclass(frozen=True)
class Entry:
    """One field of a form."""

    label: str
    value: str
    required: bool = False
    """Marked (*)."""


@dataclass(frozen=True)
class Form:
    """Fields with their values, one below the other."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Ticks:
    """A question with boxes to tick."""

    label: str
    options: tuple[tuple[str, bool], ...]
    required: bool = False


@dataclass(frozen=True)
class Series:
    """One line, or one part of each bar, or one row of a heat map."""

    name: str
    values: tuple[float | None, ...]
    """One per label; None = not known, drawn as a gap."""


@dataclass(frozen=True)
class Chart:
    """Figures to be drawn."""

    kind: Literal["lines", "bars", "heat"]
    title: str
    description: str
    """For readers who cannot see it."""
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str = ""


@dataclass(frozen=True)
class Closing:
    """Signature on the right, `Nơi nhận` on the left."""

    authority: str
    """`TM.`, `KT.`, `TL.` ... with the head's title; empty when the head signs."""
    position: str
    name: str
    recipients: tuple[str, ...] = ()
    recipients_label: str = ""
    hint: str = ""
    """Below the position, in italics: `(Ký tên, đóng dấu)`."""


@dataclass(frozen=True)
class Appendix:
    """Starts an appendix on a new page."""

    name: str
    """`Phụ lục I`."""
    title: str
    landscape: bool = False


Block: TypeAlias = "Letterhead | Title | Addressees | Heading | Paragraph | Table | Form | Ticks | Chart | Closing | Appendix"


@dataclass(frozen=True)
class Document:
    """A whole document."""

    kind: str
    title: str
    """For the file's properties and the list of documents."""
    blocks: tuple[Block, ...]
    at: datetime
    """When it was made; everything in the file that has a date has this one."""
    author: str = ""
    lang: str = "vi"
    missing: tuple[str, ...] = field(default=())
    """Keys `report.<key>` of mandatory texts that are not there yet (printed as DOTS)."""


def caps(text: str) -> str:
    """Capitals in NFC: "Ủy ban nhân dân" -> "ỦY BAN NHÂN DÂN"."""
    return unicodedata.normalize("NFC", text).upper()


def long_date(day: date, place: str = "") -> str:
    """`Tây Ninh, ngày 05 tháng 02 năm 2026`: day below 10 and months 1 and 2 with a leading zero (NĐ 30/2020)."""
    month = f"{day.month:02d}" if day.month < 3 else str(day.month)
    text = t("report.long_date", language="vi", day=f"{day.day:02d}", month=month, year=day.year)
    return f"{place}, {text}" if place else text


def number_text(value: float | None, digits: int = 0) -> str:
    """`1.234.567` or `93,5`; a dash when not known."""
    if value is None:
        return UNKNOWN
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


def roman(number: int) -> str:
    """1 -> I, 4 -> IV, 9 -> IX (up to 39)."""
    tens, units = divmod(number, 10)
    return "X" * tens + ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")[units]


def map_text(value: T, change: Callable[[str], str]) -> T:
    """The same block, document or sequence with every text changed: the one place where hostile text is cleaned."""
    return _map(value, change)


def _map(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_map(item, change) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _map(getattr(value, f.name), change) for f in fields(value)})
    return value
