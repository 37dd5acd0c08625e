"""The dictionary of what is laid out for dashboards (`published.yml`): one flat document per alert, one per source.

From it come the mapping of those indices, the index patterns of the dashboards and their labels.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import yaml

from domain.fields import Field

ALERTS: Final = "alerts"
SOURCES: Final = "sources"


@cache
def published() -> dict[str, dict[str, Field]]:
    """Fields by name, for each index (`alerts`, `sources`)."""
    data = yaml.safe_load((Path(__file__).parent / "published.yml").read_text(encoding="utf-8"))
    return {
        index: {name: Field(name, kind.removesuffix("[]"), vi, en, kind.endswith("[]")) for name, (kind, vi, en) in fields.items()}
        for index, fields in data.items()
    }


_OPENSEARCH: Final[dict[str, dict[str, object]]] = {
    "keyword": {"type": "keyword", "ignore_above": 8191}, "long": {"type": "long"}, "double": {"type": "double"},
    "boolean": {"type": "boolean"}, "date": {"type": "date"},
}  # fmt: skip


def opensearch_properties(index: str) -> dict[str, object]:
    """Flat `properties` of one index. Keywords keep their case here: charts show them as they are."""
    return {field.name: dict(_OPENSEARCH[field.type]) for field in published()[index].values()}
