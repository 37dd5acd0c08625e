"""Small things all renderers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from domain.document import Block, Closing, Letterhead, Table, Ticks, caps
from reports.text import vi

TICKED, EMPTY = "■", "□"
"""In Times New Roman and in Liberation Serif."""
MARK: Final = " (*)"


def as_data(block: Block, extra: Mapping[str, Any]) -> dict[str, Any]:
    """A block as plain JSON values: its fields, its kind as `type`, and what the renderer adds."""
    data: dict[str, Any] = {"type": type(block).__name__, **asdict(block)}
    if isinstance(block, Letterhead):
        data |= {"nation": nation(), "motto": motto()}
    elif isinstance(block, Table):
        data |= {"widths": widths(block), "titles": titles(block), "aligns": aligns(block), "cells": cells(block)}
    elif isinstance(block, Ticks):
        data["boxes"] = [[TICKED if on else EMPTY, text] for text, on in block.options]
    elif isinstance(block, Closing):
        data |= {"authority": caps(block.authority), "position": caps(block.position)}
    return data | dict(extra)


def nation() -> str:
    """First line of the national motto."""
    return vi("nation")


def motto() -> str:
    """Second line."""
    return vi("motto")


def widths(table: Table) -> list[float]:
    """Share of each column, adding up to 1."""
    shares = [0.075 * sum(c.width for c in table.columns)] if table.numbered else []
    shares += [c.width for c in table.columns]
    return [round(s / sum(shares), 4) for s in shares]


def titles(table: Table) -> list[str]:
    """Heads of the columns."""
    return ([table.numbered] if table.numbered else []) + [c.title for c in table.columns]


def aligns(table: Table) -> list[str]:
    """left, center or right for each column."""
    return (["center"] if table.numbered else []) + [c.align for c in table.columns]


def cells(table: Table) -> list[list[str]]:
    """Rows with their numbers."""
    return [([str(i)] if table.numbered else []) + list(row) for i, row in enumerate(table.rows, 1)]


def label(text: str, required: bool) -> str:
    """The label of a field, with its mark."""
    return f"{text}{MARK}" if required else text
