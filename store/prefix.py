"""What the names of our indices begin with, so that several stores share a cluster without touching each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from domain.errors import ConfigError

PREFIX: Final = "thapcanh"
_KINDS: Final = ("events-", "deliveries", "dead", "records", "state", "leases", "alerts", "sources")
_ALLOWED: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_OURS: Final = re.compile(r"-events(-|$)")
"""`soc-events` would lie within `soc-events-*`, the events of the store `soc`."""


def index_prefix(options: Mapping[str, Any]) -> str:
    """`index_prefix` of the `[store]` options, `thapcanh` when there is none. ConfigError when indices cannot be named so."""
    prefix = options.get("index_prefix", PREFIX)
    if not isinstance(prefix, str) or not _ALLOWED.fullmatch(prefix) or _OURS.search(prefix):
        raise ConfigError(
            f"store.index_prefix {str(prefix)[:100]!r}: at most 80 of a-z 0-9 - _ . beginning with a letter or digit, without -events",
            hint="soc config check",
        )
    return prefix


def ours(prefix: str) -> str:
    """All indices of a store, as a pattern: `soc-*` would be those of the store `soc-test` too."""
    return ",".join(f"{prefix}-{kind}*" for kind in _KINDS)
