"""What the library of the command line says by itself, in the reader's language: the frame of help pages, usage errors.

The library takes no translations (most of its texts do not even pass through gettext), so they are found by their English, which is what
`usage.yml` holds in English.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import typer

from domain import i18n

_PART = "part-"


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """(a whole text of the library, its key), in the order of the catalogue: what is more precise stands first."""
    whole = {key: text for key, text in i18n.catalogue("en", "usage").items() if not key.startswith(_PART)}
    return tuple((re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(text))), key) for key, text in whole.items())


def said(text: str) -> str:
    """A text of the library in the language of this process; any other text as it is."""
    for pattern, key in _patterns():
        if found := pattern.fullmatch(text):
            words = found.groupdict()
            return i18n.t(f"usage.{key}", **(words | {"text": said(words["text"])} if "text" in words else words))
    return text


def _parts(text: str) -> str:
    """The same for pieces of a line."""
    for key, english in i18n.catalogue("en", "usage").items():
        if key.startswith(_PART):
            text = text.replace(english, i18n.t(f"usage.{key}"))
    return text


class _Formatter(typer.Context.formatter_class):  # type: ignore[misc, valid-type]  # its one public name
    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, _parts(args), prefix or i18n.t("usage.usage"))

    def write_heading(self, heading: str) -> None:
        super().write_heading(i18n.t(f"usage.{heading.lower()}"))

    def write_dl(self, rows: Sequence[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().write_dl([(_parts(name), _parts(about)) for name, about in rows], *args, **kwargs)


class Context(typer.Context):
    """The context of every command: its help page speaks the reader's language."""

    formatter_class = _Formatter


def show(error: Any) -> None:
    """A usage error on stderr, line by line as the library writes it."""
    written = io.StringIO()
    error.show(written)
    sys.stderr.write("".join(f"{said(line)}\n" for line in written.getvalue().splitlines()))


__all__ = ["Context", "said", "show"]
