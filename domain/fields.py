"""The field dictionary (`fields.yml`): ECS names, types and meaning. A field that is not there does not exist.

From it come the Arrow schema, the OpenSearch mapping and the documentation table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST: Final = 8191
"""Characters of a keyword that OpenSearch indexes: four bytes each still fit into a Lucene term."""
_RAW: Final[dict[str, object]] = {"type": "keyword", "index": False, "ignore_above": LONGEST}
"""The value with its case kept, for counting only: what is searched is lower-cased."""
_KEYWORD: Final[dict[str, object]] = {"type": "keyword", "normalizer": "lower", "ignore_above": LONGEST, "fields": {"raw": _RAW}}
OPENSEARCH: Final[dict[str, dict[str, object]]] = {
    "keyword": _KEYWORD, "ip": {**_KEYWORD, "fields": {"raw": _RAW, "ip": {"type": "ip", "ignore_malformed": True}}},
    "text": {"type": "text"}, "long": {"type": "long"}, "double": {"type": "double"}, "boolean": {"type": "boolean"},
    "date": {"type": "date", "format": "strict_date_optional_time_nanos||strict_date_optional_time", "ignore_malformed": True},
    "bytes": {"type": "keyword", "index": False, "doc_values": False}, "id": {"type": "keyword", "doc_values": False},
}  # fmt: skip
"""How OpenSearch holds each type of the dictionary."""


WIDE: Final = frozenset({
    "message", "winlog.event_data.ScriptBlockText", "winlog.event_data.ContextInfo", "winlog.event_data.Payload",
    "winlog.event_data.param2", "winlog.event_data.param3",
})  # fmt: skip
"""Columns that hold most of the bytes of their logs: read only where a rule that names them may still match."""


@dataclass(frozen=True)
class Field:
    """One entry of the dictionary."""

    name: str
    type: str
    """keyword, text, ip, long, double, boolean, date, bytes, id."""
    vi: str
    """Meaning, in Vietnamese."""
    en: str
    array: bool = False
    """May hold several values."""
    open: bool = False
    """A name space: `name.*` may hold any keyword field (winlog.event_data.*, unmapped.*)."""


@cache
def dictionary() -> dict[str, Field]:
    """Every field by name; open name spaces stand under their prefix without `.*`."""
    text = (Path(__file__).parent / "fields.yml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  safe loader
    out = {}
    for name, (kind, vi, en) in data.items():
        base, array = kind.removesuffix("[]"), kind.endswith("[]")
        key = name.removesuffix(".*")
        out[key] = Field(key, base, vi, en, array, name.endswith(".*"))
    return out


@cache
def lookup(name: str) -> Field | None:
    """The entry of a field, or of the open name space it lies in; None when it does not exist."""
    known = dictionary()
    if name in known and not known[name].open:
        return known[name]
    prefix = name
    while "." in prefix:
        prefix = prefix.rpartition(".")[0]
        entry = known.get(prefix)
        if entry is not None and entry.open:
            return Field(name, entry.type, entry.vi, entry.en, entry.array)
    return None


@cache
def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a field; text for one that is not in the dictionary."""
    entry = lookup(name)
    return _arrow()[entry.type if entry is not None else "keyword"]


@cache
def _arrow() -> dict[str, pa.DataType]:
    """Arrow type of each type of the dictionary; Arrow is loaded when a table is made, not for a list of alerts."""
    import pyarrow as pa

    return {
        "keyword": pa.string(), "text": pa.string(), "ip": pa.string(), "long": pa.int64(), "double": pa.float64(),
        "boolean": pa.bool_(), "date": pa.timestamp("us", "UTC"), "bytes": pa.large_binary(), "id": pa.binary(16),
    }  # fmt: skip


@cache
def is_array(name: str) -> bool:
    """Whether the field may hold several values."""
    entry = lookup(name)
    return entry is not None and entry.array


def normal(name: str) -> str:
    """The name under which a parser's field is stored: itself when it is in the dictionary, else below `unmapped.`."""
    return name if lookup(name) is not None else f"unmapped.{name}"


def opensearch_properties() -> dict[str, object]:
    """Flat `properties` of the index template (dotted names are objects to OpenSearch)."""
    return {f.name: dict(OPENSEARCH[f.type]) for f in dictionary().values() if not f.open}
