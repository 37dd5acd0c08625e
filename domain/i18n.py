"""Catalogues: `locale/<lang>/<area>.yml`, one flat mapping per area; `t("alerts.title", n=3)` reads area `alerts`, key `title`.

Vietnamese is the reference: a key that is missing there fails `make check`; a key missing in English falls back to Vietnamese.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import yaml

LANGS: Final = ("vi", "en")
_ROOT: Final = Path(__file__).parent / "locale"
_current = "vi"


def use(lang: str) -> None:
    """Set the language of this process (`--lang`, `lang` in soc.toml)."""
    global _current  # noqa: PLW0603  one process speaks one language
    _current = lang if lang in LANGS else "vi"


def lang() -> str:
    """The language of this process."""
    return _current


@cache
def catalogue(language: str, area: str) -> dict[str, str]:
    """All texts of one area in one language; empty when there is no such file."""
    path = _ROOT / language / f"{area}.yml"
    if not path.exists():
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load(path.read_text(encoding="utf-8"), Loader=loader) or {}  # noqa: S506  safe loader
    return {str(k): str(v) for k, v in data.items()}


def t(key: str, /, language: str = "", **values: object) -> str:
    """The text of `area.key` with `{name}` filled in; an unknown key is returned as it is (the catalogue test finds it)."""
    area, _, name = key.partition(".")
    text = catalogue(language or _current, area).get(name)
    if text is None:
        text = catalogue("vi", area).get(name) or catalogue("en", area).get(name) or key
    return text.format(**values) if values else text
