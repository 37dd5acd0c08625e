"""One list of blocks -> bytes of a file. The same document and instant give the same bytes."""

from __future__ import annotations

import importlib
from typing import Final

from domain.document import Document
from domain.errors import UsageError
from reports.text import harmless

FORMATS: Final = {
    "docx": "reports.render.word",
    "pdf": "reports.render.pdf",
    "html": "reports.render.web",
    "md": "reports.render.markdown",
}
"""Format -> module with `render(document) -> bytes`, imported when it is needed."""


def render(document: Document, form: str) -> bytes:
    """The file in one format. UsageError for an unknown one."""
    if form not in FORMATS:
        raise UsageError(f"--format {form}: {' | '.join(FORMATS)}")
    data: bytes = importlib.import_module(FORMATS[form]).render(harmless(document))
    return data
