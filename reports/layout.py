"""Measures of NĐ 30/2020/NĐ-CP, Phụ lục I: millimetres and points, shared by all renderers."""

from __future__ import annotations

from typing import Final

PAGE: Final = (210.0, 297.0)
"""A4, upright."""
TOP, BOTTOM, LEFT, RIGHT = 20.0, 20.0, 30.0, 15.0
"""Margins: 20-25, 20-25, 30-35, 15-20."""
TEXT: Final = PAGE[0] - LEFT - RIGHT
HEAD_COLUMNS: Final = (66.0, 99.0)
"""Agency on the left, national motto on the right: the motto's first line needs 96 mm at 13 pt."""
FONT: Final = "Times New Roman"
PDF_FONT: Final = "Liberation Serif"
"""Metric-compatible with Times New Roman; free (OFL 1.1)."""
BODY: Final = 13.0
"""Body, title, motto, position and name of the signer: 13-14; the smaller keeps an official letter on one page."""
HEAD: Final = 12.0
"""Agencies: 12-13."""
NATION: Final = 12.5
"""First line of the motto: 12-13."""
NUMBER: Final = 13.0
"""Number, place and date."""
SMALL: Final = 11.0
"""List of recipients, notes."""
RECIPIENTS: Final = 12.0
CELL: Final = 11.0
"""Tables."""
INDENT: Final = 10.0
"""First line of a paragraph: 1 cm (or 1.27)."""
SPACE: Final = 6.0
"""Points between paragraphs, at least 6."""
