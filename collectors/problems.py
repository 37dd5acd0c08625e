"""What could not be read of files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from domain.i18n import t


@dataclass(frozen=True)
class Problem:
    """Something that could not be read."""

    source: str
    """Label of the file or member."""
    what: str
    damaged: int = 0
    """So many records or chunks, `what` is about the first; parts of one file are read by themselves, see `together`."""

    @property
    def reason(self) -> str:
        """In words."""
        return t("collect.evtx_damaged", n=self.damaged, error=self.what) if self.damaged else self.what


def together(problems: Iterable[Problem]) -> list[Problem]:
    """In their order, but of each file its damage as one."""
    out: dict[object, Problem] = {}
    for number, one in enumerate(problems):
        key = one.source if one.damaged else number
        known = out.get(key)
        out[key] = one if known is None else replace(known, damaged=known.damaged + one.damaged)
    return list(out.values())
