"""HTML: one file that loads nothing, with a content security policy that would not let it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from domain.document import Chart, Document, Letterhead, Title, caps
from reports import charts
from reports.render.blocks import as_data

_FOLDER: Final = Path(__file__).parent


def render(document: Document) -> bytes:
    """The page, UTF-8."""
    style = (_FOLDER / "document.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    blocks = [as_data(b, _extra(b, i)) for i, b in enumerate(document.blocks)]
    page = _environment().get_template("document.html.j2")
    return page.render(d=document, blocks=blocks, style=Markup(style), digest=digest).encode()  # noqa: S704  our own style sheet


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _extra(block: Any, number: int) -> dict[str, Any]:
    if isinstance(block, Chart):
        return {"svg": Markup(charts.svg(block, f"c{number}"))}  # noqa: S704  drawn by an escaping template
    if isinstance(block, Letterhead):
        return {"superior": [caps(x) for x in block.superior], "agency": [caps(x) for x in block.agency]}
    if isinstance(block, Title):
        return {"name": caps(block.name)}
    return {}
