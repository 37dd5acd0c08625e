"""PDF by typst, as PDF/A-2a and PDF/UA-1. Values reach the template as JSON; none of them is ever markup."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any, Final

import typst

from domain.document import Appendix, Block, Chart, Document, Heading, Letterhead, Table, Title, caps, map_text
from reports import charts, layout
from reports.fonts import FOLDER, drawable
from reports.render.blocks import as_data
from reports.text import breakable

_PICTURE: Final = b"""#let d = json(bytes(sys.inputs.d))
#set page(width: auto, height: auto, margin: 0pt)
#image(bytes(d.svg), format: "svg", width: 165mm)
"""
_ZONE: Final = timezone(timedelta(hours=7))
"""Local time: typst takes fixed offsets only."""
_TEMPLATE: Final = Path(__file__).parent / "document.typ"


def render(document: Document) -> bytes:
    """The file; characters that the fonts lack are printed as ‹U+...›."""
    blocks = [_fitting(map_text(b, drawable)) for b in document.blocks]
    shown = [as_data(b, {**_extra(b), "depth": depth}) for b, depth in zip(blocks, _depths(blocks), strict=True)]
    data = {"blocks": shown, **_about(document)}
    return _compile(_TEMPLATE.read_bytes(), data, document.at)


def _depths(blocks: Sequence[Block]) -> list[int]:
    """Level of each heading in the outline: PDF/UA forbids to skip one."""
    out, last = [], 0
    for block in blocks:
        if isinstance(block, (Title, Appendix)):
            last = 1
        elif isinstance(block, Heading):
            last = min(block.level + 1, last + 1)
        out.append(last)
    return out


def _fitting(block: Block) -> Block:
    """Long words may break: soon in the cells of a table, late in lines of text. An IPv4 address never does."""
    longer, every = (16, 8) if isinstance(block, Table) else (48, 16)
    return map_text(block, lambda text: breakable(text, longer, every))


def png(chart: Chart, ppi: float = 200.0) -> bytes:
    """A chart as a picture, for Word."""
    inputs = {"d": json.dumps({"svg": charts.svg(chart)})}
    return typst.compile(_PICTURE, sys_inputs=inputs, font_paths=_fonts(), ignore_system_fonts=True, format="png", ppi=ppi)


def _extra(block: Any) -> dict[str, Any]:
    """What the template cannot make by itself: capitals and drawings."""
    if isinstance(block, Chart):
        return {"svg": charts.svg(block)}
    if isinstance(block, Letterhead):
        return {"superior": [caps(x) for x in block.superior], "agency": [caps(x) for x in block.agency]}
    if isinstance(block, Title):
        return {"name": caps(block.name)}
    return {}


def _about(document: Document) -> dict[str, Any]:
    return {
        "title": drawable(document.title).strip() or document.kind, "author": drawable(document.author), "lang": document.lang,
        "font": layout.PDF_FONT, "layout": {k.lower(): v for k, v in vars(layout).items() if k.isupper()},
    }  # fmt: skip


def _compile(template: bytes, data: dict[str, Any], at: datetime) -> bytes:
    return typst.compile(
        template, sys_inputs={"d": json.dumps(data, ensure_ascii=False)}, font_paths=_fonts(), ignore_system_fonts=True, format="pdf",
        pdf_standards=["a-2a", "ua-1"], timestamp=at.astimezone(_ZONE).replace(microsecond=0),
    )  # fmt: skip


@cache
def _fonts() -> typst.Fonts:
    """Our faces and no others."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FOLDER])
