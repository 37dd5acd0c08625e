"""Charts as SVG, readable in black and white: dashes, hatching, grey steps. A figure that is not known is a gap, never a zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.document import UNKNOWN, Chart, map_text, number_text
from domain.text import one_line
from reports.fonts import drawable
from reports.layout import PDF_FONT

WIDTH: Final = 660
"""Units of the drawing; it is printed as wide as the text (165 mm)."""
_HEIGHT: Final = 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 30, 46
_ROW: Final = 24
_NAMES: Final = 190
"""Width of the row names of a heat map."""
_LABEL: Final = 44
"""Units that one label of the axis needs."""
_LEGEND: Final = 150
"""Units that one entry of the legend needs."""
_DARK: Final = 0.6
"""Above this share of the highest value, white ink."""
_DIGITS: Final = 26
"""Units that the number in a cell needs."""
DASHES: Final = ("", "7 4", "2 3", "10 3 2 3", "1 4", "12 6")
GREYS: Final = ("#1f1f1f", "#6b6b6b", "#9a9a9a", "#c4c4c4", "#e2e2e2", "#ffffff")


def svg(chart: Chart, name: str = "c") -> str:
    """The drawing, with title and description for those who cannot see it. Texts are made harmless and drawable.

    name: in front of the ids within the drawing, when several stand in one page.
    """
    chart = map_text(chart, lambda text: drawable(one_line(text, 200)))
    draw = {"lines": _lines, "bars": _bars, "heat": _heat}[chart.kind]
    template = _environment().get_template("chart.svg.j2")
    return template.render(chart=chart, name=name, fills=_fills(name), font=PDF_FONT, width=WIDTH, **draw(chart))


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _fills(name: str) -> tuple[str, ...]:
    return ("#3a3a3a", *(f"url(#{name}-{i})" for i in (1, 2, 3)), "#ffffff")


def scale(highest: float) -> tuple[float, ...]:
    """Round marks of an axis from 0 to at least `highest`: at most six."""
    if highest < 1e-6:  # nothing to draw
        return (0.0, 1.0)
    raw = highest / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    step = max(step, 1.0) if highest >= 1 else step
    return tuple(step * i for i in range(math.ceil(highest / step) + 1))


def _axes(chart: Chart, highest: float) -> dict[str, Any]:
    """What lines and bars share: marks of the axis, labels (thinned out), legend."""
    marks = scale(highest)
    room = WIDTH - _LEFT - _RIGHT
    slot = room / max(1, len(chart.labels))
    every = max(1, math.ceil(_LABEL / slot))
    floor = _TOP + (_HEIGHT - _TOP - _BOTTOM)
    return {
        "height": _HEIGHT, "left": _LEFT, "right": WIDTH - _RIGHT, "floor": floor, "top": _TOP, "slot": slot,
        "ticks": [(_y(m, marks[-1]), number_text(m, 0 if m == int(m) else 1)) for m in marks],
        "labels": [(_x(i, slot), name) for i, name in enumerate(chart.labels) if i % every == 0],
        "legend": _legend(chart) if len(chart.series) > 1 else [], "top_mark": marks[-1], "unknown": UNKNOWN,
    }  # fmt: skip


def _x(index: int, slot: float) -> float:
    return round(_LEFT + slot * (index + 0.5), 1)


def _y(value: float, top: float) -> float:
    return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / top), 1)


def _legend(chart: Chart) -> list[tuple[float, int, str]]:
    """(x, index, name); names are cut to their place."""
    return [(round(_LEFT + i * _LEGEND, 1), i, one_line(s.name, 22)) for i, s in enumerate(chart.series[:4])]


def _values(chart: Chart) -> list[float]:
    return [v for s in chart.series for v in s.values if v is not None]


def _lines(chart: Chart) -> dict[str, Any]:
    axes = _axes(chart, max(_values(chart), default=0.0))
    paths = []
    for index, series in enumerate(chart.series):
        points = [(_x(i, axes["slot"]), _y(v, axes["top_mark"])) if v is not None else None for i, v in enumerate(series.values)]
        runs = [run for run in _runs(points) if run]
        paths.append({"dash": DASHES[index % len(DASHES)], "grey": GREYS[min(index, 2)], "runs": runs})
    return {**axes, "paths": paths, "bars": [], "cells": [], "dashes": DASHES}


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Points broken where a value is not known."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return runs


def _bars(chart: Chart) -> dict[str, Any]:
    """Series are stacked; the total stands above the bar."""
    totals = [_total([s.values[i] for s in chart.series]) for i in range(len(chart.labels))]
    axes = _axes(chart, max((t for t in totals if t is not None), default=0.0))
    bars, width = [], min(60.0, axes["slot"] * 0.6)
    for i, total in enumerate(totals):
        x, base, parts = _x(i, axes["slot"]), 0.0, []
        for index, series in enumerate(chart.series):
            value = series.values[i] or 0.0
            if value:
                top = _y(base + value, axes["top_mark"])
                parts.append((top, round(_y(base, axes["top_mark"]) - top, 1), index))
                base += value
        shown = number_text(total) if total is None or axes["slot"] >= _LABEL else ""
        place = {"x": x, "left": round(x - width / 2, 1), "width": round(width, 1), "top": _y(base, axes["top_mark"])}
        bars.append({**place, "parts": parts, "text": shown})
    return {**axes, "bars": bars, "paths": [], "cells": [], "dashes": DASHES}


def _total(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _heat(chart: Chart) -> dict[str, Any]:
    """Rows are series, columns are labels; the darker, the more; `–` in a hatched cell where nothing is known."""
    highest = max(_values(chart), default=0.0) or 1.0
    slot = (WIDTH - _NAMES - _RIGHT) / max(1, len(chart.labels))
    cells = []
    for row, series in enumerate(chart.series):
        for column, value in enumerate(series.values):
            share = 0.0 if value is None else value / highest
            level = round(255 - 190 * share)
            place = {"x": round(_NAMES + column * slot, 1), "y": _TOP + row * _ROW, "width": round(slot, 1), "height": _ROW}
            look = {"fill": f"#{level:02x}{level:02x}{level:02x}", "ink": "#ffffff" if share > _DARK else "#000000"}
            text = number_text(value) if slot >= _DIGITS or value is None else ""
            cells.append({**place, **look, "known": value is not None, "text": text})
    every = max(1, math.ceil(_LABEL / slot))
    floor = _TOP + len(chart.series) * _ROW
    return {
        "height": floor + 30, "left": _NAMES, "right": WIDTH - _RIGHT, "floor": floor, "top": _TOP, "ticks": [], "legend": [],
        "labels": [(round(_NAMES + slot * (i + 0.5), 1), name) for i, name in enumerate(chart.labels) if i % every == 0],
        "rows": [(_TOP + i * _ROW + 16, one_line(s.name, 26)) for i, s in enumerate(chart.series)],
        "cells": cells, "paths": [], "bars": [], "dashes": DASHES, "unknown": UNKNOWN,
    }  # fmt: skip
