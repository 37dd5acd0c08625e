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
    """Words longer than `longer` may break every few characters: marked by a zero-width space (PDF; Word and browsers need no help)."""
    return re.sub(rf"[^\s/-]{{{longer + 1},}}", lambda m: "\u200b".join(m[0][i : i + every] for i in range(0, len(m[0]), every)), text)
