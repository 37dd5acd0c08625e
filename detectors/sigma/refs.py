"""Identity of a rule document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from domain import titles
from domain.alert import RuleRef


def reference(data: Mapping[str, Any], kind: str = "sigma") -> RuleRef:
    """Identity of a rule; the version is the hash of what it says. ValueError for text that is no Unicode."""
    digest = hashlib.blake2b(_content(data), digest_size=6).hexdigest()
    tags = data.get("tags")
    return RuleRef(
        id=str(data.get("id") or data.get("name") or f"unnamed-{digest}"),
        title=str(data.get("title") or ""),
        level=str(data.get("level") or "medium"),
        version=digest,
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        kind=kind,
        source=_source(data.get("logsource")),
    )


def _content(data: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    except TypeError:  # numbers of more than 64 bits, keys that are bytes, half a surrogate pair
        return json.dumps(data, default=str, skipkeys=True, ensure_ascii=False).encode()


def _source(said: object) -> str:
    """The most telling part of a log source: category, else service, else product."""
    parts = said if isinstance(said, Mapping) else {}
    return next((str(parts[key]) for key in ("category", "service", "product") if parts.get(key)), "")


def spoken(ref: RuleRef) -> RuleRef:
    """The rule with its title in the language of this process: for what is shown at once and not kept."""
    return replace(ref, title=titles.full(ref))
