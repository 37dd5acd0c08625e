"""The summary of a hunt as one page: it loads nothing, runs nothing, prints on A4. What logs say is only ever text in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from domain.document import Chart, Series
from domain.i18n import lang, t
from domain.text import clean
from reports import charts

_FOLDER: Final = Path(__file__).parent
_LEVELS: Final = (("critical", "high"), ("medium",), ("low", "informational"))
"""Levels that share a grey in the chart."""


def page(facts: Mapping[str, Any]) -> bytes:
    """The page, UTF-8. `facts`: see jobs/hunt_page.py; texts are made harmless here."""
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    chart = Markup(charts.svg(_chart(facts["bars"]), "h")) if facts["bars"] else ""  # noqa: S704  drawn by an escaping template
    template = _environment().get_template("page.html.j2")
    return template.render(_clean(facts), chart=chart, style=Markup(style), digest=digest, lang=lang()).encode()  # noqa: S704  our own style


@cache
def _environment() -> Environment:
    made = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals["t"] = t
    return made


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {key: _clean(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(inner) for inner in value]
    return value


def _chart(bars: Sequence[tuple[str, Mapping[str, int]]]) -> Chart:
    series = []
    for levels in _LEVELS:
        values = tuple(float(sum(counts.get(level, 0) for level in levels)) for _, counts in bars)
        if any(values):
            series.append(Series(", ".join(t(f"alerts.level_{level}") for level in levels), values))
    title = t("hunt.page_timeline")
    return Chart("bars", title, title, tuple(label for label, _ in bars), tuple(series), t("hunt.page_unit"))
