"""Words of documents. Administrative documents are in Vietnamese whatever language the terminal speaks."""

from __future__ import annotations

import re
from typing import Final

from domain import i18n
from domain.document import Document, map_text
from domain.text import clean

LANG: Final = "vi"
_LONG: Final = 4000
"""Characters of one text before it is cut and says so."""


def vi(key: str, /, **values: object) -> str:
    """The text `report.<key>` in Vietnamese."""
    return i18n.t(f"report.{key}", language=LANG, **values)


def harmless(document: Document) -> Document:
    """Every text NFC, without control, bidi and invisible characters, and no longer than a page: what all renderers start from."""
    return map_text(document, lambda text: clean(text, _LONG))


def breakable(text: str, longer: int, every: int) -> str:
    """Words longer than `longer` may break: after - and /, and within parts that are still longer every few characters.

    The places are marked by zero-width spaces (PDF; Word and browsers need no help).
    """
    return re.sub(rf"\S{{{longer + 1},}}", lambda m: "\u200b".join(_pieces(m[0], longer, every)), text)


def _pieces(word: str, longer: int, every: int) -> list[str]:
    out = []
    for part in filter(None, re.split(r"(?<=[-/])", word)):
        step = every if len(part) > longer else len(part)
        out += [part[i : i + step] for i in range(0, len(part), step)]
    return out
