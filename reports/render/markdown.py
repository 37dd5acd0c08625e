"""Markdown (CommonMark with tables), for reading and for other programs. Log text cannot become markup or HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from domain.document import (
    UNKNOWN,
    Addressees,
    Appendix,
    Chart,
    Closing,
    Document,
    Form,
    Heading,
    Letterhead,
    Paragraph,
    Table,
    Ticks,
    Title,
    caps,
    map_text,
    number_text,
)
from domain.text import one_line
from reports.render import blocks

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#~&!$])|^(\s*)([-+=]|\d+[.)])(?=\s|$)")


def render(document: Document) -> bytes:
    """The text, UTF-8."""
    parts = [_BLOCKS[type(block)](map_text(block, _escape)) for block in document.blocks]
    return ("\n\n".join(p for p in parts if p) + "\n").encode()


def _escape(text: str) -> str:
    """One line with every character that could mean something made literal."""
    return _SPECIAL.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}{m[3][:-1]}\\{m[3][-1]}", one_line(text))


def _letterhead(b: Letterhead) -> str:
    left = [*map(caps, b.superior), *(f"**{caps(x)}**" for x in b.agency), b.number, b.subject, b.urgency]
    right = [f"**{_escape(blocks.nation())}**", f"**{_escape(blocks.motto())}**", f"*{b.place_date}*"]
    return "  \n".join(x for x in [*left, *right] if x)


def _title(b: Title) -> str:
    return f"# {caps(b.name)}" + (f"\n\n**{b.about}**" if b.about else "")


def _addressees(b: Addressees) -> str:
    if len(b.names) == 1:
        return f"{b.label} {b.names[0]}"
    return "\n".join([b.label, "", *(f"- {n}" for n in b.names)])


def _paragraph(b: Paragraph) -> str:
    text = f"**{b.lead}** {b.text}" if b.lead else b.text
    return text if b.style == "body" else f"*{text}*"


def _table(b: Table) -> str:
    caption = f"**{b.caption}**\n\n" if b.caption else ""
    if not b.rows:
        return f"{caption}*{b.empty}*"
    return caption + _grid(blocks.titles(b), blocks.aligns(b), blocks.cells(b))


def _grid(titles: Sequence[str], aligns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    marks = {"left": "---", "center": ":---:", "right": "---:"}
    lines = [titles, [marks[a] for a in aligns], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _form(b: Form) -> str:
    return "\n".join(f"- {blocks.label(e.label, e.required)}: {e.value}" for e in b.entries)


def _ticks(b: Ticks) -> str:
    boxes = [f"- {blocks.TICKED if on else blocks.EMPTY} {text}" for text, on in b.options]
    return "\n".join([f"**{blocks.label(b.label, b.required)}**", "", *boxes])


def _chart(b: Chart) -> str:
    rows = [[name, *(UNKNOWN if s.values[i] is None else number_text(s.values[i]) for s in b.series)] for i, name in enumerate(b.labels)]
    titles = [b.unit or " ", *(s.name for s in b.series)]
    return f"**{b.title}**\n\n" + _grid(titles, ["left", *["right"] * len(b.series)], rows)


def _closing(b: Closing) -> str:
    sign = [f"**{caps(x)}**" for x in (b.authority, b.position) if x] + [f"*{b.hint}*"] * bool(b.hint) + [f"**{b.name}**"] * bool(b.name)
    recipients = [f"***{b.recipients_label}***", *b.recipients] if b.recipients else []
    return "  \n".join(sign) + ("\n\n" + "  \n".join(recipients) if recipients else "")


_BLOCKS: Final[dict[type, Callable[[Any], str]]] = {
    Letterhead: _letterhead, Title: _title, Addressees: _addressees, Heading: lambda b: f"{'#' * (b.level + 1)} {b.text}",
    Paragraph: _paragraph, Table: _table, Form: _form, Ticks: _ticks, Chart: _chart, Closing: _closing,
    Appendix: lambda b: f"# {b.name}\n\n**{b.title}**",
}  # fmt: skip
